"""A dataset that a publisher renames: partition, table and history follow without a fetch."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ods_pipeline.emulator import Emulator, Fault
from ods_pipeline.lake.lake import receipt
from ods_pipeline.sync.renames import follow
from tests.desk import FIELDS, TOWN_FIELDS, TOWNS, Desk, rows

pytestmark = pytest.mark.slow


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Emulator(sample=False) as emulator:
        emulator.publish("one", fields=FIELDS, records=rows(5))
        emulator.publish("towns", fields=TOWN_FIELDS, records=TOWNS)
        yield Desk(emulator, tmp_path)


def asked(desk: Desk, statement: str) -> list[Any]:
    schema = desk.lake.root.name.replace(".", "_")
    with duckdb.connect(desk.folder / "warehouse.duckdb", read_only=True) as connection:
        return connection.execute(statement.format(schema=f'"{schema}"')).fetchall()


def tables(desk: Desk) -> set[str]:
    found = asked(desk, "SELECT table_name FROM information_schema.tables")
    return {name for (name,) in found if not name.startswith("_")}


def test_a_renamed_dataset_takes_its_partition_its_table_and_its_history_along(desk: Desk) -> None:
    desk.sync(features=True)
    before = receipt(desk.lake.partition("records", "towns"))
    assert before
    desk.emulator.rename("towns", "villes")
    outcomes = desk.sync(features=True)
    assert len(desk.emulator.requests) == 1
    assert set(outcomes) == {"one", "villes", "villes (features)"}
    assert outcomes["villes"].action == "described anew"
    assert outcomes["villes"].reason == "it was called towns"
    assert set(desk.files()) == {"one", "villes"}
    after = receipt(desk.lake.partition("records", "villes"))
    assert after
    assert (after.content_hash, after.fetched_at) == (before.content_hash, before.fetched_at)
    assert after.former_names == ("towns",)
    assert tables(desk) == {"one", "villes", "villes__features"}
    loads = asked(desk, 'SELECT DISTINCT "table" FROM {schema}._loads WHERE "table" LIKE \'%s%\'')
    assert {name for (name,) in loads if name not in {"_catalog", "_held"}} == {
        "villes",
        "villes__features",
    }
    assert set(desk.actions(features=True).values()) == {"unchanged"}


def test_a_dataset_that_is_renamed_and_edited_is_fetched_once_under_its_new_name(
    desk: Desk,
) -> None:
    desk.sync()
    desk.emulator.rename("one", "uno")
    desk.emulator.publish("uno", records=rows(6))
    outcomes = desk.sync()
    assert (outcomes["uno"].action, outcomes["uno"].verdict) == ("landed", "data")
    assert desk.exported == ["uno"]
    assert desk.loaded("uno") == 6
    assert tables(desk) == {"uno", "towns"}


def test_a_renamed_dataset_that_cannot_be_fetched_keeps_its_rows_under_the_new_name(
    desk: Desk,
) -> None:
    desk.sync()
    desk.emulator.rename("one", "uno")
    desk.emulator.publish("uno", records=rows(6))
    desk.emulator.fail("/uno/exports", Fault.short_rows(1), times=None)
    assert desk.actions()["uno"] == "failed"
    assert set(desk.files()) == {"uno", "towns"}
    desk.emulator.faults.clear()
    assert desk.actions()["uno"] == "landed"


def test_a_name_that_another_dataset_takes_over_mixes_up_nothing(desk: Desk) -> None:
    desk.sync()
    desk.emulator.rename("one", "uno")
    desk.emulator.publish("one", fields=FIELDS, records=rows(9))
    outcomes = desk.sync()
    assert outcomes["uno"].action == "described anew"
    assert (outcomes["one"].action, outcomes["one"].verdict) == ("landed", "new")
    assert (desk.loaded("uno"), desk.loaded("one")) == (5, 9)


def test_two_datasets_that_swap_their_names_are_fetched_again(desk: Desk) -> None:
    desk.emulator.publish("two", fields=FIELDS, records=rows(9))
    desk.sync()
    desk.emulator.rename("one", "tmp")
    desk.emulator.rename("two", "one")
    desk.emulator.rename("tmp", "two")
    outcomes = desk.sync()
    assert {outcomes[name].action for name in ("one", "two")} == {"landed"}
    assert (desk.loaded("one"), desk.loaded("two")) == (9, 5)


def test_a_chain_of_names_is_remembered(desk: Desk) -> None:
    desk.sync()
    for name in ("uno", "ein", "ONE"):
        (old,) = set(desk.files()) - {"towns"}
        desk.emulator.rename(old, name)
        desk.sync()
    landed = receipt(desk.lake.partition("records", "ONE"))
    assert landed
    assert landed.former_names == ("one", "uno", "ein")
    assert tables(desk) == {"ONE", "towns"}


def test_a_renaming_that_was_broken_off_is_finished_by_the_next_run(desk: Desk) -> None:
    desk.sync()
    left = desk.lake.partition("records", "one")
    body = left.read_bytes()
    landed = receipt(left)
    assert landed
    follow(desk.lake, "records", "one", "uno", landed.dataset_uid)
    left.write_bytes(body)
    desk.emulator.rename("one", "uno")
    outcomes = desk.sync()
    assert len(desk.emulator.requests) == 1
    assert outcomes["uno"].action == "described anew"
    assert not left.exists()
    assert tables(desk) == {"uno", "towns"}


def test_an_identity_that_two_datasets_claim_moves_nothing(desk: Desk) -> None:
    desk.sync()
    uid = desk.emulator.state.dataset("one").dataset_uid
    desk.emulator.rename("one", "uno")
    desk.emulator.lie("towns", dataset_uid=uid)
    outcomes = desk.sync()
    assert (outcomes["one"].action, outcomes["uno"].action) == ("held", "landed")


def test_asking_for_the_old_name_tells_the_new_one(desk: Desk) -> None:
    desk.sync()
    desk.emulator.rename("one", "uno")
    outcome = desk.sync("one")["one"]
    assert outcome.action == "failed"
    assert "the portal calls it uno now" in outcome.reason
    assert desk.actions("uno") == {"uno": "described anew"}


def test_names_that_move_on_in_a_row_are_followed_in_the_order_that_frees_them(
    desk: Desk,
) -> None:
    desk.emulator.publish("two", fields=FIELDS, records=rows(9))
    desk.sync()
    desk.emulator.rename("two", "three")
    desk.emulator.rename("one", "two")
    outcomes = desk.sync()
    assert len(desk.emulator.requests) == 1
    assert {outcomes[name].action for name in ("two", "three")} == {"described anew"}
    assert (desk.loaded("two"), desk.loaded("three")) == (5, 9)
    assert set(desk.files()) == {"two", "three", "towns"}
    assert tables(desk) == {"two", "three", "towns"}


def test_what_is_renamed_and_restricted_at_once_is_held_under_its_new_name(desk: Desk) -> None:
    desk.sync()
    desk.emulator.rename("one", "uno")
    desk.emulator.restrict("uno")
    assert desk.actions()["uno"] == "held"
    assert set(desk.files()) == {"uno", "towns"}
    assert tables(desk) == {"uno", "towns"}
    comments = asked(desk, "SELECT comment FROM duckdb_tables() WHERE table_name = 'uno'")
    assert comments[0][0].startswith("HELD since")


def test_a_damaged_partition_that_is_renamed_is_fetched_and_stops_no_other(desk: Desk) -> None:
    desk.sync()
    file = desk.lake.partition("records", "one")
    body = bytearray(file.read_bytes())
    body[60] ^= 1
    file.write_bytes(body)
    desk.emulator.rename("one", "uno")
    outcomes = desk.sync()
    assert (outcomes["uno"].action, outcomes["towns"].action) == ("landed", "unchanged")
    assert desk.loaded("uno") == 5


def test_a_file_that_is_another_datasets_by_now_is_not_taken_along(desk: Desk) -> None:
    desk.sync()
    landed = receipt(desk.lake.partition("records", "one"))
    assert landed
    follow(desk.lake, "records", "one", "uno", landed.dataset_uid)
    desk.emulator.rename("one", "uno")
    desk.emulator.publish("one", fields=FIELDS, records=rows(9))
    desk.sync()
    again = follow(desk.lake, "records", "one", "uno", landed.dataset_uid)
    assert again.dataset_id == "uno"
    assert desk.lake.partition("records", "one").exists()


def test_a_run_over_one_dataset_renames_no_other(desk: Desk) -> None:
    desk.sync()
    desk.emulator.rename("one", "uno")
    assert desk.actions("towns") == {"towns": "unchanged"}
    assert set(desk.files()) == {"one", "towns"}
    assert tables(desk) == {"one", "towns"}
