"""Handlers for what a reader does not look into: geometry, which it writes down, dates and asides.

Each takes the parser over at an element and gives it back when that element ends.
"""

from __future__ import annotations

import pyexpat
from collections.abc import Callable, Mapping, Sequence

from ods_pipeline.errors import GmlRefused
from ods_pipeline.portal.gml import limits
from ods_pipeline.portal.gml.geometry.markup import (
    END,
    TELLING,
    TEXT,
    XLINK_HREF,
    Context,
    Mark,
    blank,
    is_gml,
    local,
    small,
)
from ods_pipeline.portal.gml.reports import Report, is_report

Attributes = Mapping[str, str]
#: Geometry that links point to: by id, the marks and texts of the element.
Linked = Mapping[str, tuple[Sequence[Mark], Sequence[str]]]
#: Elements of GML that hold a date.
TIMES = frozenset({"timePosition", "TimeInstant"})


class LinkMet(GmlRefused):
    """What a link stands for is elsewhere in the document."""


class Copied:
    """What links have put in their places so far: few bytes of links can stand for any number."""

    def __init__(self) -> None:
        self._marks = self._characters = 0

    def add(self, marks: Sequence[Mark], texts: Sequence[str]) -> None:
        """Count another copy.

        Raises:
            GmlRefused: It is too much.
        """
        self._marks += len(marks)
        self._characters += sum(map(len, texts))
        if self._marks > limits.LINKED or self._characters > limits.FEATURE:
            raise GmlRefused("the document's links stand for more geometry than is read")


class _Handlers:
    """The parser's handlers for the time of one element."""

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

    def _give_back(self) -> None:
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


class Scribe(_Handlers):
    """Writes down the markup and the texts of a geometry.

    Attributes:
        marks: Its tags.
        texts: Its texts, blank ones left out.
    """

    def __init__(self, parser: pyexpat.XMLParserType, text: list[str], linked: Linked) -> None:
        super().__init__(parser, text)
        self.marks: list[Mark] = []
        self.texts: list[str] = []
        self._linked = linked
        self._copied = Copied()

    def begin(self, name: str, attributes: Attributes, then: Callable[[], None]) -> None:
        """Write down from this start tag to its end tag."""
        self.marks.clear()
        self.texts.clear()
        self._take_over(then)
        self._note(name, attributes)

    def begin_linked(self, href: str) -> None:
        """Take the geometry that a link points to."""
        self.marks.clear()
        self.texts.clear()
        self.follow(href)

    def follow(self, href: str) -> None:
        """Put the geometry that a link points to in the link's place.

        Raises:
            LinkMet: It is somewhere else in the document.
            GmlRefused: It is elsewhere.
        """
        found = self._linked.get(href.removeprefix("#")) if href.startswith("#") else None
        if found is None:
            kind = LinkMet if href.startswith("#") else GmlRefused
            raise kind(f"links elsewhere, which is not followed: {href[:200]}")
        self._copied.add(*found)
        self.marks.extend(found[0])
        self.texts.extend(found[1])

    def _open(self, name: str, attributes: Attributes) -> None:
        if reported(name, self._parser, self._text):
            return
        if self._text:
            self._take_text()
        self._deeper()
        self._note(name, attributes)

    def _note(self, name: str, attributes: Attributes) -> None:
        self.marks.append(name)
        if attributes:
            telling = tuple((key, attributes[key]) for key in attributes if key in TELLING)
            if telling:
                self.marks.append(telling)
            if XLINK_HREF in attributes:
                self.follow(attributes[XLINK_HREF])

    def _close(self, _name: str) -> None:
        if self._text:
            self._take_text()
        self.marks.append(END)
        self._depth -= 1
        if not self._depth:
            self._give_back()

    def _take_text(self) -> None:
        said = "".join(self._text)
        self._text.clear()
        if not blank(said):
            self.marks.append(TEXT)
            self.texts.append(said)


class Instant(_Handlers):
    """Reads a date that stands in elements of GML, which is how MapServer 2.0.0 writes one.

    Attributes:
        said: Its text.
        wrong: Why it is no plain date; empty where it is one.
    """

    def begin(self, name: str, attributes: Attributes, then: Callable[[], None]) -> None:
        """Read the `timePosition`, or the `TimeInstant` around one, that was just opened."""
        self.said: str | None = None
        self.wrong = ""
        self._take_over(then)
        self._look(name, attributes)

    def _open(self, name: str, attributes: Attributes) -> None:
        if reported(name, self._parser, self._text):
            return
        self._hear()
        self._deeper()
        self._look(name, attributes)

    def _look(self, name: str, attributes: Attributes) -> None:
        shown = local(name)
        if is_gml(name) and shown == "timePosition" and self.said is None:
            self.said = ""
        elif self._depth > 1 or shown != "TimeInstant":
            self.wrong = f"has {shown} in a date"
        if "indeterminatePosition" in attributes:
            self.wrong = f"has the date {attributes['indeterminatePosition'][:60]!r}"
        if XLINK_HREF in attributes:
            self.wrong = "has a date that links elsewhere"

    def _hear(self) -> None:
        said = "".join(self._text)
        self._text.clear()
        if not blank(said):
            self.wrong = self.wrong or "has text beside its date"

    def _close(self, name: str) -> None:
        if local(name) == "timePosition":
            self.said = "".join(self._text)
            self._text.clear()
        else:
            self._hear()
        self._depth -= 1
        if not self._depth:
            if self.said is None:
                self.wrong = self.wrong or "has a date without a position"
            self._give_back()


class Aside(_Handlers):
    """Passes over an element, but for the box in it that says in which CRS things are."""

    def begin(self, then: Callable[[Context | None], None] | None = None) -> None:
        """Pass over the element that was just opened."""
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
        self._depth -= 1
        if not self._depth:
            self._give_back()


class Reporter(_Handlers):
    """Reads an exception report, and raises it."""

    def begin(self) -> None:
        """Read the report whose root was just opened."""
        self._text.clear()
        self._report = Report()
        self._take_over(_nothing)

    def _open(self, name: str, attributes: Attributes) -> None:
        self._text.clear()
        self._deeper()
        self._report.open(name, attributes)

    def _close(self, _name: str) -> None:
        self._report.say("".join(self._text))
        self._text.clear()
        self._depth -= 1
        if not self._depth:
            raise self._report.exception()


def reported(name: str, parser: pyexpat.XMLParserType, text: list[str]) -> bool:
    """Whether an element inside a feature is an exception report, which is then read and raised."""
    if not is_report(name):
        return False
    Reporter(parser, text).begin()
    return True


def _nothing() -> None:
    """What follows on most elements."""
