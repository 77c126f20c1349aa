"""Landed partitions read back as what a downstream asset's annotation asks for."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import geopandas as gpd
import pandas as pd
import pyarrow as pa
import pytest

from ods_pipeline.emulator import Emulator
from tests.dagster.world import FIELDS, RECORDS, World, publish, world

pytestmark = pytest.mark.filterwarnings(
    # Dagster's own call, whenever a resource has one inside; goes when it no longer warns.
    "ignore:InitResourceContext.dagster_run is deprecated:DeprecationWarning"
)


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


def read(
    there: World, wanted: Any, over: str | None = None, asset: str = "records"
) -> tuple[Any, Any]:
    """Run an asset downstream whose parameter is annotated so; what it saw, and the result."""
    seen = []

    def downstream(upstream: wanted) -> None:
        batches = upstream.read_all() if isinstance(upstream, pa.RecordBatchReader) else upstream
        seen.append((type(upstream), batches))

    made = dg.asset(
        name="downstream",
        ins={"upstream": dg.AssetIn(key=there.settings.key(asset))},
        partitions_def=there.settings.partitions if over else None,
    )(downstream)
    defs = dg.Definitions.merge(there.defs, dg.Definitions([made]))
    job = defs.get_repository_def().get_implicit_global_asset_job_def()
    result = job.execute_in_process(
        instance=there.instance,
        asset_selection=[dg.AssetKey("downstream")],
        partition_key=over,
        raise_on_error=False,
    )
    return (seen[0] if seen else None), result


def count(found: Any) -> int:
    return len(found)


@pytest.mark.parametrize("wanted", [pa.Table, pd.DataFrame, gpd.GeoDataFrame])
def test_a_partition_is_read_as_annotated(landed: World, wanted: type) -> None:
    (kind, found), _ = read(landed, wanted, "trees")
    assert kind is wanted
    assert count(found) == len(RECORDS)


@pytest.mark.parametrize("wanted", [pd.DataFrame, gpd.GeoDataFrame])
def test_an_integer_beside_a_null_keeps_its_last_bit(there: World, wanted: type) -> None:
    many = 2**53 + 1
    records = [{**RECORDS[0], "people": many}, {**RECORDS[1], "people": None}]
    there.portal.publish("trees", fields=FIELDS, records=records)
    there.look()
    there.run("records", over="trees")
    (_, found), _ = read(there, wanted, "trees")
    assert found["people"].iloc[0] == many
    assert found["people"].isna().tolist() == [False, True]


def test_a_reader_streams_the_same_rows(landed: World) -> None:
    (kind, found), _ = read(landed, pa.RecordBatchReader, "trees")
    assert kind is pa.RecordBatchReader
    assert found.column("code").to_pylist() == [record["code"] for record in RECORDS]


def test_an_annotation_that_says_nothing_gives_a_table(landed: World) -> None:
    (kind, _), _ = read(landed, Any, "trees")
    assert kind is pa.Table


def test_geometry_comes_back_with_its_reference_system(landed: World) -> None:
    (_, found), _ = read(landed, gpd.GeoDataFrame, "trees")
    assert found.crs == "OGC:CRS84"
    assert (found.geometry.x == 2.0).all()


@pytest.mark.parametrize("wanted", [dict[str, pa.Table], dict[str, pd.DataFrame]])
def test_an_asset_over_all_datasets_gets_those_that_landed_by_their_names(
    landed: World, wanted: Any
) -> None:
    (_, found), _ = read(landed, wanted)
    assert {name: len(rows) for name, rows in found.items()} == {"trees": 7, "roads": 7, "flat": 1}


def test_the_catalog_is_read_too(landed: World) -> None:
    (_, found), _ = read(landed, pa.Table, asset="catalog")
    assert found.column("dataset_id").to_pylist() == ["flat", "late", "roads", "trees"]


@pytest.mark.parametrize(
    ("over", "wanted", "sentence"),
    [
        ("flat", gpd.GeoDataFrame, "no geographic field"),
        ("late", pa.Table, "late is not landed yet"),
    ],
)
def test_what_cannot_be_read_is_told_in_one_sentence(
    landed: World, over: str, wanted: type, sentence: str
) -> None:
    _, result = read(landed, wanted, over)
    assert not result.success
    assert any(sentence in str(event.event_specific_data) for event in result.all_events)


def test_an_identifier_that_leads_elsewhere_is_no_partition_and_stays_in_its_folder(
    there: World,
) -> None:
    publish(there.portal, "..%2fevil", "../evil")
    there.look()
    assert there.partitions == {"..%2fevil"}
    there.run("records", over="..%2fevil")
    (_, found), _ = read(there, pa.Table, "..%2fevil")
    assert len(found) == len(RECORDS)
    found = list(there.lake.root.parent.parent.rglob("*evil*"))
    assert [path.parent for path in found] == [there.lake.root / "records"]
