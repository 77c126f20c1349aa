"""Geometries in the warehouse: the type, the reference system and the bytes."""

import struct
from pathlib import Path

import pyarrow as pa
import pytest
import shapely

from ods_pipeline.errors import WarehouseError
from ods_pipeline.warehouse import Warehouse
from tests.warehouse.every_engine.stores import Store
from tests.warehouse.partitions import Column, geometry, geoparquet, land

POINT, SQUARE = shapely.Point(2.35, 48.85), shapely.box(0, 0, 1, 1)
WITH_HOLE = shapely.difference(shapely.box(0, 0, 9, 9), shapely.box(1, 1, 2, 2))


@pytest.mark.parametrize(
    "shape",
    [
        POINT,
        SQUARE,
        WITH_HOLE,
        shapely.LineString([(0, 0), (1, 1)]),
        shapely.MultiPoint([(0, 0), (1, 1)]),
        shapely.MultiLineString([[(0, 0), (1, 1)], [(2, 2), (3, 3)]]),
        shapely.MultiPolygon([SQUARE, WITH_HOLE]),
        shapely.GeometryCollection([POINT, SQUARE]),
        shapely.Polygon(),
        shapely.Polygon([(0, 0), (1, 1), (0, 1), (1, 0)]),
    ],
    ids=lambda shape: shape.wkt[:24],
)
def test_a_geometry_comes_back_to_the_byte(
    warehouse: Warehouse, tmp_path: Path, store: Store, shape: shapely.Geometry
) -> None:
    column = {"geo_shape": geometry([shape.wkb])}
    landed = land(tmp_path / "velos.parquet", column, geo=geoparquet("geo_shape"))
    warehouse.load(landed, verdict="new")
    assert store.wkb("velos", "geo_shape") == [shape.wkb]


def test_a_third_dimension_is_kept(warehouse: Warehouse, tmp_path: Path, store: Store) -> None:
    point = struct.pack("<BIddd", 1, 1001, 1.0, 2.0, 3.0)
    land(tmp_path / "velos.parquet", {"geo_shape": geometry([point])})
    warehouse.load(tmp_path / "velos.parquet", verdict="new")
    assert store.wkb("velos", "geo_shape") == [point]


@pytest.mark.parametrize("geo", ["", "not json", "[]", '{"columns": {"other": {}}}'])
def test_a_geographic_field_is_a_geometry_even_if_the_file_fails_to_declare_it(
    warehouse: Warehouse, tmp_path: Path, store: Store, geo: str
) -> None:
    columns = {"where": geometry([POINT.wkb], "geo_point_2d"), "raw": Column([b"x"], pa.binary())}
    warehouse.load(land(tmp_path / "velos.parquet", columns, geo=geo), verdict="new")
    assert list(store.columns("velos").values()) == [store.types["geometry"], store.types["bytes"]]


def test_geometries_without_rows_or_without_values_keep_their_type(
    warehouse: Warehouse, tmp_path: Path, store: Store
) -> None:
    for values in ([], [None, None]):
        landed = land(tmp_path / "velos.parquet", {"geo_shape": geometry(values)})
        assert warehouse.load(landed, verdict="data").action == "loaded"
        assert store.columns("velos") == {"geo_shape": store.types["geometry"]}


def test_bytes_that_are_no_geometry_leave_the_old_table(
    warehouse: Warehouse, tmp_path: Path, store: Store
) -> None:
    partition = tmp_path / "velos.parquet"
    warehouse.load(land(partition, {"geo_shape": geometry([POINT.wkb])}), verdict="new")
    land(partition, {"geo_shape": geometry([SQUARE.wkb, b"\x01\x09"])})
    if not store.reads_geometries:
        # Bytes are bytes there: that they are geometries was proven when they landed.
        assert warehouse.load(partition, verdict="data").action == "loaded"
        return
    with pytest.raises(WarehouseError, match="velos"):
        warehouse.load(partition, verdict="data")
    assert store.wkb("velos", "geo_shape") == [POINT.wkb]
