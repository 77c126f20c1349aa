"""What a reply of the WFS endpoint is: XML of the service, or an error in any of its dialects.

It is told by content: real portals send login pages with status 200, and servers send exception
reports with any status and under several types. The Explore API's replies are judged in
`portal.replies`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from xml.etree.ElementTree import Element

from ods_pipeline.errors import (
    NotAPortal,
    PortalError,
    PortalFailure,
    RequestRefused,
    ServiceException,
    ServiceFailure,
)
from ods_pipeline.portal import replies
from ods_pipeline.portal.wfs.documents import Root, Unreadable, root_of, text_of, tree_of

_REPORTS = frozenset({"ExceptionReport", "ServiceExceptionReport"})
_BEGINNING = 1 << 16
_PAGE = re.compile(rb"<(!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_OF_PAGES = frozenset({"html", "head", "body"})
_STATUS = {"ForbiddenAccess": 403, "NotFoundResource": 404}


def opening(
    status: int, headers: Mapping[str, str], chunks: Iterator[bytes], where: dict[str, str]
) -> bytes:
    """Tell XML of the service from everything else that this endpoint was seen to send.

    Args:
        status: HTTP status.
        headers: Reply headers.
        chunks: The body.
        where: Portal and URL, for messages.

    Returns:
        The first bytes of the reply, as far as the start of its outermost element.

    Raises:
        ServiceException: It is an exception report, with whatever status.
        QuotaExhausted: The quota is spent.
        PortalError: It is a web page, a JSON error, or empty.
    """
    head = bytearray()
    root: Root | None = None
    for chunk in chunks:
        head += chunk
        try:
            root = root_of(bytes(head))
        except Unreadable:
            break
        if root or len(head) >= _BEGINNING:
            break
    if root is not None and root.name in _REPORTS:
        rest = replies.at_most(_BEGINNING, chunks) if len(head) < _BEGINNING else b""
        raise _reported(bytes(head) + rest, status, where)
    problem = _problem(status, headers, head, root, chunks, where)
    if problem:
        raise problem
    return bytes(head)


def _problem(
    status: int,
    headers: Mapping[str, str],
    head: bytearray,
    root: Root | None,
    chunks: Iterator[bytes],
    where: dict[str, str],
) -> PortalError | None:
    begins = bytes(head[:_BEGINNING]).removeprefix(b"\xef\xbb\xbf").lstrip()
    if begins[:1] in {b"{", b"["}:
        body = begins + replies.at_most(_BEGINNING, chunks)
        return _of_json(status, headers, body, where)
    if status != 200:
        return _of_status(status, headers, begins, where)
    if not begins:
        return PortalFailure("the WFS sent an empty reply; try later", **where)
    page = _PAGE.search(begins[:1024]) if root is None else root.name.lower() in _OF_PAGES
    kind = headers if root is None and not page else {"Content-Type": "html" if page else ""}
    return replies.unexpected(kind, **where)


def _of_json(
    status: int, headers: Mapping[str, str], body: bytes, where: dict[str, str]
) -> PortalError:
    said = replies.envelope(body)
    if status == 200:
        status = _meant(said)
    if status == 200:
        message = str(said.get("message") or said.get("error") or "")
        told = f"with an error in place of features: {message}" if message else "JSON, not XML"
        return RequestRefused(f"the WFS answers {told}", **where)
    return _of_status(status, headers, body, where)


def _meant(said: Mapping[str, Any]) -> int:
    """The status that a JSON error with status 200 should have had."""
    if "call_limit" in said or "errorcode" in said:
        return 429
    if "API key" in str(said.get("error") or said.get("message") or ""):
        return 401
    return _STATUS.get(str(said.get("error_code")), 200)


def _of_status(
    status: int, headers: Mapping[str, str], body: bytes, where: dict[str, str]
) -> PortalError:
    if status in {404, 410} and replies.envelope(body).get("error_code") != "NotFoundResource":
        return NotAPortal(
            f"{where['portal']} answers, but it has no WFS there (status {status})", **where
        )
    return replies.failure(status, headers, body, **where)


def _reported(body: bytes, status: int, where: dict[str, str]) -> ServiceException:
    kind = ServiceFailure if status >= 500 else ServiceException
    try:
        report = tree_of(body)
    except Unreadable:
        return kind("", "", "its exception report cannot be read", **where)
    code, locator, text = exception_in(report)
    return kind(code, locator, text, **where)


def exception_in(report: Element) -> tuple[str, str, str]:
    """Code, locator and text of an exception report, in OWS's form or the older one."""
    for item in report.iter():
        if item.tag == "Exception":
            texts = (" ".join((t.text or "").split()) for t in item.iter("ExceptionText"))
            return item.get("exceptionCode", ""), item.get("locator", ""), " ".join(texts)
        if item.tag == "ServiceException":
            text = " ".join("".join(item.itertext()).split())
            return item.get("code", ""), item.get("locator", ""), text
    return "", "", text_of(report, "ExceptionText")
