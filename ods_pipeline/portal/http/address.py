"""Addresses of portals: what people type, the base URL, what is within it, its folder's name.

Nothing is requested here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode, urlsplit

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from ods_pipeline.errors import ConfigurationError

#: This machine's own names, the only ones to which plain http is safe for secrets.
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?|\[[0-9a-f:.]+\]")


@dataclass(frozen=True)
class Address:
    """A portal's address.

    Attributes:
        base: Scheme and authority, such as `https://data.economie.gouv.fr`.
        slug: Host, with `_PORT` where a port was given; the portal's name on disk.
    """

    base: str
    slug: str

    @property
    def local(self) -> bool:
        """Whether the portal is on this machine."""
        return urlsplit(self.base).hostname in LOOPBACK

    @property
    def private(self) -> bool:
        """Whether nothing between can read the traffic: https, or this machine."""
        return self.base.startswith("https://") or self.local

    def contains(self, target: str) -> bool:
        """Whether an address is the portal's own, or the same host's by https.

        Addresses are read by the library that will ask them: another one may see another host in
        the same text.
        """
        here, there = _origin(self.base), _origin(target)
        safer = here[0] == "http" and there == ("https", here[1], _PORTS["https"])
        return bool(there[1]) and (there == here or (safer and here[2] == _PORTS["http"]))

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read a domain or any URL of a portal; a path such as `/explore/dataset/x` is dropped.

        Raises:
            ConfigurationError: It is neither a domain nor an http(s) URL.
        """
        typed = text.strip()
        try:
            parts = urlsplit(typed if "://" in typed else f"https://{typed}")
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        host = (parts.hostname or "").lower()
        shown = f"[{host}]" if ":" in host else host
        if not typed:
            raise ConfigurationError(
                "the portal's address is empty; give a domain such as data.economie.gouv.fr, or "
                "`sample` for the sample portal"
            )
        # `http//data.test`, without its colon, is a path on a host of that name.
        meant = parts.scheme in _PORTS and host not in _PORTS
        if not meant or not _HOST.fullmatch(shown):
            raise ConfigurationError(
                f"{typed!r} is no portal address; give a domain such as data.economie.gouv.fr "
                "or a URL such as http://127.0.0.1:8765"
            )
        authority = f"{shown}:{port}" if port else shown
        slug = re.sub(r"[^a-z0-9._-]", "_", f"{host}_{port}" if port else host)
        return cls(base=f"{parts.scheme}://{authority}", slug=slug)


def host_of(target: str) -> str:
    """Scheme and host of an address, for people; empty where it has none."""
    scheme, host, port = _origin(target)
    usual = port is None or port == _PORTS.get(scheme)
    return f"{scheme}://{host}" + ("" if usual else f":{port}") if host else ""


def _origin(target: str) -> tuple[str, str, int | None]:
    try:
        parts = parse_url(target)
    except LocationParseError:
        return "", "", None
    scheme = (parts.scheme or "").lower()
    return scheme, (parts.host or "").lower(), parts.port or _PORTS.get(scheme)


def leads_away(dataset_id: str) -> bool:
    """Whether an identifier would become another path of the portal, however it is encoded.

    Libraries and proxies on the way normalise addresses: `a/../b` becomes `b`.
    """
    return bool({".", ".."} & set(re.split(r"[/\\]", dataset_id)))


def dataset_path(dataset_id: str, tail: str = "") -> str:
    """The API's path of a dataset; the identifier is encoded whole, slashes included.

    Raises:
        ConfigurationError: It would lead to another path.
    """
    return f"/catalog/datasets/{segment('dataset', dataset_id)}{tail}"


def segment(what: str, name: str) -> str:
    """A name as one part of a path, encoded whole.

    Args:
        what: What it is the name of, for people.
        name: The name.

    Raises:
        ConfigurationError: It would lead to another path: it is empty, or holds `.` or `..`.
    """
    if not name or leads_away(name):
        raise ConfigurationError(
            f"{name!r} names no {what}: it would lead to another path of the portal"
        )
    return quote(name, safe="")


def query_of(parameters: Mapping[str, object]) -> str:
    """A query as the API spells it: `true`, `false`, and nothing that is None."""
    known = {key: value for key, value in parameters.items() if value is not None}
    plain = {k: str(v).lower() if isinstance(v, bool) else v for k, v in known.items()}
    return urlencode(plain, doseq=True)
