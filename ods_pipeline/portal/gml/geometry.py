"""A batch of geometries, from texts to WKB: the usual ones all at once, the others one by one.

Reading at once never refuses anything: what it does not understand is read again exactly, which
either succeeds or says what is wrong with whose geometry.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa

from ods_pipeline.errors import GmlRefused
from ods_pipeline.portal.gml import wkb
from ods_pipeline.portal.gml.axes import Judge
from ods_pipeline.portal.gml.coordinates import Numbers, Unreadable, bulk
from ods_pipeline.portal.gml.placing import placed
from ods_pipeline.portal.gml.plans import Plan, Plain
from ods_pipeline.portal.gml.shapes import LINE, POINT, POLYGON, Drawn, draw
from ods_pipeline.portal.gml.srs import Srs

Integers = np.ndarray[Any, np.dtype[np.int64]]
Where = Callable[[int], str]

_POINT = np.dtype([("head", "V5"), ("place", "<f8", 2)])
_HIGH_POINT = np.dtype([("head", "V5"), ("place", "<f8", 3)])
_LEAST = {POINT: 1, LINE: 2, POLYGON: 4}
_pack_count = struct.Struct("<I").pack


@dataclass
class _Group:
    """Plain geometries of one reference system and dimension, in the order of their rows."""

    rows: Integers
    plans: list[Plan]
    srs: Srs
    points: Numbers
    lengths: Integers  # points of each path

    def written(self) -> pa.Array:
        high = self.points.shape[1] > 2
        first = self.plans[0].plain
        alone = all(plan is self.plans[0] for plan in self.plans)
        if alone and first is not None and first.types == (POINT,) and len(first.flat[0]) == 5:
            return _points(self.points, (first.high if high else first.flat)[0])
        return self._joined(high)

    def _joined(self, high: bool) -> pa.Array:
        plains = [plan.plain for plan in self.plans if plan.plain is not None]
        heads = list(chain.from_iterable(p.high if high else p.flat for p in plains))
        types = list(chain.from_iterable(p.types for p in plains))
        counts = [
            b"" if type_ == POINT else _pack_count(number)
            for type_, number in zip(types, self.lengths.tolist(), strict=True)
        ]
        size = self.points.shape[1] * 8
        ends = np.cumsum(self.lengths) * size
        data = self.points.tobytes()
        bounds = [0, *ends.tolist()]
        pieces: list[bytes] = [b""] * (3 * len(heads))
        pieces[0::3], pieces[1::3] = heads, counts
        pieces[2::3] = [data[a:b] for a, b in zip(bounds[:-1], bounds[1:], strict=True)]
        sizes = np.fromiter(map(len, pieces), np.int64, len(pieces)).cumsum()
        last = np.fromiter((len(p.types) for p in plains), np.int64, len(plains)).cumsum() * 3 - 1
        offsets = np.concatenate([[0], sizes[last]]).astype(np.int32)
        buffers = [None, pa.py_buffer(offsets.tobytes()), pa.py_buffer(b"".join(pieces))]
        return pa.Array.from_buffers(pa.binary(), len(plains), buffers)


def _points(points: Numbers, head: bytes) -> pa.Array:
    kind = _HIGH_POINT if points.shape[1] > 2 else _POINT
    packed = np.empty(len(points), kind)
    packed["head"] = np.void(head)
    packed["place"] = points
    fixed = pa.binary(kind.itemsize)
    buffers = [None, pa.py_buffer(packed.tobytes())]
    return pa.FixedSizeBinaryArray.from_buffers(fixed, len(points), buffers).cast(pa.binary())


class Batch:
    """The geometries of one property in some features.

    Args:
        plans: One per feature; None where there is no geometry.
        texts: The texts of all of them, one after the other.
        where: Names a feature by its row and the property, for messages.
    """

    def __init__(
        self, plans: Sequence[Plan | None], texts: Sequence[str], where: Where
    ) -> None:
        self._length = len(plans)
        self._where = where
        self._groups: list[_Group] = []
        self._exact: list[tuple[int, Plan, Drawn]] = []
        self._read(plans, texts)

    def _read(self, plans: Sequence[Plan | None], texts: Sequence[str]) -> None:
        rows = [row for row, plan in enumerate(plans) if plan is not None and plan.plain]
        if len(rows) == self._length:
            chosen: list[str] = list(texts)
        else:
            chosen = []
            start = 0
            for row, plan in enumerate(plans):
                end = start + (plan.texts if plan else 0)
                if plan is not None and plan.plain:
                    chosen += texts[start:end]
                elif plan is not None:
                    self._draw(row, plan, texts[start:end])
                start = end
        if rows:
            self._read_plain(np.array(rows), [plan for plan in plans if plan and plan.plain], chosen)

    def _draw(self, row: int, plan: Plan, texts: Sequence[str]) -> None:
        try:
            self._exact.append((row, plan, draw(plan.shape, texts)))
        except Unreadable as error:
            raise GmlRefused(f"{self._where(row)} {error}") from error

    def _read_plain(self, rows: Integers, plans: list[Plan], texts: list[str]) -> None:
        slots = np.fromiter((plan.texts for plan in plans), np.int64, len(plans))
        starts = np.concatenate([[0], np.cumsum(slots)])
        found = bulk(texts)
        odd = np.ones(len(plans), bool)
        if found is not None:
            numbers, counts = found
            paths = _Paths.of(plans, counts, numbers)
            odd = np.logical_or.reduceat(paths.odd, starts[:-1])
            dimension = paths.dimensions[starts[:-1]]
            odd |= np.logical_or.reduceat(paths.dimensions != np.repeat(dimension, slots), starts[:-1])
        for place in np.flatnonzero(odd).tolist():
            self._draw(int(rows[place]), plans[place], texts[starts[place] : starts[place + 1]])
        if found is None or odd.all():
            return
        systems = [plan.srs for plan in plans]
        kinds = {(int(d), id(s)): s for d, s in zip(dimension[~odd], _pick(systems, ~odd))}
        identities = np.fromiter(map(id, systems), np.int64, len(systems))
        for (width, identity), system in kinds.items():
            mine = ~odd & (dimension == width) & (identities == identity)
            self._groups.append(
                _group(rows, plans, system, mine, slots, counts, numbers, width)
            )

    def observe(self, judge: Judge) -> None:
        """Show the coordinates of ambiguous axis order to the judge."""
        for group in self._groups:
            if group.srs.ambiguous:
                judge.observe(group.srs, group.points[:, 0], group.points[:, 1])
        for _, plan, drawn in self._exact:
            if plan.srs.ambiguous:
                for array in drawn.arrays():
                    if len(array):
                        judge.observe(plan.srs, array[:, 0], array[:, 1])

    def systems(self) -> set[Srs]:
        """The reference systems of all geometries that have coordinates."""
        exact = {plan.srs for _, plan, drawn in self._exact if any(map(len, drawn.arrays()))}
        return exact | {group.srs for group in self._groups}

    def written(self, judge: Judge, crs: str) -> pa.Array:
        """The geometries as WKB, x or longitude first.

        Args:
            judge: Who has decided the order of axes.
            crs: The CRS to bring them to; empty to leave them in theirs.

        Raises:
            GmlRefused: They cannot be brought there.
        """
        arrays, rows = [], []
        for group in self._groups:
            group.points = self._placed(group.points, group.srs, judge, crs, int(group.rows[0]))
            arrays.append(group.written())
            rows.append(group.rows)
        if self._exact:
            values = [self._one(row, plan, drawn, judge, crs) for row, plan, drawn in self._exact]
            arrays.append(pa.array(values, pa.binary()))
            rows.append(np.array([row for row, *_ in self._exact]))
        if len(arrays) == 1 and len(arrays[0]) == self._length and not self._exact:
            return arrays[0]
        places = np.full(self._length, -1)
        found = np.concatenate(rows) if rows else np.empty(0, np.int64)
        places[found] = np.arange(len(found))
        indices = pa.array(places, mask=places < 0)
        return pa.concat_arrays([pa.array([], pa.binary()), *arrays]).take(indices)

    def _one(self, row: int, plan: Plan, drawn: Drawn, judge: Judge, crs: str) -> bytes:
        def turned(part: Drawn) -> Drawn:
            paths = tuple(self._placed(path, plan.srs, judge, crs, row) for path in part.paths)
            return Drawn(part.type, paths, tuple(map(turned, part.parts)))

        return wkb.encoded(turned(drawn))

    def _placed(self, points: Numbers, srs: Srs, judge: Judge, crs: str, row: int) -> Numbers:
        try:
            return placed(points, srs, judge.swaps(srs), crs)
        except Unreadable as error:
            raise GmlRefused(f"{self._where(row)} {error}") from error


@dataclass
class _Paths:
    dimensions: Integers
    odd: np.ndarray[Any, np.dtype[np.bool_]]

    @classmethod
    def of(cls, plans: list[Plan], counts: Integers, numbers: Numbers) -> _Paths:
        """Numbers per point of each path, and which paths have to be looked at one by one."""
        plains = [plan.plain for plan in plans if plan.plain is not None]
        declared = _chained((plain.dimensions for plain in plains), len(counts))
        types = _chained((plain.types for plain in plains), len(counts))
        # Only a `pos` leaves its dimension open: it is one point.
        dimensions = np.where(declared == 0, counts, declared)
        odd = (dimensions != 2) & (dimensions != 3)
        dimensions = np.where(odd, 2, dimensions)
        lengths = counts // dimensions
        odd |= counts % dimensions != 0
        least = np.array([0, 1, 2, 4])[types]
        odd |= (lengths < least) | ((types == POINT) & (lengths != 1))
        ends = np.cumsum(counts)
        rings = np.flatnonzero((types == POLYGON) & ~odd)
        first, last = ends[rings] - counts[rings], ends[rings] - dimensions[rings]
        for axis in (0, 1):
            odd[rings] |= numbers[first + axis] != numbers[last + axis]
        return cls(dimensions, odd)


def _chained(parts: Iterator[tuple[int, ...]], length: int) -> Integers:
    return np.fromiter(chain.from_iterable(parts), np.int64, length)


def _pick(items: list[Srs], mask: np.ndarray[Any, np.dtype[np.bool_]]) -> list[Srs]:
    return [item for item, kept in zip(items, mask.tolist(), strict=True) if kept]


def _group(
    rows: Integers,
    plans: list[Plan],
    system: Srs,
    mine: np.ndarray[Any, np.dtype[np.bool_]],
    slots: Integers,
    counts: Integers,
    numbers: Numbers,
    width: int,
) -> _Group:
    if not mine.all():
        of_paths = np.repeat(mine, slots)
        numbers = numbers[np.repeat(of_paths, counts)]
        counts = counts[of_paths]
        plans = [plan for plan, kept in zip(plans, mine.tolist(), strict=True) if kept]
        rows = rows[mine]
    return _Group(rows, plans, system, numbers.reshape(-1, width), counts // width)
