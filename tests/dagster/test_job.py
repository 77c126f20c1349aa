"""The job for those who prefer a clock: the whole portal, incrementally, in one run."""

import pickle
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ods_pipeline.emulator import Emulator, Fault
from ods_pipeline.errors import (
    HeldBack,
    Miscounted,
    OdsPipelineError,
    QuotaExhausted,
    ServiceException,
    TypeMismatch,
)
from ods_pipeline.sync import side_by_side
from ods_pipeline.sync.configuration import DatasetChoice
from ods_pipeline.sync.options import RunContext
from ods_pipeline.sync.plan import Planned
from ods_pipeline.sync.update import UpdateResult, update_dataset
from tests.dagster.world import FIELDS, RECORDS, World, publish, reason, value, world

pytestmark = pytest.mark.filterwarnings(
    # Dagster's own call, whenever a resource has one inside; goes when it no longer warns.
    "ignore:InitResourceContext.dagster_run is deprecated:DeprecationWarning"
)


@pytest.mark.parametrize(
    "error",
    [
        HeldBack("shrunk", "it shrank", change="added note", dataset="trees"),
        TypeMismatch("people", 7, "x", "int"),
        Miscounted("too few", rows=1, counted=2),
        QuotaExhausted("spent", reset=datetime(2999, 1, 1, tzinfo=UTC), portal="p"),
        ServiceException("Code", "where", "text"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_is_the_same_after_its_way_from_step_to_step(error: OdsPipelineError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert (str(again), vars(again)) == (str(error), vars(error))


@pytest.fixture
def synced(tmp_path: Path, portal: Emulator) -> Iterator[World]:
    publish(portal, "trees", "roads", "old")
    with world(tmp_path, portal, datasets=DatasetChoice(exclude=["old"])) as there:
        assert there.sync().success
        there.sent()
        yield there


def test_one_run_brings_a_portal_and_tells_the_assets(synced: World) -> None:
    assert synced.partitions == {"trees", "roads"}
    for asset in ("records", "table"):
        key = synced.settings.key(asset)
        assert synced.instance.get_materialized_partitions(key) == {"trees", "roads"}
    assert value(synced.latest("catalog"), "dagster/row_count") == 3
    assert value(synced.latest("table", "trees"), "action") == "loaded"
    assert synced.latest("dataset", "trees").tags["dagster/data_version"]


def test_a_second_run_makes_one_request_and_logs_nothing_of_the_datasets(synced: World) -> None:
    result = synced.sync()
    assert result.success
    assert synced.sent() == ["/catalog/exports/json"]
    told = {event.asset_key.path[-1] for event in result.get_asset_materialization_events()}
    assert told == {"catalog"}


def test_what_changed_is_fetched_and_what_left_is_no_partition(synced: World) -> None:
    synced.portal.publish("trees", fields=FIELDS, records=RECORDS[:5])
    synced.portal.withdraw("roads")
    assert synced.sync().success
    assert synced.partitions == {"trees"}
    assert value(synced.latest("table", "trees"), "dagster/partition_row_count") == 5


def test_dagster_is_told_of_a_dataset_while_another_is_on_its_way(
    synced: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("trees", "roads"):
        synced.portal.publish(name, fields=FIELDS, records=RECORDS[:5])
    before, told = version_of_trees(synced), threading.Event()

    def late(context: RunContext, step: Planned) -> UpdateResult:
        ends = time.monotonic() + 60
        while step.dataset_id == "roads" and not told.is_set() and time.monotonic() < ends:
            time.sleep(0.05)
            if version_of_trees(synced) != before:
                told.set()
        return update_dataset(context, step)

    monkeypatch.setattr(side_by_side, "update_dataset", late)
    assert synced.sync().success
    assert told.is_set()


def version_of_trees(there: World) -> str:
    return there.latest("records", "trees").tags["dagster/data_version"]


def test_a_failure_stops_no_other_dataset_and_fails_the_run(synced: World) -> None:
    for name in ("trees", "roads"):
        synced.portal.publish(name, fields=FIELDS, records=RECORDS[:5])
    synced.portal.fail("trees/exports", Fault.short_rows(1), times=None)
    result = synced.sync()
    assert reason(result).startswith("1 of 2 datasets failed: trees: 4 rows came")
    assert value(synced.latest("table", "roads"), "dagster/partition_row_count") == 5
    assert value(synced.latest("table", "trees"), "dagster/partition_row_count") == 7


def test_a_table_that_fell_behind_is_loaded_without_a_fetch(synced: World) -> None:
    (Path(synced.settings.attributes.data_dir) / "warehouse.duckdb").unlink()
    assert synced.sync().success
    assert synced.sent() == ["/catalog/exports/json"]
    assert value(synced.latest("table", "trees"), "action") == "loaded"


def test_a_verifying_run_names_what_differs_and_lands_nothing(synced: World) -> None:
    synced.portal.publish("trees", fields=FIELDS, records=RECORDS[:2])
    result = synced.sync(mode="verify")
    assert reason(result).startswith("1 of 2 datasets failed: trees: the portal has other rows")
    assert synced.lake.receipts("records")["trees"].rows == 7


def test_a_full_run_over_one_dataset_fetches_that_one(synced: World) -> None:
    assert synced.sync(mode="full", datasets=["roads"]).success
    sent = synced.sent()
    assert "/catalog/datasets/roads/exports/parquet" in sent
    assert not [path for path in sent if "trees" in path]


def test_a_dataset_that_there_is_not_fails_by_its_name(synced: World) -> None:
    assert "nothing-like-it" in reason(synced.sync(datasets=["nothing-like-it"]))


def test_what_the_job_brought_is_not_asked_for_again(synced: World) -> None:
    synced.look()
    asked = synced.asked()
    assert "records" not in asked
    assert "table" not in asked
