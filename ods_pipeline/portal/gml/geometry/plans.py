"""How to read geometries of one kind of markup, worked out once and kept for the next ones.

A layer has few kinds: a point, a polygon of one ring, one of two. Filling a plan with numbers is
`geometry`'s work.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ods_pipeline.portal.gml.geometry import grammar, wkb
from ods_pipeline.portal.gml.geometry.coordinates import Coordinates, Unreadable
from ods_pipeline.portal.gml.geometry.markup import TEXT, Context, Mark, Node, tree
from ods_pipeline.portal.gml.geometry.shapes import POINT, Path, Segment, Shape
from ods_pipeline.portal.gml.geometry.srs import Srs, srs

# Beyond this many marks a kind is hardly met again, and the key would be large.
_KEPT_MARKS = 512
_KEPT = 4096


@dataclass(frozen=True)
class Plain:
    """What there is to know where the paths of a geometry are nothing but points: nearly always.

    Attributes:
        flat: WKB before each path, without heights.
        high: The same with heights.
        types: Type of each path's geometry: point, line or polygon.
        texts: How many texts each path has.
        dimensions: Numbers per point of each path; 0 where the texts themselves tell.
        pointwise: Whether each text of a path is one point.
        pairs: Whether the texts are GML 2's pairs, with commas.
    """

    flat: tuple[bytes, ...]
    high: tuple[bytes, ...]
    types: tuple[int, ...]
    texts: tuple[int, ...]
    dimensions: tuple[int, ...]
    pointwise: tuple[bool, ...]
    pairs: bool


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
    if system.north_first or not system.metres:
        _refuse_bearings(shape, system)
    texts = sum(mark == TEXT for mark in marks)
    return Plan(shape, system, texts, _plain(shape, texts))


def _refuse_bearings(shape: Shape, system: Srs) -> None:
    """Refuse arcs around a centre where radius and angles can mean more than one thing.

    A radius is read in metres, which degrees and feet are not; where the north comes first, GML and
    its readers do not agree on where an angle of zero points to.
    """
    for _, path in _paths(shape):
        if any(segment.kind == "around" for segment in _segments(path)):
            raise Unreadable(f"has an arc around a centre, which is not read in {system.name!r}")


def _segments(path: Path) -> Iterator[Segment]:
    for segment in path.segments:
        yield from _segments(segment) if isinstance(segment, Path) else [segment]


def _nodes(node: Node) -> Iterator[Node]:
    yield node
    for child in node:
        yield from _nodes(child)


def _plain(shape: Shape, texts: int) -> Plain | None:
    paths = list(_paths(shape))
    runs = [run for _, path in paths if (run := _only_run(path)) is not None]
    slots = [slot for run in runs for slot in run.slots]
    flat, high = wkb.headers(shape, high=False), wkb.headers(shape, high=True)
    if not paths or len(runs) < len(paths) or slots != list(range(texts)) or not flat or not high:
        return None
    if any(
        type_ == POINT and run.form == "list" for (type_, _), run in zip(paths, runs, strict=True)
    ):
        return None
    forms = {run.form for run in runs}
    if "tuples" in forms and len(forms) > 1:
        return None
    return Plain(
        tuple(flat),
        tuple(high),
        types=tuple(type_ for type_, _ in paths),
        texts=tuple(len(run.slots) for run in runs),
        dimensions=tuple(map(_dimension, runs)),
        pointwise=tuple(run.form == "pos" for run in runs),
        pairs="tuples" in forms,
    )


def _paths(shape: Shape) -> Iterator[tuple[int, Path]]:
    yield from ((shape.type, path) for path in shape.paths)
    for part in shape.parts:
        yield from _paths(part)


def _only_run(path: Path) -> Coordinates | None:
    """The points of a path that is one run of them in the usual form; None for any other."""
    if path.reverse or len(path.segments) != 1:
        return None
    (segment,) = path.segments
    if isinstance(segment, Path):
        return _only_run(segment)  # a curve of one piece is that piece
    if segment.kind != "line" or len(segment.runs) != 1:
        return None
    (run,) = segment.runs
    if run.form == "tuples":
        usual = (run.decimal, run.within, run.between) == (".", ",", " ")
        return run if usual and len(run.slots) == 1 else None
    return run if run.form == "pos" or (run.form == "list" and run.count < 0) else None


def _dimension(run: Coordinates) -> int:
    if run.form == "tuples":
        return 2
    return run.dimension or (run.usual if run.form == "list" else 0)
