"""What a failed connection means, as one sentence. Pure functions of what `requests` raised.

Replies that did arrive are not judged here, and nothing is repeated.
"""

from __future__ import annotations

from http.client import HTTPException, IncompleteRead, RemoteDisconnected
from ssl import SSLCertVerificationError
from typing import TypeVar

import requests
from requests.exceptions import ContentDecodingError
from urllib3.exceptions import (
    ConnectTimeoutError,
    MaxRetryError,
    NameResolutionError,
    NewConnectionError,
    ProxyError,
)

from ods_pipeline.errors import (
    OUT_OF_FILES,
    PortalError,
    PortalFailure,
    PortalUnreachable,
    out_of_files,
)
from ods_pipeline.portal.http.trickle import TooSlow
from ods_pipeline.redaction import redacted

_E = TypeVar("_E", bound=Exception)

# The first that fits counts: some are kinds of others.
_FAILED = {
    requests.TooManyRedirects: "the portal passes requests on in a circle",
    requests.exceptions.ChunkedEncodingError: "the reply broke off in the middle",
    ContentDecodingError: "the reply broke off in the middle",
}
_UNREACHED = {
    requests.exceptions.ProxyError: "the proxy that the environment names for {host} cannot be "
    "used; check HTTPS_PROXY",
    requests.Timeout: "{host} did not answer in time; try later",
    requests.exceptions.SSLError: "the encrypted connection to {host} failed; if it speaks plain "
    "http, give its address with http:// before it",
    requests.ConnectionError: "{host} cannot be reached; check address and network",
}


class Said(Exception):
    """What a library said of it, without the secrets that the address may have had in it."""


def problem(error: requests.RequestException, host: str, *, portal: str, url: str) -> PortalError:
    """The error that a connection without a whole reply stands for; `host` is for people.

    Raise it where `error` is no longer being handled: an exception's context is shown and stored
    with it, and that of `error` quotes the address as it was asked.
    """
    found = _problem(error, host, {"portal": portal, "url": url})
    final = isinstance(error, requests.TooManyRedirects)
    found.final = final or _is_due_to(NameResolutionError, error)
    found.__cause__ = Said(redacted(f"{type(error).__name__}: {error}"))
    return found


def _problem(error: requests.RequestException, host: str, where: dict[str, str]) -> PortalError:
    if out_of_files(error):
        return PortalFailure(OUT_OF_FILES, **where)
    if _is_due_to(NameResolutionError, error):
        return PortalUnreachable(
            f"there is no host {host}; check the portal's address and the network", **where
        )
    slow = _reason(TooSlow, error)
    if slow is not None:
        return PortalFailure(too_slow(slow), **where)
    if _is_due_to(SSLCertVerificationError, error):
        return PortalUnreachable(f"{host} has no certificate that this machine trusts", **where)
    if _is_no_http(error):
        return PortalUnreachable(
            f"what answers at {host} does not speak HTTP; check the address and its port", **where
        )
    for kind, message in _UNREACHED.items():
        if isinstance(error, kind):
            return PortalUnreachable(message.format(host=host), **where)
    for kind, message in _FAILED.items():
        if isinstance(error, kind):
            return PortalFailure(message, **where)
    return PortalFailure(f"the request failed: {type(error).__name__}", **where)


def _is_no_http(error: BaseException) -> bool:
    """Whether what came was not the beginning of an HTTP reply; nothing at all is no such thing."""
    parts = [getattr(error, "reason", None), *error.args]
    if isinstance(error, HTTPException):
        return not isinstance(error, RemoteDisconnected | IncompleteRead)
    return any(_is_no_http(part) for part in parts if isinstance(part, BaseException))


def never_sent(error: requests.RequestException) -> bool:
    """Whether a request failed before a byte of it was sent."""
    cause = error.args[0] if error.args else None
    reason = cause.reason if isinstance(cause, MaxRetryError) else cause
    early = NewConnectionError | ConnectTimeoutError | ProxyError
    connecting = isinstance(error, requests.ConnectTimeout) or isinstance(reason, early)
    # Any other failure of TLS can also come while the answer is read.
    return connecting or _is_due_to(SSLCertVerificationError, error)


def too_slow(slow: Exception) -> str:
    """What to say of a reply that trickled."""
    return f"the portal sends too slowly, {slow}; try later"


def _is_due_to(kind: type[Exception], error: BaseException | None) -> bool:
    return _reason(kind, error) is not None


def _reason(kind: type[_E], error: BaseException | None) -> _E | None:
    """The reason of a kind, however deep; None if it is another."""
    while isinstance(error, BaseException):
        if isinstance(error, kind):
            return error
        error = getattr(error, "reason", None) or (error.args[0] if error.args else None)
    return None
