"""What is loaded is read by programs of others, each with a client of its own, to the value."""

from __future__ import annotations

import io
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from html import escape
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyarrow as pa
import pyogrio
import pytest
import requests
import shapely
import sqlalchemy
from PIL import Image
from psycopg.conninfo import conninfo_to_dict

from ods_pipeline.warehouse import Warehouse
from tests.servers.wfs.bridge import PATH
from tests.servers.wfs.qgis import PROJECT, served_project
from tests.warehouse.each_value import COUNT, ROWS, TRUTH, require_same
from tests.warehouse.every_engine.stores import PostgreSQL
from tests.warehouse.other_duckdb import OtherDuckDB, require_same_values
from tests.warehouse.partitions import SCHEMA, Column, geometry, land

pytestmark = pytest.mark.servers

TABLE = f'"{SCHEMA}".velos'
#: What QGIS calls the kinds of layers, with the rows that belong to each.
LAYERS = {"Point": [1, 6], "LineString": [3], "Polygon": [2, 4]}


@pytest.fixture
def loaded(warehouse: Warehouse, tmp_path: Path) -> Path:
    """The rows are loaded, for a second time; the partition."""
    path = tmp_path / "velos.parquet"
    first = {
        name: Column(column.values[:1], column.type, column.told) for name, column in ROWS.items()
    }
    warehouse.load(land(path, first), verdict="new")
    assert warehouse.load(land(path, ROWS), verdict="data").rows == COUNT
    return path


@pytest.fixture(scope="session")
def other_duckdb(tmp_path_factory: pytest.TempPathFactory) -> OtherDuckDB:
    return OtherDuckDB(tmp_path_factory.mktemp("duckdb"), "postgres_scanner", "spatial")


def _attached(store: PostgreSQL) -> list[str]:
    return [f"ATTACH '{store.url}' AS warehouse (TYPE postgres, READ_ONLY)"]


@pytest.fixture
def on_the_path(store: PostgreSQL) -> None:
    """The user finds PostGIS without naming its schema."""
    name = conninfo_to_dict(store.url)["dbname"]
    store.ask(f'ALTER ROLE CURRENT_USER IN DATABASE "{name}" SET search_path = public, gis')


@pytest.fixture
def map_server(loaded: Path, on_the_path: None, store: PostgreSQL, tmp_path: Path) -> Iterator[str]:
    """QGIS Server with the table as a layer of each kind of geometry, as QGIS divides it."""
    with served_project(tmp_path, _project(store.url)) as url:
        yield url + PATH


def test_geopandas_reads_each_value_and_the_reference_system(
    loaded: Path, on_the_path: None, store: PostgreSQL
) -> None:
    frame = _frame(store.url, f"SELECT * FROM {TABLE} WHERE n <> 5 ORDER BY n")
    assert frame.crs == "EPSG:4326"
    found = frame.to_wkb().astype(object).to_dict("records")
    for row in found:
        row["moment"] = row["moment"].to_pydatetime().astimezone(UTC)
    require_same(found, [row for row in TRUTH if row["n"] != 5])
    # Apart: pandas would make floats of integers, some of which are missing.
    nothing = _frame(store.url, f"SELECT * FROM {TABLE} WHERE n = 5")
    assert nothing.drop(columns="n").isna().to_numpy().tolist() == [[True] * (len(ROWS) - 1)]


def test_the_table_is_listed_as_a_layer(loaded: Path, store: PostgreSQL) -> None:
    listed = store.ask("SELECT f_table_name, coord_dimension, srid, type FROM gis.geometry_columns")
    assert ("velos", 2, 4326, "GEOMETRY") in listed


def test_gdal_reads_each_value(loaded: Path, store: PostgreSQL, tmp_path: Path) -> None:
    source = (f"PG:{store.url}", f"{SCHEMA}.velos")
    # One keeps lists, the other all bits of a coordinate.
    lists, places = tmp_path / "velos.geojson", tmp_path / "velos.gpkg"
    _run("ogr2ogr", "-f", "GeoJSON", "-lco", "SIGNIFICANT_FIGURES=17", str(lists), *source)
    _run("ogr2ogr", "-f", "GPKG", "-select", "n", str(places), *source)
    found = [_of_json(feature) for feature in json.loads(lists.read_text())["features"]]
    about, table = pyogrio.read_arrow(places)
    assert about["crs"] == "EPSG:4326"
    assert table["n"].to_pylist() == [row["n"] for row in found]
    shapes = table["geo_shape"].to_pylist()
    found = [{**row, "geo_shape": shape} for row, shape in zip(found, shapes, strict=True)]
    # GDAL 3.6 loses backslashes, empty texts and the word NULL in a list, and writes no empty list.
    truth = [dict(row) for row in TRUTH]
    for row in (*found[1:4], *truth[1:4]):
        row.pop("liste", None)
    require_same(found, truth)


