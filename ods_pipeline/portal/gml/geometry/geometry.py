"""A batch of geometries, from texts to WKB: the usual ones all at once, the others one by one.

Points are put to where they belong on the way: x or longitude first, in the CRS that is asked.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ods_pipeline.errors import GmlRefused
from ods_pipeline.portal.gml.geometry import wkb
from ods_pipeline.portal.gml.geometry.axes import Judge
from ods_pipeline.portal.gml.geometry.coordinates import Numbers, Truths, Unreadable, are_pairs
from ods_pipeline.portal.gml.geometry.groups import Group, grouped
from ods_pipeline.portal.gml.geometry.placed import Placed
from ods_pipeline.portal.gml.geometry.plans import Plan
from ods_pipeline.portal.gml.geometry.ragged import Integers
from ods_pipeline.portal.gml.geometry.shapes import LINE, POINT, POLYGON, Drawn, draw
from ods_pipeline.portal.gml.geometry.srs import SAME_AS_CRS84, Srs, to_crs84

Where = Callable[[int], str]

# Empty, these are no geometry; an aggregate of nothing is one.
_SINGLE = frozenset({POINT, LINE, POLYGON})

# Publishers reach the pole by computing, as in -90.00000000000003.
_ROUNDED = 1 + 1e-9


class Batch:
    """The geometries of one property in some features."""

    def __init__(self, placed: Placed, where: Where) -> None:
        """Read them.

        Args:
            placed: The geometries as they stand in the document.
            where: Names a feature by its row and the property, for messages.

        Raises:
            GmlRefused: The texts of a geometry make none.
        """
        self._length = len(placed.codes)
        self._where = where
        self._exact: list[tuple[int, Plan, Drawn]] = []
        self._groups = self._read(placed)

    def _read(self, placed: Placed) -> list[Group]:
        rows, texts = _plain_rows(placed)
        ends = placed.counts().cumsum()
        plain = np.zeros(self._length, bool)
        plain[rows] = True
        for row in np.flatnonzero((placed.codes >= 0) & ~plain).tolist():
            self._draw(row, placed, ends)
        if not len(rows):
            return []
        groups, odd = grouped(rows, placed.codes[rows], placed.plans, texts)
        for row in rows[odd].tolist():
            self._draw(row, placed, ends)
        return groups

    def _draw(self, row: int, placed: Placed, ends: Integers) -> None:
        plan = placed.plans[placed.codes[row]]
        texts = placed.texts[ends[row] - plan.texts : ends[row]].to_pylist()
        try:
            drawn = draw(plan.shape, texts)
        except Unreadable as error:
            raise GmlRefused(f"{self._where(row)} {error}") from error
        if drawn.type not in _SINGLE or any(map(len, drawn.paths)):
            self._exact.append((row, plan, drawn))

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
            group.points = self._placed(group.points, group.srs, judge, crs, group.row_of)
            arrays.append(group.written())
            rows.append(group.rows)
        if len(arrays) == 1 and len(arrays[0]) == self._length:
            return arrays[0]
        if self._exact:
            values = [self._one(row, plan, drawn, judge, crs) for row, plan, drawn in self._exact]
            arrays.append(pa.array(values, pa.binary()))
            rows.append(np.array([row for row, *_ in self._exact]))
        places = np.full(self._length, -1)
        found = np.concatenate(rows) if rows else np.empty(0, np.int64)
        places[found] = np.arange(len(found))
        indices = pa.array(places, mask=places < 0)
        return pa.concat_arrays([pa.array([], pa.binary()), *arrays]).take(indices)

    def _one(self, row: int, plan: Plan, drawn: Drawn, judge: Judge, crs: str) -> bytes:
        def turned(part: Drawn) -> Drawn:
            paths = tuple(
                self._placed(path, plan.srs, judge, crs, lambda _: row) for path in part.paths
            )
            return Drawn(part.type, paths, tuple(map(turned, part.parts)))

        return wkb.encoded(turned(drawn))

    def _placed(
        self, points: Numbers, srs: Srs, judge: Judge, crs: str, row_of: Callable[[int], int]
    ) -> Numbers:
        try:
            return placed(points, srs, judge.swaps(srs), crs)
        except Misplaced as error:
            if judge.doubts(srs):
                return points
            raise GmlRefused(f"{self._where(row_of(error.place))} {error}") from error


def _plain_rows(placed: Placed) -> tuple[Integers, pa.Array]:
    """The rows of plain geometry, and its texts as numbers with spaces between them."""
    counts, texts = placed.counts(), placed.texts
    chosen = np.array([*(plan.plain is not None for plan in placed.plans), False])[placed.codes]
    paired = np.array([*(bool(p.plain and p.plain.pairs) for p in placed.plans), False])
    if paired.any():
        of_pairs = np.repeat(paired[placed.codes], counts)
        wrong = of_pairs & ~are_pairs(texts)
        rows = np.repeat(np.arange(len(counts)), counts)
        chosen[rows[wrong]] = False
        spaced = pc.replace_substring(texts, ",", " ")
        texts = spaced if of_pairs.all() else pc.if_else(pa.array(of_pairs), spaced, texts)
    kept = np.repeat(chosen, counts)
    return np.flatnonzero(chosen), texts if kept.all() else texts.filter(pa.array(kept))


class Misplaced(Unreadable):
    """A point that has no place where it should be.

    Attributes:
        place: Its number among the points.
    """

    def __init__(self, said: str, wrong: Truths) -> None:
        super().__init__(said)
        self.place = int(wrong.argmax())


def placed(points: Numbers, srs: Srs, swap: bool, crs: str) -> Numbers:
    """Points with x or longitude first.

    Args:
        points: One per row, in the document's order.
        srs: Their reference system.
        swap: Whether the document's order is the other one.
        crs: `OGC:CRS84` to bring them there; empty to leave them in their CRS.

    Raises:
        Misplaced: One has no place there.
    """
    if swap:
        points = points[:, [1, 0, 2][: points.shape[1]]]
    if not len(points):
        return points
    lon, lat = points[:, 0], points[:, 1]
    if srs.pole and (beyond := np.abs(lat) > srs.pole * _ROUNDED).any():
        said = f"has the latitude {lat[beyond][0]:.15g}, which is beyond the pole"
        hint = ": its axes may be in the other order, see axis_order" if srs.ambiguous else ""
        raise Misplaced(said + hint, beyond)
    if not crs or srs.crs in SAME_AS_CRS84:
        return points
    if not srs.crs:
        wrong = (np.abs(lon) > 180) | (np.abs(lat) > 90)
        if wrong.any():
            raise Misplaced("has no srsName, and coordinates that are no degrees", wrong)
        return points
    moved = points.copy()
    moved[:, 0], moved[:, 1] = to_crs84(srs.crs).transform(lon, lat)
    lost = ~(np.isfinite(moved[:, 0]) & np.isfinite(moved[:, 1]))
    if lost.any():
        raise Misplaced(f"has coordinates that lie nowhere in {srs.crs}", lost)
    return moved
