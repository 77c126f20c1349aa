"""Many geometries at once: the usual ones of a batch, read with a few array operations.

Nothing is refused here. Whatever is out of the ordinary is named as odd, to be read again one by
one, which either succeeds or says what is wrong with whose geometry.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ods_pipeline.portal.gml.geometry.coordinates import Numbers, Truths, bulk
from ods_pipeline.portal.gml.geometry.plans import Plain, Plan
from ods_pipeline.portal.gml.geometry.ragged import Integers, sizes, spread
from ods_pipeline.portal.gml.geometry.shapes import POINT, POLYGON
from ods_pipeline.portal.gml.geometry.srs import Srs

_POINT = np.dtype([("head", "V5"), ("place", "<f8", 2)])
_HIGH_POINT = np.dtype([("head", "V5"), ("place", "<f8", 3)])
_LEAST = np.array([0, 1, 2, 4])  # points of a point, a line and a ring, by type
_COUNT = struct.calcsize("<I")


@dataclass
class Group:
    """Geometries of one reference system and dimension, in the order of their rows.

    Attributes:
        rows: Where they belong.
        codes: The number of each one's plan.
        plains: What each plan makes up.
        srs: Their reference system.
        points: All their points.
        lengths: Points of each path.
    """

    rows: Integers
    codes: Integers
    plains: Sequence[Plain]
    srs: Srs
    points: Numbers
    lengths: Integers

    def written(self) -> pa.Array:
        """Their WKB."""
        high = self.points.shape[1] > 2
        heads = [plain.high if high else plain.flat for plain in self.plains]
        met = {(self.plains[code].types, heads[code]) for code in np.unique(self.codes).tolist()}
        types, (head, *_) = next(iter(met))
        if len(met) == 1 and types == (POINT,) and len(head) == _POINT["head"].itemsize:
            return self._as_points(head)
        return self._joined(heads)

    def row_of(self, place: int) -> int:
        """The row of the geometry that one of the points belongs to."""
        paths = np.repeat(self.rows, sizes(self.codes, [plain.types for plain in self.plains]))
        return int(np.repeat(paths, self.lengths)[place])

    def _as_points(self, head: bytes) -> pa.Array:
        kind = _HIGH_POINT if self.points.shape[1] > 2 else _POINT
        packed = np.empty(len(self.points), kind)
        packed["head"] = np.void(head)
        packed["place"] = self.points
        fixed = pa.binary(kind.itemsize)
        buffers = [None, pa.py_buffer(packed)]
        return pa.FixedSizeBinaryArray.from_buffers(fixed, len(packed), buffers).cast(pa.binary())

    def _joined(self, heads: Sequence[Sequence[bytes]]) -> pa.Array:
        """The WKB of each path, one after the other, divided at the rows."""
        types = [plain.types for plain in self.plains]
        met = list(dict.fromkeys(head for each in heads for head in each))
        places = spread(self.codes, [[met.index(head) for head in each] for each in heads])
        counted = spread(self.codes, types) != POINT
        paths = pc.binary_join_element_wise(
            pa.array(met, pa.binary()).take(pa.array(places)),
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
    """Plain geometries in groups, and which of them are odd and in none.

    Args:
        rows: Where each geometry belongs.
        codes: The number of each one's plan, which is plain.
        plans: How they are made up.
        texts: The texts of all, one after the other.
    """
    found = bulk(texts)
    if found is None:
        return [], np.ones(len(codes), bool)
    paths = _Paths(codes, [plan.plain or _NONE for plan in plans], *found)
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


# What stands for plans that are not plain, which no row has here.
_NONE = Plain((), (), (), (), (), (), pairs=False)


class _Paths:
    """The paths of plain geometries: how many points each has, and of how many numbers.

    Attributes:
        widths: Numbers per point of each geometry.
        odd_rows: Geometries that are out of the ordinary.
    """

    def __init__(
        self, codes: Integers, plains: Sequence[Plain], numbers: Numbers, counts: Integers
    ) -> None:
        self._codes, self._plains = codes, plains
        self._numbers = numbers
        self._per_row = sizes(codes, [plain.types for plain in plains])
        types = spread(codes, [plain.types for plain in plains])
        declared = spread(codes, [plain.dimensions for plain in plains])
        texts = spread(codes, [plain.texts for plain in plains])
        first = np.cumsum(texts) - texts
        self._counts = np.add.reduceat(counts, first)
        # Only a `pos` leaves its dimension open: each one is a point.
        widths = np.where(declared == 0, counts[first], declared)
        odd = (widths != 2) & (widths != 3)
        widths = np.where(odd, 2, widths)
        pointwise = spread(codes, [plain.pointwise for plain in plains]).astype(bool)
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
            return Group(rows, self._codes, self._plains, srs, points, self._lengths)
        of_paths = np.repeat(mine, self._per_row)
        points = self._numbers[np.repeat(of_paths, self._counts)].reshape(-1, width)
        lengths = self._lengths[of_paths]
        return Group(rows[mine], self._codes[mine], self._plains, srs, points, lengths)
