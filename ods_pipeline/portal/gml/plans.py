"""How to read geometries of one kind of markup, worked out once and kept for the next ones.

A layer has few kinds: a point, a polygon of one ring, one of two. Filling a plan with numbers is
`geometry`'s work.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ods_pipeline.portal.gml import grammar, wkb
from ods_pipeline.portal.gml.coordinates import Unreadable
from ods_pipeline.portal.gml.markup import Context, Mark, Node, tree
from ods_pipeline.portal.gml.shapes import POINT, Path, Shape
from ods_pipeline.portal.gml.srs import Srs, srs

# Beyond this many marks a kind is hardly met again, and the key would be large.
_KEPT_MARKS = 512
_KEPT = 4096


@dataclass(frozen=True)
class Plain:
    """What there is to know where every path of a geometry is one text: nearly always.

    Attributes:
        flat: WKB before each path, without heights.
        high: The same with heights.
        dimensions: Numbers per point of each path; 0 where the text itself tells (a `pos`).
        types: Type of each path's geometry: point, line or polygon.
    """

    flat: tuple[bytes, ...]
    high: tuple[bytes, ...]
    dimensions: tuple[int, ...]
    types: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Plan:
    """How to read geometries of one kind of markup.

    Attributes:
        shape: What they are.
        srs: The reference system of their coordinates.
        texts: How many texts each one has.
        plain: What allows to read many at once; None where they are read one by one.
    """

    shape: Shape
    srs: Srs
    texts: int
    plain: Plain | None


class Plans:
    """The plans made so far, by markup; bounded."""

    def __init__(self) -> None:
        self._known: dict[tuple[Context, tuple[Mark, ...]], Plan] = {}

    def plan(self, context: Context, marks: Sequence[Mark]) -> Plan:
        """The plan for a geometry.

        Raises:
            Unreadable: Its markup cannot be read.
            GmlRefused: Its srsName means nothing.
        """
        key = (context, tuple(marks))
        plan = self._known.get(key)
        if plan is None:
            plan = _plan(context, marks)
            if len(marks) <= _KEPT_MARKS:
                if len(self._known) >= _KEPT:
                    self._known.clear()
                self._known[key] = plan
        return plan


def _plan(context: Context, marks: Sequence[Mark]) -> Plan:
    node = tree(context, marks)
    names = {each.srs for each in _nodes(node) if each.slots} or {node.srs}
    if len(names) > 1:
        raise Unreadable(f"has coordinates in {' and in '.join(sorted(names))}")
    system = srs(names.pop())
    shape = grammar.shape(node, context.dimension or system.dimension)
    texts = sum(mark == 0 for mark in marks if isinstance(mark, int))
    return Plan(shape, system, texts, _plain(shape, texts))


def _nodes(node: Node) -> Iterator[Node]:
    yield node
    for child in node:
        yield from _nodes(child)


def _plain(shape: Shape, texts: int) -> Plain | None:
    paths = list(_paths(shape))
    flat, high = wkb.headers(shape, high=False), wkb.headers(shape, high=True)
    dimensions = [_dimension(path, type_, slot) for slot, (type_, path) in enumerate(paths)]
    if not paths or len(paths) != texts or not flat or not high or None in dimensions:
        return None
    known = tuple(number for number in dimensions if number is not None)
    return Plain(tuple(flat), tuple(high), known, tuple(type_ for type_, _ in paths))


def _paths(shape: Shape) -> Iterator[tuple[int, Path]]:
    yield from ((shape.type, path) for path in shape.paths)
    for part in shape.parts:
        yield from _paths(part)


def _dimension(path: Path, type_: int, slot: int) -> int | None:
    """Numbers per point of a path that is one text, the next one; None for any other path."""
    if path.reverse or len(path.segments) != 1:
        return None
    (segment,) = path.segments
    if isinstance(segment, Path) or segment.kind != "line" or len(segment.runs) != 1:
        # A curve of one piece is that piece.
        return _dimension(segment, type_, slot) if isinstance(segment, Path) else None
    (run,) = segment.runs
    if run.slots != (slot,) or run.count >= 0:
        return None
    if run.form == "list" and type_ != POINT:
        return run.dimension or run.usual
    return run.dimension if run.form == "pos" and type_ == POINT else None
