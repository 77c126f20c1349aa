"""The sensor: what one look at a catalog reports, and what it costs."""

import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from hypothesis import given
from hypothesis import strategies as st

from ods_pipeline.dagster.partitions import Moves, difference, removable
from ods_pipeline.dagster.sensor import EVENTS_PER_TICK, Cursor, report, version_of
from ods_pipeline.dataset import Dataset
from ods_pipeline.emulator import Emulator, Fault
from ods_pipeline.sync.configuration import DatasetChoice
from ods_pipeline.sync.rules import Rules
from tests.dagster.world import World, publish, reason, settings_for, world

pytestmark = pytest.mark.filterwarnings(
    # Dagster's own call, whenever a resource has one inside; goes when it no longer warns.
    "ignore:InitResourceContext.dagster_run is deprecated:DeprecationWarning"
)


def dataset(name: str, **default: object) -> Dataset:
    metas = {"default": {"data_processed": "2026-01-01T00:00:00+00:00", "title": name, **default}}
    fields = [{"name": "a", "type": "int"}]
    return Dataset.from_api("p", {"dataset_id": name, "fields": fields, "metas": metas})


def catalog(*names: str) -> dict[str, Dataset]:
    return {name: dataset(name) for name in names}


def test_everything_is_new_to_an_empty_cursor() -> None:
    assert difference(catalog("b", "a"), []) == Moves(arrived=("a", "b"))
    assert set(report(catalog("b", "a"), [], Cursor()).changed) == {"a", "b"}


def test_the_next_look_at_the_same_catalog_reports_nothing() -> None:
    first = report(catalog("a", "b"), [], Cursor())
    again = report(catalog("a", "b"), ["a", "b"], first.cursor)
    assert not again.changed
    assert difference(catalog("a", "b"), ["a", "b"]) == Moves()


@pytest.mark.parametrize(
    "moved",
    [
        {"data_processed": "2026-01-02T00:00:00+00:00"},
        {"records_count": 8},
        {"title": "another"},
    ],
)
def test_a_signal_that_moves_is_a_new_version(moved: dict[str, object]) -> None:
    before = report(catalog("a", "b"), [], Cursor())
    now = {**catalog("a"), "b": dataset("b", **moved)}
    assert set(report(now, ["a", "b"], before.cursor).changed) == {"b"}


def test_the_same_instant_written_otherwise_is_the_same_version() -> None:
    before = report(catalog("a"), [], Cursor())
    now = {"a": dataset("a", data_processed="2026-01-01T01:00:00+01:00")}
    assert not report(now, ["a"], before.cursor).changed


NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(("trust_days", "period"), [(30, 15), (1, 1), (0, 1)])
def test_a_date_that_never_moves_is_reported_twice_within_the_days_of_trust(
    trust_days: int, period: int
) -> None:
    rules = Rules(trust_days=trust_days)
    days = [NOON + timedelta(days=day, minutes=1) for day in range(2 * period + 1)]
    told = [version_of(dataset("a"), rules, day) for day in days]
    assert len(set(told)) == 3
    assert told == sorted(told)
    assert len(told[0]) < 80


def test_looks_at_content_are_spread_over_the_days() -> None:
    many, rules = catalog(*(f"d{number}" for number in range(300))), Rules(trust_days=30)
    cursor = report(many, many, Cursor(), rules, NOON).cursor
    due: Counter[int] = Counter()
    for day in range(1, 16):
        found = report(many, many, cursor, rules, NOON + timedelta(days=day))
        cursor, due[day] = found.cursor, len(found.changed)
    assert sum(due.values()) == 300
    assert max(due.values()) < 50


def test_k6_a_dataset_that_is_empty_is_a_partition_like_any_other() -> None:
    empty = {"a": replace(dataset("a"), metas={"default": {"records_count": 0}})}
    assert difference(empty, []) == Moves(arrived=("a",))
    assert set(report(empty, ["a"], Cursor()).changed) == {"a"}


