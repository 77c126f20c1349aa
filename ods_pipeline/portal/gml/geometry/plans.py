"""Plans for reading geometries of one kind of markup, made once and kept for later ones.

A layer has few kinds: a point, a polygon with one ring, with two. So many geometries are a few
plans and a list of texts. Nothing here parses these texts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ods_pipeline.portal.gml.geometry import grammar
from ods_pipeline.portal.gml.geometry.coordinates import Coordinates, Integers
from ods_pipeline.portal.gml.geometry.markup import TEXT, Context, Mark, Node, tree
from ods_pipeline.portal.gml.geometry.shapes import POINT, Path, Segment, Shape, wkb_headers
from ods_pipeline.portal.gml.geometry.srs import Srs, srs
from ods_pipeline.tables.curves import Unreadable

# With more marks, a kind rarely occurs again and its key would be large.
_KEPT_MARKS = 512
_KEPT = 4096


@dataclass(frozen=True)
class BulkPlan:
    """How to parse many geometries at once, if their paths are only points, as nearly always.

    Attributes:
        flat: WKB before each path, without heights.
        high: WKB before each path, with heights.
        types: Type of each path's geometry: point, line or polygon.
        texts: Number of texts of each path.
        dimensions: Numbers per point of each path; 0 if the texts decide.
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
        shape: Their shape.
        srs: The reference system of their coordinates.
        texts: Number of texts of each geometry.
        bulk: How to parse many at once; None if they are parsed one by one.
    """

    shape: Shape
    srs: Srs
    texts: int
    bulk: BulkPlan | None


class Plans:
    """A bounded cache of plans, by markup."""

    def __init__(self) -> None:
        self._known: dict[tuple[Context, tuple[Mark, ...]], Plan] = {}

    def plan(self, context: Context, marks: Sequence[Mark]) -> Plan:
        """The plan for a geometry."""
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
        _refuse_ambiguous_arcs(shape, system)
    texts = sum(mark == TEXT for mark in marks)
    return Plan(shape, system, texts, _bulk_plan(shape, texts))


def _refuse_ambiguous_arcs(shape: Shape, system: Srs) -> None:
    """Refuse arcs around a centre if radius and angles are ambiguous.

    A radius is in metres, so it cannot be used with degrees or feet. If the north comes first, GML
    and its readers disagree on the direction of the angle zero.
    """
    for _, path in _paths(shape):
        if any(segment.kind == "around" for segment in _segments(path)):
            raise Unreadable(
                f"has an arc around a centre, which is not supported in {system.name!r}"
            )


def _segments(path: Path) -> Iterator[Segment]:
    for segment in path.segments:
        yield from _segments(segment) if isinstance(segment, Path) else [segment]


def _nodes(node: Node) -> Iterator[Node]:
    yield node
    for child in node:
        yield from _nodes(child)


def _bulk_plan(shape: Shape, texts: int) -> BulkPlan | None:
    paths = list(_paths(shape))
    runs = [run for _, path in paths if (run := _only_run(path)) is not None]
    slots = [slot for run in runs for slot in run.slots]
    flat, high = wkb_headers(shape, high=False), wkb_headers(shape, high=True)
    if not paths or len(runs) < len(paths) or slots != list(range(texts)) or not flat or not high:
        return None
    if any(
        type_ == POINT and run.form == "list" for (type_, _), run in zip(paths, runs, strict=True)
    ):
        return None
    forms = {run.form for run in runs}
    if "tuples" in forms and len(forms) > 1:
        return None
    return BulkPlan(
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
    """The points of a path that is one run in a common form; None for any other path."""
    if path.reverse or len(path.segments) != 1:
        return None
    (segment,) = path.segments
    if isinstance(segment, Path):
        return _only_run(segment)  # a curve of one piece is that piece
    if segment.kind != "line" or len(segment.runs) != 1:
        return None
    (run,) = segment.runs
    if run.form == "tuples":
        default = (run.decimal, run.within, run.between) == (".", ",", " ")
        return run if default and len(run.slots) == 1 else None
    return run if run.form == "pos" or (run.form == "list" and run.count < 0) else None


def _dimension(run: Coordinates) -> int:
    if run.form == "tuples":
        return 2
    return run.dimension or (run.default if run.form == "list" else 0)


@dataclass(frozen=True)
class UnparsedGeometries:
    """One geometry property of some features.

    Attributes:
        codes: Number of each feature's plan; -1 without a geometry.
        plans: The plans.
        texts: The texts of all features, in order.
    """

    codes: Integers
    plans: tuple[Plan, ...]
    texts: pa.Array

    def counts(self) -> Integers:
        """Number of texts of each feature."""
        return np.array([*(plan.texts for plan in self.plans), 0], np.int64)[self.codes]

    def cut(self, rows: int) -> tuple[UnparsedGeometries, UnparsedGeometries]:
        """The first features, and the others."""
        end = int(self.counts()[:rows].sum())
        return (
            UnparsedGeometries(self.codes[:rows], self.plans, self.texts[:end]),
            UnparsedGeometries(self.codes[rows:], self.plans, self.texts[end:]),
        )


def from_list(plans: Sequence[Plan | None], texts: Sequence[str]) -> UnparsedGeometries:
    """Geometries that were read one by one."""
    known: dict[Plan, int] = {}
    codes = [-1 if plan is None else known.setdefault(plan, len(known)) for plan in plans]
    return UnparsedGeometries(np.array(codes, np.int64), tuple(known), pa.array(texts, pa.string()))


def concatenated(parts: Sequence[UnparsedGeometries]) -> UnparsedGeometries:
    """All of some features, with each plan once."""
    if len(parts) == 1:
        return parts[0]
    known: dict[Plan, int] = {}
    codes = [
        np.array([*(known.setdefault(plan, len(known)) for plan in part.plans), -1])[part.codes]
        for part in parts
    ]
    texts = pa.concat_arrays([part.texts for part in parts])
    return UnparsedGeometries(np.concatenate(codes), tuple(known), texts)


def sizes(codes: Integers, parts: Sequence[Sequence[int]]) -> Integers:
    """How many numbers each row has, by its kind in `codes`; a row of kind -1 has none."""
    return np.array([*map(len, parts), 0], np.int64)[codes]


def spread(codes: Integers, parts: Sequence[Sequence[int]]) -> Integers:
    """The numbers of all rows in one array; arguments as for `sizes`."""
    if len(parts) == 1 and (codes == 0).all():
        return np.tile(np.array(parts[0], np.int64), len(codes))
    lengths = sizes(codes, parts)
    offsets = np.cumsum([0, *map(len, parts)])[codes]
    flat = np.array([number for part in parts for number in part], np.int64)
    within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    result: Integers = flat[within + np.repeat(offsets, lengths)]
    return result
