"""The assets over a portal: what a run lands, loads, tells and leaves behind when it fails."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ods_pipeline.dagster.checks import proof_figures
from ods_pipeline.dagster.resources import failure
from ods_pipeline.emulator import Emulator, Fault
from ods_pipeline.errors import Unproven, WarehouseLocked
from ods_pipeline.lake.receipt import Receipt
from ods_pipeline.sync import side_by_side
from ods_pipeline.sync.configuration import Trust
from tests.dagster.world import FIELDS, RECORDS, World, publish, reason, rows, value, world

pytestmark = pytest.mark.filterwarnings(
    # Dagster's own call, whenever a resource has one inside; goes when it no longer warns.
    "ignore:InitResourceContext.dagster_run is deprecated:DeprecationWarning"
)
BOTH = ("records", "table")


@pytest.fixture
def landed(there: World) -> World:
    publish(there.portal, "trees", "roads")
    there.look()
    for name in ("trees", "roads"):
        there.run(*BOTH, over=name)
    there.sent()
    return there


def test_a_dataset_lands_and_loads_and_says_what_the_ui_understands(landed: World) -> None:
    records, table = landed.latest("records", "trees"), landed.latest("table", "trees")
    columns = {item.name: item for item in value_of_schema(records)}
    assert columns["code"].description == "Code — Official code"
    assert (columns["people"].type, columns["place"].type) == ("int64", "geometry")
    assert "unit: persons" in (columns["people"].description or "")
    assert value(records, "dagster/partition_row_count") == len(RECORDS)
    assert str(value(records, "dagster/uri")).endswith("/records/trees.parquet")
    assert value(records, "verdict") == "new"
    assert value(records, "proof").startswith("7 rows = live count 7; data_processed stood at 20")
    assert value(records, "requests") == 3
    assert str(value(records, "preview")).startswith("| code | people |")
    assert str(value(records, "portal_page")).endswith("/explore/dataset/trees/")
    assert str(value(table, "dagster/table_name")).endswith(".trees")
    assert rows(landed, "SELECT count(*), sum(people) FROM trees") == [(7, 21)]


def value_of_schema(event: object) -> list[object]:
    return list(value(event, "dagster/column_schema").columns)  # type: ignore[arg-type]


def test_the_catalog_lands_and_loads_with_one_request_more_where_its_number_of_datasets_is_new(
    landed: World,
) -> None:
    landed.run("catalog")
    assert landed.sent() == ["/catalog/exports/json", "/catalog/datasets"]
    landed.run("catalog")
    assert landed.sent() == ["/catalog/exports/json"]
    assert value(landed.latest("catalog"), "dagster/row_count") == 2
    assert rows(landed, "SELECT dataset_id FROM _catalog ORDER BY 1") == [("roads",), ("trees",)]


def test_an_unchanged_dataset_is_materialized_without_a_fetch(landed: World) -> None:
    before = landed.latest("records", "trees")
    landed.run("records", over="trees")
    assert landed.sent() == ["/catalog/datasets/trees"]
    after = landed.latest("records", "trees")
    assert value(after, "verdict") == "unchanged"
    assert after.tags["dagster/data_version"] == before.tags["dagster/data_version"]


def test_a_lost_instance_fetches_nothing_again(landed: World) -> None:
    with world(Path(landed.settings.attributes.data_dir), landed.portal) as fresh:
        fresh.look()
        fresh.sent()
        fresh.run("records", over="trees")
        assert fresh.sent() == ["/catalog/datasets/trees"]
        again = fresh.latest("records", "trees")
    known = landed.latest("records", "trees")
    assert again.tags["dagster/data_version"] == known.tags["dagster/data_version"]


def test_a_false_change_is_fetched_and_never_loaded(landed: World) -> None:
    landed.asked()
    landed.portal.republish("trees", shuffle=True)
    landed.look()
    asked = landed.asked()
    assert asked["records"] == {"trees"}
    landed.carry_out(asked)
    assert value(landed.latest("records", "trees"), "same_content") is True
    assert "table" not in landed.asked()


def test_an_edited_label_fetches_nothing_and_reaches_the_tables_comment(landed: World) -> None:
    landed.asked()
    landed.portal.relabel("trees", "people", label="Inhabitants")
    landed.look()
    landed.sent()
    landed.carry_out({"records": landed.asked()["records"]})
    assert landed.sent() == ["/catalog/datasets/trees"]
    assert landed.asked()["table"] == {"trees"}
    landed.run("table", over="trees")
    assert value(landed.latest("table", "trees"), "action") == "commented"
    comments = "SELECT comment FROM duckdb_columns() WHERE column_name = 'people'"
    assert any("Inhabitants" in str(comment) for (comment,) in rows(landed, comments))


def test_a_publisher_who_changes_fields_gets_a_warning_and_a_table_that_follows(
    landed: World,
) -> None:
    fields = [FIELDS[0], {"name": "people", "type": "double"}, {"name": "note", "type": "text"}]
    landed.portal.publish("trees", fields=fields, records=[{"code": "01", "people": 1.5}] * 6)
    result = landed.run(*BOTH, over="trees")
    assert result.success
    checks = {check.check_name: check for check in result.get_asset_check_evaluations()}
    assert checks["complete"].passed
    assert not checks["schema_unchanged"].passed
    assert checks["schema_unchanged"].severity.value == "WARN"
    told = checks["schema_unchanged"].description
    assert told == (
        "trees: added note; removed place; retyped people from int to double; "
        "changed the annotations of people"
    )
    assert rows(landed, "SELECT DISTINCT code, people, note FROM trees") == [("01", 1.5, None)]


def test_an_incomplete_export_fails_the_check_and_leaves_everything_as_it_was(
    landed: World,
) -> None:
    landed.portal.publish("trees", fields=FIELDS, records=RECORDS[:6])
    landed.portal.fail("exports/", Fault.short_rows(2), times=None)
    result = landed.run(*BOTH, over="trees", raise_on_error=False)
    assert (
        reason(result) == "trees: 4 rows came where the portal counts 6; nothing was kept of them"
    )
    found = {item.check_name: item for item in result.get_asset_check_evaluations()}
    assert (found["complete"].passed, found["complete"].blocking) == (False, True)
    assert found["schema_unchanged"].passed
    assert rows(landed, "SELECT count(*) FROM trees") == [(7,)]
    assert landed.lake.receipts("records")["trees"].rows == 7


def test_a_batch_gives_each_dataset_its_own_version_and_figures(
    tmp_path: Path, portal: Emulator
) -> None:
    with world(tmp_path, portal, datasets_per_run=10) as there:
        publish(portal, "a1", "b1")
        portal.publish("c1", fields=FIELDS, records=RECORDS[:2])
        there.look()
        there.sent()
        assert there.run(*BOTH, over=["a1", "b1", "c1"]).success
        assert there.sent().count("/catalog/exports/json") == 1
        counts = {
            name: value(there.latest("table", name), "dagster/partition_row_count")
            for name in ("a1", "b1", "c1")
        }
        versions = [there.latest("records", name).tags["dagster/data_version"] for name in counts]
    assert counts == {"a1": 7, "b1": 7, "c1": 2}
    assert len(set(versions)) == 3


def test_a_batch_that_fails_in_one_place_keeps_all_the_rest(
    tmp_path: Path, portal: Emulator
) -> None:
    with world(tmp_path, portal, datasets_per_run=10) as there:
        publish(portal, "a1", "b1", "c1")
        there.look()
        portal.fail("b1/exports", Fault.short_rows(1), times=None)
        result = there.run("records", over=["a1", "b1", "c1"], raise_on_error=False)
        assert reason(result).startswith("1 of 3 datasets failed: b1: 6 rows came")
        stored = there.instance.get_materialized_partitions(there.settings.key("records"))
        asked = there.asked()
    assert stored == {"a1", "c1"}
    assert asked["records"] == {"b1"}


def test_a_spent_quota_puts_off_the_rest_of_a_batch(tmp_path: Path, portal: Emulator) -> None:
    with world(tmp_path, portal, datasets_per_run=10) as there:
        publish(portal, "landed")
        there.look()
        there.run("records", over=["landed"])
        # More than are worked on at once.
        new = [f"new-{number:02}" for number in range(40)]
        publish(portal, *new)
        there.look()
        portal.fail("exports/parquet", Fault.quota(reset="2099-01-01T00:00:00Z"), times=None)
        there.sent()
        result = there.run("records", over=["landed", *new], raise_on_error=False)
        assert reason(result).startswith("40 of 41 datasets are deferred: new-00")
        (event,) = [item for item in result.all_events if item.is_step_failure]
        told = event.step_failure_data.user_failure_data
        assert set(told.metadata) == {"deferred", "deferred_until"}
        last = "new-39: the request quota was spent before its turn; it starts anew at 2099-01-01"
        assert last in told.metadata["deferred"].value
        assert not [path for path in there.sent() if "new-39/" in path]
        stored = there.instance.get_materialized_partitions(there.settings.key("records"))
    assert stored == {"landed"}


def test_what_was_never_landed_comes_first_and_then_what_was_fetched_longest_ago(
    tmp_path: Path, portal: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of two that begin at once, either may be the first to ask.
    monkeypatch.setattr(side_by_side, "ThreadPoolExecutor", lambda *_: ThreadPoolExecutor(1))
    with world(tmp_path, portal, datasets_per_run=10) as there:
        publish(portal, "a1", "b1")
        there.look()
        there.run("records", over="a1")
        there.look()
        portal.republish("a1")
        there.sent()
        there.run("records", over=["a1", "b1"])
        fetched = [path for path in there.sent() if "exports/parquet" in path]
    assert [path.split("/")[3] for path in fetched] == ["b1", "a1"]


def test_the_check_holds_the_proofs_figures_one_by_one(landed: World) -> None:
    landed.portal.republish("trees")
    (check,) = [
        item
        for item in landed.run("records", over="trees").get_asset_check_evaluations()
        if item.check_name == "complete"
    ]
    told = {key: item.value for key, item in check.metadata.items()}
    assert (told["datasets_proven"], told["rows"], told["counted"]) == (1, 7, 7)
    assert str(told["data_processed"]).startswith("stood at 20")


@pytest.mark.parametrize(
    ("entries", "figures"),
    [
        ({"counted": "9"}, {"counted": 9, "data_processed": "stood at D"}),
        (
            {"counted": "10", "moved_to": "E", "tolerance": "20"},
            {"counted": 10, "data_processed": "D → E", "drift_accepted": "in words"},
        ),
        ({}, {}),
    ],
    ids=["counted", "moved", "of a receipt without figures"],
)
def test_a_proof_is_told_as_figures_where_it_has_them(
    entries: dict[str, str], figures: dict[str, object]
) -> None:
    known = {"row_count": "9", "data_processed": "D", "proof": "in words"}
    shown = proof_figures(Receipt("p", "records", **known, **entries))
    assert shown == {"rows": 9, **figures, "proof": "in words"}


def test_a_date_that_never_moves_is_not_trusted_for_ever(tmp_path: Path, portal: Emulator) -> None:
    with world(tmp_path, portal, trust=Trust(max_trust_days=0)) as there:
        publish(portal, "trees")
        there.look()
        there.run("records", over="trees")
        there.sent()
        there.run("records", over="trees")
        assert "/catalog/datasets/trees/exports/parquet" in there.sent()
        told = there.latest("records", "trees")
    assert (value(told, "verdict"), value(told, "same_content")) == ("deep check", True)


def test_a_dataset_that_is_republished_all_the_time_is_taken_within_the_tolerance(
    tmp_path: Path, portal: Emulator
) -> None:
    with world(tmp_path, portal, trust=Trust(drift=50)) as there:
        publish(portal, "trees")
        there.look()
        again = [{"verb": "republish", "dataset_id": "trees"}]
        portal.fail("exports/parquet", Fault.meanwhile(again), times=None)
        result = there.run("records", over="trees")
    (check,) = [c for c in result.get_asset_check_evaluations() if c.check_name == "complete"]
    assert check.passed
    assert " → " in str(check.metadata["data_processed"].value)
    assert "within the tolerance of 50 %" in str(check.metadata["drift_accepted"].value)


def test_an_edited_label_is_shown_by_the_check_and_fails_nothing(landed: World) -> None:
    landed.portal.relabel("trees", "people", label="Inhabitants")
    checks = landed.run("records", over="trees").get_asset_check_evaluations()
    (check,) = [item for item in checks if item.check_name == "schema_unchanged"]
    assert check.passed
    assert check.description == "trees: renamed the label of people from 'people' to 'Inhabitants'"


def test_of_two_datasets_whose_names_differ_by_case_alone_the_first_stays(landed: World) -> None:
    publish(landed.portal, "Trees")
    landed.look()
    result = landed.run("records", over="Trees", raise_on_error=False)
    assert "its name differs from that of trees by case alone" in reason(result)
    assert landed.run("records", over="trees").success


def test_a_restricted_dataset_is_refused_in_one_sentence(landed: World) -> None:
    landed.portal.restrict("trees")
    result = landed.run("records", over="trees", raise_on_error=False)
    assert "its metadata are public, its records are not" in reason(result)


def test_a_withdrawn_dataset_is_refused_in_one_sentence(landed: World) -> None:
    landed.portal.withdraw("trees")
    result = landed.run("records", over="trees", raise_on_error=False)
    assert "trees" in reason(result)
    assert landed.lake.partition("records", "trees").exists()


def config(mode: str) -> dict[str, object]:
    return {"ops": {"demo__records": {"config": {"mode": mode}}}}


def test_a_full_run_fetches_what_did_not_change(landed: World) -> None:
    landed.run("records", over="trees", run_config=config("full"))
    assert "/catalog/datasets/trees/exports/parquet" in landed.sent()
    assert value(landed.latest("records", "trees"), "verdict") == "full"


def test_a_verifying_run_fetches_and_lands_nothing(landed: World) -> None:
    path = landed.lake.partition("records", "trees")
    before = path.stat().st_mtime_ns
    assert landed.run("records", over="trees", run_config=config("verify")).success
    assert "/catalog/datasets/trees/exports/parquet" in landed.sent()
    assert path.stat().st_mtime_ns == before


def test_a_verifying_run_that_finds_a_difference_fails_the_check(landed: World) -> None:
    landed.portal.publish("trees", fields=FIELDS, records=RECORDS[:3])
    path = landed.lake.partition("records", "trees")
    before = path.stat().st_mtime_ns
    result = landed.run("records", over="trees", run_config=config("verify"), raise_on_error=False)
    assert "the portal has other rows than what is landed" in reason(result)
    assert not next(check.passed for check in result.get_asset_check_evaluations())
    assert path.stat().st_mtime_ns == before


def test_only_a_locked_warehouse_is_worth_another_try_within_the_run() -> None:
    assert failure(WarehouseLocked("another process has it")).allow_retries
    assert not failure(Unproven("rows are missing")).allow_retries


def test_an_unusable_warehouse_is_told_in_one_sentence(landed: World) -> None:
    path = Path(landed.settings.attributes.data_dir) / "warehouse.duckdb"
    path.unlink()
    path.mkdir()
    result = landed.run("table", over="trees", raise_on_error=False)
    assert "\n" not in reason(result)


def test_an_address_that_is_no_place_for_data_is_refused_rather_than_made_up(
    tmp_path: Path, portal: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    publish(portal, "trees")
    with world(tmp_path, portal, data_dir="ftp://bucket") as there:
        there.instance.add_dynamic_partitions("demo/datasets", ["trees"])
        result = there.run("records", over="trees", raise_on_error=False)
    assert "ftp://bucket is no place for data" in reason(result)
    assert not list(tmp_path.glob("ftp*"))


def test_the_environment_is_read_when_a_run_needs_it(
    tmp_path: Path, portal: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(portal, "trees")
    with world(tmp_path, portal, data_dir="") as there:
        there.look()
        monkeypatch.setenv("ODS_DATA_DIR", str(tmp_path / "set later"))
        monkeypatch.setenv("ODS_WAREHOUSE", f"duckdb:///{tmp_path / 'elsewhere.duckdb'}")
        assert there.run(*BOTH, over="trees").success
    assert (tmp_path / "set later" / "lake").is_dir()
    assert (tmp_path / "elsewhere.duckdb").is_file()