def test_a_dataset_that_shows_no_records_for_a_while_keeps_its_partition() -> None:
    restricted = {"a": replace(dataset("a"), data_visible=False)}
    assert not report(restricted, ["a"], Cursor()).changed
    assert difference(restricted, ["a"]) == Moves()


def test_a_dataset_without_records_is_no_partition() -> None:
    assert difference({"a": replace(dataset("a"), has_records=False)}, []) == Moves()


def test_a_big_portal_is_reported_over_several_ticks() -> None:
    many = catalog(*(f"d{number:05}" for number in range(EVENTS_PER_TICK + 5)))
    first = report(many, [], Cursor())
    assert (len(first.changed), first.left) == (EVENTS_PER_TICK, 5)
    second = report(many, many, first.cursor)
    assert (len(second.changed), second.left) == (5, 0)
    assert not report(many, many, second.cursor).changed


def test_a_partition_that_was_deleted_by_hand_comes_back_with_its_version() -> None:
    cursor = report(catalog("a"), [], Cursor()).cursor
    assert set(report(catalog("a"), [], cursor).changed) == {"a"}
    assert difference(catalog("a"), []) == Moves(arrived=("a",))


@pytest.mark.parametrize("text", [None, "", "nonsense", "bm9uc2Vuc2U=", "eJyLVoo1AAJRATQ=", "{}"])
def test_a_cursor_that_cannot_be_read_counts_as_empty(text: str | None) -> None:
    assert Cursor.parse(text) == Cursor()


@given(st.dictionaries(st.text(max_size=30), st.text(max_size=8), max_size=20))
def test_a_cursor_reads_back_as_it_was(seen: dict[str, str]) -> None:
    assert Cursor.parse(str(Cursor(seen))).seen == seen


def test_a_partition_with_a_run_in_flight_is_not_deleted() -> None:
    assert removable(["a", "b"], ["a"]) == ("b",)


def test_nothing_is_deleted_while_a_run_over_a_range_is_in_flight() -> None:
    assert removable(["a", "b"], [None]) == ()


def test_a_look_costs_one_request_and_a_second_one_reports_nothing(there: World) -> None:
    publish(there.portal, "trees", "roads")
    first = there.look()
    assert there.sent() == ["/catalog/exports/json"]
    assert there.partitions == {"trees", "roads"}
    assert len(first.asset_events) == 2
    second = there.look()
    assert there.sent() == ["/catalog/exports/json"]
    assert (second.asset_events, second.dynamic_partitions_requests) == ([], [])
    assert second.skip_message == "the catalog says what it said before"


def test_a_withdrawn_dataset_leaves_and_its_file_stays(there: World) -> None:
    publish(there.portal, "trees", "roads")
    there.look()
    there.run("records", over="trees")
    there.portal.withdraw("trees")
    there.look()
    assert there.partitions == {"roads"}
    assert there.lake.partition("records", "trees").exists()


@pytest.fixture
def crowded(there: World) -> World:
    publish(there.portal, *(f"d{number}" for number in range(8)))
    there.look()
    return there


def empty_out(portal: Emulator) -> None:
    for number in range(6):
        portal.withdraw(f"d{number}")


@pytest.mark.parametrize("landed", [False, True])
def test_a_catalog_that_lost_most_of_its_datasets_fails_the_tick_and_removes_nothing(
    crowded: World, landed: bool
) -> None:
    if landed:
        crowded.run("catalog")
    cursor = crowded.cursor
    empty_out(crowded.portal)
    with pytest.raises(dg.Failure, match="lists 2 datasets where it listed 8: nothing was touched"):
        crowded.look()
    assert len(crowded.partitions) == 8
    assert crowded.cursor == cursor
    result = crowded.run("catalog", raise_on_error=False)
    assert result.success is not landed


def test_a_person_accepts_a_catalog_that_lost_most_of_its_datasets_in_the_job(
    crowded: World,
) -> None:
    crowded.run("catalog")
    empty_out(crowded.portal)
    assert "lists 2 datasets where it listed 8" in reason(crowded.sync())
    assert len(crowded.partitions) == 8
    assert "lists 2 datasets where" in reason(crowded.sync(accept=True, datasets=["d6"]))
    assert crowded.sync(accept=True).success
    assert crowded.partitions == {"d6", "d7"}
    crowded.look()


