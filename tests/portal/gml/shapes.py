"""Geometries of every kind, drawn by hypothesis."""

from typing import Any

import shapely
from hypothesis import strategies as st

LON, LAT = st.floats(-180, 180), st.floats(-90, 90)
HEIGHT = st.floats(-1e4, 1e4)


def places(high: bool) -> st.SearchStrategy[tuple[float, ...]]:
    return st.tuples(LON, LAT, HEIGHT) if high else st.tuples(LON, LAT)


def _points(high: bool) -> st.SearchStrategy[Any]:
    return places(high).map(shapely.Point)


def _lines(high: bool) -> st.SearchStrategy[Any]:
    return st.lists(places(high), min_size=2, max_size=6).map(shapely.LineString)


def _rings(high: bool) -> st.SearchStrategy[Any]:
    # GEOS closes what it thinks is open, so the first place is told apart from the last.
    return st.lists(places(high), min_size=3, max_size=6, unique=True).map(shapely.LinearRing)


def _polygons(high: bool) -> st.SearchStrategy[Any]:
    return st.tuples(_rings(high), st.lists(_rings(high), max_size=2)).map(
        lambda sides: shapely.Polygon(*sides)
    )


def _single(high: bool) -> st.SearchStrategy[Any]:
    return st.one_of(_points(high), _lines(high), _polygons(high))


def _several(high: bool) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.lists(_points(high), min_size=1, max_size=3).map(shapely.MultiPoint),
        st.lists(_lines(high), min_size=1, max_size=3).map(shapely.MultiLineString),
        st.lists(_polygons(high), min_size=1, max_size=3).map(shapely.MultiPolygon),
        st.lists(_single(high), min_size=1, max_size=3).map(shapely.GeometryCollection),
    )


SHAPES = st.booleans().flatmap(lambda high: st.one_of(_single(high), _several(high)))
EMPTY = st.sampled_from(
    [
        shapely.from_wkt(f"{kind} EMPTY")
        for kind in ("POINT", "LINESTRING", "POLYGON", "MULTIPOINT", "MULTIPOLYGON",
                     "MULTILINESTRING", "GEOMETRYCOLLECTION")
    ]
)  # fmt: skip
