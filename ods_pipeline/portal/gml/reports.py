"""Exception reports, wherever a server puts them: instead of features, amid them, or after them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.sax.saxutils import unescape

from ods_pipeline.errors import ServiceException
from ods_pipeline.portal.gml.geometry.markup import local

REPORTS = frozenset({"ExceptionReport", "ServiceExceptionReport"})

_NAMESPACES = ("http://www.opengis.net/ows", "http://www.opengis.net/ogc")
_SHOWN = 2000  # characters of what a server says
_CODE = re.compile(rb"""\b(?:exceptionCode|code)\s*=\s*["']([^"'<>]*)["']""")
_LOCATOR = re.compile(rb"""\blocator\s*=\s*["']([^"'<>]*)["']""")
_SAID = re.compile(rb"<(?:\w+:)?(?:ExceptionText|ServiceException)\b[^>]*>([^<]*)<")
_REPORT = re.compile(rb"<(?:\w+:)?(?:Service)?ExceptionReport\b")


def is_report(name: str) -> bool:
    """Whether an element is an exception report even inside a feature, where data may be so called.

    Args:
        name: Its namespace, where it has one, and its local name.
    """
    namespace = name.rpartition(" ")[0]
    return local(name) in REPORTS and (not namespace or namespace.startswith(_NAMESPACES))


class Report:
    """An exception report while it is read: the first exception's code, and all texts."""

    def __init__(self) -> None:
        self._code = ""
        self._locator = ""
        self._said: list[str] = []

    def open(self, name: str, attributes: Mapping[str, str]) -> None:
        """Take in a start tag."""
        if local(name) in {"Exception", "ServiceException"} and not self._code:
            self._code = attributes.get("exceptionCode") or attributes.get("code") or ""
            self._locator = attributes.get("locator", "")

    def say(self, text: str) -> None:
        """Take in a text."""
        if text.strip():
            self._said.append(" ".join(text.split()))

    def exception(self) -> ServiceException:
        """The report as our error."""
        return ServiceException(self._code, self._locator, " ".join(self._said)[:_SHOWN])


def glimpse(data: bytes) -> ServiceException | None:
    """A report in bytes that are no XML any more, such as those of two documents in one."""
    start = _REPORT.search(data)
    if start is None:
        return None
    rest = data[start.start() :]
    code, locator, said = (form.search(rest) for form in (_CODE, _LOCATOR, _SAID))
    texts = [
        found[1].decode("utf-8", "replace") if found else "" for found in (code, locator, said)
    ]
    clean = [" ".join(unescape(text).split())[:_SHOWN] for text in texts]
    return ServiceException(clean[0], clean[1], clean[2])
