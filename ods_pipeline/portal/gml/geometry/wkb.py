"""Writes geometries as little-endian ISO WKB; nothing here parses, transforms or checks them."""

from __future__ import annotations

import struct

import numpy as np

from ods_pipeline.portal.gml.geometry.shapes import LINE, POINT, POLYGON, FilledShape, Shape

_HEIGHT = 1000  # what ISO adds to the type of a geometry with heights


def header(type_: int, high: bool, count: int | None = None) -> bytes:
    """Byte order and type, and the number of parts, rings or points, if given."""
    number = type_ + _HEIGHT * high
    return struct.pack("<BI", 1, number) if count is None else struct.pack("<BII", 1, number, count)


def encoded(filled: FilledShape) -> bytes:
    """The WKB of a geometry."""
    high = any(array.shape[1] > 2 for array in filled.arrays() if len(array))
    return b"".join(_pieces(filled, high))


def _pieces(filled: FilledShape, high: bool) -> list[bytes]:
    if filled.type == POINT:
        (point,) = filled.paths
        numbers = point if len(point) else np.full((1, 2 + high), np.nan)
        return [header(POINT, high), numbers.tobytes()]
    if filled.type == LINE:
        (line,) = filled.paths
        return [header(LINE, high, len(line)), line.tobytes()]
    if filled.type == POLYGON:
        rings = [part for ring in filled.paths for part in (_count(len(ring)), ring.tobytes())]
        return [header(POLYGON, high, len(filled.paths)), *rings]
    parts = [piece for part in filled.parts for piece in _pieces(part, high)]
    return [header(filled.type, high, len(filled.parts)), *parts]


def _count(number: int) -> bytes:
    return struct.pack("<I", number)


def headers(shape: Shape, high: bool) -> list[bytes] | None:
    """The WKB before each path's number of points, or before a point's numbers.

    Returns:
        None if something follows the last path, such as an empty part.
    """
    found: list[bytes] = []
    rest = _headers(shape, high, b"", found)
    return None if rest else found


def _headers(shape: Shape, high: bool, before: bytes, found: list[bytes]) -> bytes:
    if shape.type == POLYGON:
        before += header(POLYGON, high, len(shape.paths))
    elif shape.type in (POINT, LINE):
        before += header(shape.type, high)
    else:
        before += header(shape.type, high, len(shape.parts))
    for _ in shape.paths:
        found.append(before)
        before = b""
    for part in shape.parts:
        before = _headers(part, high, before, found)
    return before
