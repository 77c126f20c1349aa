"""Landed partitions read back as what a downstream asset's annotation asks for."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb
import geopandas as gpd
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from ods_pipeline.dagster.component import OpendatasoftPortal
from ods_pipeline.emulator import Emulator
from tests.dagster.downstream import given
from tests.dagster.world import FIELDS, RECORDS, World, publish, reason, world

pytestmark = pytest.mark.filterwarnings(
    # Dagster's own call, whenever a resource has one inside; goes when it no longer warns.
    "ignore:InitResourceContext.dagster_run is deprecated:DeprecationWarning"
)
FORMS = [
    pa.Table,
    pa.RecordBatchReader,
    pd.DataFrame,
    gpd.GeoDataFrame,
    pl.DataFrame,
    pl.LazyFrame,
    duckdb.DuckDBPyRelation,
]


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Datasets that are landed, and one that is not yet."""
    with Emulator(sample=False) as portal:
        publish(portal, "trees", "roads", "late")
        portal.publish("flat", fields=[{"name": "a", "type": "int"}], records=[{"a": 1}])
        with world(tmp_path_factory.mktemp("lake"), portal, datasets_per_run=5) as there:
            there.look()
            for name in ("trees", "roads", "flat"):
                there.run("records", over=name)
            there.run("catalog")
            yield there


def arrow(rows: Any) -> pa.Table:
    """Rows of any form, as Arrow has them."""
    if isinstance(rows, pa.RecordBatchReader):
        return rows.read_all()
    if isinstance(rows, pl.LazyFrame):
        rows = rows.collect()
    if isinstance(rows, pl.DataFrame):
        return rows.to_arrow()
    if isinstance(rows, gpd.GeoDataFrame):
        return pa.table(rows.to_arrow())
    if isinstance(rows, pd.DataFrame):
        return pa.Table.from_pandas(rows)
    return rows.to_arrow_table() if isinstance(rows, duckdb.DuckDBPyRelation) else rows


def kind_and_rows(rows: Any) -> tuple[type, pa.Table]:
    return type(rows), arrow(rows)


@pytest.mark.parametrize("wanted", FORMS)
def test_a_partition_is_read_as_annotated(landed: World, wanted: type) -> None:
    (kind, found), _ = given(landed, wanted, "trees", seen=kind_and_rows)
    assert kind is wanted
    assert found.column("code").to_pylist() == [record["code"] for record in RECORDS]
    assert found.column("people").to_pylist() == [record["people"] for record in RECORDS]
    assert found.num_columns == len(FIELDS)


@pytest.mark.parametrize("wanted", FORMS)
def test_several_partitions_are_one_frame(landed: World, wanted: type) -> None:
    (kind, found), _ = given(landed, wanted, seen=kind_and_rows)
    assert kind is wanted
    codes = [record["code"] for record in RECORDS]
    assert sorted(found.column("code").to_pylist(), key=str) == sorted(
        [*codes, *codes, None], key=str
    )
    # `flat` has one column, which the others do not have, and none of theirs.
    assert sorted(found.column("a").to_pylist(), key=str) == [1, *[None] * 14]


@pytest.mark.parametrize("wanted", FORMS)
def test_a_column_of_one_name_and_two_types_is_refused(there: World, wanted: type) -> None:
    publish(there.portal, "trees")
    there.portal.publish(
        "roads", fields=[{**FIELDS[0], "type": "int"}, FIELDS[2]], records=[{"code": 1}]
    )
    there.look()
    there.run("records", over=("roads", "trees"))
    _, result = given(there, wanted)
    said = reason(result)
    assert said.startswith("the datasets cannot be put into one frame: the column 'code' is ")
    assert said.endswith("take them one by one, as dict[str, …]")


@pytest.mark.parametrize("wanted", [pd.DataFrame, gpd.GeoDataFrame])
@pytest.mark.parametrize("over", ["trees", None])
def test_an_integer_beside_a_null_keeps_its_last_bit(
    there: World, wanted: type, over: str | None
) -> None:
    many = 2**53 + 1
    records = [{**RECORDS[0], "people": many}, {**RECORDS[1], "people": None}]
    there.portal.publish("trees", fields=FIELDS, records=records)
    there.portal.publish("roads", fields=FIELDS[:1], records=[{"code": "1"}])
    there.look()
    there.run("records", over=("roads", "trees"))
    found, _ = given(there, wanted, over)
    assert many in found["people"].dropna().tolist()
    assert found["people"].isna().sum() == (1 if over else 2)


def test_a_reader_goes_from_file_to_file(landed: World) -> None:
    def first(reader: pa.RecordBatchReader) -> tuple[int, int]:
        return len(reader.read_next_batch()), sum(len(batch) for batch in reader)

    assert given(landed, pa.RecordBatchReader, seen=first)[0] in {(7, 8), (1, 14)}


def test_a_lazy_frame_has_read_nothing(landed: World) -> None:
    plan, _ = given(landed, pl.LazyFrame, "trees", seen=lambda rows: rows.explain())
    assert "Parquet SCAN" in plan


def test_a_relation_asks_the_file_with_geometries_as_in_the_warehouse(landed: World) -> None:
    def most(rows: duckdb.DuckDBPyRelation) -> list[tuple[Any, ...]]:
        return rows.filter("people > 4").aggregate("max(code), count(*)").fetchall()

    assert given(landed, duckdb.DuckDBPyRelation, "trees", seen=most)[0] == [("06", 2)]
    kinds, _ = given(
        landed, duckdb.DuckDBPyRelation, "trees", seen=lambda rows: list(map(str, rows.types))
    )
    assert kinds == ["VARCHAR", "BIGINT", "GEOMETRY('OGC:CRS84')"]


