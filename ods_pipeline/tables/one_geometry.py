"""Reads one geometry in any form that exports have: the slow, exact rules.

What cannot be read exactly is refused with ValueError or another of `UNREADABLE`. What GEOS cannot
construct is left to `tables.geometry_repair`. Columns, fields and records are not known here.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
import shapely

from ods_pipeline.tables.geometry_repair import LEVELLED, Repair
from ods_pipeline.tables.nested import LIST_SEPARATOR, nested, unnoted
from ods_pipeline.tables.values import NUMBER, floating
from ods_pipeline.tables.wkt import wkb_of

#: What reading a geometry raises. RuntimeError is JSON nested too deeply, and shapely's refusal of
#: curves.
UNREADABLE = (
    *(shapely.errors.ShapelyError, struct.error),
    *(ValueError, TypeError, KeyError, IndexError, OverflowError, RuntimeError),
)
SINGLE = "a collection of one point where a point is declared; it is that point"

# The one prefix of PostGIS that says what the portal says: longitude and latitude.
_SRID = re.compile(r"^SRID=4326;", re.IGNORECASE)
_LONLAT = re.compile(r"CRS84|EPSG:+4326", re.IGNORECASE)
# With room for publishers' rounding errors at the pole, such as -90.00000000000003. Longitudes go
# on behind the antimeridian, but not around the world twice.
_MOST_LAT, _MOST_LON = 90 * (1 + 1e-9), 360 * (1 + 1e-9)


def require_degrees(lon: np.ndarray[Any, Any], lat: np.ndarray[Any, Any]) -> None:
    """Refuse coordinates that are no place on Earth, or not finite.

    Raises:
        ValueError: Some are: most likely in another reference system, or in the other order.
    """
    # A NaN is no less than anything.
    if len(lon) and not (np.abs(lat).max() <= _MOST_LAT and np.abs(lon).max() <= _MOST_LON):
        raise ValueError("coordinates that are not longitude and latitude")


def geometry_of(value: Any, repair: Repair, *, single: bool) -> Any:
    """The geometry that a value stands for; None where there is none, or none that can be drawn.

    Args:
        value: The value in an export.
        repair: Takes the notes.
        single: Whether it has to be a point.

    Raises:
        UNREADABLE: It is no geometry in longitude and latitude.
    """
    geometry = _geometry(value, repair)
    if geometry is None or shapely.is_empty(geometry):
        return None
    if single:
        geometry = _only_point(geometry, repair)
    numbers = shapely.get_coordinates(geometry, include_z=bool(geometry.has_z))
    if geometry.geom_type == "Point" and np.isnan(numbers[:, :2]).all():
        # As WKB writes an empty point.
        return None
    require_degrees(numbers[:, 0], numbers[:, 1])
    heights = numbers[:, 2:]
    if np.isinf(heights).any():
        raise ValueError("a height that is not finite")
    if np.isnan(heights).any():
        repair.notes.add(LEVELLED)
        geometry = shapely.force_2d(geometry)
    return geometry


def _only_point(geometry: Any, repair: Repair) -> Any:
    if geometry.geom_type == "Point":
        return geometry
    parts = np.array([geometry], object)
    while (shapely.get_type_id(parts) >= _COLLECTIONS).any():
        parts = shapely.get_parts(parts)
    (point,) = parts[~shapely.is_empty(parts)]
    if point.geom_type != "Point":
        raise ValueError("a shape where a point is declared")
    repair.notes.add(SINGLE)
    return point


# The least number of shapely for geometries of several parts.
_COLLECTIONS = 4


def _geometry(value: Any, repair: Repair) -> Any:
    if isinstance(value, str):
        text = value.strip()
        if text.startswith(("{", "[", "null")):
            return _geometry(nested(text), repair)
        return _from_text(text, repair)
    if value is None or value in (b"", {}, []):
        return None
    if isinstance(value, bytes):
        return _from_wkb(value, repair)
    if isinstance(value, Mapping):
        return _from_object(value, repair)
    if isinstance(value, list) and len(value) == 2:
        # As the older APIs write a point.
        return _point(*value)
    raise ValueError(value)


def _from_object(value: Mapping[str, Any], repair: Repair) -> Any:
    _require_lonlat(value)
    match value:
        case {"type": "Feature", "geometry": geometry}:
            return _geometry(geometry, repair)
        case {"type": "FeatureCollection", "features": [*features]}:
            parts = [_geometry(feature, repair) for feature in features]
            return shapely.GeometryCollection([part for part in parts if part is not None])
        case {"lon": lon, "lat": lat}:
            return _point(lat, lon)
    try:
        return shapely.from_geojson(json.dumps(value))
    except (shapely.errors.ShapelyError, ValueError):
        return repair.geojson(value)


def _require_lonlat(value: Mapping[str, Any]) -> None:
    """Refuse GeoJSON that says, for itself or for a part, that it is in another system."""
    if value.get("crs") and not _LONLAT.search(json.dumps(value["crs"])):
        raise ValueError("another reference system than longitude and latitude")
    for part in value.get("geometries") or ():
        _require_lonlat(part or {})


def _from_text(text: str, repair: Repair) -> Any:
    """A point as `lat, lon`, or a geometry as WKT or as hexadecimal digits of WKB."""
    if text[:2] in {"00", "01"} and re.fullmatch("[0-9A-Fa-f]{10,}", text):
        return _from_wkb(bytes.fromhex(text), repair)
    pair = [part.strip() for part in text.replace(LIST_SEPARATOR, ",").split(",")]
    if len(pair) == 2 and all(map(NUMBER.fullmatch, pair)):
        return _point(*pair)
    text = _SRID.sub("", text)
    try:
        return shapely.from_wkt(text)
    except (shapely.errors.ShapelyError, RuntimeError):
        return repair.wkb(wkb_of(text))


def _from_wkb(data: bytes, repair: Repair) -> Any:
    try:
        geometry = shapely.from_wkb(data)
    except (shapely.errors.ShapelyError, RuntimeError):
        return repair.wkb(data)
    if len(shapely.to_wkb(geometry, flavor="iso", include_srid=False)) != len(data):
        # GEOS reads over the reference systems of parts, and over what follows.
        Repair().wkb(data)
    return geometry


def _point(lat: Any, lon: Any) -> Any:
    """A point; None where both numbers are missing, as in an empty one."""
    numbers = [None if part is None else unnoted(floating(part)) for part in (lon, lat)]
    return None if numbers == [None, None] else shapely.Point(numbers)
