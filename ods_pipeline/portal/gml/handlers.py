"""Handlers that take over the XML parser for one geometry, date, report or skipped element.

Each gives the parser back when its element ends. Nothing here knows features or properties.
"""

from __future__ import annotations

import pyexpat
from collections.abc import Callable, Mapping, Sequence

from ods_pipeline.errors import GmlRefused
from ods_pipeline.portal.gml import limits
from ods_pipeline.portal.gml.exception_report import ExceptionReport, is_report
from ods_pipeline.portal.gml.geometry.markup import (
    END,
    RELEVANT,
    TEXT,
    XLINK_HREF,
    Context,
    Mark,
    is_gml,
    local,
    small,
    taken,
)

Attributes = Mapping[str, str]
#: Geometry that links point to: marks and texts of the element, by its id.
Linked = Mapping[str, tuple[Sequence[Mark], Sequence[str]]]
#: Elements of GML that hold a date.
TIMES = frozenset({"timePosition", "TimeInstant"})


class UnresolvedLink(GmlRefused):
    """A link points to another element of the document, which has to be read first."""


class CopyBudget:
    """Limits what links are replaced by, since a few bytes of links can mean any amount."""

    def __init__(self) -> None:
        self._marks = self._characters = 0

    def add(self, marks: Sequence[Mark], texts: Sequence[str]) -> None:
        """Count another copy; refuses too many."""
        self._marks += len(marks)
        self._characters += sum(map(len, texts))
        if self._marks > limits.LINKED or self._characters > limits.FEATURE:
            raise GmlRefused("the document's links stand for more geometry than is allowed")


class _ElementHandler:
    """Handles the parser's events from an element's start tag to its end tag."""

    def __init__(self, parser: pyexpat.XMLParserType, text: list[str]) -> None:
        self._parser = parser
        self._text = text
        self._depth = 0
        self._then: Callable[[], None] = _nothing

    def _take_over(self, then: Callable[[], None]) -> None:
        self._before = self._parser.StartElementHandler, self._parser.EndElementHandler
        self._depth = 1
        self._then = then
        self._parser.StartElementHandler = self._open
        self._parser.EndElementHandler = self._close

    def _end_element(self) -> None:
        self._depth -= 1
        if not self._depth:
            self._parser.StartElementHandler, self._parser.EndElementHandler = self._before
            self._then()

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > limits.DEPTH:
            raise GmlRefused("the document's elements are nested too deeply")

    def _open(self, name: str, attributes: Attributes) -> None:
        raise NotImplementedError

    def _close(self, _name: str) -> None:
        raise NotImplementedError


class GeometryRecorder(_ElementHandler):
    """Records the markup and the texts of a geometry.

    Attributes:
        marks: Its markup.
        texts: Its texts, without blank ones.
    """

    def __init__(self, parser: pyexpat.XMLParserType, text: list[str], linked: Linked) -> None:
        super().__init__(parser, text)
        self.marks: list[Mark] = []
        self.texts: list[str] = []
        self._linked = linked
        self._copy_budget = CopyBudget()

    def begin(self, name: str, attributes: Attributes, then: Callable[[], None]) -> None:
        """Record from this start tag to its end tag."""
        self._clear()
        self._take_over(then)
        self._add(name, attributes)

    def begin_linked(self, href: str) -> None:
        """Take the geometry that a link points to, if that was read before."""
        self._clear()
        self._follow(href)

    def _clear(self) -> None:
        self.marks.clear()
        self.texts.clear()

    def _follow(self, href: str) -> None:
        target = self._linked.get(href.removeprefix("#")) if href.startswith("#") else None
        if target is None:
            kind = UnresolvedLink if href.startswith("#") else GmlRefused
            raise kind(f"links elsewhere, which is not followed: {href[:200]}")
        self._copy_budget.add(*target)
        self.marks.extend(target[0])
        self.texts.extend(target[1])

    def _open(self, name: str, attributes: Attributes) -> None:
        if reported(name, self._parser, self._text):
            return
        if self._text:
            self._take_text()
        self._deeper()
        self._add(name, attributes)

    def _add(self, name: str, attributes: Attributes) -> None:
        self.marks.append(name)
        if attributes:
            relevant = tuple((key, attributes[key]) for key in attributes if key in RELEVANT)
            if relevant:
                self.marks.append(relevant)
            if XLINK_HREF in attributes:
                self._follow(attributes[XLINK_HREF])

    def _close(self, _name: str) -> None:
        if self._text:
            self._take_text()
        self.marks.append(END)
        self._end_element()

    def _take_text(self) -> None:
        text = taken(self._text)
        if text:
            self.marks.append(TEXT)
            self.texts.append(text)


