"""Geometries in every notation: what is not where or what it should be never lands as it came."""

import json
import struct
from typing import Any

import pyarrow as pa
import pytest
import shapely

from ods_pipeline.dataset import Field
from ods_pipeline.tables.columns import typed
from ods_pipeline.tables.geometry_repair import CLOSED, CURVED, DEGENERATE, LEVELLED
from ods_pipeline.tables.oddities import Oddities
from ods_pipeline.tables.one_geometry import SINGLE

POINT, SHAPE = Field("f", "geo_point_2d"), Field("f", "geo_shape")
SQUARE = shapely.Polygon([(0, 0), (1, 0), (1, 1), (0, 1)])
HERE = shapely.Point(2.25, 48.5)
PLAIN = shapely.Point(3, 4)


def notations(geometry: Any) -> list[Any]:
    """A geometry as Parquet, CSV and the older APIs may have it."""
    return [
        geometry.wkb,
        geometry.wkb_hex,
        geometry.wkt,
        shapely.to_geojson(geometry),
        json.dumps({"type": "Feature", "properties": {}, "geometry": geometry.__geo_interface__}),
    ]


def read(value: Any, field: Field = SHAPE) -> tuple[Any, list[str], int]:
    """The geometry that lands, the notes about it, and how many values were bad.

    Beside a plain one: what is odd must be seen in whole columns too.
    """
    plain = PLAIN.wkb if isinstance(value, bytes) else shapely.to_geojson(PLAIN)
    column = pa.array([value, plain] if isinstance(value, bytes | str) else [value])
    oddities = Oddities()
    landed = typed(column, field, oddities=oddities)
    landed.validate(full=True)
    notes = [note for _, note in sorted(oddities.readings)]
    return shapely.from_wkb(landed[0].as_py()), notes, len(oddities.bad)


def is_bad(value: Any, field: Field = SHAPE) -> bool:
    landed, notes, bad = read(value, field)
    assert not (bad and notes), "what is left out for being bad has no notes"
    return landed is None and bad == 1


@pytest.mark.parametrize(
    "shape",
    [
        SQUARE,
        shapely.LineString([(0, 0), (1, 1)]),
        shapely.MultiPoint([(0, 0), (1, 1)]),
        shapely.GeometryCollection([HERE, SQUARE]),
    ],
)
def test_a_shape_in_a_column_of_points_is_a_bad_value(shape: Any) -> None:
    for value in notations(shape):
        assert is_bad(value, POINT)
        assert read(value) == (shape, [], 0)


@pytest.mark.parametrize(
    "shape",
    [
        shapely.MultiPoint([HERE]),
        shapely.GeometryCollection([HERE]),
        shapely.GeometryCollection([shapely.MultiPoint([HERE])]),
    ],
)
def test_a_collection_of_one_point_is_that_point_where_a_point_is_declared(shape: Any) -> None:
    for value in notations(shape):
        assert read(value, POINT) == (HERE, [SINGLE], 0)


@pytest.mark.parametrize(
    "point", [(2, 90.1), (2, -91), (361, 48), (-400, 0), (652000, 6862000), (260000, 40)]
)
def test_what_is_no_place_on_earth_is_a_bad_value(point: tuple[float, float]) -> None:
    lon, lat = point
    values = [
        *notations(shapely.Point(point)),
        f"{lat}, {lon}",
        f"[{lat}, {lon}]",
        [lat, lon],
        {"lon": lon, "lat": lat},
    ]
    for value in values:
        assert is_bad(value, POINT)
        assert is_bad(value, SHAPE)
    for value in notations(shapely.LineString([(0, 0), point])):
        assert is_bad(value)


def test_a_longitude_behind_the_antimeridian_and_a_rounded_pole_land() -> None:
    for point in ((190, 10), (-350, 10), (0, 90), (0, -90.00000000000003)):
        for value in notations(shapely.Point(point)):
            assert read(value, POINT) == (shapely.Point(point), [], 0)


def ewkb(kind: int, body: bytes, srid: int | None) -> bytes:
    if srid is None:
        return struct.pack("<BI", 1, kind) + body
    return struct.pack("<BII", 1, kind | 0x20000000, srid) + body


def pointed(srid: int | None) -> bytes:
    return ewkb(1, struct.pack("<dd", 2.25, 48.5), srid)


@pytest.mark.parametrize("outer", [None, 0, 4326])
@pytest.mark.parametrize("kind", [4, 7])
def test_the_reference_systems_of_parts_are_read_too(kind: int, outer: int | None) -> None:
    expected = shapely.MultiPoint([HERE]) if kind == 4 else shapely.GeometryCollection([HERE])
    for inner in (None, 0, 4326, 2154):
        value = ewkb(kind, struct.pack("<I", 1) + pointed(inner), outer)
        deep = ewkb(7, struct.pack("<I", 1) + value, None)
        for some in (value, value.hex(), deep):
            if inner == 2154:
                assert is_bad(some)
                assert is_bad(some, POINT)
            else:
                landed, notes, bad = read(some)
                wanted = shapely.GeometryCollection([expected]) if some is deep else expected
                assert (landed, notes, bad) == (wanted, [], 0)
    assert is_bad(ewkb(kind, struct.pack("<I", 1) + pointed(4326), 2154))


