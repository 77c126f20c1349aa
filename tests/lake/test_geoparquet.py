"""What a file says of its geometries is what shapely says of them, whatever they are."""

import numpy as np
import pyarrow as pa
import pyproj
import pytest
import shapely
from hypothesis import example, given
from hypothesis import strategies as st

from ods_pipeline.lake.geoparquet import CRS84, GeoSummary

NUMBER = st.floats(-180, 180, allow_nan=False)
POSITION = st.tuples(NUMBER, NUMBER)
RING = st.lists(POSITION, min_size=3, max_size=5)
GEOMETRY = st.one_of(
    POSITION.map(shapely.Point),
    st.tuples(NUMBER, NUMBER, NUMBER).map(shapely.Point),
    st.lists(POSITION, min_size=2, max_size=5).map(shapely.LineString),
    st.lists(st.tuples(NUMBER, NUMBER, NUMBER), min_size=2, max_size=3).map(shapely.LineString),
    RING.map(shapely.Polygon),
    st.tuples(RING, RING).map(lambda rings: shapely.Polygon(rings[0], [rings[1]])),
    st.lists(RING.map(shapely.Polygon), max_size=2).map(shapely.MultiPolygon),
    st.sampled_from([shapely.Polygon(), shapely.LineString(), shapely.GeometryCollection()]),
)
NAMES = {
    "Point": "Point",
    "LineString": "LineString",
    "Polygon": "Polygon",
    "MultiPolygon": "MultiPolygon",
    "GeometryCollection": "GeometryCollection",
}


@given(st.lists(st.none() | GEOMETRY, max_size=8), st.booleans(), st.integers(0, 3))
@example([shapely.LineString(), None], True, 0)
@example([shapely.Polygon(), shapely.box(1, 2, 3, 4), None, shapely.Point(9, 9)], True, 1)
def test_types_and_bounds_are_those_of_the_geometries(
    geometries: list[shapely.Geometry | None], little: bool, cut: int
) -> None:
    column = pa.array(
        [None if g is None else _written(g, little) for g in geometries],
        pa.binary(),
    )
    summary = GeoSummary()
    # A column may be a piece of another one.
    for piece in (column.slice(0, cut), column.slice(cut)):
        summary.update(piece)
    told = summary.describe()
    there = [g for g in geometries if g is not None]
    assert set(told["geometry_types"]) == {
        NAMES[g.geom_type] + (" Z" if g.has_z else "") for g in there
    }
    bounds = shapely.total_bounds(there) if there else [np.nan] * 4
    if np.isfinite(bounds).all():
        assert told["bbox"] == list(bounds)
    else:
        assert "bbox" not in told


def test_the_reference_system_is_the_one_that_proj_calls_so() -> None:
    assert pyproj.CRS.from_json_dict(CRS84).equals("OGC:CRS84")


def _written(geometry: shapely.Geometry, little: bool) -> bytes:
    return bytes(shapely.to_wkb(geometry, byte_order=int(little), flavor="iso"))


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("POINT M (1 2 9)", "Point M"),
        ("LINESTRING ZM (1 2 3 9, 4 5 6 9)", "LineString ZM"),
        ("MULTIPOINT Z (1 2 3)", "MultiPoint Z"),
        ("POLYGON M ((0 0 9, 1 0 9, 1 1 9, 0 0 9))", "Polygon M"),
    ],
)
def test_f11_geometries_with_measures_are_named_so(written: str, name: str) -> None:
    summary = GeoSummary()
    summary.update(pa.array([shapely.to_wkb(shapely.from_wkt(written), flavor="iso")]))
    assert summary.describe()["geometry_types"] == [name]
