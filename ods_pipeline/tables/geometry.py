"""Converts geometries of exports to WKB in longitude and latitude.

Columns of plain geometries are read as a whole; the others one by one in `tables.one_geometry`,
which may refuse what the whole lets through, but not the other way round. Geometries are not
corrected: an invalid ring stays as the publisher drew it. GML does not belong here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from ods_pipeline.dataset import GEOGRAPHIC, Field
from ods_pipeline.tables.geometry_repair import DEGENERATE, Repair
from ods_pipeline.tables.oddities import Oddities
from ods_pipeline.tables.one_geometry import UNREADABLE, geometry_of, require_degrees

_POINT = np.dtype([("order", "u1"), ("type", "<u4"), ("lon", "<f8"), ("lat", "<f8")])
LITTLE_ENDIAN, _POINT_TYPE = 1, 1
_NO_INDEX = pa.nulls(1, pa.int32())[0]
# As shapely numbers them.
_POINT_ID, _NONE_ID = 0, -1


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
            shapes = shapely.from_geojson(objects(column))
            _require_plain(shapes, field)
            return _to_wkb(shapes)
        if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
            return _canonical(column, field)
    except UNREADABLE:
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
    require_degrees(numbers[1::2], numbers[0::2])
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


def _canonical(column: pa.Array, field: Field) -> pa.Array:
    column = column.cast(pa.binary())
    points = packed_points(column)
    if points is not None:
        require_degrees(points["lon"], points["lat"])
        return column
    shapes = shapely.from_wkb(objects(column))
    _require_plain(shapes, field)
    encoded = _to_wkb(shapes)
    # What GEOS reads over, such as the reference systems of parts, makes the original longer.
    same = pc.equal(pc.binary_length(encoded), pc.binary_length(column))
    if not pc.all(same, min_count=0).as_py():
        raise ValueError("more than a geometry")
    return encoded


def _require_plain(shapes: np.ndarray[Any, Any], field: Field) -> None:
    """Refuse a column of which a geometry has to be looked at."""
    kinds = shapely.get_type_id(shapes)
    if field.type == "geo_point_2d" and ((kinds != _POINT_ID) & (kinds != _NONE_ID)).any():
        raise ValueError("a shape where a point is declared")
    numbers = shapely.get_coordinates(shapes)
    require_degrees(numbers[:, 0], numbers[:, 1])
    high = shapes[shapely.has_z(shapes)]
    if len(high) and not np.isfinite(shapely.get_coordinates(high, include_z=True)[:, 2]).all():
        raise ValueError("a position without a height among others")


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
            geometry = geometry_of(value, repair, single=field.type == "geo_point_2d")
        except UNREADABLE:
            oddities.reject(field, row + offset, value)
            continue
        geometries[offset] = geometry
        # Of what is left out nothing else matters.
        notes = repair.notes if geometry is not None else repair.notes & {DEGENERATE}
        for note in notes:
            oddities.note(field, note)
    return _to_wkb(geometries)


def geometry_columns(schema: pa.Schema) -> list[str]:
    """The geometry columns of a partition, the primary one first."""
    kinds = {item.name: (item.metadata or {}).get(b"ods_type", b"").decode() for item in schema}
    geometries = [name for name, kind in kinds.items() if kind in GEOGRAPHIC]
    return sorted(geometries, key=lambda name: kinds[name] != "geo_shape")


def primary(fields: Iterable[Field]) -> str:
    """The name of the primary geometry: a shape before a point; empty without."""
    names = {field.type: field.name for field in reversed(list(fields))}
    return names.get("geo_shape") or names.get("geo_point_2d") or ""
