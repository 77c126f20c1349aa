"""Addresses of portals: what people type, the base URL, and the name of its folder on disk.

Nothing is requested here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode, urlsplit

from ods_pipeline.errors import ConfigurationError

#: This machine's own names, the only ones to which plain http is safe for secrets.
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
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
        if parts.scheme not in {"http", "https"} or not _HOST.fullmatch(shown):
            raise ConfigurationError(
                f"{typed!r} is no portal address; give a domain such as data.economie.gouv.fr "
                "or a URL such as http://127.0.0.1:8765"
            )
        authority = f"{shown}:{port}" if port else shown
        slug = re.sub(r"[^a-z0-9._-]", "_", f"{host}_{port}" if port else host)
        return cls(base=f"{parts.scheme}://{authority}", slug=slug)


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
    if leads_away(dataset_id):
        raise ConfigurationError(
            f"{dataset_id!r} names no dataset: it would lead to another path of the portal"
        )
    return f"/catalog/datasets/{quote(dataset_id, safe='')}{tail}"


def query_of(parameters: Mapping[str, object]) -> str:
    """A query as the API spells it: `true`, `false`, and nothing that is None."""
    known = {key: value for key, value in parameters.items() if value is not None}
    plain = {k: str(v).lower() if isinstance(v, bool) else v for k, v in known.items()}
    return urlencode(plain, doseq=True)
