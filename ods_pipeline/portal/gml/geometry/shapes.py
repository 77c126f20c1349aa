"""The structure of a geometry, as paths of points and parts; filled with numbers, and as WKB.

A `Shape` says in which of a geometry's texts each point is. Many geometries share one, so it is
made once per kind of markup. Nothing here reads markup.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ods_pipeline.portal.gml.geometry.coordinates import Coordinates, points, scalar
from ods_pipeline.tables import curves
from ods_pipeline.tables.curves import Numbers, Unreadable

POINT, LINE, POLYGON = 1, 2, 3
MULTI_POINT, MULTI_LINE, MULTI_POLYGON, COLLECTION = 4, 5, 6, 7

_ROUNDING = 1e-9  # of a coordinate: at most a millimetre
_HEIGHT = 1000  # what ISO adds to the WKB type of a geometry with heights
_SMALLEST_RING = 4  # points, the first one repeated


@dataclass(frozen=True)
class Segment:
    """A piece of a path.

    Attributes:
        kind: `line`, `arcs` (through three points each), `circle`, `around` (a centre) or `box`.
        runs: Its points.
        numbers: Slots of radius, start and end angle, if it is around a centre.
    """

    kind: str
    runs: tuple[Coordinates, ...]
    numbers: tuple[int, ...] = ()


@dataclass(frozen=True)
class Path:
    """Points in order; where two pieces meet, the common point counts once."""

    segments: tuple[Segment | Path, ...]
    reverse: bool = False


@dataclass(frozen=True)
class Shape:
    """A geometry: its WKB type, its paths (a polygon's rings), or its parts."""

    type: int
    paths: tuple[Path, ...] = ()
    parts: tuple[Shape, ...] = ()


@dataclass(frozen=True)
class FilledShape:
    """A geometry with its numbers: points per path, or parts."""

    type: int
    paths: tuple[Numbers, ...] = ()
    parts: tuple[FilledShape, ...] = ()

    def arrays(self) -> Iterator[Numbers]:
        """All points, array by array."""
        yield from self.paths
        for part in self.parts:
            yield from part.arrays()


def fill(shape: Shape, texts: Sequence[str]) -> FilledShape:
    """Fill a shape with the numbers of a geometry's texts."""
    with np.errstate(all="ignore"):
        filled = _fill(shape, texts)
    if not all(np.isfinite(array).all() for array in filled.arrays()):
        raise Unreadable("has a curve with coordinates that are not finite")
    dimensions = {array.shape[1] for array in filled.arrays() if len(array)}
    if len(dimensions) > 1:
        raise Unreadable("has points with and without a height")
    return filled


def _fill(shape: Shape, texts: Sequence[str]) -> FilledShape:
    paths = [points_of(path, texts) for path in shape.paths]
    if shape.type == POINT and len(paths[0]) > 1:
        raise Unreadable(f"has {len(paths[0])} positions in one point")
    if shape.type == LINE and len(paths[0]) == 1:
        raise Unreadable("has a line of one point")
    if shape.type == POLYGON:
        paths = [ring(path) for path in paths]
        if paths and not len(paths[0]):
            if any(map(len, paths)):
                raise Unreadable("has holes in an empty polygon")
            paths = []
    return FilledShape(shape.type, tuple(paths), tuple(_fill(part, texts) for part in shape.parts))


def points_of(path: Path, texts: Sequence[str]) -> Numbers:
    """The points of a path, in order."""
    whole: list[Numbers] = []
    for segment in path.segments:
        piece = points_of(segment, texts) if isinstance(segment, Path) else _segment(segment, texts)
        if whole and len(whole[-1]) and len(piece):
            if whole[-1].shape[1] != piece.shape[1]:
                raise Unreadable("has points with and without a height")
            if not np.allclose(whole[-1][-1], piece[0], rtol=_ROUNDING, atol=0):
                raise Unreadable("has a curve whose pieces do not meet")
            piece = piece[1:]
        if len(piece):
            whole.append(piece)
    line = np.concatenate(whole) if whole else np.empty((0, 2))
    return line[::-1] if path.reverse else line


def _segment(segment: Segment, texts: Sequence[str]) -> Numbers:
    arrays = [array for run in segment.runs if len(array := points(run, texts))]
    if len({array.shape[1] for array in arrays}) > 1:
        raise Unreadable("has points with and without a height")
    line = np.concatenate(arrays) if arrays else np.empty((0, 2))
    if segment.kind == "arcs":
        return curves.arc_string(line)
    if segment.kind == "circle":
        return curves.circle(line)
    if segment.kind == "box":
        return _box(line)
    if segment.kind == "around":
        radius, *angles = (scalar(texts[slot]) for slot in segment.numbers)
        start, end = angles or (0.0, 360.0)
        return curves.around(line, radius, start, end)
    return line


def _box(corners: Numbers) -> Numbers:
    if corners.shape != (2, 2):
        raise Unreadable("is a box without two corners of two coordinates")
    (west, south), (east, north) = corners
    ring = [(west, south), (east, south), (east, north), (west, north), (west, south)]
    return np.array(ring, np.float64)


def ring(line: Numbers) -> Numbers:
    """A ring, closed if the publisher left it open; an empty one stays empty."""
    if len(line) and not np.array_equal(line[0, :2], line[-1, :2]):
        line = np.concatenate([line, line[:1]])
    if 0 < len(line) < _SMALLEST_RING:
        raise Unreadable(f"has a ring of {len(line)} points, which are too few")
    return line


def _header(type_: int, high: bool, count: int | None = None) -> bytes:
    """Byte order and type, and the number of parts, rings or points, if given."""
    number = type_ + _HEIGHT * high
    return struct.pack("<BI", 1, number) if count is None else struct.pack("<BII", 1, number, count)


def wkb(filled: FilledShape) -> bytes:
    """The WKB of a geometry."""
    high = any(array.shape[1] > 2 for array in filled.arrays() if len(array))
    return b"".join(_pieces(filled, high))


def _pieces(filled: FilledShape, high: bool) -> list[bytes]:
    if filled.type == POINT:
        (point,) = filled.paths
        numbers = point if len(point) else np.full((1, 2 + high), np.nan)
        return [_header(POINT, high), numbers.tobytes()]
    if filled.type == LINE:
        (line,) = filled.paths
        return [_header(LINE, high, len(line)), line.tobytes()]
    if filled.type == POLYGON:
        rings = [struct.pack("<I", len(ring)) + ring.tobytes() for ring in filled.paths]
        return [_header(POLYGON, high, len(filled.paths)), *rings]
    parts = [piece for part in filled.parts for piece in _pieces(part, high)]
    return [_header(filled.type, high, len(filled.parts)), *parts]


def wkb_headers(shape: Shape, high: bool) -> list[bytes] | None:
    """The WKB before each path's numbers; None if there is more after the last path."""
    headers: list[bytes] = []
    rest = _headers(shape, high, b"", headers)
    return None if rest else headers


def _headers(shape: Shape, high: bool, before: bytes, headers: list[bytes]) -> bytes:
    if shape.type == POLYGON:
        before += _header(POLYGON, high, len(shape.paths))
    elif shape.type in (POINT, LINE):
        before += _header(shape.type, high)
    else:
        before += _header(shape.type, high, len(shape.parts))
    for _ in shape.paths:
        headers.append(before)
        before = b""
    for part in shape.parts:
        before = _headers(part, high, before, headers)
    return before
