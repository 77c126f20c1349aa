"""What a portal's reply means: data, a quota, or one of our errors. Pure functions of a reply.

The error bodies are those that real portals were recorded to send: `error_code` and `message` for
most errors, `errorcode` and `error` for a spent quota. Nothing is sent or repeated here.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from ods_pipeline.errors import (
    AccessDenied,
    DatasetNotFound,
    NoEndpoint,
    PortalError,
    PortalFailure,
    QuotaExhausted,
    RequestRefused,
    WebPage,
)
from ods_pipeline.portal.quota.headers import refusal
from ods_pipeline.portal.quota.messages import refused

_TOO_MANY = 429
_ERROR_BYTES = 65_536
_OF_ODSQL = ("ODSQL", "IncompatibleTypes")


def opening(
    status: int, headers: Mapping[str, str], chunks: Iterator[bytes], where: dict[str, str]
) -> bytes:
    """Distinguish data of the Explore API from errors, by the headers alone.

    Returns:
        What was read of the body: nothing.

    Raises:
        PortalError: The reply is an error, or a web page.
    """
    if status != 200:
        raise failure(status, headers, at_most(_ERROR_BYTES, chunks), **where)
    if is_page(headers):
        raise page(**where)
    return b""


def made_at(headers: Mapping[str, str]) -> datetime | None:
    """When the portal made a reply, by its own clock: a cache may have kept it since."""
    try:
        sent = parsedate_to_datetime(headers.get("Date", ""))
        age = max(0, int(headers.get("Age") or 0))
        return sent.astimezone(UTC) - timedelta(seconds=age)
    except (ValueError, TypeError, OverflowError):
        return None


def at_most(most: int, chunks: Iterator[bytes]) -> bytes:
    """The first bytes of a body."""
    read = bytearray()
    for chunk in chunks:
        read += chunk
        if len(read) >= most:
            break
    return bytes(read[:most])


def document(body: bytes) -> Any:
    r"""A JSON document, with half emoji (`\ud83d` alone, as portals do write) made `?`.

    Raises:
        ValueError: It is no JSON.
        RecursionError: It is nested too deeply to be any that we know.
    """
    parsed = json.loads(body)
    return without_halves(parsed) if b"\\ud" in body.lower() else parsed


def has_halves(text: str, begin: int, end: int) -> bool:
    """Whether a part of a JSON document may hold halves of characters."""
    return text.find("\\ud", begin, end) >= 0 or text.find("\\uD", begin, end) >= 0


def without_halves(parsed: Any) -> Any:
    """What was read from JSON, with halves of characters made `?`."""
    return json.loads(json.dumps(parsed, ensure_ascii=False).encode("utf-8", "replace"))


def envelope(body: bytes) -> Mapping[str, Any]:
    """The JSON object of an error reply; empty if it is not one."""
    try:
        parsed = document(body)
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}


def failure(
    status: int, headers: Mapping[str, str], body: bytes, *, portal: str, url: str
) -> PortalError:
    """The error that a reply of another status than 200 stands for, by its first kilobytes."""
    said = envelope(body)
    message = str(said.get("message") or said.get("error") or "").rstrip(".")
    where = {"portal": portal, "url": url}
    if status == _TOO_MANY:
        return quota(headers, said, **where)
    if status in {401, 403}:
        return AccessDenied(_with("the portal refuses access", message), said=message, **where)
    if status == 404 and said.get("error_code") == "NotFoundResource":
        return DatasetNotFound(_with("the portal does not know it", message), **where)
    if status in {404, 410}:
        advice = f"{portal} answers, but it has no Explore API v2.1 there (status {status})"
        return NoEndpoint(_with(advice, message), **where)
    if status < 400:
        return PortalFailure(
            f"{portal} answered with status {status} where 200 was expected: something on the way "
            "changes its replies; try later, or without the proxy",
            **where,
        )
    if status < 500 and status not in {408, 425}:
        error = RequestRefused(
            _with(f"the portal refuses the query (status {status})", message), **where
        )
        error.of_odsql = str(said.get("error_code") or "").startswith(_OF_ODSQL)
        return error
    return PortalFailure(
        _with(f"the portal failed with status {status}; try later", message), **where
    )


def quota(
    headers: Mapping[str, str], said: Mapping[str, Any], *, portal: str, url: str
) -> QuotaExhausted:
    """The error of a spent quota, with the time of its reset, if the portal states it."""
    return refused(refusal(headers, said), time.time(), portal, url)


def is_page(headers: Mapping[str, str]) -> bool:
    """Whether a reply says that it is a web page."""
    return "html" in headers.get("Content-Type", "").lower()


def page(*, portal: str, url: str, login: str = "") -> WebPage:
    """The error of a web page that came instead of data; `login`: what a login page would mean."""
    return WebPage(
        f"a web page came instead of data: a login page{f' ({login})' if login else ''}, "
        "a firewall's, or no Opendatasoft portal; open the address in a browser to see",
        portal=portal,
        url=url,
    )


def _with(advice: str, message: str) -> str:
    return f"{advice}: {message}" if message else advice
