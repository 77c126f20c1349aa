"""Geometry that stands elsewhere in the same document: found in a reading of its own.

Only whoever has the whole document can follow such links, since they may point backwards and
forwards. What lies outside the document is never fetched.
"""

from __future__ import annotations

import pyexpat
from collections.abc import Callable, Iterable, Iterator, Mapping

from ods_pipeline.errors import GmlRefused, Unproven
from ods_pipeline.portal.gml import decoding, limits
from ods_pipeline.portal.gml.geometry.markup import (
    END,
    GML,
    TELLING,
    TEXT,
    XLINK_HREF,
    Mark,
    blank,
    is_gml,
    local,
)
from ods_pipeline.portal.gml.handlers import Copied, Linked, reported
from ods_pipeline.portal.gml.names import Mender

_ID = (f"{GML} id", f"{GML}/3.2 id", f"{GML}/3.3 id", "gid")
_OGC = "http://www.opengis.net/"
_SYSTEM = ("srsName", "srsDimension")
_DEEPEST = 10  # links that lead to links


def linked(chunks: Callable[[], Iterable[bytes]]) -> dict[str, tuple[list[Mark], list[str]]]:
    """The elements that the document's own links point to, by id, as marks and texts.

    Args:
        chunks: Gives the document's bytes anew each time.

    Raises:
        ServiceException: The document holds an exception report.
        Unproven: The document breaks off, or breaks XML's rules.
        GmlRefused: Links lead round in a circle, or to nothing.
    """
    targets = _Targets()
    _parse(chunks(), targets.open_to_find, lambda _name: None, lambda _text: None)
    collected = _Collector(targets.wanted)
    _parse(chunks(), collected.open, collected.close, collected.text)
    resolver = _Resolver(collected.found)
    return {key: resolver.resolved(key) for key in collected.found}


def _parse(
    chunks: Iterable[bytes],
    opened: Callable[[str, Mapping[str, str]], object],
    closed: Callable[[str], object],
    said: Callable[[str], object],
) -> None:
    def open_(name: str, attributes: Mapping[str, str]) -> None:
        text: list[str] = []
        if reported(name, parser, text):
            parser.CharacterDataHandler = text.append
        else:
            opened(name, attributes)

    parser = decoding.parser()
    parser.StartElementHandler = open_
    parser.EndElementHandler = closed
    parser.CharacterDataHandler = said
    mender = Mender()
    try:
        for block in decoding.blocks(chunks):
            parser.Parse(mender.feed(block))
        parser.Parse(mender.rest(), True)
    except pyexpat.ExpatError as error:
        reason = pyexpat.ErrorString(error.code)
        raise Unproven(f"the document breaks XML's rules, or was cut off: {reason}") from error


class _Targets:
    def __init__(self) -> None:
        self.wanted: set[str] = set()

    def open_to_find(self, _name: str, attributes: Mapping[str, str]) -> None:
        href = attributes.get(XLINK_HREF, "")
        if href.startswith("#"):
            self.wanted.add(href[1:])


class _Link(str):
    """A mark for a link to another element."""


class _Collector:
    """Writes down the wanted elements, with the srsName and dimension around them."""

    def __init__(self, wanted: set[str]) -> None:
        self.found: dict[str, tuple[list[Mark], list[str]]] = {}
        self._wanted = wanted
        self._around: list[dict[str, str]] = [{}]
        self._open: list[tuple[int, str]] = []
        self._said: list[str] = []
        self._boxed = 0
        self._box: dict[str, str] = {}

    def open(self, name: str, attributes: Mapping[str, str]) -> None:
        self._flush()
        inherited = {
            **self._around[-1],
            **{k: v for k, v in attributes.items() if k in _SYSTEM},
        }
        self._around.append(inherited)
        if len(self._around) > limits.DEPTH:
            raise GmlRefused("the document's elements are nested too deeply")
        self._look_at_box(name, attributes)
        identity = next((attributes[key] for key in _ID if key in attributes), None)
        if identity in self._wanted and is_gml(name):
            self._open.append((len(self._around), identity))
            self.found[identity] = ([], [])
            attributes = {**inherited, **attributes}
        telling = tuple((key, attributes[key]) for key in attributes if key in TELLING)
        for marks, _ in self._writing():
            marks.append(name)
            if telling:
                marks.append(telling)
            if XLINK_HREF in attributes:
                marks.append(_Link(attributes[XLINK_HREF]))

    def close(self, _name: str) -> None:
        self._flush()
        for marks, _ in self._writing():
            marks.append(END)
        if self._open and self._open[-1][0] == len(self._around):
            self._open.pop()
        self._around.pop()
        if self._boxed > len(self._around):
            self._boxed = 0
            if self._box:
                self._around[-1] = self._box

    def _look_at_box(self, name: str, attributes: Mapping[str, str]) -> None:
        """Note what a feature's or a collection's box says, which holds for what follows in it."""
        if self._boxed:
            if "srsName" in attributes:
                self._box = {key: attributes[key] for key in _SYSTEM if key in attributes}
        elif not self._open and local(name) == "boundedBy" and name.startswith(_OGC):
            self._boxed, self._box = len(self._around), {}

    def text(self, said: str) -> None:
        if self._open:
            self._said.append(said)

    def _flush(self) -> None:
        said = "".join(self._said)
        self._said.clear()
        if not blank(said):
            for marks, texts in self._writing():
                marks.append(TEXT)
                texts.append(said)

    def _writing(self) -> Iterator[tuple[list[Mark], list[str]]]:
        return (self.found[identity] for _, identity in self._open)


class _Resolver:
    """Replaces links in the elements found by what they point to."""

    def __init__(self, found: Linked) -> None:
        self._found = found
        self._copied = Copied()

    def resolved(self, key: str, depth: int = 0) -> tuple[list[Mark], list[str]]:
        if depth > _DEEPEST:
            raise GmlRefused(f"the links from {key!r} lead round in a circle")
        marks: list[Mark] = []
        texts: list[str] = []
        rest = iter(self._found[key][1])
        for mark in self._found[key][0]:
            if isinstance(mark, _Link):
                target = mark.removeprefix("#")
                if not mark.startswith("#") or target not in self._found:
                    raise GmlRefused(f"geometry stands elsewhere, and is not fetched: {mark[:200]}")
                more = self.resolved(target, depth + 1)
                self._copied.add(*more)
                marks.extend(more[0])
                texts.extend(more[1])
            else:
                marks.append(mark)
                if mark == TEXT:
                    texts.append(next(rest))
        return marks, texts
