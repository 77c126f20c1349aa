"""Converts geometries of exports to WKB in longitude and latitude.

Geometries are not corrected: an invalid ring stays as the publisher drew it. GML does not belong
here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from ods_pipeline.dataset import GEOGRAPHIC, Field
from ods_pipeline.errors import TypeMismatch

_POINT = np.dtype([("order", "u1"), ("type", "<u4"), ("lon", "<f8"), ("lat", "<f8")])
LITTLE_ENDIAN, _POINT_TYPE = 1, 1
_NO_INDEX = pa.nulls(1, pa.int32())[0]

# RuntimeError is JSON nested too deeply, and shapely's refusal of curves.
_UNREADABLE = (shapely.errors.ShapelyError, ValueError, TypeError, KeyError, RuntimeError)


def wkb(column: pa.Array, field: Field, row: int = 1) -> pa.Array:
    """Convert geometries to little-endian ISO WKB, longitude before latitude.

    Args:
        column: Text (`lat, lon` of a geo_point_2d in CSV, GeoJSON of a geo_shape), WKB (Parquet)
            or a struct of `lon` and `lat`.
        field: The declared field.
        row: Number of the column's first record in the export, for messages.

    Returns:
        A `binary` array.

    Raises:
        TypeMismatch: A value is not a geometry.
    """
    try:
        if pa.types.is_struct(column.type):
            return _one_by_one(column, field, row)
        if pa.types.is_string(column.type):
            if field.type == "geo_point_2d":
                return _from_lat_lon(column)
            return _to_wkb(shapely.from_geojson(objects(column)))
        return _canonical(column)
    except _UNREADABLE:
        return _one_by_one(column, field, row)


def _from_lat_lon(column: pa.Array) -> pa.Array:
    parts = pc.split_pattern(column, ",")
    lengths = np.diff(_values(parts.offsets))
    # A null is split into nothing.
    pairs, present = np.count_nonzero(lengths == 2), np.count_nonzero(lengths)
    if not pairs == present == len(column) - column.null_count:
        raise ValueError("not two coordinates")
    numbers = _values(pc.ascii_trim_whitespace(parts.flatten()).cast(pa.float64()))
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
    if packed_points(column) is not None:
        return column
    return _to_wkb(shapely.from_wkb(objects(column)))


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
    encoded = shapely.to_wkb(
        np.asarray(geometries, object), byte_order=LITTLE_ENDIAN, flavor="iso", include_srid=False
    )
    return pa.array(encoded, pa.binary())


def _one_by_one(column: pa.Array, field: Field, row: int) -> pa.Array:
    geometries: list[Any] = []
    for offset, value in enumerate(column.to_pylist()):
        try:
            geometries.append(None if value is None else _geometry(value))
        except _UNREADABLE as error:
            raise TypeMismatch(field.name, row + offset, value, field.type) from error
    return _to_wkb(np.array(geometries, object))


def _geometry(value: Any) -> Any:
    """A geometry in any form seen in exports, alone or in a Feature."""
    if isinstance(value, bytes):
        return shapely.from_wkb(value)
    if isinstance(value, str) and value.lstrip().startswith(("{", "null")):
        value = json.loads(value)
        if value is None:
            return None
    if isinstance(value, dict):
        if value.get("type") == "Feature":
            value = value["geometry"]
        if value is None:
            return None
        if "lon" in value and "lat" in value:
            return shapely.Point(float(value["lon"]), float(value["lat"]))
        return shapely.from_geojson(json.dumps(value))
    lat, lon = (float(part) for part in str(value).split(","))
    return shapely.Point(lon, lat)


def geometry_columns(schema: pa.Schema) -> list[str]:
    """The geometry columns of a partition, the primary one first."""
    kinds = {item.name: (item.metadata or {}).get(b"ods_type", b"").decode() for item in schema}
    geometries = [name for name, kind in kinds.items() if kind in GEOGRAPHIC]
    return sorted(geometries, key=lambda name: kinds[name] != "geo_shape")


def primary(fields: Iterable[Field]) -> str:
    """The name of the primary geometry: a shape before a point; empty without."""
    names = {field.type: field.name for field in reversed(list(fields))}
    return names.get("geo_shape") or names.get("geo_point_2d") or ""