MIXED = [
    '{"type": "LineString", "coordinates": [[0, 0, 5], [1, 1]]}',
    '{"type": "LineString", "coordinates": [[0, 0], [1, 1, 5]]}',
    '{"type": "MultiPoint", "coordinates": [[0, 0], [1, 1, 5]]}',
    '{"type": "Polygon", "coordinates": [[[0, 0, 1], [1, 0], [1, 1], [0, 1]]]}',
    '{"type": "GeometryCollection", "geometries": [{"type": "Point", "coordinates": [0, 0]}, '
    '{"type": "Point", "coordinates": [1, 1, 5]}]}',
    "GEOMETRYCOLLECTION (POINT (0 0), POINT Z (1 1 5))",
    struct.pack("<BIIdddddd", 1, 1002, 2, 0, 0, float("nan"), 1, 1, 5),
]


@pytest.mark.parametrize("value", MIXED)
def test_a_geometry_of_which_only_some_positions_have_a_height_has_none(value: Any) -> None:
    landed, notes, bad = read(value)
    assert not landed.has_z
    assert "NaN" not in landed.wkt
    assert LEVELLED in notes
    assert not bad


def test_heights_of_all_positions_stay() -> None:
    line = shapely.LineString([(0, 0, 5), (1, 1, 6)])
    for value in notations(line):
        landed, notes, bad = read(value)
        assert landed.wkt == line.wkt
        assert (notes, bad) == ([], 0)
    assert is_bad(shapely.LineString([(0, 0, 5), (1, 1, float("inf"))]).wkb)


@pytest.mark.parametrize(
    ("value", "expected", "note"),
    [
        ("POLYGON ((0 0, 1 0, 1 1, 0 1))", SQUARE, CLOSED),
        ("SRID=4326;POLYGON((0 0,1 0,1 1,0 1))", SQUARE, CLOSED),
        ("multipolygon (((0 0, 1 0, 1 1, 0 1)))", shapely.MultiPolygon([SQUARE]), CLOSED),
        ("TRIANGLE ((0 0, 1 0, 1 1))", shapely.Polygon([(0, 0), (1, 0), (1, 1)]), CLOSED),
        ("LINESTRING (1 2)", None, DEGENERATE),
        ("POLYGON ((1 2, 3 4))", None, DEGENERATE),
        (
            "MULTILINESTRING ((1 2), (0 0, 1e0 1))",
            shapely.MultiLineString([[(0, 0), (1, 1)]]),
            DEGENERATE,
        ),
        (
            "GEOMETRYCOLLECTION Z (MULTIPOINT Z (0 0 1, (1 1 2)), LINESTRINGZ (1 2 3))",
            shapely.GeometryCollection([shapely.MultiPoint([(0, 0, 1), (1, 1, 2)])]),
            DEGENERATE,
        ),
    ],
)
def test_text_of_what_geos_does_not_construct_is_read_like_its_wkb(
    value: str, expected: Any, note: str
) -> None:
    assert read(value) == (expected, [note], 0)


@pytest.mark.parametrize(
    "value",
    [
        "CIRCULARSTRING (0 0, 1 1, 2 0)",
        "COMPOUNDCURVE ((-1 0, 0 0), CIRCULARSTRING (0 0, 1 1, 2 0))",
        "CURVEPOLYGON (CIRCULARSTRING (0 0, 2 0, 0 0))",
        "MULTICURVE ((0 0, 1 1), CIRCULARSTRING (0 0, 1 1, 2 0))",
        "MULTISURFACE (((0 0, 1 0, 1 1, 0 0)), CURVEPOLYGON (CIRCULARSTRING (0 0, 2 0, 0 0)))",
        "CIRCULARSTRING Z (0 0 1, 1 1 1, 2 0 1)",
        "CIRCULARSTRING M (0 0 1, 1 1 1, 2 0 1)",
        "CIRCULARSTRING ZM (0 0 1 4, 1 1 1 4, 2 0 1 4)",
    ],
)
def test_text_of_a_curve_is_a_line(value: str) -> None:
    landed, notes, bad = read(value)
    assert len(shapely.get_coordinates(landed)) > 20
    assert landed.has_z is ("Z" in value)
    assert (notes, bad) == ([CURVED], 0)


