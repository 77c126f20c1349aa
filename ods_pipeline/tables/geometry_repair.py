"""Reads geometries that GEOS refuses to construct, as GeoJSON or as WKB.

Publishers leave rings open, draw lines of one point and store curves. Rings are closed, curves made
lines as in GML; what cannot be drawn is left out. Everything that is changed is named. Geometries
that GEOS takes are not looked at here.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from ods_pipeline.tables.curves import Numbers, arc_string
from ods_pipeline.tables.nested import unnoted
from ods_pipeline.tables.values import floating

CLOSED = "a ring that does not end where it begins; it is closed"
DEGENERATE = "a geometry of too few points to be drawn; it is left out"
CURVED = "a curve; it is a line with a vertex at least every four degrees"
LEVELLED = "a geometry of which only some positions have a height; it has none"

_DEEPEST = 32
_PARTS: Mapping[str, Callable[..., BaseGeometry]] = {
    "MultiPoint": shapely.MultiPoint,
    "MultiLineString": shapely.MultiLineString,
    "MultiPolygon": shapely.MultiPolygon,
    "GeometryCollection": shapely.GeometryCollection,
}
# By the numbers of WKB: curves and surfaces are collected like lines and polygons.
_COLLECTIONS = {
    **{4: "MultiPoint", 5: "MultiLineString", 11: "MultiLineString", 7: "GeometryCollection"},
    **dict.fromkeys((6, 12, 15, 16), "MultiPolygon"),
}
_EWKB_Z, _EWKB_M, _EWKB_SRID = 0x80000000, 0x40000000, 0x20000000
_LONLAT = {0, 4326}


class Repair:
    """Builds one geometry from its points.

    Attributes:
        notes: What was changed, a sentence each.
    """

    def __init__(self) -> None:
        self.notes: set[str] = set()

    def geojson(self, shape: Any, depth: int = _DEEPEST) -> BaseGeometry | None:
        """A geometry of parsed GeoJSON; None if nothing of it can be drawn.

        Positions may have more than three numbers, of which three are read (RFC 7946).

        Raises:
            ValueError, TypeError, KeyError: It is no geometry.
        """
        if not depth:
            raise ValueError("nested too deeply")
        if shape is None:
            return None
        kind = shape["type"]
        if kind == "GeometryCollection":
            parts = [self.geojson(part, depth - 1) for part in shape["geometries"]]
            return self._collected(kind, parts)
        coordinates = shape["coordinates"]
        match kind:
            case "Point":
                nowhere = all(_ordinate(number) is None for number in coordinates[:2])
                return self._point(self._positions([] if nowhere else [coordinates]))
            case "LineString":
                return self._line(self._positions(coordinates))
            case "Polygon":
                return self._polygon(map(self._positions, coordinates))
            case "MultiPoint" | "MultiLineString" | "MultiPolygon":
                part = kind.removeprefix("Multi")
                parts = [
                    self.geojson({"type": part, "coordinates": item}, depth - 1)
                    for item in coordinates
                ]
                return self._collected(kind, parts)
        raise ValueError(kind)

    def wkb(self, data: bytes) -> BaseGeometry | None:
        """A geometry of WKB, with or without the extensions of PostGIS.

        Raises:
            ValueError, struct.error: It is no WKB in longitude and latitude, or of a kind that
                cannot be drawn.
        """
        reader = _Wkb(data)
        geometry = self._read(reader, _DEEPEST)
        if reader.left:
            raise ValueError("bytes after the geometry")
        return geometry

    def _read(self, reader: _Wkb, depth: int) -> BaseGeometry | None:
        if not depth:
            raise ValueError("nested too deeply")
        kind, width, height = reader.header()
        if kind in _COLLECTIONS:
            return self._collected(_COLLECTIONS[kind], self._parts(reader, depth))
        match kind:
            case 1:
                point = reader.points(1, width, height)
                return self._point(point if np.isfinite(point).any() else point[:0])
            case 2:
                return self._line(reader.run(width, height))
            case 8:
                return self._line(self._arcs(reader.run(width, height)))
            case 9:
                return self._line(self._joined(self._parts(reader, depth)))
            case 3 | 17:
                return self._polygon(reader.run(width, height) for _ in range(reader.number()))
            case 10:
                return self._polygon(_xyz(part) for part in self._parts(reader, depth) if part)
        raise ValueError(f"WKB of kind {kind}")

    def _parts(self, reader: _Wkb, depth: int) -> list[BaseGeometry | None]:
        return [self._read(reader, depth - 1) for _ in range(reader.number())]

    def _arcs(self, points: Numbers) -> Numbers:
        if not len(points):
            return points
        self.notes.add(CURVED)
        first, last = points[0], points[-1]
        if len(points) == 3 and np.array_equal(first[:2], last[:2]):
            # A circle in SQL's notation: the point in the middle lies opposite of its start.
            centre = (first + points[1]) / 2
            quarter = centre.copy()
            quarter[0] -= first[1] - centre[1]
            quarter[1] += first[0] - centre[0]
            opposite = 2 * centre - quarter
            points = np.stack([first, quarter, points[1], opposite, last])
        return arc_string(points)

    def _joined(self, parts: Sequence[BaseGeometry | None]) -> Numbers:
        """The points of a curve made of several, in which the common ones count once."""
        self.notes.add(CURVED)
        pieces = [_xyz(part) for part in parts if part]
        if not pieces:
            return np.empty((0, 2))
        return np.concatenate([pieces[0], *(piece[1:] for piece in pieces[1:])])

    def _point(self, points: Numbers) -> BaseGeometry | None:
        return shapely.Point(points[0]) if len(points) else None

    def _line(self, points: Numbers) -> BaseGeometry | None:
        if len(points) == 1:
            self.notes.add(DEGENERATE)
            return None
        return shapely.LineString(points) if len(points) else None

    def _polygon(self, rings: Iterable[Numbers]) -> BaseGeometry | None:
        outer, *holes = [self._ring(points) for points in rings] or [None]
        if outer is None:
            return None
        return shapely.Polygon(outer, [hole for hole in holes if hole is not None])

    def _positions(self, coordinates: Sequence[Sequence[Any]]) -> Numbers:
        widths = {min(len(position), 3) for position in coordinates} or {2}
        width = min(widths)
        if width < 2:
            raise ValueError("a position of one number")
        if len(widths) > 1:
            self.notes.add(LEVELLED)
        rows = [[_ordinate(number) for number in position[:width]] for position in coordinates]
        points = np.array(rows, float).reshape(-1, width)
        if not np.isfinite(points).all():
            raise ValueError("a coordinate that is not finite")
        return points

    def _ring(self, points: Numbers) -> Numbers | None:
        opened = len(points) > 0 and not np.array_equal(points[0], points[-1])
        if opened:
            points = np.concatenate([points, points[:1]])
        if len(points) >= 4:
            self.notes.update({CLOSED} if opened else ())
            return points
        self.notes.update({DEGENERATE} if len(points) else ())
        return None

    def _collected(self, kind: str, parts: Sequence[BaseGeometry | None]) -> BaseGeometry | None:
        drawn = [part for part in parts if part is not None]
        return _PARTS[kind](drawn) if drawn else None


def _ordinate(number: Any) -> float | None:
    """A number of a position, which may be written as text; None where there is none."""
    if number is None:
        return None
    found = number if type(number) in {int, float} else unnoted(floating(number))
    return None if found is None or math.isnan(found) else float(found)


def _xyz(part: BaseGeometry) -> Numbers:
    points: Numbers = shapely.get_coordinates(part, include_z=bool(part.has_z))
    return points


class _Wkb:
    """The numbers of a WKB in their order."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at, self._order = data, 0, "<"

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def header(self) -> tuple[int, int, bool]:
        """Kind of geometry, numbers of a point, and whether the third is a height."""
        self._order = "<" if self._take("B") == 1 else ">"
        code = self._take("I")
        if code & _EWKB_SRID and self._take("I") not in _LONLAT:
            raise ValueError("another reference system than longitude and latitude")
        iso, kind = divmod(code & 0xFFFF, 1000)
        height = bool(code & _EWKB_Z) or iso in {1, 3}
        return kind, 2 + height + (bool(code & _EWKB_M) or iso in {2, 3}), height

    def number(self) -> int:
        """How many parts, rings or points follow."""
        return self._take("I")

    def run(self, width: int, height: bool) -> Numbers:
        """Points after their number."""
        return self.points(self.number(), width, height)

    def points(self, count: int, width: int, height: bool) -> Numbers:
        """So many points, of which measures are left out."""
        size = 8 * width * count
        if size > self.left:
            raise ValueError("cut off")
        numbers = np.frombuffer(self._data, f"{self._order}f8", width * count, self._at)
        self._at += size
        return numbers.reshape(count, width)[:, : 2 + height].astype(float)

    def _take(self, kind: str) -> int:
        (value,) = struct.unpack_from(self._order + kind, self._data, self._at)
        self._at += struct.calcsize(self._order + kind)
        return int(value)
