"""Converts geometries of exports to WKB in longitude and latitude.

Geometries are not corrected: an invalid ring stays as the publisher drew it. What GEOS cannot even
construct is read by `tables.geometry_repair`. GML does not belong here.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from ods_pipeline.dataset import GEOGRAPHIC, Field
from ods_pipeline.tables.geometry_repair import Repair
from ods_pipeline.tables.oddities import Oddities

_POINT = np.dtype([("order", "u1"), ("type", "<u4"), ("lon", "<f8"), ("lat", "<f8")])
LITTLE_ENDIAN, _POINT_TYPE = 1, 1
_NO_INDEX = pa.nulls(1, pa.int32())[0]

# The one prefix of PostGIS that says what the portal says: longitude and latitude.
_SRID = re.compile(r"^SRID=4326;", re.IGNORECASE)

_LONLAT = re.compile(r"CRS84|EPSG:+4326", re.IGNORECASE)

# RuntimeError is JSON nested too deeply, and shapely's refusal of curves.
_UNREADABLE = (
    *(shapely.errors.ShapelyError, struct.error),
    *(ValueError, TypeError, KeyError, IndexError, OverflowError, RuntimeError),
)


def wkb(column: pa.Array, field: Field, row: int, oddities: Oddities) -> pa.Array:
    """Convert geometries to little-endian ISO WKB, longitude before latitude.

    Args:
        column: Text (`lat, lon` of a geo_point_2d in CSV, GeoJSON of a geo_shape), WKB (Parquet)
            or a struct of `lon` and `lat`.
        field: The declared field.
        row: Number of the column's first record in the export.
        oddities: Takes what is no geometry, which becomes null, and what had to be mended.

    Returns:
        A `binary` array, in which empty geometries are null.
    """
    try:
        if pa.types.is_string(column.type):
            if field.type == "geo_point_2d":
                return _from_lat_lon(column)
            if pc.any(pc.match_substring(column, '"crs"')).as_py():
                raise ValueError("a reference system of its own")
            return _to_wkb(shapely.from_geojson(objects(column)))
        if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
            return _canonical(column)
    except _UNREADABLE:
        pass
    return _one_by_one(column, field, row, oddities)


def _from_lat_lon(column: pa.Array) -> pa.Array:
    parts = pc.split_pattern(column, ",")
    lengths = np.diff(_values(parts.offsets))
    # A null is split into nothing.
    pairs, present = np.count_nonzero(lengths == 2), np.count_nonzero(lengths)
    if not pairs == present == len(column) - column.null_count:
        raise ValueError("not two coordinates")
    numbers = _values(pc.ascii_trim_whitespace(parts.flatten()).cast(pa.float64()))
    _require_finite(numbers)
    points = _points(numbers[1::2], numbers[0::2])
    if len(points) == len(column):
        return points
    # The index of each row's point; 0 is the null in front.
    counts = pc.cumulative_sum(column.is_valid().cast(pa.int32()))
    indexes = pc.if_else(column.is_valid(), counts, _NO_INDEX)
    return pa.concat_arrays([pa.nulls(1, pa.binary()), points]).take(indexes)


def _values(numbers: pa.Array) -> np.ndarray[Any, Any]:
    """Numbers without nulls as numpy's; Arrow's `to_numpy` would load pandas."""
    return np.from_dlpack(numbers)


def _points(lon: np.ndarray[Any, Any], lat: np.ndarray[Any, Any]) -> pa.Array:
    packed = np.empty(len(lon), _POINT)
    packed["order"], packed["type"] = LITTLE_ENDIAN, _POINT_TYPE
    packed["lon"], packed["lat"] = lon, lat
    ends = np.arange(0, packed.nbytes + 1, _POINT.itemsize, dtype=np.int32)
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(packed.view(np.uint8))]
    return pa.Array.from_buffers(pa.binary(), len(lon), buffers)


def _canonical(column: pa.Array) -> pa.Array:
    column = column.cast(pa.binary())
    points = packed_points(column)
    if points is not None:
        _require_finite(points["lon"], points["lat"])
        return column
    shapes = shapely.from_wkb(objects(column))
    if (shapely.get_srid(shapes) > 0).any():
        raise ValueError("a reference system of its own")
    _require_finite(shapely.get_coordinates(shapes))
    return _to_wkb(shapes)


def _require_finite(*numbers: np.ndarray[Any, Any]) -> None:
    if not all(np.isfinite(some).all() for some in numbers):
        raise ValueError("an empty point, or one that is nowhere")


def packed_points(column: pa.Array) -> np.ndarray[Any, Any] | None:
    """The points of a column without copying them; None where it has other geometries."""
    present = column.drop_null()
    if not len(present):
        return np.empty(0, _POINT)
    _, offsets, data = present.buffers()
    starts = np.frombuffer(offsets, np.int32)[present.offset : present.offset + len(present) + 1]
    if (np.diff(starts) != _POINT.itemsize).any():
        return None
    packed = np.frombuffer(data, _POINT, len(present), starts[0])
    plain = (packed["order"] == LITTLE_ENDIAN).all() and (packed["type"] == _POINT_TYPE).all()
    return packed if plain else None


def objects(column: pa.Array) -> np.ndarray[Any, Any]:
    """Geometries as an array of objects for shapely."""
    values: np.ndarray[Any, Any] = column.to_numpy(zero_copy_only=False)
    return values


def _to_wkb(geometries: Iterable[Any]) -> pa.Array:
    shapes = np.asarray(geometries, object)
    empty = shapely.is_empty(shapes)
    if empty.any():
        shapes = shapes.copy()
        shapes[empty] = None
    encoded = shapely.to_wkb(shapes, byte_order=LITTLE_ENDIAN, flavor="iso", include_srid=False)
    return pa.array(encoded, pa.binary())


def _one_by_one(column: pa.Array, field: Field, row: int, oddities: Oddities) -> pa.Array:
    geometries = np.empty(len(column), object)
    for offset, scalar in enumerate(column):
        repair, value = Repair(), "a value that no calendar has"
        try:
            value = scalar.as_py()
            geometries[offset] = _geometry(value, repair)
        except _UNREADABLE:
            oddities.reject(field, row + offset, value)
        for note in repair.notes:
            oddities.note(field, note)
    return _to_wkb(geometries)


def _geometry(value: Any, repair: Repair) -> Any:
    """A geometry in any form seen in exports, alone or in a Feature."""
    if isinstance(value, str):
        text = value.strip()
        if text.startswith(("{", "[", "null")):
            return _geometry(json.loads(text), repair)
        return _from_text(text, repair)
    if value is None or value in (b"", {}, []):
        return None
    if isinstance(value, bytes):
        return _from_wkb(value, repair)
    match value:
        case {"type": "Feature", "geometry": geometry}:
            return _geometry(geometry, repair)
        case {"lon": lon, "lat": lat}:
            return None if lon is None or lat is None else _point(lat, lon)
        case {"type": _}:
            return _from_geojson(value, repair)
        case [lat, lon]:
            # As the older APIs write a point.
            return _point(lat, lon)
    raise ValueError(value)


def _from_geojson(shape: dict[str, Any], repair: Repair) -> Any:
    if shape.get("crs") and not _LONLAT.search(json.dumps(shape["crs"])):
        raise ValueError("another reference system than longitude and latitude")
    try:
        return shapely.from_geojson(json.dumps(shape))
    except (shapely.errors.ShapelyError, ValueError):
        return repair.geojson(shape)


def _from_text(text: str, repair: Repair) -> Any:
    """A point as `lat, lon`, or a geometry as WKT or as hexadecimal digits of WKB."""
    if text[:2] in {"00", "01"} and "," not in text:
        return _from_wkb(bytes.fromhex(text), repair)
    if text[:1].isalpha():
        return _lonlat(shapely.from_wkt(_SRID.sub("", text)))
    lat, lon = (float(part) for part in text.split(","))
    return _point(lat, lon)


def _from_wkb(data: bytes, repair: Repair) -> Any:
    try:
        return _lonlat(shapely.from_wkb(data))
    except (shapely.errors.ShapelyError, RuntimeError):
        return repair.wkb(data)


def _lonlat(geometry: Any) -> Any:
    if not shapely.is_empty(geometry):
        _require_finite(shapely.get_coordinates(geometry))
    if shapely.get_srid(geometry) not in {0, 4326}:
        raise ValueError("another reference system than longitude and latitude")
    return geometry


def _point(lat: Any, lon: Any) -> Any:
    point = shapely.Point(float(lon), float(lat))
    if not np.isfinite(shapely.get_coordinates(point)).all():
        raise ValueError("a coordinate that is not finite")
    return point


def geometry_columns(schema: pa.Schema) -> list[str]:
    """The geometry columns of a partition, the primary one first."""
    kinds = {item.name: (item.metadata or {}).get(b"ods_type", b"").decode() for item in schema}
    geometries = [name for name, kind in kinds.items() if kind in GEOGRAPHIC]
    return sorted(geometries, key=lambda name: kinds[name] != "geo_shape")


def primary(fields: Iterable[Field]) -> str:
    """The name of the primary geometry: a shape before a point; empty without."""
    names = {field.type: field.name for field in reversed(list(fields))}
    return names.get("geo_shape") or names.get("geo_point_2d") or ""