class DateHandler(_ElementHandler):
    """Reads a date in elements of GML, as MapServer writes it in WFS 2.0.0.

    Attributes:
        date: Its text.
        problem: Why it is not a plain date; empty if it is one.
    """

    def begin(self, name: str, attributes: Attributes, then: Callable[[], None]) -> None:
        """Read the `timePosition`, or the `TimeInstant` around one, that was just opened."""
        self.date: str | None = None
        self.problem = ""
        self._take_over(then)
        self._check(name, attributes)

    def _open(self, name: str, attributes: Attributes) -> None:
        if reported(name, self._parser, self._text):
            return
        self._refuse_text()
        self._deeper()
        self._check(name, attributes)

    def _check(self, name: str, attributes: Attributes) -> None:
        local_name = local(name)
        if is_gml(name) and local_name == "timePosition" and self.date is None:
            self.date = ""
        elif self._depth > 1 or local_name != "TimeInstant":
            self.problem = f"has {local_name} in a date"
        if "indeterminatePosition" in attributes:
            self.problem = f"has the date {attributes['indeterminatePosition'][:60]!r}"
        if XLINK_HREF in attributes:
            self.problem = "has a date that links elsewhere"

    def _refuse_text(self) -> None:
        if taken(self._text):
            self.problem = self.problem or "has text beside its date"

    def _close(self, name: str) -> None:
        if local(name) == "timePosition":
            self.date = "".join(self._text)
            self._text.clear()
        else:
            self._refuse_text()
        if self._depth == 1 and self.date is None:
            self.problem = self.problem or "has a date without a position"
        self._end_element()


class SkipHandler(_ElementHandler):
    """Skips an element, but notes the CRS of a box in it."""

    def begin(self, then: Callable[[Context | None], None] | None = None) -> None:
        """Skip the element that was just opened."""
        self._context: Context | None = None
        self._take_over(_nothing if then is None else lambda: then(self._context))

    def _open(self, name: str, attributes: Attributes) -> None:
        if reported(name, self._parser, self._text):
            return
        self._text.clear()
        self._deeper()
        if "srsName" in attributes:
            dimension = small(attributes.get("srsDimension", "")) or 0
            self._context = Context(attributes["srsName"].strip(), dimension)

    def _close(self, _name: str) -> None:
        self._text.clear()
        self._end_element()


class ReportHandler(_ElementHandler):
    """Reads an exception report, and raises it."""

    def begin(self) -> None:
        """Read the report whose root was just opened."""
        self._text.clear()
        self._report = ExceptionReport()
        self._take_over(_nothing)

    def _open(self, name: str, attributes: Attributes) -> None:
        self._text.clear()
        self._deeper()
        self._report.add_tag(name, attributes)

    def _close(self, _name: str) -> None:
        self._report.add_text("".join(self._text))
        self._text.clear()
        self._depth -= 1
        if not self._depth:
            raise self._report.exception()


def reported(name: str, parser: pyexpat.XMLParserType, text: list[str]) -> bool:
    """Whether an element inside a feature is an exception report, which is then read and raised."""
    if not is_report(name):
        return False
    ReportHandler(parser, text).begin()
    return True


def _nothing() -> None:
    """Do nothing after an element."""
