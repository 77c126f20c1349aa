"""Turns the geometries of a batch of features into WKB, x or longitude first, in one CRS or theirs.

Common geometries are converted all at once, the others one by one. Nothing here reads markup, or
decides on the order of axes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ods_pipeline.errors import GmlRefused
from ods_pipeline.portal.gml.geometry.axes import AxisOrderResolver
from ods_pipeline.portal.gml.geometry.coordinates import Integers, Truths, are_pairs
from ods_pipeline.portal.gml.geometry.groups import Group, grouped
from ods_pipeline.portal.gml.geometry.plans import Plan, UnparsedGeometries
from ods_pipeline.portal.gml.geometry.shapes import LINE, POINT, POLYGON, FilledShape, fill, wkb
from ods_pipeline.portal.gml.geometry.srs import SAME_AS_CRS84, Srs, to_crs84
from ods_pipeline.tables.curves import Numbers, Unreadable

FeatureName = Callable[[int], str]

# If empty, these become null; an empty aggregate stays a geometry.
_SINGLE = frozenset({POINT, LINE, POLYGON})

# For publishers' rounding errors at the pole, such as -90.00000000000003.
_ROUNDING = 1 + 1e-9


class GeometryBatch:
    """The geometries of one property in some features."""

    def __init__(self, geometries: UnparsedGeometries, feature_name: FeatureName) -> None:
        """Parse them; `feature_name` names a row and the property in messages."""
        self._length = len(geometries.codes)
        self._feature_name = feature_name
        self._poles = True
        self._exact: list[tuple[int, Plan, FilledShape]] = []
        self._groups = self._read(geometries)

    def _read(self, geometries: UnparsedGeometries) -> list[Group]:
        rows, texts = _bulk_rows(geometries)
        ends = geometries.counts().cumsum()
        plain = np.zeros(self._length, bool)
        plain[rows] = True
        for row in np.flatnonzero((geometries.codes >= 0) & ~plain).tolist():
            self._fill(row, geometries, ends)
        if not len(rows):
            return []
        groups, odd = grouped(rows, geometries.codes[rows], geometries.plans, texts)
        for row in rows[odd].tolist():
            self._fill(row, geometries, ends)
        return groups

    def _fill(self, row: int, geometries: UnparsedGeometries, ends: Integers) -> None:
        plan = geometries.plans[geometries.codes[row]]
        texts = geometries.texts[ends[row] - plan.texts : ends[row]].to_pylist()
        try:
            filled = fill(plan.shape, texts)
        except Unreadable as error:
            raise GmlRefused(f"{self._feature_name(row)} {error}") from error
        if filled.type not in _SINGLE or any(map(len, filled.paths)):
            self._exact.append((row, plan, filled))

    def observe(self, resolver: AxisOrderResolver) -> None:
        """Give coordinates of ambiguous axis order to the resolver."""
        for group in self._groups:
            if group.srs.ambiguous:
                resolver.observe(group.srs, group.points[:, 0], group.points[:, 1])
        for _, plan, filled in self._exact:
            if plan.srs.ambiguous:
                for array in filled.arrays():
                    if len(array):
                        resolver.observe(plan.srs, array[:, 0], array[:, 1])

    def systems(self) -> set[Srs]:
        """The reference systems of all geometries that have coordinates."""
        exact = {plan.srs for _, plan, filled in self._exact if any(map(len, filled.arrays()))}
        return exact | {group.srs for group in self._groups}

    def to_wkb(self, resolver: AxisOrderResolver, crs: str, *, poles: bool = True) -> pa.Array:
        """The geometries as WKB, x or longitude first; transformed to `crs`, unless it is empty.

        Without `poles` latitudes beyond them are kept, where they can be nothing else.
        """
        self._poles = poles
        arrays, rows = [], []
        for group in self._groups:
            group.points = self._transformed(group.points, group.srs, resolver, crs, group.row_of)
            arrays.append(group.to_wkb())
            rows.append(group.rows)
        if len(arrays) == 1 and len(arrays[0]) == self._length:
            return arrays[0]
        if self._exact:
            values = [
                self._one(row, plan, filled, resolver, crs) for row, plan, filled in self._exact
            ]
            arrays.append(pa.array(values, pa.binary()))
            rows.append(np.array([row for row, *_ in self._exact]))
        positions = np.full(self._length, -1)
        all_rows = np.concatenate(rows) if rows else np.empty(0, np.int64)
        positions[all_rows] = np.arange(len(all_rows))
        indices = pa.array(positions, mask=positions < 0)
        return pa.concat_arrays([pa.array([], pa.binary()), *arrays]).take(indices)

    def _one(
        self, row: int, plan: Plan, filled: FilledShape, resolver: AxisOrderResolver, crs: str
    ) -> bytes:
        def transform(part: FilledShape) -> FilledShape:
            paths = tuple(
                self._transformed(path, plan.srs, resolver, crs, lambda _: row)
                for path in part.paths
            )
            return FilledShape(part.type, paths, tuple(map(transform, part.parts)))

        return wkb(transform(filled))

    def _transformed(
        self,
        points: Numbers,
        srs: Srs,
        resolver: AxisOrderResolver,
        crs: str,
        row_of: Callable[[int], int],
    ) -> Numbers:
        # Where the order of axes is open, a latitude beyond the pole may be a longitude.
        poles = self._poles or srs.ambiguous or srs.crs not in SAME_AS_CRS84
        try:
            return transformed(points, srs, resolver.swaps(srs), crs, poles=poles)
        except PointOutOfRange as error:
            if resolver.is_provisional(srs):
                return points
            raise GmlRefused(f"{self._feature_name(row_of(error.index))} {error}") from error


def _bulk_rows(geometries: UnparsedGeometries) -> tuple[Integers, pa.Array]:
    """The rows of geometries to parse all at once, and their texts with spaces between numbers."""
    codes, counts, texts = geometries.codes, geometries.counts(), geometries.texts
    chosen = np.array([*(plan.bulk is not None for plan in geometries.plans), False])[codes]
    paired = np.array([*(bool(p.bulk and p.bulk.pairs) for p in geometries.plans), False])
    if paired.any():
        of_pairs = np.repeat(paired[codes], counts)
        wrong = of_pairs & ~are_pairs(texts)
        rows = np.repeat(np.arange(len(counts)), counts)
        chosen[rows[wrong]] = False
        spaced = pc.replace_substring(texts, ",", " ")
        texts = spaced if of_pairs.all() else pc.if_else(pa.array(of_pairs), spaced, texts)
    kept = np.repeat(chosen, counts)
    return np.flatnonzero(chosen), texts if kept.all() else texts.filter(pa.array(kept))


class PointOutOfRange(Unreadable):
    """A point, which has this `index`, is impossible in its CRS."""

    def __init__(self, message: str, wrong: Truths) -> None:
        super().__init__(message)
        self.index = int(wrong.argmax())


def transformed(points: Numbers, srs: Srs, swap: bool, crs: str, *, poles: bool = True) -> Numbers:
    """Points with x or longitude first; transformed to `crs`, unless it is empty."""
    if swap:
        points = points[:, [1, 0, 2][: points.shape[1]]]
    if not len(points):
        return points
    lon, lat = points[:, 0], points[:, 1]
    if poles and srs.pole and (beyond := np.abs(lat) > srs.pole * _ROUNDING).any():
        message = f"has the latitude {lat[beyond][0]:.15g}, which is beyond the pole"
        hint = ": its axes may be in the other order, see axis_order" if srs.ambiguous else ""
        raise PointOutOfRange(message + hint, beyond)
    if not crs or srs.crs in SAME_AS_CRS84:
        return points
    if not srs.crs:
        wrong = (np.abs(lon) > 180) | (np.abs(lat) > 90)
        if wrong.any():
            raise PointOutOfRange("has no srsName, and coordinates that are not degrees", wrong)
        return points
    moved = points.copy()
    moved[:, 0], moved[:, 1] = to_crs84(srs.crs).transform(lon, lat)
    lost = ~(np.isfinite(moved[:, 0]) & np.isfinite(moved[:, 1]))
    if lost.any():
        raise PointOutOfRange(f"has coordinates that are not possible in {srs.crs}", lost)
    return moved
