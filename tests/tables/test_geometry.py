"""Geometry as exports write it, and as GeoParquet's readers get it back."""

import json
import math
import struct
from pathlib import Path
from typing import Any

import duckdb
import geopandas
import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from ods_pipeline.dataset import Field
from ods_pipeline.errors import TypeMismatch
from ods_pipeline.lake.lake import Lake
from ods_pipeline.lake.receipt import Receipt
from ods_pipeline.lake.writer import PartitionWriter
from ods_pipeline.tables.columns import typed
from ods_pipeline.tables.geometry import primary
from ods_pipeline.tables.schema import arrow_schema

POINT = Field("here", "geo_point_2d", "Ici")
SHAPE = Field("outline", "geo_shape", "Contour")
LONGITUDES, LATITUDES = st.floats(-180, 180), st.floats(-90, 90)
TRIANGLE = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [0, 1], [0, 0]]]}


def point(lon: float, lat: float) -> bytes:
    return struct.pack("<BIdd", 1, 1, lon, lat)


def shapes(values: list[str | None] | pa.Array) -> list[Any]:
    column = typed(values if isinstance(values, pa.Array) else pa.array(values), SHAPE)
    return [None if value is None else shapely.from_wkb(value) for value in column.to_pylist()]


@settings(deadline=None)
@given(st.lists(st.none() | st.tuples(LONGITUDES, LATITUDES)))
def test_latitude_before_longitude_becomes_longitude_before_latitude(
    pairs: list[tuple[float, float] | None],
) -> None:
    written = [None if pair is None else f"{pair[1]!r}, {pair[0]!r}" for pair in pairs]
    expected = [None if pair is None else point(*pair) for pair in pairs]
    assert typed(pa.array(written, pa.string()), POINT).to_pylist() == expected


def test_a_slice_of_points_with_nulls_is_read_from_its_own_beginning() -> None:
    column = pa.array(["1, 2", None, "3, 4", "", "5, 6"]).slice(1)
    assert typed(column, POINT).to_pylist() == [None, point(4, 3), None, point(6, 5)]


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["48.5,2.25"]),
        pa.array(["48.5 , 2.25"]),
        pa.array(['{"lon": 2.25, "lat": 48.5}']),
        pa.array(['{"type": "Point", "coordinates": [2.25, 48.5]}']),
        pa.array([{"lon": 2.25, "lat": 48.5}]),
        pa.array([point(2.25, 48.5)]),
        pa.array([point(2.25, 48.5)], pa.large_binary()),
        pa.array([point(2.25, 48.5)], pa.binary(21)),
        pa.array([struct.pack(">BIdd", 0, 1, 2.25, 48.5)]),
        pa.array([struct.pack("<BIIdd", 1, 0x20000001, 4326, 2.25, 48.5)]),
    ],
)
def test_a_point_is_the_same_in_every_form_that_exports_use(column: pa.Array) -> None:
    assert typed(column, POINT).to_pylist() == [point(2.25, 48.5)]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (json.dumps(TRIANGLE), shapely.Polygon([(0, 0), (1, 0), (0, 1)])),
        (
            json.dumps({"type": "Feature", "geometry": TRIANGLE, "properties": {}}),
            shapely.Polygon([(0, 0), (1, 0), (0, 1)]),
        ),
        ('{"type": "Point", "coordinates": [1, 2, 3]}', shapely.Point(1, 2, 3)),
        (
            '{"type": "LineString", "coordinates": [[1, 2, 3], [4, 5, 6]]}',
            shapely.LineString([(1, 2, 3), (4, 5, 6)]),
        ),
        ('{"type": "Feature", "geometry": null, "properties": {}}', None),
        ("null", None),
        ("", None),
        (None, None),
        ('{"type": "GeometryCollection", "geometries": []}', None),
    ],
)
def test_a_shape_is_read_alone_or_as_a_feature(written: str | None, expected: Any) -> None:
    (found,) = shapes(pa.array([written], pa.string()))
    assert found == expected
    if expected is not None:
        assert found.has_z == expected.has_z


def test_one_odd_shape_among_others_does_not_change_the_others() -> None:
    triangle = json.dumps(TRIANGLE)
    first, nothing, last = shapes([triangle, "null", triangle])
    assert nothing is None
    assert first == last == shapely.Polygon([(0, 0), (1, 0), (0, 1)])


def test_an_invalid_ring_stays_as_the_publisher_drew_it() -> None:
    bow_tie = [[0.0, 0.0], [1.0, 1.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]
    (found,) = shapes([json.dumps({"type": "Polygon", "coordinates": [bow_tie]})])
    assert not found.is_valid
    assert [list(pair) for pair in found.exterior.coords] == bow_tie


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (POINT, "48.5"),
        (POINT, "48.5; 2.25"),
        (POINT, "48.5, 2.25, 7"),
        (POINT, "north, east"),
        (POINT, b"\x01\x01"),
        (SHAPE, '{"type": "Point"}'),
        (SHAPE, '{"type": "Feature"}'),
        (SHAPE, '{"type": "Polygon", "coordinates": [[1, 2]]}'),
        (SHAPE, '{"type": "Point", "coordinates": ["a", "b"]}'),
        (SHAPE, "Paris"),
        (SHAPE, '{"a":' * 50_000),
        (SHAPE, struct.pack("<BII", 1, 13, 0)),
        (SHAPE, struct.pack("<BII", 1, 3, 1 << 31)),
        (SHAPE, struct.pack("<BIIdd", 1, 0x20000001, 2154, 652000.0, 6862000.0)),
        (POINT, "nan, inf"),
    ],
)
def test_what_is_no_geometry_is_refused_with_field_and_row(field: Field, value: Any) -> None:
    with pytest.raises(TypeMismatch) as refusal:
        typed(pa.array([None, value]), field, row=7)
    assert (refusal.value.field, refusal.value.row) == (field.name, 8)


