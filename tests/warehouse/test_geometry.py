"""Geometries in the warehouse: the type, the reference system and the bytes."""

import json
from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
import shapely

from ods_pipeline.errors import WarehouseError
from ods_pipeline.warehouse import Warehouse, open_warehouse
from tests.warehouse.partitions import SCHEMA, Column, geometry, geoparquet, land

TABLE = f'"{SCHEMA}".velos'
POINT, SQUARE = shapely.Point(2.35, 48.85), shapely.box(0, 0, 1, 1)
WITH_HOLE = shapely.difference(shapely.box(0, 0, 9, 9), shapely.box(1, 1, 2, 2))
Ask = Callable[..., list[tuple[object, ...]]]


def _types(ask: Ask) -> list[object]:
    return [kind for (kind,) in ask(f"SELECT column_type FROM (DESCRIBE {TABLE})")]


def test_both_geometries_of_a_dataset_become_geometry_columns_with_their_crs(
    warehouse: Warehouse, tmp_path: Path, ask: Ask
) -> None:
    columns = {
        "geo_point_2d": geometry([POINT.wkb, None], "geo_point_2d"),
        "geo_shape": geometry([SQUARE.wkb, WITH_HOLE.wkb]),
    }
    geo = geoparquet("geo_point_2d", "geo_shape")
    warehouse.load(land(tmp_path / "velos.parquet", columns, geo=geo), verdict="new")
    assert _types(ask) == ["GEOMETRY('OGC:CRS84')"] * 2
    assert ask(f"SELECT ST_CRS(geo_shape), ST_AsText(geo_point_2d) FROM {TABLE}") == [
        ("OGC:CRS84", "POINT (2.35 48.85)"),
        ("OGC:CRS84", None),
    ]


@pytest.mark.parametrize(
    ("told", "type_"),
    [
        ({}, "GEOMETRY('OGC:CRS84')"),
        ({"crs": None}, "GEOMETRY"),
        ({"crs": {"id": {"authority": "EPSG", "code": 2154}}}, "GEOMETRY('EPSG:2154')"),
        ({"crs": {"name": "somebody's own"}}, "GEOMETRY"),
    ],
)
def test_the_crs_is_the_one_that_the_file_declares(
    warehouse: Warehouse, tmp_path: Path, ask: Ask, told: dict[str, object], type_: str
) -> None:
    geo = json.dumps({"columns": {"g": {"encoding": "WKB", **told}}})
    plain = Column([POINT.wkb], pa.binary())
    warehouse.load(land(tmp_path / "velos.parquet", {"g": plain}, geo=geo), verdict="new")
    assert _types(ask) == [type_]


def test_the_crs_is_still_there_when_the_database_is_opened_again(
    database: Path, tmp_path: Path, ask: Ask
) -> None:
    landed = land(tmp_path / "velos.parquet", {"geo_shape": geometry([POINT.wkb])})
    with open_warehouse(f"duckdb:///{database}") as warehouse:
        warehouse.load(landed, verdict="new")
    assert _types(ask) == ["GEOMETRY('OGC:CRS84')"]
    with open_warehouse(f"duckdb:///{database}") as warehouse:
        assert warehouse.load(landed, verdict="data").action == "unchanged"


def test_a_database_too_old_to_keep_a_crs_is_refused_and_left_alone(tmp_path: Path) -> None:
    database = tmp_path / "old.duckdb"
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{database}' AS old (STORAGE_VERSION 'v1.0.0')")
        connection.execute("CREATE TABLE old.theirs AS SELECT 1")
    before = database.read_bytes()
    with pytest.raises(WarehouseError, match="move it away"):
        open_warehouse(f"duckdb:///{database}")
    assert database.read_bytes() == before