def test_gdal_is_told_the_type_of_each_column_and_the_reference_system(
    loaded: Path, store: PostgreSQL
) -> None:
    said = _run("ogrinfo", "-ro", "-so", f"PG:{store.url}", f"{SCHEMA}.velos")
    assert f"Feature Count: {COUNT}" in said
    assert 'ID["EPSG",4326]' in said
    assert "Extent: (-4.000000, 40.300000) - (8.000000, 49.500000)" in said
    assert "Geometry Column = geo_shape" in said
    kinds = {
        **{"n": "Integer64", "texte": "String", "liste": "StringList", "entier": "Integer64"},
        **{"réel": "Real", "jour": "Date", "moment": "DateTime", "ouvert": "Integer(Boolean)"},
    }
    lines = said.splitlines()
    for name, kind in kinds.items():
        assert any(line.startswith(f"{name}: {kind} (") for line in lines), said


def test_gdal_selects_by_place(loaded: Path, store: PostgreSQL) -> None:
    box = ("-spat", "2", "48", "3", "49")
    said = _run("ogrinfo", "-ro", "-al", "-geom=NO", *box, f"PG:{store.url}", f"{SCHEMA}.velos")
    assert "Feature Count: 2" in said
    assert [line.strip() for line in said.splitlines() if line.startswith("  n (")] == [
        "n (Integer64) = 1",
        "n (Integer64) = 2",
    ]


def test_another_duckdb_reads_each_value(
    loaded: Path, store: PostgreSQL, other_duckdb: OtherDuckDB
) -> None:
    table = f"warehouse.{TABLE}"
    values = (
        f"* REPLACE (epoch_ms(moment) AS moment, ST_AsWKB(geo_shape) AS geo_shape) FROM {table}"
    )
    kinds, rows = other_duckdb.ask(
        _attached(store), f"DESCRIBE {table}", f"SELECT {values} ORDER BY n"
    )
    assert [kind for _, kind, *_ in kinds] == [
        *("BIGINT", "VARCHAR", "VARCHAR[]", "BIGINT", "DOUBLE", "DATE"),
        *("TIMESTAMP WITH TIME ZONE", "BOOLEAN", "GEOMETRY"),
    ]
    require_same_values(rows)


def test_another_duckdb_joins_by_place(
    loaded: Path, store: PostgreSQL, other_duckdb: OtherDuckDB
) -> None:
    query = (
        f"SELECT a.n, b.n FROM warehouse.{TABLE} a JOIN warehouse.{TABLE} b "
        "ON ST_Contains(a.geo_shape, b.geo_shape) AND a.n <> b.n"
    )
    assert other_duckdb.ask(_attached(store), query) == [[[2, 1]]]


def test_another_duckdb_reads_many_rows_once_each(
    warehouse: Warehouse, store: PostgreSQL, other_duckdb: OtherDuckDB, tmp_path: Path
) -> None:
    count = 100_000  # A scan is divided among threads by pages of the table.
    columns = {
        "n": Column(range(count), pa.int64()),
        "t": Column([f"{n:0200}" for n in range(count)]),
    }
    warehouse.load(land(tmp_path / "velos.parquet", columns), verdict="new")
    query = f"SELECT count(*), count(DISTINCT n), sum(length(t))::BIGINT FROM warehouse.{TABLE}"
    assert other_duckdb.ask(_attached(store), query) == [[[count, count, 200 * count]]]


def test_heights_are_read(
    warehouse: Warehouse,
    on_the_path: None,
    store: PostgreSQL,
    other_duckdb: OtherDuckDB,
    tmp_path: Path,
) -> None:
    height = shapely.Point(2.3333333333333335, 48.85341000000001, 35.1)
    shapes = geometry([shapely.to_wkb(height, flavor="iso")])
    columns = {"n": Column([1], pa.int64()), "geo_shape": shapes}
    warehouse.load(land(tmp_path / "velos.parquet", columns), verdict="new")
    frame = _frame(store.url, f"SELECT * FROM {TABLE}")
    assert [shape.wkb for shape in frame.geometry] == [height.wkb]
    said = _run("ogrinfo", "-ro", "-al", f"PG:{store.url}", f"{SCHEMA}.velos")
    assert "POINT Z (2.33333333333333 48.85341 35.1)" in said
    query = f"SELECT ST_AsWKB(geo_shape) FROM warehouse.{TABLE}"
    (((found,),),) = other_duckdb.ask(_attached(store), query)
    assert shapely.from_wkb(found).wkb == height.wkb


def test_qgis_server_gives_each_value_of_the_rows_that_have_a_place(map_server: str) -> None:
    found = []
    for layer, numbers in LAYERS.items():
        features = _features(map_server, layer)
        assert [feature["properties"]["n"] for feature in features] == numbers
        found += [_of_json(feature) for feature in features]
    found.sort(key=lambda row: row["n"])
    there = [row for row in TRUTH if row["geo_shape"]]
    shapes = [shapely.from_wkb([row["geo_shape"] for row in rows]) for rows in (found, there)]
    # It writes six decimals.
    assert shapely.equals_exact(*shapes, tolerance=1e-6).all()
    require_same(*([{**row, "geo_shape": None} for row in rows] for rows in (found, there)))


