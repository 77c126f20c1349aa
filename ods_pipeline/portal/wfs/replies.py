"""What a reply of the WFS endpoint is: XML of the service, or an error in any of its dialects.

It is told by content: real portals send login pages with status 200, and servers send exception
reports with any status and under several types. The Explore API's replies are judged in
`portal.replies`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ods_pipeline.errors import (
    NotAPortal,
    PortalError,
    PortalFailure,
    RequestRefused,
    ServiceException,
    ServiceFailure,
)
from ods_pipeline.portal.http import replies
from ods_pipeline.portal.wfs.documents import Root, Unreadable, root_of, tree_of

# OWS's reports are called so, and the older ones ServiceExceptionReport.
_REPORT = "ExceptionReport"
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
    head, root = _beginning(chunks)
    if root is not None and root.name.endswith(_REPORT):
        rest = replies.at_most(_BEGINNING, chunks) if len(head) < _BEGINNING else b""
        raise _reported(head + rest, status, where)
    begins = head[:_BEGINNING].removeprefix(b"\xef\xbb\xbf").lstrip()
    if begins[:1] in {b"{", b"["}:
        raise _of_json(status, headers, begins + replies.at_most(_BEGINNING, chunks), where)
    if status != 200:
        raise _of_status(status, headers, begins, where)
    if not begins:
        raise PortalFailure("the WFS sent an empty reply; try later", **where)
    if _PAGE.search(begins[:1024]) if root is None else root.name.lower() in _OF_PAGES:
        raise replies.page(**where)
    # Some send XML as HTML, so the header counts only where the content tells nothing.
    problem = replies.unexpected(headers, **where) if root is None else None
    if problem:
        raise problem
    return head


def _beginning(chunks: Iterator[bytes]) -> tuple[bytes, Root | None]:
    """As many bytes as tell the outermost element, and that; without it where it is no XML."""
    head = b""
    for chunk in chunks:
        head += chunk
        try:
            root = root_of(head)
        except Unreadable:
            break
        if root or len(head) >= _BEGINNING:
            return head, root
    return head, None


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
    # Here and not above: the package around it costs a tenth of a second.
    from ods_pipeline.portal.gml.reports import Report

    read = Report()
    for item in report.iter():
        read.open(item.tag, item.attrib)
    for text in report.itertext():
        read.say(text)
    said = read.exception()
    return kind(said.code, said.locator, said.text, **where)
