"""Where a reply passes a request on to, and whether it is followed. Pure functions of the reply.

A portal's own host is followed, since that is who was asked. Any other is named and not asked:
whoever stands there is not the portal that the user chose, and gets neither questions nor keys.
"""

from __future__ import annotations

from urllib.parse import SplitResult, urljoin, urlsplit

import requests

from ods_pipeline.errors import NotAPortal
from ods_pipeline.portal.address import Address

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
    target = urljoin(response.url or url, location)
    if _within(target, address):
        return target
    parts = urlsplit(target)
    elsewhere = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    raise NotAPortal(
        f"{address.base} passes requests on to {elsewhere}, where nothing is asked; "
        "if the portal has moved there, set ODS_PORTAL to that address",
        portal=address.slug,
        url=url,
    )


def keeps_body(response: requests.Response) -> bool:
    """Whether what was posted is to be posted again."""
    return response.status_code in _KEEPING


def _within(target: str, address: Address) -> bool:
    """Whether a target is the portal itself, or the same host by https."""
    try:
        here, there = _origin(urlsplit(address.base)), _origin(urlsplit(target))
    except ValueError:
        return False
    safer = here[0] == "http" and there == ("https", here[1], _PORTS["https"])
    return there == here or (safer and here[2] == _PORTS["http"])


def _origin(parts: SplitResult) -> tuple[str, str, int | None]:
    return parts.scheme, parts.hostname or "", parts.port or _PORTS.get(parts.scheme)