@pytest.mark.parametrize(
    "value",
    [
        "POLYGON ((0 0, 1 0, 1 1 2, 0 1))",
        "LINESTRING (1 2",
        "LINESTRING (1 2))",
        "CIRCULARSTRING (0 0, 1 1)",
        "CIRCULARSTRING (0 0, 1 a, 2 0)",
        "CIRCULARSTRING (0 0, 1_0 1, 2 0)",
        "CIRCLE (0 0, 1 1)",
        "POLYGON",
        "GEOMETRYCOLLECTION (" * 40 + "LINESTRING (1 2)" + ")" * 40,
        "an address, 5",
    ],
)
def test_text_of_no_geometry_is_a_bad_value(value: str) -> None:
    assert is_bad(value)


def test_a_feature_collection_is_the_collection_of_its_shapes() -> None:
    ring = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 1]]]}
    closed = {"type": "Polygon", "coordinates": [[*ring["coordinates"][0], [0, 0]]]}  # type: ignore[misc]
    empty = {"type": "Feature", "properties": None, "geometry": None}
    for shape, notes in ((ring, [CLOSED]), (closed, [])):
        feature = {"type": "Feature", "properties": {}, "geometry": shape}
        for features in ([feature], [empty, feature]):
            value = json.dumps({"type": "FeatureCollection", "features": features})
            assert read(value) == (shapely.GeometryCollection([SQUARE]), notes, 0)
    assert read('{"type": "FeatureCollection", "features": []}') == (None, [], 0)


@pytest.mark.parametrize(
    "value",
    [
        "nan, nan",
        "NaN,NaN",
        "[null, null]",
        "[NaN, NaN]",
        '{"lon": null, "lat": null}',
        {"lon": None, "lat": None},
        {"lon": float("nan"), "lat": float("nan")},
        [None, None],
        '{"type": "Point", "coordinates": [null, null]}',
        '{"type": "Point", "coordinates": [NaN, NaN]}',
        "nan\x1fnan",
        "POINT (nan nan)",
    ],
)
def test_a_point_of_two_missing_numbers_is_none(value: Any) -> None:
    for field in (POINT, SHAPE):
        column = pa.array([value], pa.list_(pa.float64())) if isinstance(value, list) else [value]
        oddities = Oddities()
        landed = typed(pa.array(column), field, oddities=oddities)
        assert (landed.to_pylist(), oddities.bad) == ([None], [])


@pytest.mark.parametrize(
    "value",
    [
        "nan, 2",
        "[null, 2]",
        {"lon": None, "lat": 48.0},
        {"lon": float("nan"), "lat": 48.0},
        '{"type": "Point", "coordinates": [null, 2]}',
        "NAN(1), 2",
        "NAN(1), NAN(1)",
        "1_0, 2",
        "[true, false]",
        '{"type": "Point", "coordinates": [true, 2]}',
        "inf, 2",
        "POINT (nan 2)",
    ],
)
def test_half_a_point_is_a_bad_value(value: Any) -> None:
    assert is_bad(value, POINT)
    assert is_bad(value, SHAPE)


@pytest.mark.parametrize(
    "value",
    [
        '["48.5", "2.25"]',
        "['48.5', '2.25']",
        "[48.5, 2.25]",
        ["48.5", "2.25"],
        "48.5\x1f2.25",
        " 48.5 , 2.25 ",
        '{"lon": "2.25", "lat": 48.5}',
        '{"type": "Point", "coordinates": ["2.25", 48.5]}',
    ],
)
def test_a_point_of_two_numbers_in_texts_is_read_in_every_export(value: Any) -> None:
    assert read(value, POINT) == (HERE, [], 0)


def test_what_is_left_out_as_a_bad_value_is_not_counted_as_mended() -> None:
    open_and_far = '{"type": "Polygon", "coordinates": [[[0, 0], [400, 0], [1, 1], [0, 1]]]}'
    half = json.dumps(
        {
            "type": "GeometryCollection",
            "geometries": [
                {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 1]]]},
                {"type": "Nothing"},
            ],
        }
    )
    assert is_bad(open_and_far)
    assert is_bad(half)
    assert read('{"type": "Polygon", "coordinates": [[[1, 2], [3, 4]]]}') == (None, [DEGENERATE], 0)


def test_bytes_after_a_geometry_are_a_bad_value() -> None:
    assert is_bad(SQUARE.wkb + b"\0")


@pytest.mark.parametrize("code", [4326, 2154])
def test_a_reference_system_in_geojson_is_read_wherever_it_stands(code: int) -> None:
    crs = {"type": "name", "properties": {"name": f"EPSG:{code}"}}
    point = {"type": "Point", "coordinates": [2.25, 48.5], "crs": crs}
    for value in (
        point,
        {"type": "Feature", "properties": {}, "geometry": HERE.__geo_interface__, "crs": crs},
        {"type": "GeometryCollection", "geometries": [point]},
        {"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": point}]},
    ):
        landed, notes, bad = read(json.dumps(value))
        assert (landed is None, notes, bad) == (code == 2154, [], int(code == 2154))