def test_qgis_server_draws_shapes_where_they_are(map_server: str) -> None:
    # A pixel is a tenth of a degree, the first one north-west.
    picture = _map(map_server, "Polygon", (-5, 40, 10, 50))
    assert picture.shape == (100, 150)

    def drawn(x: float, y: float) -> bool:
        return bool(picture[int((50 - y) * 10), int((x + 5) * 10)])

    assert drawn(7.05, 48.75)
    assert not drawn(3.55, 49.05)  # the hole
    assert drawn(-3.75, 41.25)
    assert drawn(-1.75, 41.25)
    assert not drawn(-2.45, 41.25)
    assert not drawn(7.05, 41.25)


def test_qgis_server_shows_the_new_rows_after_a_load_without_a_new_start(
    map_server: str, loaded: Path, warehouse: Warehouse
) -> None:
    assert len(_features(map_server, "Polygon")) == 2
    east = shapely.box(20, 40, 21, 41)
    rows = {**ROWS, "geo_shape": geometry([east.wkb] * COUNT)}
    assert warehouse.load(land(loaded, rows), verdict="data").action == "loaded"
    features = _features(map_server, "Polygon")
    assert [shapely.from_geojson(json.dumps(f["geometry"])) for f in features] == [east] * COUNT
    assert _map(map_server, "Polygon", (20, 40, 21, 41)).all()
    assert not _map(map_server, "Polygon", (-5, 40, 10, 50)).any()


def _frame(url: str, query: str) -> geopandas.GeoDataFrame:
    engine = sqlalchemy.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    try:
        return geopandas.read_postgis(query, engine, geom_col="geo_shape")
    finally:
        engine.dispose()


def _of_json(feature: Mapping[str, Any]) -> dict[str, Any]:
    """A feature of GeoJSON as a row."""
    row, shape = dict(feature["properties"]), feature["geometry"]
    row["jour"] = row["jour"] and date.fromisoformat(row["jour"].replace("/", "-"))
    moment = row["moment"] and row["moment"].replace("/", "-")
    row["moment"] = moment and datetime.fromisoformat(moment).astimezone(UTC)
    return {**row, "geo_shape": shape and shapely.from_geojson(json.dumps(shape)).wkb}


def _run(*words: str) -> str:
    # What the user's environment says is about another server.
    environment = {name: text for name, text in os.environ.items() if not name.startswith("PG")}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, (words, done.stdout[-2000:], done.stderr[-4000:])
    assert not done.stderr
    return done.stdout


def _project(url: str) -> str:
    told = conninfo_to_dict(url)
    names = ("dbname", "host", "port", "user", "password")
    address = " ".join(f"{name}='{told[name]}'" for name in names)
    # QGIS drops layers whose identifiers have 10 characters or fewer.
    ids = {kind: f"layer_of_the_city_{kind}" for kind in LAYERS}
    sources = {
        kind: escape(f"{address} srid=4326 type={kind} table={TABLE} (geo_shape)")
        for kind in LAYERS
    }
    layers = [
        f"""<maplayer type="vector"><id>{ids[kind]}</id><layername>{kind}</layername>
        <datasource>{source}</datasource><provider encoding="UTF-8">postgres</provider>
        <srs><spatialrefsys><authid>EPSG:4326</authid></spatialrefsys></srs></maplayer>"""
        for kind, source in sources.items()
    ]
    published = "".join(f"<value>{id}</value>" for id in ids.values())
    return PROJECT.format(layers="".join(layers), published=published, precisions="")


def _asked(url: str, **parameters: str) -> requests.Response:
    response = requests.get(url, parameters, timeout=60)
    response.raise_for_status()
    return response


def _features(url: str, layer: str) -> list[dict[str, Any]]:
    """The features of a layer by WFS, in the order of their numbers."""
    told = {"SERVICE": "WFS", "VERSION": "1.1.0", "REQUEST": "GetFeature", "TYPENAME": layer}
    features = _asked(url, **told, OUTPUTFORMAT="application/json").json()["features"]
    return sorted(features, key=lambda feature: feature["properties"]["n"])


def _map(url: str, layer: str, box: tuple[int, int, int, int]) -> np.ndarray:
    """Which pixels a layer has drawn by WMS, ten a degree; colours are the server's choice."""
    west, south, east, north = box
    told = {
        "SERVICE": "WMS",
        "VERSION": "1.3.0",
        "REQUEST": "GetMap",
        "LAYERS": layer,
        "STYLES": "",
    }
    size = {"WIDTH": str((east - west) * 10), "HEIGHT": str((north - south) * 10)}
    place = {"CRS": "CRS:84", "BBOX": f"{west},{south},{east},{north}", "TRANSPARENT": "TRUE"}
    drawn = _asked(url, **told, **size, **place, FORMAT="image/png").content
    with Image.open(io.BytesIO(drawn)) as picture:
        return np.asarray(picture.convert("RGBA"))[:, :, 3] > 0
