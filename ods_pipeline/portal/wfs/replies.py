"""Distinguishes XML of the WFS from errors in all forms that its endpoint sends.

The content decides: portals send login pages with status 200, and servers send exception reports
with any status and several content types. Nothing here reads replies of the Explore API.
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

# The name of OWS's reports; older ones are called ServiceExceptionReport.
_REPORT = "ExceptionReport"
_BEGINNING = 1 << 16
_HTML = re.compile(rb"<(!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_HTML_ROOTS = frozenset({"html", "head", "body"})
_STATUS = {"ForbiddenAccess": 403, "NotFoundResource": 404}


def opening(
    status: int, headers: Mapping[str, str], chunks: Iterator[bytes], where: dict[str, str]
) -> bytes:
    """Accept XML of the service, and raise everything else as an error.

    Returns:
        The first bytes of the reply, at least up to its root element.

    Raises:
        ServiceException: It is an exception report, with any status.
        QuotaExhausted: The quota is used up.
        PortalError: It is a web page, a JSON error, or empty.
    """
    head, root = _beginning(chunks)
    if root is not None and root.name.endswith(_REPORT):
        rest = replies.at_most(_BEGINNING, chunks) if len(head) < _BEGINNING else b""
        raise _report_error(head + rest, status, where)
    begins = head[:_BEGINNING].removeprefix(b"\xef\xbb\xbf").lstrip()
    if begins[:1] in {b"{", b"["}:
        raise _json_error(status, headers, begins + replies.at_most(_BEGINNING, chunks), where)
    if status != 200:
        raise _status_error(status, headers, begins, where)
    if not begins:
        raise PortalFailure("the WFS sent an empty reply; try later", **where)
    if root is None:
        # Some servers send XML as HTML, so the header counts only if the content is not XML.
        page = _HTML.search(begins[:1024]) or replies.is_page(headers)
    else:
        page = root.name.lower() in _HTML_ROOTS
    if page:
        raise replies.page(**where)
    return head


def _beginning(chunks: Iterator[bytes]) -> tuple[bytes, Root | None]:
    """The bytes up to the root element, and that; None if they are not XML."""
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


def _json_error(
    status: int, headers: Mapping[str, str], body: bytes, where: dict[str, str]
) -> PortalError:
    error = replies.envelope(body)
    if status == 200:
        status = _intended_status(error)
    if status == 200:
        message = str(error.get("message") or error.get("error") or "")
        answer = f"with an error in place of features: {message}" if message else "JSON, not XML"
        return RequestRefused(f"the WFS answers {answer}", **where)
    return _status_error(status, headers, body, where)


def _intended_status(error: Mapping[str, Any]) -> int:
    """The status that a JSON error with status 200 should have had."""
    if "call_limit" in error or "errorcode" in error:
        return 429
    if "API key" in str(error.get("error") or error.get("message") or ""):
        return 401
    return _STATUS.get(str(error.get("error_code")), 200)


def _status_error(
    status: int, headers: Mapping[str, str], body: bytes, where: dict[str, str]
) -> PortalError:
    if status in {404, 410} and replies.envelope(body).get("error_code") != "NotFoundResource":
        return NotAPortal(
            f"{where['portal']} answers, but it has no WFS there (status {status})", **where
        )
    return replies.failure(status, headers, body, **where)


def _report_error(body: bytes, status: int, where: dict[str, str]) -> ServiceException:
    kind = ServiceFailure if status >= 500 else ServiceException
    try:
        report = tree_of(body)
    except Unreadable:
        return kind("", "", "its exception report cannot be read", **where)
    # Imported here, because its package takes a tenth of a second to import.
    from ods_pipeline.portal.gml.exception_report import ExceptionReport

    read = ExceptionReport()
    for item in report.iter():
        read.add_tag(item.tag, item.attrib)
    for text in report.itertext():
        read.add_text(text)
    error = read.exception()
    return kind(error.code, error.locator, error.text, **where)