def test_settings_that_leave_out_most_datasets_are_no_loss(crowded: World, tmp_path: Path) -> None:
    crowded.settings = settings_for(
        crowded.portal.url,
        name="demo",
        data_dir=str(tmp_path),
        datasets=DatasetChoice(include=["d7"]),
    )
    crowded.__post_init__()
    crowded.look()
    assert crowded.partitions == {"d7"}


def test_a_withdrawn_dataset_waits_for_its_run(there: World) -> None:
    publish(there.portal, "trees", "roads")
    there.look()
    run = there.instance.create_run_for_job(
        there.repository.get_implicit_global_asset_job_def(),
        asset_selection=frozenset({there.settings.key("records")}),
        tags={"dagster/partition": "trees"},
        status=dg.DagsterRunStatus.STARTED,
    )
    there.portal.withdraw("trees")
    there.look()
    assert there.partitions == {"trees", "roads"}
    there.instance.report_run_failed(there.instance.get_run_by_id(run.run_id))
    there.look()
    assert there.partitions == {"roads"}


# Making a backfill by hand calls this; goes when Dagster does not.
@pytest.mark.filterwarnings("ignore:Function `AssetSelection.sources` is deprecated")
def test_a_withdrawn_dataset_waits_for_a_backfill_with_runs_to_come(there: World) -> None:
    publish(there.portal, "trees", "roads")
    there.look()
    backfill = PartitionBackfill.from_asset_partitions(
        backfill_id="some",
        asset_graph=there.repository.asset_graph,
        partition_names=["trees"],
        asset_selection=[there.settings.key("records")],
        backfill_timestamp=0.0,
        tags={},
        dynamic_partitions_store=there.instance,
        all_partitions=False,
        title=None,
        description=None,
        run_config=None,
    )
    there.instance.add_backfill(backfill)
    there.portal.withdraw("trees")
    there.look()
    assert there.partitions == {"trees", "roads"}
    there.instance.update_backfill(backfill.with_status(BulkActionStatus.COMPLETED_SUCCESS))
    there.look()
    assert there.partitions == {"roads"}


def test_datasets_that_the_settings_leave_out_are_not_reported(
    tmp_path: Path, portal: Emulator
) -> None:
    publish(portal, "trees", "trees-old", "roads")
    with world(
        tmp_path, portal, datasets=DatasetChoice(include=["tr*", "nothing"], exclude=["*-old"])
    ) as there:
        there.look()
        assert there.partitions == {"trees"}


def test_a_portal_that_fails_is_told_in_one_sentence_and_forgets_nothing(there: World) -> None:
    publish(there.portal, "trees")
    there.look()
    there.portal.fail("catalog", Fault.html(), times=None)
    result = there.look()
    assert "a web page came instead of data" in result.skip_message
    assert "\n" not in result.skip_message
    assert there.partitions == {"trees"}


def test_a_portal_that_stalls_ends_before_dagster_would_end_the_tick(
    there: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_SENSOR_GRPC_TIMEOUT_SECONDS", "2")
    publish(there.portal, "trees")
    there.portal.fail("catalog", Fault.stall(60), times=None)
    started = time.monotonic()
    assert there.look().skip_message
    assert time.monotonic() - started < 30


def test_two_thousand_datasets_that_did_not_change_cost_one_request(
    there: World,
) -> None:
    there.portal.make_up(2000, rows=3)
    assert len(there.look(stores=False).asset_events) == 2000
    assert len(there.partitions) == 2000
    assert len(there.cursor or "") < 60_000
    there.sent()
    quiet = there.look()
    assert there.sent() == ["/catalog/exports/json"]
    assert quiet.skip_message == "the catalog says what it said before"


def test_n1_a_dataset_that_can_be_no_partition_is_named() -> None:
    settings = settings_for("data.test", datasets={"include": ["a*"]})
    assert settings.unfit(["a...b", "ab", "b...a"]) == ["a...b"]