def test_an_annotation_that_says_nothing_gives_a_table(landed: World) -> None:
    for over in ("trees", None):
        (kind, _), _ = given(landed, Any, over, seen=kind_and_rows)
        assert kind is pa.Table


@pytest.mark.parametrize("wanted", [list, pa.RecordBatch, dict[str, list], pd.DataFrame | None])
def test_an_annotation_that_nothing_can_be_read_as_is_told_with_what_can(
    landed: World, wanted: Any
) -> None:
    said = reason(given(landed, wanted, "trees")[1])
    assert said.startswith("rows cannot be given as ")
    for form in ("pyarrow.Table", "polars.LazyFrame", "duckdb.DuckDBPyRelation", "dict[str, …]"):
        assert form in said


@pytest.mark.parametrize("wanted", [pl.DataFrame, pl.LazyFrame])
def test_polars_is_asked_for_by_name_where_it_is_not_installed(
    landed: World, wanted: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "polars", None)
    assert "pip install polars" in reason(given(landed, wanted, "trees")[1])


@pytest.mark.parametrize("over", ["trees", None])
def test_geometry_comes_back_with_its_reference_system(landed: World, over: str | None) -> None:
    found, _ = given(landed, gpd.GeoDataFrame, over)
    assert found.crs == "OGC:CRS84"
    assert found.geometry.name == "place"
    assert (found.geometry.dropna().x == 2.0).all()


def test_datasets_with_geometries_in_different_columns_are_no_geodataframe(there: World) -> None:
    publish(there.portal, "trees")
    there.portal.publish(
        "roads",
        fields=[{"name": "spot", "type": "geo_point_2d"}],
        records=[{"spot": {"lon": 2.0, "lat": 48.0}}],
    )
    there.look()
    there.run("records", over=("roads", "trees"))
    _, result = given(there, gpd.GeoDataFrame)
    assert "the geometry of " in reason(result)
    assert "dict[str, geopandas.GeoDataFrame]" in reason(result)
    found, _ = given(there, dict[str, gpd.GeoDataFrame])
    assert {name: rows.geometry.name for name, rows in found.items()} == {
        "roads": "spot",
        "trees": "place",
    }


@pytest.mark.parametrize(
    "wanted",
    [
        dict,
        dict[str, pa.Table],
        dict[str, pd.DataFrame],
        Mapping[str, pd.DataFrame],
        dict[str, pl.DataFrame],
        dict[str, duckdb.DuckDBPyRelation],
    ],
)
def test_an_asset_over_all_datasets_gets_those_that_landed_by_their_names(
    landed: World, wanted: Any
) -> None:
    found, result = given(
        landed, wanted, seen=lambda all_: {name: len(arrow(rows)) for name, rows in all_.items()}
    )
    assert found == {"trees": 7, "roads": 7, "flat": 1}
    assert result.success


def test_an_asset_of_a_users_own_has_the_partitions_of_the_portal(landed: World) -> None:
    portal = OpendatasoftPortal(portal=landed.portal.url, name="demo")
    assert portal.partitions == landed.settings.partitions
    assert portal.layer_partitions == landed.settings.layer_partitions
    assert "trees" in portal.partitions.get_partition_keys(dynamic_partitions_store=landed.instance)


def test_the_catalog_is_read_too(landed: World) -> None:
    for wanted in FORMS:
        if wanted is not gpd.GeoDataFrame:
            (_, found), _ = given(landed, wanted, asset="catalog", seen=kind_and_rows)
            assert found.column("dataset_id").to_pylist() == ["flat", "late", "roads", "trees"]


@pytest.mark.parametrize(
    ("over", "wanted", "sentence"),
    [
        ("flat", gpd.GeoDataFrame, "flat: there is no geographic field"),
        ("late", pa.Table, "late is not landed yet; materialize records first"),
        ("late", dict[str, pa.Table], "late is not landed yet; materialize records first"),
    ],
)
def test_what_cannot_be_read_is_told_in_one_sentence(
    landed: World, over: str, wanted: type, sentence: str
) -> None:
    assert reason(given(landed, wanted, over)[1]).startswith(sentence)


@pytest.mark.parametrize("wanted", [Any, pd.DataFrame, dict[str, pa.Table]])
def test_where_nothing_is_landed_a_sentence_says_what_to_do(there: World, wanted: Any) -> None:
    nothing = "nothing of records is landed yet; materialize records first"
    assert reason(given(there, wanted)[1]) == nothing
    publish(there.portal, "trees", "roads")
    there.look()
    assert reason(given(there, wanted)[1]) == nothing


@pytest.mark.parametrize("wanted", FORMS)
def test_any_name_of_the_folder_can_be_read(tmp_path: Path, portal: Emulator, wanted: type) -> None:
    publish(portal, "trees")
    with world(tmp_path / "year=2024 [a]*", portal) as there:
        there.look()
        there.run("records", over="trees")
        (_, found), _ = given(there, wanted, "trees", seen=kind_and_rows)
        assert found.column_names == ["code", "people", "place"]


def test_an_identifier_that_leads_elsewhere_is_no_partition_and_stays_in_its_folder(
    there: World,
) -> None:
    publish(there.portal, "..%2fevil", "../evil")
    there.look()
    assert there.partitions == {"..%2fevil"}
    there.run("records", over="..%2fevil")
    found, _ = given(there, pa.Table, "..%2fevil")
    assert len(found) == len(RECORDS)
    found = list(there.lake.root.parent.parent.rglob("*evil*"))
    assert [path.parent for path in found] == [there.lake.root / "records"]
