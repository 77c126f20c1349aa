"""Layers in Dagster: the geographic datasets that are read through WFS as well."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import geopandas as gpd
import pytest

from ods_pipeline.emulator import Emulator, Fault
from ods_pipeline.lake.holds import read_holds
from ods_pipeline.sync.configuration import LayerChoice
from tests.dagster.world import FIELDS, RECORDS, World, publish, reason, value, world

pytestmark = pytest.mark.filterwarnings(
    # Dagster's own call, whenever a resource has one inside; goes when it no longer warns.
    "ignore:InitResourceContext.dagster_run is deprecated:DeprecationWarning"
)
FLAT = [field for field in FIELDS if not field["type"].startswith("geo_")]


@pytest.fixture
def layered(tmp_path: Path, portal: Emulator) -> Iterator[World]:
    publish(portal, "trees", "roads", "private")
    flat = [{key: row[key] for key in ("code", "people")} for row in RECORDS]
    portal.publish("prices", fields=FLAT, records=flat)
    with world(tmp_path, portal, features=LayerChoice(include=["*"], exclude=["private"])) as there:
        yield there


def layers(there: World) -> set[str]:
    return set(there.instance.get_dynamic_partitions(there.settings.layer_partitions.name or ""))


def test_only_geographic_datasets_that_are_chosen_are_layers(layered: World) -> None:
    layered.look()
    assert layered.partitions == {"trees", "roads", "private", "prices"}
    assert layers(layered) == {"trees", "roads"}


def test_a_portal_without_layers_has_no_assets_for_them(there: World) -> None:
    keys = {key.path[-1] for key in there.repository.asset_graph.get_all_asset_keys()}
    assert keys == {"dataset", "catalog", "records", "table"}


def test_what_is_reported_of_a_dataset_is_asked_for_through_both_lanes(layered: World) -> None:
    layered.look()
    asked = layered.asked()
    assert asked["records"] == {"trees", "roads", "private", "prices"}
    assert asked["features"] == {"trees", "roads"}


def test_a_republished_dataset_is_asked_for_again_as_a_layer(layered: World) -> None:
    layered.look()
    layered.asked()
    layered.run("features", over="trees")
    layered.portal.publish("trees", fields=FIELDS, records=RECORDS[:2])
    layered.look()
    assert layered.asked()["features"] == {"trees"}


def test_features_land_as_geoparquet_and_load_as_a_table_of_their_own(layered: World) -> None:
    layered.look()
    assert layered.run("features", "layer", over="trees").success
    event = layered.latest("features", "trees")
    assert value(event, "dagster/partition_row_count") == len(RECORDS)
    assert value(event, "format") == "gml"
    assert value(event, "proof").startswith(f"{len(RECORDS)} features = hits {len(RECORDS)}")
    loaded = layered.latest("layer", "trees")
    assert value(loaded, "dagster/table_name").endswith(".trees__features")
    frame = gpd.read_parquet(layered.lake.partition("features", "trees"))
    assert frame.crs == "OGC:CRS84"
    assert [point.y for point in frame.place] == [48.0 + number for number in range(len(RECORDS))]


def test_a_layer_is_shown_as_a_small_map(layered: World) -> None:
    layered.look()
    layered.run("features", "layer", over="trees")
    for asset in ("features", "layer"):
        image = value(layered.latest(asset, "trees"), "map")
        assert image.startswith("![map](data:image/png;base64,")
        assert len(image) < 40_000


def test_a_downstream_asset_gets_a_layer_as_a_geodataframe(layered: World) -> None:
    layered.look()
    layered.run("features", over="trees")
    seen = {}

    @dg.asset(
        ins={"trees": dg.AssetIn(layered.settings.key("features"))},
        partitions_def=layered.settings.layer_partitions,
    )
    def shade(trees: gpd.GeoDataFrame) -> None:
        seen["crs"], seen["rows"] = trees.crs, len(trees)

    features = next(
        asset
        for asset in layered.defs.assets or ()
        if isinstance(asset, dg.AssetsDefinition) and asset.key == layered.settings.key("features")
    )
    dg.materialize(
        [features, shade],
        selection=[shade],
        partition_key="trees",
        instance=layered.instance,
        resources=layered.defs.resources,
    )
    assert seen == {"crs": "OGC:CRS84", "rows": len(RECORDS)}


def test_a_layer_that_comes_in_part_fails_and_the_old_one_stays(layered: World) -> None:
    layered.look()
    layered.run("features", over="trees")
    layered.portal.publish("trees", fields=FIELDS, records=RECORDS[:5])
    layered.portal.fail("/api/wfs.*GetFeature", Fault.short_rows(1), times=None)
    result = layered.run("features", over="trees", raise_on_error=False)
    assert not result.success
    assert "trees" in reason(result)
    (check,) = [c for c in result.get_asset_check_evaluations() if c.check_name == "complete"]
    assert not check.passed
    assert layered.lake.receipts("features")["trees"].rows == len(RECORDS)


def test_a_layer_that_lost_most_of_its_features_is_held_apart_from_its_records(
    layered: World,
) -> None:
    layered.look()
    layered.run("features", over="trees")
    layered.portal.publish("trees", fields=FIELDS, records=RECORDS[:2])
    assert layered.run("records", over="trees").success
    result = layered.run("features", over="trees", raise_on_error=False)
    assert "the portal now gives 2 rows where 7 are landed" in reason(result)
    assert {place: hold.verdict for place, hold in read_holds(layered.lake).items()} == {
        ("features", "trees"): "shrunk"
    }


def test_the_job_brings_records_and_layers_in_one_run(layered: World) -> None:
    assert layered.sync().success
    assert layers(layered) == {"trees", "roads"}
    for asset in ("features", "layer"):
        key = layered.settings.key(asset)
        assert layered.instance.get_materialized_partitions(key) == {"trees", "roads"}
    layered.sent()
    assert layered.sync().success
    assert layered.sent() == ["/catalog/exports/json"]


def test_a_dataset_that_is_geographic_no_more_is_no_layer(layered: World) -> None:
    assert layered.sync().success
    flat = [{key: row[key] for key in ("code", "people")} for row in RECORDS]
    layered.portal.publish("trees", fields=FLAT, records=flat)
    assert layered.sync().success
    assert layers(layered) == {"roads"}
    assert layered.lake.receipts("features")["trees"].rows == len(RECORDS)