def test_a_shape_is_primary_before_a_point_and_the_first_of_each_kind_before_the_next() -> None:
    assert primary([POINT, SHAPE]) == "outline"
    assert primary([POINT, Field("there", "geo_point_2d")]) == "here"
    assert primary([Field("a", "text")]) == ""


@pytest.fixture
def partition(tmp_path: Path) -> Path:
    fields = (Field("name", "text", "Nom"), POINT, SHAPE)
    schema = arrow_schema(fields)
    outlines = [shapely.box(2, 48, 3, 49).wkb, shapely.Point(7, 43, 12).wkb, None]
    points = [point(2.5, 48.5), None, point(7, 43)]
    rows = pa.RecordBatch.from_pydict(
        {"name": ["Paris", "Nice", None], "here": points, "outline": outlines}, schema=schema
    )
    lake = Lake.of(tmp_path, "portal.test")
    target = lake.partition("records", "towns")
    with PartitionWriter(lake, target, schema, primary(fields)) as writer:
        writer.write(rows)
        writer.publish(Receipt("portal.test", "records", "towns", title="Villes", license="ODbL"))
    return target


def test_geopandas_reads_a_partition_with_its_crs_and_both_geometries(partition: Path) -> None:
    frame = geopandas.read_parquet(partition)
    assert frame.geometry.name == "outline"
    assert frame.crs.to_string() == "OGC:CRS84"
    assert frame["here"].crs.to_string() == "OGC:CRS84"
    assert frame["here"].iloc[0] == shapely.Point(2.5, 48.5)
    assert frame["outline"].iloc[0].equals(shapely.box(2, 48, 3, 49))
    assert frame["outline"].iloc[2] is None
    assert list(frame["name"])[:2] == ["Paris", "Nice"]


def test_duckdb_reads_a_partition_with_its_crs_and_both_geometries(partition: Path) -> None:
    with duckdb.connect() as connection:
        types = connection.execute("DESCRIBE FROM read_parquet(?)", [str(partition)]).fetchall()
        rows = connection.execute(
            "SELECT name, here::VARCHAR, outline::VARCHAR FROM read_parquet(?)", [str(partition)]
        ).fetchall()
    assert {name: kind for name, kind, *_ in types} == {
        "name": "VARCHAR",
        "here": "GEOMETRY('OGC:CRS84')",
        "outline": "GEOMETRY('OGC:CRS84')",
    }
    assert rows[0] == ("Paris", "POINT (2.5 48.5)", "POLYGON ((3 48, 3 49, 2 49, 2 48, 3 48))")
    assert rows[1] == ("Nice", None, "POINT Z (7 43 12)")


def test_pyogrio_takes_a_partition_on_with_its_crs(partition: Path, tmp_path: Path) -> None:
    # The wheels' GDAL has no Parquet driver (a conda build has): it gets the rows from GeoPandas.
    assert "Parquet" not in pyogrio.list_drivers() or pyogrio.read_info(partition)["crs"]
    frame = geopandas.read_parquet(partition).drop(columns="here")
    pyogrio.write_dataframe(frame, tmp_path / "towns.gpkg", layer="towns")
    again = pyogrio.read_dataframe(tmp_path / "towns.gpkg")
    assert "CRS84" in again.crs.to_wkt()
    assert list(again.geometry) == list(frame.geometry)


def test_plain_pyarrow_finds_types_labels_receipt_and_geometry_in_the_schema(
    partition: Path,
) -> None:
    schema = pq.read_schema(partition)
    assert schema.types == [pa.string(), pa.binary(), pa.binary()]
    assert schema.field("here").metadata == {b"ods_type": b"geo_point_2d", b"label": b"Ici"}
    told = schema.metadata
    assert told[b"portal"] == b"portal.test"
    assert told[b"kind"] == b"records"
    assert told[b"title"] == b"Villes"
    assert told[b"row_count"] == b"3"
    assert b"publisher" not in told
    geo = json.loads(told[b"geo"])
    assert (geo["version"], geo["primary_column"]) == ("1.1.0", "outline")
    here, outline = geo["columns"]["here"], geo["columns"]["outline"]
    assert (here["encoding"], here["geometry_types"]) == ("WKB", ["Point"])
    assert outline["geometry_types"] == ["Point Z", "Polygon"]
    assert here["bbox"] == [2.5, 43, 7, 48.5]
    assert all(math.isfinite(bound) for bound in outline["bbox"])
    for column in (here, outline):
        assert column["crs"]["id"] == {"authority": "OGC", "code": "CRS84"}


def test_parquet_readers_that_know_no_arrow_find_the_receipt_too(partition: Path) -> None:
    with duckdb.connect() as connection:
        told = connection.execute(
            "SELECT key, value FROM parquet_kv_metadata(?)", [str(partition)]
        ).fetchall()
    entries = dict(told)
    assert entries[b"dataset_id"] == b"towns"
    assert entries[b"license"] == b"ODbL"
    assert len(told) == len(entries)
