"""Finds the geometries that a document's links point to, by reading the whole document before.

Links may point backwards and forwards, so this needs a document that can be read repeatedly.
Nothing here follows links to other documents.
"""

from __future__ import annotations

import pyexpat
from collections.abc import Callable, Iterable, Iterator, Mapping

from ods_pipeline.errors import GmlRefused, Unproven
from ods_pipeline.portal.gml import decoding, limits
from ods_pipeline.portal.gml.geometry.markup import (
    END,
    GML,
    RELEVANT,
    TEXT,
    XLINK_HREF,
    Mark,
    is_gml,
    local,
    taken,
)
from ods_pipeline.portal.gml.handlers import CopyBudget, Linked, reported
from ods_pipeline.portal.gml.names import NameEscaper

_ID = (f"{GML} id", f"{GML}/3.2 id", f"{GML}/3.3 id", "gid")
_OGC = "http://www.opengis.net/"
_SYSTEM = ("srsName", "srsDimension")
_MOST_LINKS = 10  # one leading to the next


def linked(chunks: Callable[[], Iterable[bytes]]) -> dict[str, tuple[list[Mark], list[str]]]:
    """The elements that the document's own links point to, by id, as marks and texts.

    Args:
        chunks: Returns the document's bytes from their beginning.

    Raises:
        ServiceException: The document holds an exception report.
        Unproven: The document is cut off, or not well-formed.
        GmlRefused: Links lead in a circle, or to nothing.
    """
    targets: set[str] = set()

    def note_target(_name: str, attributes: Mapping[str, str]) -> None:
        href = attributes.get(XLINK_HREF, "")
        if href.startswith("#"):
            targets.add(href[1:])

    _parse(chunks(), note_target)
    collector = _Collector(targets)
    _parse(chunks(), collector.open, collector.close, collector.text)
    resolver = _Resolver(collector.elements)
    return {key: resolver.resolved(key) for key in collector.elements}


def _parse(
    chunks: Iterable[bytes],
    opened: Callable[[str, Mapping[str, str]], object],
    closed: Callable[[str], object] | None = None,
    text: Callable[[str], object] | None = None,
) -> None:
    def open_(name: str, attributes: Mapping[str, str]) -> None:
        report: list[str] = []
        if reported(name, parser, report):
            parser.CharacterDataHandler = report.append
        else:
            opened(name, attributes)

    parser = decoding.parser()
    parser.StartElementHandler = open_
    parser.EndElementHandler = closed
    parser.CharacterDataHandler = text
    escaper = NameEscaper()
    try:
        for block in decoding.blocks(chunks):
            parser.Parse(escaper.feed(block))
        parser.Parse(escaper.rest(), True)
    except pyexpat.ExpatError as error:
        reason = pyexpat.ErrorString(error.code)
        raise Unproven(f"the document breaks XML's rules, or was cut off: {reason}") from error


class _Link(str):
    """A mark for a link to an element."""


class _Collector:
    """Collects the wanted elements, with the srsName and dimension that they inherit."""

    def __init__(self, wanted: set[str]) -> None:
        self.elements: dict[str, tuple[list[Mark], list[str]]] = {}
        self._wanted = wanted
        self._inherited: list[dict[str, str]] = [{}]
        self._open: list[tuple[int, str]] = []
        self._text: list[str] = []
        self._box_depth = 0
        self._box: dict[str, str] = {}

    def open(self, name: str, attributes: Mapping[str, str]) -> None:
        self._flush()
        inherited = {
            **self._inherited[-1],
            **{k: v for k, v in attributes.items() if k in _SYSTEM},
        }
        self._inherited.append(inherited)
        if len(self._inherited) > limits.DEPTH:
            raise GmlRefused("the document's elements are nested too deeply")
        self._note_box(name, attributes)
        identity = next((attributes[key] for key in _ID if key in attributes), None)
        if identity in self._wanted and is_gml(name):
            self._open.append((len(self._inherited), identity))
            self.elements[identity] = ([], [])
            attributes = {**inherited, **attributes}
        relevant = tuple((key, attributes[key]) for key in attributes if key in RELEVANT)
        for marks, _ in self._targets():
            marks.append(name)
            if relevant:
                marks.append(relevant)
            if XLINK_HREF in attributes:
                marks.append(_Link(attributes[XLINK_HREF]))

    def close(self, _name: str) -> None:
        self._flush()
        for marks, _ in self._targets():
            marks.append(END)
        if self._open and self._open[-1][0] == len(self._inherited):
            self._open.pop()
        self._inherited.pop()
        if self._box_depth > len(self._inherited):
            self._box_depth = 0
            if self._box:
                self._inherited[-1] = self._box

    def _note_box(self, name: str, attributes: Mapping[str, str]) -> None:
        """Note the srsName of a feature's or collection's box, which what follows inherits."""
        if self._box_depth:
            if "srsName" in attributes:
                self._box = {key: attributes[key] for key in _SYSTEM if key in attributes}
        elif not self._open and local(name) == "boundedBy" and name.startswith(_OGC):
            self._box_depth, self._box = len(self._inherited), {}

    def text(self, text: str) -> None:
        if self._open:
            self._text.append(text)

    def _flush(self) -> None:
        text = taken(self._text)
        if text:
            for marks, texts in self._targets():
                marks.append(TEXT)
                texts.append(text)

    def _targets(self) -> Iterator[tuple[list[Mark], list[str]]]:
        return (self.elements[identity] for _, identity in self._open)


class _Resolver:
    """Replaces links in the collected elements by what they point to."""

    def __init__(self, elements: Linked) -> None:
        self._elements = elements
        self._copy_budget = CopyBudget()

    def resolved(self, key: str, depth: int = 0) -> tuple[list[Mark], list[str]]:
        if depth > _MOST_LINKS:
            raise GmlRefused(f"the links from {key!r} lead in a circle")
        marks: list[Mark] = []
        texts: list[str] = []
        rest = iter(self._elements[key][1])
        for mark in self._elements[key][0]:
            if isinstance(mark, _Link):
                target = mark.removeprefix("#")
                if not mark.startswith("#") or target not in self._elements:
                    raise GmlRefused(
                        f"a geometry's link is not to an element of the document: {mark[:200]}"
                    )
                more = self.resolved(target, depth + 1)
                self._copy_budget.add(*more)
                marks.extend(more[0])
                texts.extend(more[1])
            else:
                marks.append(mark)
                if mark == TEXT:
                    texts.append(next(rest))
        return marks, texts
