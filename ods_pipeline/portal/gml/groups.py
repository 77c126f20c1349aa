"""Many geometries at once: the usual ones of a batch, read with a few array operations.

Nothing is refused here. Whatever is out of the ordinary is named as odd, to be read again one by
one, which either succeeds or says what is wrong with whose geometry.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from ods_pipeline.portal.gml.coordinates import Numbers, bulk
from ods_pipeline.portal.gml.plans import Plain, Plan
from ods_pipeline.portal.gml.shapes import POINT, POLYGON
from ods_pipeline.portal.gml.srs import Srs

Integers = np.ndarray[Any, np.dtype[np.int64]]
Truths = np.ndarray[Any, np.dtype[np.bool_]]

_POINT = np.dtype([("head", "V5"), ("place", "<f8", 2)])
_HIGH_POINT = np.dtype([("head", "V5"), ("place", "<f8", 3)])
_LEAST = np.array([0, 1, 2, 4])  # points of a point, a line and a ring, by type
_pack_count = struct.Struct("<I").pack


@dataclass
class Group:
    """Geometries of one reference system and dimension, in the order of their rows.

    Attributes:
        rows: Where they belong.
        plans: How they are made up.
        srs: Their reference system.
        points: All their points.
        lengths: Points of each path.
    """

    rows: Integers
    plans: list[Plan]
    srs: Srs
    points: Numbers
    lengths: Integers

    def written(self) -> pa.Array:
        """Their WKB."""
        high = self.points.shape[1] > 2
        first = _plain(self.plans[0])
        heads = first.high if high else first.flat
        if (
            _alike(self.plans)
            and first.types == (POINT,)
            and len(heads[0]) == _POINT["head"].itemsize
        ):
            return self._as_points(heads[0])
        return self._joined(high)

    def row_of(self, place: int) -> int:
        """The row of the geometry that one of the points belongs to."""
        paths = np.repeat(self.rows, [len(_plain(plan).types) for plan in self.plans])
        return int(np.repeat(paths, self.lengths)[place])

    def _as_points(self, head: bytes) -> pa.Array:
        kind = _HIGH_POINT if self.points.shape[1] > 2 else _POINT
        packed = np.empty(len(self.points), kind)
        packed["head"] = np.void(head)
        packed["place"] = self.points
        fixed = pa.binary(kind.itemsize)
        buffers = [None, pa.py_buffer(packed.tobytes())]
        return pa.FixedSizeBinaryArray.from_buffers(fixed, len(packed), buffers).cast(pa.binary())

    def _joined(self, high: bool) -> pa.Array:
        plains = [_plain(plan) for plan in self.plans]
        heads = list(chain.from_iterable(p.high if high else p.flat for p in plains))
        types = chain.from_iterable(p.types for p in plains)
        counts = [
            b"" if type_ == POINT else _pack_count(number)
            for type_, number in zip(types, self.lengths.tolist(), strict=True)
        ]
        data = self.points.tobytes()
        bounds = [0, *(np.cumsum(self.lengths) * self.points.shape[1] * 8).tolist()]
        pieces: list[bytes] = [b""] * (3 * len(heads))
        pieces[0::3], pieces[1::3] = heads, counts
        pieces[2::3] = [data[start:end] for start, end in pairwise(bounds)]
        ends = np.fromiter(map(len, pieces), np.int64, len(pieces)).cumsum()
        last = np.fromiter((len(p.types) for p in plains), np.int64, len(plains)).cumsum() * 3 - 1
        offsets = np.concatenate([[0], ends[last]]).astype(np.int32)
        buffers = [None, pa.py_buffer(offsets.tobytes()), pa.py_buffer(b"".join(pieces))]
        return pa.Array.from_buffers(pa.binary(), len(plains), buffers)


def grouped(rows: Integers, plans: list[Plan], texts: list[str]) -> tuple[list[Group], Truths]:
    """Plain geometries in groups, and which of them are odd and in none.

    Args:
        rows: Where each geometry belongs.
        plans: How each one is made up, plainly.
        texts: The texts of all, one after the other.
    """
    found = bulk(texts)
    if found is None:
        return [], np.ones(len(plans), bool)
    paths = _Paths(plans, *found)
    groups: list[Group] = []
    systems = {plan.srs for plan in set(plans)}
    for srs in systems:
        mine = ~paths.odd_rows
        if len(systems) > 1:
            mine &= np.fromiter((plan.srs == srs for plan in plans), bool, len(plans))
        for width in (2, 3):
            chosen = mine & (paths.widths == width)
            if chosen.any():
                groups.append(paths.group(chosen, rows, plans, srs, width))
    return groups, paths.odd_rows


class _Paths:
    """The paths of plain geometries: how many points each has, and of how many numbers.

    Attributes:
        widths: Numbers per point of each geometry.
        odd_rows: Geometries that are out of the ordinary.
    """

    def __init__(self, plans: list[Plan], numbers: Numbers, counts: Integers) -> None:
        self._numbers = numbers
        self._per_row = _each(plans, "types", len)
        types = _chained(plans, "types")
        declared = _chained(plans, "dimensions")
        texts = _chained(plans, "texts")
        first = np.cumsum(texts) - texts
        self._counts = np.add.reduceat(counts, first)
        # Only a `pos` leaves its dimension open: each one is a point.
        widths = np.where(declared == 0, counts[first], declared)
        odd = (widths != 2) & (widths != 3)
        widths = np.where(odd, 2, widths)
        pointwise = _chained(plans, "pointwise").astype(bool)
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

    def group(self, mine: Truths, rows: Integers, plans: list[Plan], srs: Srs, width: int) -> Group:
        """Some of the geometries, all of one dimension."""
        if mine.all():
            return Group(rows, plans, srs, self._numbers.reshape(-1, width), self._lengths)
        of_paths = np.repeat(mine, self._per_row)
        numbers = self._numbers[np.repeat(of_paths, self._counts)]
        kept = [plan for plan, chosen in zip(plans, mine.tolist(), strict=True) if chosen]
        return Group(rows[mine], kept, srs, numbers.reshape(-1, width), self._lengths[of_paths])


def _plain(plan: Plan) -> Plain:
    if plan.plain is None:
        raise AssertionError("a geometry that is not plain among those that are")
    return plan.plain


def _alike(plans: list[Plan]) -> bool:
    return plans.count(plans[0]) == len(plans)


def _chained(plans: list[Plan], what: str) -> Integers:
    """What the plans say of their paths, one after the other."""
    if _alike(plans):
        return np.tile(np.array(getattr(plans[0].plain, what), np.int64), len(plans))
    parts = (getattr(plan.plain, what) for plan in plans)
    return np.fromiter(chain.from_iterable(parts), np.int64)


def _each(plans: list[Plan], what: str, of: Any) -> Integers:
    if _alike(plans):
        return np.full(len(plans), of(getattr(plans[0].plain, what)), np.int64)
    return np.fromiter((of(getattr(plan.plain, what)) for plan in plans), np.int64, len(plans))
