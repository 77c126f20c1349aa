"""Odd data in Dagster: weaker proofs, refusals and lost values are shown where a team looks."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ods_pipeline.dagster.attributes import AssetTableChoice
from ods_pipeline.emulator import Emulator, Fault
from tests.dagster.world import World, reason, rows, value, world

pytestmark = pytest.mark.filterwarnings(
    # Dagster's own call, whenever a resource has one inside; goes when it no longer warns.
    "ignore:InitResourceContext.dagster_run is deprecated:DeprecationWarning"
)
BOTH = ("records", "table")
FIELDS = [{"name": "n", "type": "text"}]


@pytest.fixture
def portal() -> Iterator[Emulator]:
    with Emulator(sample=False) as emulator:
        emulator.publish("odd", fields=FIELDS, records=[{"n": "1"}, {"n": "x"}, {"n": "3"}])
        emulator.claim("odd", "n", type="int")
        yield emulator


def looked_at(there: World) -> World:
    there.look()
    there.sent()
    return there


def test_f10_a_refused_partition_asks_for_no_export_again(portal: Emulator, tmp_path: Path) -> None:
    with world(tmp_path, portal) as there:
        looked_at(there)
        first = there.run("records", over="odd", raise_on_error=False)
        assert "record 2 holds 'x'" in reason(first)
        assert "/catalog/datasets/odd/exports/parquet" in there.sent()
        again = there.run("records", over="odd", raise_on_error=False)
        assert "still refused" in reason(again)
        assert not [path for path in there.sent() if "/odd" in path]


def test_d1_values_that_are_given_up_are_counted_in_a_warning_check_and_the_log_of_loads(
    portal: Emulator, tmp_path: Path
) -> None:
    decided = {"odd": AssetTableChoice(bad_values="null")}
    with world(tmp_path, portal, tables=decided) as there:
        looked_at(there)
        result = there.run("odd")
        assert result.success
        found = {item.check_name: item for item in result.get_asset_check_evaluations()}
        assert not found["values_kept"].passed
        assert found["values_kept"].severity.value == "WARN"
        assert found["values_kept"].metadata["rejected"].value == 1
        assert found["complete"].passed
        assert value(there.latest("odd"), "rejected") == "1"
        assert rows(there, "SELECT rejected FROM _loads WHERE dataset_id = 'odd'") == [(1,)]
        assert rows(there, "SELECT n FROM odd ORDER BY n") == [(1,), (3,), (None,)]


def test_d1_a_field_can_be_retyped_for_one_dataset(portal: Emulator, tmp_path: Path) -> None:
    with world(tmp_path, portal, tables={"odd": AssetTableChoice(types={"n": "text"})}) as there:
        looked_at(there)
        result = there.run("odd")
        found = {item.check_name: item for item in result.get_asset_check_evaluations()}
        assert found["values_kept"].passed
        assert rows(there, "SELECT n FROM odd ORDER BY n") == [("1",), ("3",), ("x",)]


def test_f1_the_check_names_the_proof_that_was_had(portal: Emulator, tmp_path: Path) -> None:
    portal.publish("plain", fields=FIELDS, records=[{"n": "1"}])
    portal.fail(r"/records\?", Fault.refused(), None)
    with world(tmp_path, portal) as there:
        looked_at(there)
        result = there.run("records", over="plain")
        (complete,) = [
            item for item in result.get_asset_check_evaluations() if item.check_name == "complete"
        ]
        assert complete.metadata["proven_by"].value == "catalog count"
        portal.lie("plain", records_count=7, data_processed="2026-01-01T00:00:00+00:00")
        held = there.run("records", over="plain", raise_on_error=False)
        assert "its catalog says 7" in reason(held)


def test_k6_an_empty_dataset_is_a_table_of_no_rows(portal: Emulator, tmp_path: Path) -> None:
    portal.publish("empty", fields=FIELDS, records=[])
    with world(tmp_path, portal) as there:
        looked_at(there)
        assert there.run(*BOTH, over="empty").success
        assert rows(there, "SELECT count(*) FROM empty") == [(0,)]
