"""Geometries: spatial functions for DuckDB, literals of ODSQL, and projection to other systems.

The syntax of ODSQL does not belong here.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import shapely
from duckdb.func import PythonUDFType
from pyproj import Transformer
from pyproj.exceptions import CRSError

from ods_pipeline.emulator.datasets.formatting import sql_text
from ods_pipeline.emulator.http.errors import invalid_parameter

PREDICATES = {
    "geo_intersects": shapely.intersects,
    "geo_disjoint": shapely.disjoint,
    "geo_within": shapely.within,
}
OUTLINES = {"geo_hull": shapely.convex_hull, "geo_box": shapely.envelope}
EARTH_RADIUS = 6_371_008.8
# Geometry collections in each other: the plan of a query grows threefold with each level.
MAX_COLLECTION_DEPTH = 3
BATCH = Any  # what DuckDB hands over: an Arrow array or a chunked one


def register(connection: duckdb.DuckDBPyConnection) -> None:
    """Give a connection the geometric functions: texts of GeoJSON in, booleans or text out."""
    for name, predicate in PREDICATES.items():
        _define(connection, name, _predicate_function(predicate), ["VARCHAR", "VARCHAR"], "BOOLEAN")
    for name, outline in OUTLINES.items():
        _define(connection, name, _outline_function(outline), ["VARCHAR[]"], "VARCHAR")
    connection.execute(
        "CREATE MACRO geo_distance(lon1, lat1, lon2, lat2) AS "
        f"2 * {EARTH_RADIUS} * asin(sqrt(least(1, pow(sin(radians(lat2 - lat1) / 2), 2)"
        " + cos(radians(lat1)) * cos(radians(lat2)) * pow(sin(radians(lon2 - lon1) / 2), 2))))"
    )
    connection.execute(
        "CREATE MACRO geo_text(p) AS CASE WHEN p IS NULL THEN NULL ELSE "
        """'{"coordinates": [' || p.lon || ', ' || p.lat || '], "type": "Point"}' END"""
    )


def _define(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    function: Any,
    takes: Any,
    gives: str,
) -> None:
    connection.create_function(name, function, takes, gives, type=PythonUDFType.ARROW)


def parsed(texts: BATCH) -> np.ndarray[Any, Any]:
    """GeoJSON texts as shapely geometries, nulls kept."""
    return np.asarray(shapely.from_geojson(np.array(texts.to_pylist(), dtype=object)))


def geojson(shape: shapely.Geometry) -> str:
    """A geometry as GeoJSON text in the recorded order of keys."""
    found = json.loads(shapely.to_geojson(shape))
    return json.dumps({"coordinates": found["coordinates"], "type": found["type"]})


def parse_literal(text: str) -> shapely.Geometry:
    """The geometry of an ODSQL literal: WKT or GeoJSON."""
    if text.lstrip().startswith("{"):
        return shapely.from_geojson(text)
    return shapely.from_wkt(text)


def _predicate_function(predicate: Any) -> Any:
    def compare(left: BATCH, right: BATCH) -> pa.Array:
        found = predicate(parsed(left), parsed(right))
        return pa.array(np.atleast_1d(found).astype(bool))

    return compare


def _outline_function(outline: Any) -> Any:
    def one(texts: list[str | None] | None) -> str | None:
        shapes = [shapely.from_geojson(text) for text in texts or () if text]
        return geojson(outline(shapely.geometrycollections(shapes))) if shapes else None

    def outline_all(lists: BATCH) -> pa.Array:
        return pa.array([one(texts) for texts in lists.to_pylist()], pa.string())

    return outline_all


@lru_cache
def _transformer(epsg: int) -> Transformer:
    try:
        return Transformer.from_crs(4326, epsg, always_xy=True)
    except CRSError:
        raise invalid_parameter("epsg", epsg, "a known EPSG code is expected") from None


def project_shapes(shapes: Any, epsg: int) -> Any:
    """An array of shapely geometries, in another reference system."""
    if epsg == 4326:
        return shapes
    return shapely.transform(shapes, _transformer(epsg).transform, interleaved=False)


def project_geojson(geometry: dict[str, Any], epsg: int) -> dict[str, Any]:
    """A GeoJSON geometry, in another reference system."""
    if epsg == 4326:
        return geometry
    return _project(geometry, _transformer(epsg))


def _project(geometry: dict[str, Any], transformer: Transformer) -> dict[str, Any]:
    def walk(part: Any) -> Any:
        if isinstance(part[0], (int, float)):
            return [*transformer.transform(part[0], part[1]), *part[2:]]
        return [walk(piece) for piece in part]

    return {**geometry, "coordinates": walk(geometry["coordinates"])}


def collection_depth(sql: str) -> str:
    """SQL for how deep the collections of a column are nested, at most a limit."""
    mark = sql_text('"geometries"')
    found = f"(length({sql}) - length(replace({sql}, {mark}, ''))) // length({mark})"
    return f"least(coalesce(max({found}), 0), {MAX_COLLECTION_DEPTH})"
