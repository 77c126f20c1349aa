"""Redirects: where a reply leads, and whether it is followed. Pure functions of the reply.

Only redirects to the portal's own host are followed. Another host is not what the user chose: it
is named in an error, and gets neither requests nor credentials.
"""

from __future__ import annotations

from urllib.parse import urljoin

import requests
from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from ods_pipeline.errors import NotAPortal
from ods_pipeline.portal.http.address import Address

_STATUSES = frozenset({301, 302, 303, 307, 308})
_KEEPING = frozenset({307, 308})
_PORTS = {"http": 80, "https": 443}


def step(response: requests.Response, address: Address, url: str) -> str | None:
    """The address that a reply leads to; None where it leads nowhere.

    Args:
        response: The reply.
        address: The portal.
        url: What was asked, for messages.

    Raises:
        NotAPortal: It leads to another host, or from https to plain http.
    """
    location = response.headers.get("Location")
    if response.status_code not in _STATUSES or not location:
        return None
    try:
        target = urljoin(response.url or url, location)
    except ValueError:
        target = ""
    if within(target, address):
        return target
    elsewhere = shown(target)
    target = f"to {elsewhere}, where nothing is asked" if elsewhere else "to what is no address"
    raise NotAPortal(
        f"{address.base} passes requests on {target}; "
        "if the portal has moved, set ODS_PORTAL to its new address",
        portal=address.slug,
        url=url,
    )


def keeps_body(response: requests.Response) -> bool:
    """Whether what was posted is to be posted again."""
    return response.status_code in _KEEPING


def within(target: str, address: Address) -> bool:
    """Whether an address is the portal's own, or the same host's by https.

    Addresses are read by the library that will ask them: another one may see another host in the
    same text.
    """
    here, there = _origin(address.base), _origin(target)
    safer = here[0] == "http" and there == ("https", here[1], _PORTS["https"])
    return bool(there[1]) and (there == here or (safer and here[2] == _PORTS["http"]))


def shown(target: str) -> str:
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
