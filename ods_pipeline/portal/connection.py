"""What a broken connection means, as one sentence. Pure functions of what `requests` raised.

Replies that did arrive are judged in `replies`; repeating requests is `client`'s work.
"""

from __future__ import annotations

import requests
from requests.exceptions import ContentDecodingError
from urllib3.exceptions import NameResolutionError

from ods_pipeline.errors import PortalError, PortalFailure, PortalUnreachable


def problem(error: requests.RequestException, host: str, *, portal: str, url: str) -> PortalError:
    """The error that a connection without a whole reply stands for.

    Args:
        error: What `requests` raised.
        host: The portal's base URL, for people.
        portal: Slug of the portal.
        url: Address that was asked.
    """
    where = {"portal": portal, "url": url}
    if unknown_host(error):
        return PortalUnreachable(
            f"there is no host {host}; check the portal's address and the network", **where
        )
    if isinstance(error, requests.Timeout):
        return PortalUnreachable(f"{host} did not answer in time; try later", **where)
    if isinstance(error, requests.exceptions.SSLError):
        return PortalUnreachable(f"{host} has no certificate that this machine trusts", **where)
    if isinstance(error, requests.exceptions.ChunkedEncodingError | ContentDecodingError):
        return PortalFailure("the reply broke off in the middle", **where)
    if isinstance(error, requests.ConnectionError):
        return PortalUnreachable(f"{host} cannot be reached; check address and network", **where)
    return PortalFailure(f"the request failed: {type(error).__name__}", **where)


def unknown_host(error: BaseException | None) -> bool:
    """Whether the reason, however deep, is a name that nobody knows."""
    reason = error
    while reason is not None:
        if isinstance(reason, NameResolutionError):
            return True
        reason = getattr(reason, "reason", None) or (reason.args[0] if reason.args else None)
        reason = reason if isinstance(reason, BaseException) else None
    return False
