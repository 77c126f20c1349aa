"""What a portal takes back: the last good rows stay, marked, until somebody says otherwise."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from ods_pipeline.emulator import Emulator, Fault
from ods_pipeline.errors import Unproven
from ods_pipeline.lake.holds import Hold, read_holds, update_holds
from ods_pipeline.sync.outcome import exit_status
from ods_pipeline.sync.rules import Rules
from tests.desk import FIELDS, TOWN_FIELDS, TOWNS, Desk, rows

pytestmark = pytest.mark.slow


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Emulator(sample=False) as emulator:
        for name in ("one", "two", "three"):
            emulator.publish(name, fields=FIELDS, records=rows(20))
        yield Desk(emulator, tmp_path)


def marked(desk: Desk) -> dict[str, str]:
    """What the warehouse says is held, and why."""
    schema = desk.lake.root.name.replace(".", "_")
    with duckdb.connect(desk.folder / "warehouse.duckdb", read_only=True) as connection:
        found = connection.execute(f'SELECT dataset_id, verdict FROM "{schema}"._held').fetchall()
    return dict(found)


def test_what_is_withdrawn_stays_and_is_marked_with_the_reason_and_the_day(desk: Desk) -> None:
    desk.sync()
    desk.emulator.withdraw("two")
    outcome = desk.sync()["two"]
    assert (outcome.action, outcome.rows) == ("held", 20)
    hold = read_holds(desk.lake)["records", "two"]
    assert (hold.verdict, hold.rows) == ("withdrawn", 20)
    assert "lists it no more" in hold.reason
    assert marked(desk) == {"two": "withdrawn"}
    file = desk.lake.holds_file.read_bytes()
    desk.sync()
    assert desk.lake.holds_file.read_bytes() == file, "since and all else stay as they were"


def test_a_warehouse_that_is_set_up_anew_gets_what_is_held_as_well(desk: Desk) -> None:
    desk.sync()
    desk.emulator.withdraw("two")
    desk.emulator.publish("three", records=rows(2))
    desk.sync()
    (desk.folder / "warehouse.duckdb").unlink()
    desk.emulator.publish("one", records=rows(21))
    desk.emulator.fail("/one/exports", Fault.short_rows(1), times=None)
    actions = desk.actions()
    assert actions == {"one": "failed", "two": "held", "three": "held"}
    assert {name: desk.loaded(name) for name in actions} == dict.fromkeys(actions, 20)
    assert marked(desk) == {"one": "contradicted", "two": "withdrawn", "three": "shrunk"}


def test_what_comes_back_is_held_no_more(desk: Desk) -> None:
    desk.sync()
    desk.emulator.restrict("one")
    assert desk.actions()["one"] == "held"
    assert marked(desk) == {"one": "restricted"}
    desk.emulator.restrict("one", restricted=False)
    assert desk.actions()["one"] == "unchanged"
    assert read_holds(desk.lake) == {}
    assert marked(desk) == {}


def test_nothing_is_held_of_a_dataset_whose_landed_rows_somebody_deleted(desk: Desk) -> None:
    desk.sync()
    desk.emulator.restrict("one")
    desk.sync()
    desk.lake.partition("records", "one").unlink()
    assert desk.actions()["one"] == "skipped"
    assert (read_holds(desk.lake), marked(desk)) == ({}, {})


@pytest.mark.parametrize(("left", "verdict"), [(0, "emptied"), (9, "shrunk")])
def test_a_table_that_emptied_or_shrank_is_asked_about_once_and_fails_every_night(
    desk: Desk, left: int, verdict: str
) -> None:
    desk.sync()
    desk.emulator.publish("three", records=rows(left))
    first = desk.sync()
    assert (first["three"].action, first["three"].verdict) == ("held", verdict)
    assert exit_status(first.values()) == 1
    assert desk.exported == []
    second = desk.sync()
    assert len(desk.emulator.requests) == 1
    assert (second["three"].action, exit_status(second.values())) == ("held", 1)
    assert "accept it if it is right" in second["three"].reason
    assert desk.loaded("three") == 20
    assert marked(desk) == {"three": verdict}


def test_rows_that_come_back_are_taken_without_anybody(desk: Desk) -> None:
    desk.sync()
    desk.emulator.publish("three", records=rows(2))
    desk.sync()
    desk.emulator.publish("three", records=rows(21))
    assert desk.actions()["three"] == "landed"
    assert (desk.loaded("three"), read_holds(desk.lake)) == (21, {})


@pytest.mark.parametrize("left", [0, 9])
def test_a_person_takes_what_is_held(desk: Desk, left: int) -> None:
    desk.sync()
    desk.emulator.publish("three", records=rows(left))
    desk.sync()
    assert desk.actions("three", accept=True) == {"three": "landed"}
    assert (desk.loaded("three"), read_holds(desk.lake)) == (left, {})
    assert set(desk.actions().values()) == {"unchanged"}


def test_how_much_a_table_may_lose_is_for_the_user_to_say(desk: Desk) -> None:
    desk.sync()
    desk.emulator.publish("three", records=rows(19))
    strict, lenient = Rules(shrink=0), Rules(shrink=100)
    assert desk.sync(rules=strict)["three"].action == "held"
    desk.emulator.publish("three", records=rows(1))
    assert desk.sync(rules=lenient)["three"].action == "landed"


def test_an_empty_dataset_is_fetched_once_and_again_when_it_moves(desk: Desk) -> None:
    desk.emulator.publish("empty", fields=FIELDS, records=[])
    assert desk.actions()["empty"] == "landed"
    assert desk.actions()["empty"] == "unchanged"
    assert len(desk.emulator.requests) == 1
    desk.emulator.publish("empty", records=rows(1))
    assert desk.actions()["empty"] == "landed"


def test_a_hold_outlives_a_failure_and_not_its_dataset(desk: Desk) -> None:
    desk.sync()
    desk.emulator.publish("three", records=rows(2))
    desk.sync()
    desk.emulator.republish("three")
    desk.emulator.fail("/three", Fault.status(404), times=None)
    assert desk.actions()["three"] == "failed"
    assert ("records", "three") in read_holds(desk.lake)
    desk.lake.partition("records", "three").unlink()
    desk.emulator.withdraw("three")
    desk.sync()
    assert read_holds(desk.lake) == {}


@pytest.mark.parametrize("kept", [0, 1, 9])
def test_a_catalog_that_lost_most_of_its_datasets_overnight_is_not_believed(
    tmp_path: Path, kept: int
) -> None:
    with Emulator(sample=False) as emulator:
        emulator.make_up(20, rows=1)
        desk = Desk(emulator, tmp_path)
        desk.sync()
        catalog = desk.lake.catalog.read_bytes()
        names = [dataset.dataset_id for dataset in emulator.state.datasets()]
        for name in names[kept:]:
            emulator.withdraw(name)
        with pytest.raises(Unproven, match=f"lists {kept} datasets where it listed 20"):
            desk.sync()
        assert desk.lake.catalog.read_bytes() == catalog
        assert read_holds(desk.lake) == {}
        accepted = desk.actions(accept=True)
        assert sorted(accepted.values()) == ["held"] * (20 - kept) + ["unchanged"] * kept


def test_a_layer_that_is_geographic_no_more_is_held_and_its_records_go_on(tmp_path: Path) -> None:
    with Emulator(sample=False) as emulator:
        emulator.publish("towns", fields=TOWN_FIELDS, records=TOWNS)
        desk = Desk(emulator, tmp_path)
        desk.sync(features=True)
        emulator.publish("towns", fields=FIELDS, records=rows(20))
        outcomes = desk.sync(features=True)
        assert outcomes["towns"].action == "landed"
        layer = outcomes["towns (features)"]
        assert (layer.action, layer.verdict) == ("held", "no geometry")


def test_a_list_of_holds_that_is_lost_or_damaged_costs_a_question_and_nothing_else(
    desk: Desk,
) -> None:
    desk.sync()
    desk.emulator.publish("three", records=rows(2))
    desk.sync()
    desk.lake.holds_file.write_bytes(b"PAR1 no more")
    assert read_holds(desk.lake) == {}
    assert desk.actions()["three"] == "held"
    assert pq.read_table(desk.lake.holds_file).num_rows == 1


def test_keeping_what_is_kept_already_writes_nothing(desk: Desk) -> None:
    hold = Hold("x", "records", "shrunk", "it shrank", "2026-11-22T00:00:00+00:00", 3, "s")
    update_holds(desk.lake, {hold.key: None})
    assert not desk.lake.holds_file.exists()
    update_holds(desk.lake, {hold.key: hold})
    before = desk.lake.holds_file.stat().st_mtime_ns
    update_holds(desk.lake, {hold.key: hold})
    assert desk.lake.holds_file.stat().st_mtime_ns == before
    assert read_holds(desk.lake) == {hold.key: hold}
    update_holds(desk.lake, {hold.key: None})
    assert read_holds(desk.lake) == {}
    desk.lake.holds_file.write_bytes(b"damaged")
    update_holds(desk.lake, {})
    assert pq.read_table(desk.lake.holds_file).num_rows == 0


def test_a_run_over_records_alone_forgets_nothing_that_is_held_of_features(tmp_path: Path) -> None:
    with Emulator(sample=False) as emulator:
        emulator.publish("towns", fields=TOWN_FIELDS, records=TOWNS)
        desk = Desk(emulator, tmp_path)
        desk.sync(features=True)
        emulator.restrict("towns")
        desk.sync(features=True)
        desk.sync()
        assert {kind for kind, _ in read_holds(desk.lake)} == {"records", "features"}


def test_a_dataset_that_the_catalog_forgets_night_after_night_fails_night_after_night(
    desk: Desk,
) -> None:
    desk.sync()
    desk.emulator.fail("/catalog/", Fault.fewer_datasets(1), times=None)
    for _ in range(2):
        actions = desk.actions()
        assert list(actions.values()).count("failed") == 1, actions
    assert read_holds(desk.lake) == {}


def test_accepting_one_dataset_is_no_word_on_the_catalog(tmp_path: Path) -> None:
    with Emulator(sample=False) as emulator:
        emulator.make_up(12, rows=2)
        desk = Desk(emulator, tmp_path)
        desk.sync()
        first, *others = [dataset.dataset_id for dataset in emulator.state.datasets()]
        for name in others:
            emulator.withdraw(name)
        with pytest.raises(Unproven, match="lists 1 datasets where it listed 12"):
            desk.sync(first, accept=True)


def test_what_a_person_accepts_is_what_they_were_shown_and_nothing_else(desk: Desk) -> None:
    desk.sync()
    desk.emulator.publish("three", records=rows(9))
    desk.sync()
    for name in ("one", "three"):
        desk.emulator.publish(name, records=[])
    actions = desk.actions(accept=True)
    assert (actions["one"], actions["three"]) == ("held", "held")
    assert {desk.loaded(name) for name in ("one", "three")} == {20}
    assert desk.actions("three", accept=True) == {"three": "landed"}
    assert (desk.loaded("one"), desk.loaded("three")) == (20, 0)


def test_a_landed_file_that_is_damaged_is_never_loaded(desk: Desk) -> None:
    desk.sync()
    file = desk.lake.partition("records", "one")
    whole = file.read_bytes()
    (desk.folder / "warehouse.duckdb").unlink()
    file.write_bytes(whole[:60] + bytes([whole[60] ^ 1]) + whole[61:])
    outcome = desk.sync()["one"]
    assert outcome.action == "failed"
    assert "is damaged: delete it and sync again" in outcome.reason
    file.write_bytes(whole)
    assert desk.sync()["one"].loaded == "loaded"
