"""Parses the common geometries of a batch at once, with a few array operations.

Nothing is refused here: unusual geometries are marked as odd, to be parsed one by one elsewhere,
which succeeds or says what is wrong.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ods_pipeline.portal.gml.geometry.coordinates import Integers, Truths, parse_all
from ods_pipeline.portal.gml.geometry.plans import BulkPlan, Plan, sizes, spread
from ods_pipeline.portal.gml.geometry.shapes import POINT, POLYGON
from ods_pipeline.portal.gml.geometry.srs import Srs
from ods_pipeline.tables.curves import Numbers

_POINT = np.dtype([("head", "V5"), ("point", "<f8", 2)])
_HIGH_POINT = np.dtype([("head", "V5"), ("point", "<f8", 3)])
_LEAST = np.array([0, 1, 2, 4])  # points of a point, a line and a ring, by type
_COUNT = struct.calcsize("<I")


@dataclass
class Group:
    """Geometries of one reference system and dimension, in the order of their rows.

    Attributes:
        rows: Row of each geometry.
        codes: Number of each geometry's plan.
        plans: The plans.
        srs: Their reference system.
        points: All their points.
        lengths: Number of points of each path.
    """

    rows: Integers
    codes: Integers
    plans: Sequence[BulkPlan]
    srs: Srs
    points: Numbers
    lengths: Integers

    def to_wkb(self) -> pa.Array:
        """Their WKB."""
        high = self.points.shape[1] > 2
        heads = [plan.high if high else plan.flat for plan in self.plans]
        met = {(self.plans[code].types, heads[code]) for code in np.unique(self.codes).tolist()}
        types, (head, *_) = next(iter(met))
        if len(met) == 1 and types == (POINT,) and len(head) == _POINT["head"].itemsize:
            return self._as_points(head)
        return self._joined(heads)

    def row_of(self, point: int) -> int:
        """The row of the geometry that a point belongs to."""
        paths = np.repeat(self.rows, sizes(self.codes, [plan.types for plan in self.plans]))
        return int(np.repeat(paths, self.lengths)[point])

    def _as_points(self, head: bytes) -> pa.Array:
        kind = _HIGH_POINT if self.points.shape[1] > 2 else _POINT
        packed = np.empty(len(self.points), kind)
        packed["head"] = np.void(head)
        packed["point"] = self.points
        fixed = pa.binary(kind.itemsize)
        buffers = [None, pa.py_buffer(packed)]
        return pa.FixedSizeBinaryArray.from_buffers(fixed, len(packed), buffers).cast(pa.binary())

    def _joined(self, heads: Sequence[Sequence[bytes]]) -> pa.Array:
        """The WKB of all paths, joined, then divided into rows."""
        types = [plan.types for plan in self.plans]
        met = list(dict.fromkeys(head for each in heads for head in each))
        numbers = spread(self.codes, [[met.index(head) for head in each] for each in heads])
        counted = spread(self.codes, types) != POINT
        paths = pc.binary_join_element_wise(
            pa.array(met, pa.binary()).take(pa.array(numbers)),
            _cut(self.lengths[counted].astype("<u4"), counted * _COUNT),
            _cut(np.ascontiguousarray(self.points), self.lengths * self.points.shape[1] * 8),
            b"",
        )
        _, offsets, data = paths.buffers()
        ends = np.cumsum([0, *sizes(self.codes, types)])
        bounds = np.frombuffer(offsets, np.int32)[ends]
        buffers = [None, pa.py_buffer(bounds), data]
        return pa.Array.from_buffers(pa.binary(), len(self.codes), buffers)


def _cut(numbers: np.ndarray, lengths: Integers) -> pa.Array:
    """Numbers in pieces of so many bytes."""
    bounds = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    buffers = [None, pa.py_buffer(bounds), pa.py_buffer(numbers)]
    return pa.Array.from_buffers(pa.binary(), len(lengths), buffers)


def grouped(
    rows: Integers, codes: Integers, plans: Sequence[Plan], texts: pa.Array
) -> tuple[list[Group], Truths]:
    """Geometries that have bulk plans in groups, and which of them are odd and in no group."""
    parsed = parse_all(texts)
    if parsed is None:
        return [], np.ones(len(codes), bool)
    paths = _Paths(codes, [plan.bulk or _NONE for plan in plans], *parsed)
    groups: list[Group] = []
    systems = list(dict.fromkeys(plans[code].srs for code in np.unique(codes).tolist()))
    for srs in systems:
        mine = ~paths.odd_rows
        if len(systems) > 1:
            mine &= np.array([plan.srs == srs for plan in plans])[codes]
        for width in (2, 3):
            chosen = mine & (paths.widths == width)
            if chosen.any():
                groups.append(paths.group(chosen, rows, srs, width))
    return groups, paths.odd_rows


# For plans without a bulk plan, which no row here has.
_NONE = BulkPlan((), (), (), (), (), (), pairs=False)


class _Paths:
    """The paths of geometries: how many points each has, and how many numbers per point.

    Attributes:
        widths: Numbers per point of each geometry.
        odd_rows: Which geometries are unusual.
    """

    def __init__(
        self, codes: Integers, plans: Sequence[BulkPlan], numbers: Numbers, counts: Integers
    ) -> None:
        self._codes, self._plans = codes, plans
        self._numbers = numbers
        self._per_row = sizes(codes, [plan.types for plan in plans])
        types = spread(codes, [plan.types for plan in plans])
        declared = spread(codes, [plan.dimensions for plan in plans])
        texts = spread(codes, [plan.texts for plan in plans])
        first = np.cumsum(texts) - texts
        self._counts = np.add.reduceat(counts, first)
        # Only `pos` may lack a dimension: each text is a point.
        widths = np.where(declared == 0, counts[first], declared)
        odd = (widths != 2) & (widths != 3)
        widths = np.where(odd, 2, widths)
        pointwise = spread(codes, [plan.pointwise for plan in plans]).astype(bool)
        uneven = np.repeat(pointwise, texts) & (counts != np.repeat(widths, texts))
        odd |= np.logical_or.reduceat(uneven, first)
        self._lengths = self._counts // widths
        odd |= self._counts % widths != 0
        odd |= (self._lengths < _LEAST[types]) | ((types == POINT) & (self._lengths != 1))
        self._mark_open_rings(types, widths, odd)
        starts = np.cumsum(self._per_row) - self._per_row
        self.widths = widths[starts]
        odd |= widths != np.repeat(self.widths, self._per_row)
        self.odd_rows: Truths = np.logical_or.reduceat(odd, starts)

    def _mark_open_rings(self, types: Integers, widths: Integers, odd: Truths) -> None:
        ends = np.cumsum(self._counts)
        rings = np.flatnonzero((types == POLYGON) & ~odd)
        first, last = ends[rings] - self._counts[rings], ends[rings] - widths[rings]
        for axis in (0, 1):
            odd[rings] |= self._numbers[first + axis] != self._numbers[last + axis]

    def group(self, mine: Truths, rows: Integers, srs: Srs, width: int) -> Group:
        """Some of the geometries, all of one dimension."""
        if mine.all():
            points = self._numbers.reshape(-1, width)
            return Group(rows, self._codes, self._plans, srs, points, self._lengths)
        of_paths = np.repeat(mine, self._per_row)
        points = self._numbers[np.repeat(of_paths, self._counts)].reshape(-1, width)
        lengths = self._lengths[of_paths]
        return Group(rows[mine], self._codes[mine], self._plans, srs, points, lengths)
