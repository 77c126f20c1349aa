"""Reads exception reports, which servers send instead of features, between them or after them.

Nothing here knows HTTP.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.sax.saxutils import unescape

from ods_pipeline.errors import ServiceException
from ods_pipeline.portal.gml.geometry.markup import local
from ods_pipeline.redaction import excerpt

REPORTS = frozenset({"ExceptionReport", "ServiceExceptionReport"})

_NAMESPACES = ("http://www.opengis.net/ows", "http://www.opengis.net/ogc")
_LONGEST = 2000  # characters of a server's message
_CODE = re.compile(rb"""\b(?:exceptionCode|code)\s*=\s*["']([^"'<>]*)["']""")
_LOCATOR = re.compile(rb"""\blocator\s*=\s*["']([^"'<>]*)["']""")
_TEXT = re.compile(rb"<(?:\w+:)?(?:ExceptionText|ServiceException)\b[^>]*>([^<]*)<")
_REPORT = re.compile(rb"<(?:\w+:)?(?:Service)?ExceptionReport\b")


def is_report(name: str) -> bool:
    """Whether an element in a feature is an exception report, not data of the same name."""
    namespace = name.rpartition(" ")[0]
    return local(name) in REPORTS and (not namespace or namespace.startswith(_NAMESPACES))


class ExceptionReport:
    """An exception report while it is read: the first exception's code, and all texts."""

    def __init__(self) -> None:
        self._code = ""
        self._locator = ""
        self._texts: list[str] = []

    def add_tag(self, name: str, attributes: Mapping[str, str]) -> None:
        """Add a start tag."""
        if local(name) in {"Exception", "ServiceException"} and not self._code:
            self._code = attributes.get("exceptionCode") or attributes.get("code") or ""
            self._locator = attributes.get("locator", "")

    def add_text(self, text: str) -> None:
        """Add a text."""
        if text.strip():
            self._texts.append(" ".join(text.split()))

    def exception(self) -> ServiceException:
        """The report as an error."""
        return ServiceException(self._code, self._locator, excerpt(" ".join(self._texts), _LONGEST))


def find_report(data: bytes) -> ServiceException | None:
    """A report in bytes that are not XML, such as the rest of two documents in one."""
    start = _REPORT.search(data)
    if start is None:
        return None
    rest = data[start.start() :]
    matches = (pattern.search(rest) for pattern in (_CODE, _LOCATOR, _TEXT))
    texts = [match[1].decode("utf-8", "replace") if match else "" for match in matches]
    code, locator, text = (" ".join(unescape(text).split())[:_LONGEST] for text in texts)
    return ServiceException(code, locator, text)
