"""Tables of the warehouse as inputs of downstream assets, beside loads and other readers."""

import gc
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import geopandas as gpd
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from ods_pipeline.dagster import resources
from ods_pipeline.emulator import Emulator
from ods_pipeline.sync.configuration import LayerChoice
from tests.dagster.downstream import given
from tests.dagster.test_io_manager import FORMS, arrow, kind_and_rows
from tests.dagster.world import FIELDS, RECORDS, World, publish, reason, world

pytestmark = pytest.mark.filterwarnings(
    # Dagster's own call, whenever a resource has one inside; goes when it no longer warns.
    "ignore:InitResourceContext.dagster_run is deprecated:DeprecationWarning"
)
LASTING = [pa.RecordBatchReader, pl.LazyFrame, duckdb.DuckDBPyRelation]
TIMED = [*FIELDS, {"name": "at", "type": "datetime"}, {"name": "shape", "type": "geo_shape"}]
LINE = {"type": "LineString", "coordinates": [[2.0, 48.0], [3.0, 49.0]]}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Tables and layers that are loaded, and a dataset that is not yet."""
    with Emulator(sample=False) as portal:
        publish(portal, "trees", "late")
        records = [{**RECORDS[0], "at": "2024-06-01T12:00:00+00:00", "shape": LINE}]
        portal.publish("roads", fields=TIMED, records=records)
        layers = LayerChoice(include=["roads"])
        with world(tmp_path_factory.mktemp("lake"), portal, features=layers) as there:
            there.look()
            for name in ("trees", "roads"):
                there.run("records", "table", over=name)
            there.run("features", "layer", over="roads")
            yield there


def loads(there: World) -> bool:
    """Whether the warehouse can be loaded again: nothing has it open."""
    there.portal.publish("trees", fields=FIELDS, records=RECORDS)
    return bool(there.run("catalog").success)


@pytest.mark.parametrize("wanted", FORMS)
def test_a_table_is_read_as_annotated_and_closed_again(loaded: World, wanted: type) -> None:
    (kind, found), _ = given(loaded, wanted, "trees", "table", kind_and_rows)
    assert kind is wanted
    assert found.column("code").to_pylist() == [record["code"] for record in RECORDS]
    assert found.column("people").to_pylist() == [record["people"] for record in RECORDS]
    assert found.num_columns == len(FIELDS)
    assert loads(loaded)


@pytest.mark.parametrize("wanted", FORMS)
def test_a_layer_is_read_as_annotated(loaded: World, wanted: type) -> None:
    (kind, found), _ = given(loaded, wanted, "roads", "layer", kind_and_rows)
    assert kind is wanted
    assert found.column("code").to_pylist() == ["00"]


@pytest.mark.parametrize("wanted", FORMS)
def test_several_tables_are_one_frame(loaded: World, wanted: type) -> None:
    if wanted is gpd.GeoDataFrame:
        # The geometry of one of them is a point, of the other a shape.
        assert "the geometry of " in reason(given(loaded, wanted, asset="table")[1])
        return
    (kind, found), _ = given(loaded, wanted, asset="table", seen=kind_and_rows)
    assert kind is wanted
    assert sorted(found.column("people").to_pylist()) == sorted([0, *range(7)])
    assert found.column("at").null_count == 7


def test_tables_by_dataset_are_those_that_are_loaded(loaded: World) -> None:
    def counts(tables: dict[str, Any]) -> dict[str, int]:
        return {name: len(arrow(rows)) for name, rows in tables.items()}

    for wanted in (pa.Table, gpd.GeoDataFrame, *LASTING):
        found, _ = given(loaded, dict[str, wanted], asset="table", seen=counts)  # type: ignore[valid-type]
        assert found == {"trees": 7, "roads": 1}
    assert loads(loaded)


def test_a_table_and_what_is_landed_are_the_same_rows(loaded: World) -> None:
    for wanted in (pd.DataFrame, gpd.GeoDataFrame):
        landed, _ = given(loaded, wanted, "roads", "records")
        table, _ = given(loaded, wanted, "roads", "table")
        # The warehouse keeps microseconds.
        table["at"] = table["at"].astype(landed["at"].dtype)
        pd.testing.assert_frame_equal(landed, table)


def test_geometry_and_its_reference_system_come_out_of_a_table(loaded: World) -> None:
    found, _ = given(loaded, gpd.GeoDataFrame, "roads", "table")
    assert found.crs == "OGC:CRS84"
    # A shape before a point, as in the lake.
    assert found.geometry.name == "shape"
    assert found.geometry.geom_type.tolist() == ["LineString"]
    assert found.place.crs == "OGC:CRS84"


@pytest.mark.parametrize("wanted", FORMS)
def test_times_of_a_table_are_utc_whatever_the_machine_says(
    loaded: World, wanted: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    (_, found), _ = given(loaded, wanted, "roads", "table", kind_and_rows)
    assert found.schema.field("at").type.tz == "UTC"
    assert found.column("at").to_pylist()[0].isoformat() == "2024-06-01T12:00:00+00:00"


@pytest.mark.parametrize("wanted", [pl.DataFrame, pl.LazyFrame])
def test_geometries_of_a_table_are_bytes_to_polars(loaded: World, wanted: type) -> None:
    schema, _ = given(loaded, wanted, "trees", "table", lambda rows: rows.lazy().collect_schema())
    assert schema["place"] == pl.Binary


@pytest.mark.parametrize("wanted", [Any, pd.DataFrame, dict[str, pa.Table]])
def test_where_nothing_is_loaded_a_sentence_says_what_to_do(there: World, wanted: Any) -> None:
    nothing = "nothing of table is loaded yet; materialize table first"
    assert reason(given(there, wanted, asset="table")[1]) == nothing
    publish(there.portal, "trees", "roads")
    there.look()
    assert reason(given(there, wanted, asset="table")[1]) == nothing
    there.run("catalog")
    assert reason(given(there, wanted, asset="table")[1]) == nothing
    one = "trees is not loaded yet; materialize table first"
    assert reason(given(there, wanted, "trees", "table")[1]) == one


@pytest.mark.parametrize("wanted", FORMS)
def test_tables_whose_columns_have_two_types_are_refused_and_the_file_is_closed(
    there: World, wanted: type
) -> None:
    publish(there.portal, "trees")
    fields = [{**FIELDS[0], "type": "int"}, FIELDS[2]]
    there.portal.publish("roads", fields=fields, records=[{"code": 1}])
    there.look()
    there.run("records", "table", over=("roads", "trees"))
    _, result = given(there, wanted, asset="table")
    assert reason(result).startswith("the datasets cannot be put into one frame: the column 'code'")
    assert loads(there)


@pytest.mark.parametrize("wanted", LASTING)
def test_what_an_asset_keeps_of_a_table_stays_readable(loaded: World, wanted: type) -> None:
    kept, _ = given(loaded, wanted, "trees", "table")
    assert len(arrow(kept)) == len(RECORDS)


def holding(path: Path) -> "subprocess.Popen[str]":
    """Another process that has the warehouse open."""
    # What an earlier test kept of a table would keep it out.
    gc.collect()
    code = f"import duckdb; c = duckdb.connect({str(path)!r}); print(1, flush=True); input()"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stdout.readline() == "1\n"
    return process


def test_a_warehouse_that_is_being_loaded_is_waited_for(
    loaded: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(loaded.settings.attributes.data_dir) / "warehouse.duckdb"
    monkeypatch.setattr(resources, "_PATIENCE", 0.2)
    with holding(path) as other:
        said = reason(given(loaded, pa.Table, "trees", "table")[1])
        assert said.startswith(f"the warehouse {path} is in use by another process")
        other.terminate()
    assert given(loaded, pa.Table, "trees", "table")[1].success


def test_readers_do_not_keep_each_other_out(loaded: World) -> None:
    path = Path(loaded.settings.attributes.data_dir) / "warehouse.duckdb"
    with duckdb.connect(path, read_only=True):
        assert given(loaded, pa.Table, "trees", "table")[1].success


def test_a_connection_of_the_users_own_that_writes_is_named(
    loaded: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "_PATIENCE", 0.0)
    path = Path(loaded.settings.attributes.data_dir) / "warehouse.duckdb"
    with duckdb.connect(path):
        said = reason(given(loaded, pa.Table, "trees", "table")[1])
    assert (
        said == f"the warehouse {path} is open for writing in this process: close it and try again"
    )
