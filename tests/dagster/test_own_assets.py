"""Datasets under `tables` are assets of their own, found by name, with columns and checks."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from ods_pipeline.dagster.attributes import AssetTableChoice
from ods_pipeline.dagster.component import OpendatasoftPortal
from ods_pipeline.dagster.dataset_assets import DatasetTable, punctuality
from ods_pipeline.emulator import Emulator, Fault
from ods_pipeline.errors import ConfigurationError
from ods_pipeline.lake.receipt import Receipt
from ods_pipeline.portal.catalog.frequency import declared_period
from ods_pipeline.sync.configuration import DatasetChoice, LayerChoice
from tests.dagster.world import World, publish, reason, rows, settings_for, value, world

pytestmark = pytest.mark.filterwarnings(
    # Dagster's own call, whenever a resource has one inside; goes when it no longer warns.
    "ignore:InitResourceContext.dagster_run is deprecated:DeprecationWarning"
)
TABLES = {"trees": AssetTableChoice(), "a.b-c": AssetTableChoice()}


@pytest.fixture
def portal() -> Iterator[Emulator]:
    with Emulator(sample=False) as emulator:
        publish(emulator, "trees", "a.b-c", "a-b.c", "roads")
        yield emulator


@pytest.fixture
def there(portal: Emulator, tmp_path: Path) -> Iterator[World]:
    with world(tmp_path, portal, tables=TABLES) as found:
        yield found


def spec(there: World, *key: str) -> dg.AssetSpec:
    (found,) = [
        one for one in there.defs.resolve_all_asset_specs() if one.key == dg.AssetKey([*key])
    ]
    return found


def key(name: str) -> dg.AssetKey:
    return dg.AssetKey(["demo", name])


def wanted(there: World) -> set[str]:
    """The datasets whose assets the automation asks for now."""
    there.automation = dg.evaluate_automation_conditions(
        there.defs, there.instance, cursor=there.automation and there.automation.cursor
    )
    own = there.settings.attributes.tables
    return {name for name in own if there.automation.get_num_requested(key(name))}


def test_a_dataset_is_landed_and_loaded_by_one_step_under_its_own_name(there: World) -> None:
    result = there.run("trees")
    assert result.success
    assert rows(there, "SELECT count(*) FROM trees") == [(7,)]
    made = there.latest("trees")
    assert value(made, "dagster/row_count") == 7
    assert value(made, "dagster/table_name").endswith(".trees")
    columns = {column.name: column for column in value(made, "dagster/column_schema").columns}
    assert columns["code"].description == "Code — Official code"
    assert str(value(made, "proof")).startswith("7 rows = live count 7")
    passed = {item.check_name: item.passed for item in result.get_asset_check_evaluations()}
    assert passed == dict.fromkeys(("complete", "schema_unchanged", "values_kept", "on_time"), True)


def test_its_page_begins_with_the_dataset_and_not_with_the_run(
    there: World, portal: Emulator
) -> None:
    about = {"publisher": "City", "license": "ODbL", "attributions": "The city's gardeners"}
    where = "https://licence.test"
    portal.describe("trees", title="Trees", description="<p>All.", license_url=where, **about)
    there.run("trees")
    made = there.latest("trees")
    shown = [key for key in made.metadata if not key.startswith("dagster/")]
    first = ["map", "preview", "title", "description", "publisher", "licence", "licence_page"]
    assert shown[:8] == [*first, "attribution"]
    assert shown.index("portal_page") < shown.index("verdict") < shown.index("action")
    assert value(made, "licence_page") == where
    assert value(made, "attribution") == "The city's gardeners"
    assert value(made, "description") == "All."
    assert value(made, "dagster/uri") == spec(there, "demo", "trees").metadata["dagster/uri"]


def test_geometries_name_their_reference_system(there: World) -> None:
    there.run("trees")
    columns = value(there.latest("trees"), "dagster/column_schema").columns
    assert {one.name: one.constraints.other for one in columns} == {
        "code": [],
        "people": [],
        "place": ["OGC:CRS84"],
    }


def test_a_dataset_of_its_own_is_no_partition(there: World) -> None:
    there.look()
    assert not there.partitions
    assert there.sync().success
    assert rows(there, 'SELECT count(*) FROM "a.b-c"') == [(7,)]
    assert value(there.latest("a.b-c"), "dagster/row_count") == 7


def test_only_what_the_publisher_edits_is_asked_for_and_only_once(
    there: World, portal: Emulator
) -> None:
    wanted(there)
    there.look()
    assert wanted(there) == {"trees", "a.b-c"}
    for name in TABLES:
        there.run(name)
    assert wanted(there) == set()
    there.look()
    assert wanted(there) == set()
    publish(portal, "roads")
    portal.republish("trees")
    there.look()
    assert wanted(there) == {"trees"}
    portal.requests.clear()
    there.run("trees")
    assert [path for path in there.sent() if "/exports/parquet" in path] == [
        "/catalog/datasets/trees/exports/parquet"
    ]
    assert wanted(there) == set()


def test_another_filter_is_asked_for_without_a_change_on_the_portal(
    portal: Emulator, tmp_path: Path
) -> None:
    with world(tmp_path, portal, tables={"trees": AssetTableChoice()}) as there:
        wanted(there)
        there.look()
        assert wanted(there) == {"trees"}
        there.run("trees")
        assert wanted(there) == set()
        less = {"trees": AssetTableChoice(where="people > 4")}
        there.settings = settings_for(portal.url, name="demo", data_dir=str(tmp_path), tables=less)
        there.__post_init__()
        assert wanted(there) == {"trees"}
        there.run("trees")
        assert rows(there, "SELECT count(*) FROM trees") == [(2,)]
        assert wanted(there) == set()


def test_the_job_updates_it_as_the_automation_would(there: World, portal: Emulator) -> None:
    assert there.sync().success
    first = there.latest("trees")
    assert there.sync().success
    assert there.latest("trees").metadata == first.metadata, "nothing moved, nothing is logged"
    portal.publish("trees", records=[{"code": "00", "people": 1}])
    assert "gives 1 rows where 7 are landed" in reason(there.sync())
    assert there.sync(accept=True).success
    assert value(there.latest("trees"), "dagster/row_count") == 1
    assert there.latest("trees").tags != first.tags
    there.look()
    wanted(there)
    there.look()
    assert wanted(there) == set()


def test_columns_and_titles_are_known_when_definitions_load_without_a_request(
    there: World, portal: Emulator, tmp_path: Path
) -> None:
    assert "dagster/column_schema" not in spec(there, "demo", "trees").metadata
    about = "<div><p>All of them.</p><p>Not those of <b>parks</b>.</p></div>"
    portal.describe("trees", title="Trees of the city", publisher="City", description=about)
    there.run("trees")
    portal.requests.clear()
    with world(tmp_path, portal, tables=TABLES) as again:
        found = spec(again, "demo", "trees")
    assert portal.requests == []
    assert found.description == "Trees of the city\n\nAll of them.\n\nNot those of parks."
    assert found.metadata["publisher"] == "City"
    names = [column.name for column in found.metadata["dagster/column_schema"].columns]
    assert names == ["code", "people", "place"]
    assert "/explore/dataset/trees/" in str(found.metadata["portal_page"].value)


def test_lineage_goes_from_the_dataset_on_the_portal_to_the_asset(there: World) -> None:
    (parent,) = spec(there, "demo", "trees").deps
    assert parent.asset_key == dg.AssetKey(["demo", "dataset", "trees"])
    assert "opendatasoft" in spec(there, "demo", "dataset", "trees").kinds


def test_a_failure_keeps_the_old_rows_and_reddens_its_own_check_alone(
    there: World, portal: Emulator
) -> None:
    there.run("trees")
    portal.publish("trees", records=[{"code": "1", "people": 1}] * 6)
    portal.fail("/trees/exports/", Fault.short_rows(1, honest=True), None)
    failed = there.run("trees", raise_on_error=False)
    assert "5 rows came where the portal counts 6" in reason(failed)
    (complete,) = [
        item for item in failed.get_asset_check_evaluations() if item.check_name == "complete"
    ]
    assert (complete.passed, complete.asset_key) == (False, key("trees"))
    assert rows(there, "SELECT count(*) FROM trees") == [(7,)]


def test_a_layer_of_its_own_is_an_asset_beside_its_records(
    portal: Emulator, tmp_path: Path
) -> None:
    layers = LayerChoice(include=["trees"])
    with world(tmp_path, portal, tables=TABLES, features=layers) as there:
        assert there.run("trees", "trees__features").success
        assert rows(there, "SELECT count(*) FROM trees__features") == [(7,)]
        layer = there.latest("trees__features")
        assert "map" in layer.metadata
        (first, *_) = value(layer, "dagster/column_schema").columns
        assert (first.name, first.description) == ("gml_id", "Identifier of the feature in WFS")
        with pytest.raises(ValueError, match="not enough values"):
            spec(there, "demo", "a.b-c__features")


def made(attributes: dict[str, Any]) -> dict[str, dg.AssetSpec]:
    component = OpendatasoftPortal.from_attributes_dict(
        attributes={"portal": "data.test", "name": "demo", **attributes}
    )
    defs = component.build_defs(None)  # type: ignore[arg-type]
    return {one.key.to_user_string(): one for one in defs.resolve_all_asset_specs()}


def test_yaml_says_how_a_dataset_is_shown() -> None:
    asset = {
        "key": "shop/trees",
        "group_name": "green",
        "owners": ["ann@city.test", "team:data"],
        "tags": {"tier": "gold"},
        "kinds": ["duckdb"],
        "description": "All trees",
        "deps": ["other/asset"],
        "automation_condition": "{{ dg.AutomationCondition.on_cron('@daily') }}",
        "freshness": 24,
    }
    found = made({"tables": {"trees": {"asset": asset}, "roads": {}}})
    tree = found["shop/trees"]
    assert (tree.group_name, tree.owners) == ("green", ["ann@city.test", "team:data"])
    assert tree.tags["tier"] == "gold"
    assert "duckdb" in tree.kinds
    assert "parquet" not in tree.kinds
    assert tree.description == "All trees"
    assert {dep.asset_key.to_user_string() for dep in tree.deps} == {
        "demo/dataset/trees",
        "other/asset",
    }
    daily = dg.AutomationCondition.on_cron("@daily")
    assert tree.automation_condition == daily
    assert tree.freshness_policy is not None
    assert found["demo/roads"].group_name == "demo"


def test_translation_is_dagsters_own() -> None:
    found = made(
        {
            "tables": {"trees": {}},
            "translation": {
                "key": "raw/{{ table.dataset_id }}",
                "group_name": "raw",
                "tags": {"portal": "{{ table.portal }}"},
            },
        }
    )
    assert found["raw/trees"].group_name == "raw"
    assert found["raw/trees"].tags["portal"] == "demo"


class Renaming(OpendatasoftPortal):
    """A portal of somebody who shows datasets in their own way."""

    def get_asset_spec(self, table: DatasetTable) -> dg.AssetSpec:
        return table.spec.replace_attributes(
            key=dg.AssetKey(["mine", table.table]), owners=["team:mine"]
        )


def test_a_subclass_shows_datasets_in_its_own_way(portal: Emulator, tmp_path: Path) -> None:
    component = Renaming(
        portal=portal.url, name="demo", data_dir=str(tmp_path), tables={"trees": {}}
    )
    defs = component.build_defs(None)  # type: ignore[arg-type]
    with dg.DagsterInstance.ephemeral() as instance:
        result = defs.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=instance, asset_selection=[dg.AssetKey(["mine", "trees"])]
        )
    assert result.success


def test_names_that_differ_in_punctuation_alone_are_different_steps(
    portal: Emulator, tmp_path: Path
) -> None:
    both = {"a.b-c": AssetTableChoice(), "a-b.c": AssetTableChoice()}
    with world(tmp_path, portal, tables=both) as there:
        assert there.run("a.b-c", "a-b.c").success
        assert rows(there, 'SELECT count(*) FROM "a-b.c"') == [(7,)]


NOW = datetime(2026, 6, 1, tzinfo=UTC)


def dated(frequency: str, days: float) -> Receipt:
    when = (NOW - timedelta(days=days)).isoformat()
    return Receipt("p", "records", "d", data_processed=when, frequency=frequency)


@pytest.mark.parametrize(
    ("frequency", "days", "passed"),
    [
        ("DAILY", 1.4, True),
        ("DAILY", 1.6, False),
        ("ANNUAL", 400, True),
        ("ANNUAL", 600, False),
        ("http://publications.europa.eu/resource/authority/frequency/WEEKLY", 11, False),
        ("10 minutes", 1, False),
        ("IRREG", 9000, True),
        ("", 9000, True),
    ],
)
def test_a_publisher_is_late_by_the_frequency_that_the_portal_declares(
    frequency: str, days: float, passed: bool
) -> None:
    assert punctuality(dated(frequency, days), NOW).passed is passed


def test_what_is_not_landed_is_not_late() -> None:
    assert punctuality(None, NOW).passed
    assert declared_period("every 2 weeks") == timedelta(days=14)
    assert declared_period("quand il faut") is None


def test_the_check_of_punctuality_runs_by_itself(there: World, portal: Emulator) -> None:
    portal.describe("trees", update_frequency="DAILY")
    portal.lie("trees", data_processed="2020-01-01T00:00:00+00:00")
    there.run("trees")
    check = dg.AssetCheckKey(key("trees"), "on_time")
    job = there.repository.get_implicit_global_asset_job_def()
    daily = job.get_subset(asset_selection=set(), asset_check_selection={check})
    (found,) = daily.execute_in_process(instance=there.instance).get_asset_check_evaluations()
    assert (found.passed, found.severity.value) == (False, "WARN")
    assert "declared DAILY" in (found.description or "")


def test_punctuality_is_judged_with_the_dataset_and_not_again_before_the_next_day(
    there: World,
) -> None:
    check = dg.AssetCheckKey(key("trees"), "on_time")

    def asked() -> int:
        wanted(there)
        return sum(
            found.true_subset.size for found in there.automation.results if found.key == check
        )

    assert not asked()
    there.look()
    assert asked()
    there.run("trees")
    # Runs in this process do not record their selection, by which Dagster knows those that judged.
    asked()
    assert not asked()


def test_a_dataset_that_moves_between_partition_and_asset_is_fetched_as_it_is_asked_for(
    portal: Emulator, tmp_path: Path
) -> None:
    part = {"trees": AssetTableChoice(where="people > 4")}
    everything = DatasetChoice(include=["*"])

    def now(tables: dict[str, AssetTableChoice]) -> None:
        there.settings = settings_for(
            portal.url, name="demo", data_dir=str(tmp_path), datasets=everything, tables=tables
        )
        there.__post_init__()
        there.look()

    with world(tmp_path, portal, datasets=everything) as there:
        there.look()
        asked = there.asked()
        assert "trees" in asked["records"]
        there.carry_out(asked)
        there.carry_out(there.asked())
        assert rows(there, "SELECT count(*) FROM trees") == [(7,)]
        now(part)
        assert wanted(there) == {"trees"}
        there.run("trees")
        assert rows(there, "SELECT count(*) FROM trees") == [(2,)]
        now({})
        there.carry_out(there.asked())
        there.carry_out(there.asked())
        assert rows(there, "SELECT count(*) FROM trees") == [(7,)]


@pytest.mark.parametrize("name", ["catalog", "records", "table", "dataset"])
def test_a_dataset_that_is_called_like_an_asset_of_the_portal_needs_a_key(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"the key demo/{name}: give the dataset another"):
        made({"tables": {name: {}}})
    assert "other/key" in made({"tables": {name: {"asset": {"key": "other/key"}}}})


@pytest.mark.parametrize(
    ("asset", "sentence"),
    [({"freshness": 0}, "impossible"), ({"automation_condition": "@daily"}, "write a template")],
)
def test_a_wrong_word_on_an_asset_is_one_sentence(asset: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Exception, match=sentence):
        made({"tables": {"trees": {"asset": asset}}})


def test_the_job_makes_a_check_green_again(there: World, portal: Emulator) -> None:
    portal.fail("/trees/exports/", Fault.short_rows(1, honest=True), None)
    there.run("trees", raise_on_error=False)
    portal.faults.clear()
    assert there.sync().success
    check = dg.AssetCheckKey(key("trees"), "complete")
    records = there.instance.event_log_storage.get_asset_check_execution_history(check, limit=1)
    assert records[0].event
    assert records[0].status.value == "SUCCEEDED"


def test_its_rows_can_be_the_input_of_another_asset(there: World) -> None:
    there.run("trees")

    @dg.asset(ins={"trees": dg.AssetIn(key=key("trees"))})
    def counted(trees: pd.DataFrame) -> int:
        assert list(trees.columns) == ["code", "people", "place"]
        return len(trees)

    defs = dg.Definitions.merge(there.defs, dg.Definitions(assets=[counted]))
    result = defs.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=there.instance, asset_selection=[counted.key]
    )
    assert result.output_for_node("counted") == 7
