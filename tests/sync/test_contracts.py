"""What happens when a publisher edits the fields of a dataset: follow, freeze or quarantine."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from ods_pipeline.emulator import Emulator, Fault
from ods_pipeline.errors import ConfigurationError
from ods_pipeline.sync.options import Mode
from ods_pipeline.sync.outcome import exit_status
from ods_pipeline.sync.rules import Rules
from ods_pipeline.tables.schema_diff import difference
from tests.desk import FIELDS, Desk, rows

pytestmark = pytest.mark.slow

WIDER = [*FIELDS, {"name": "extra", "type": "text"}]
FREEZE, QUARANTINE = Rules(contracts=(("*", "freeze"),)), Rules(contracts=(("*", "quarantine"),))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Emulator(sample=False) as emulator:
        emulator.publish("one", fields=FIELDS, records=rows(5))
        yield Desk(emulator, tmp_path)


def columns(desk: Desk) -> list[str]:
    """Columns of the table in the warehouse."""
    schema = desk.lake.root.name.replace(".", "_")
    with duckdb.connect(desk.folder / "warehouse.duckdb", read_only=True) as connection:
        return [name for name, *_ in connection.execute(f'DESCRIBE "{schema}".one').fetchall()]


def edited(desk: Desk) -> None:
    desk.emulator.publish("one", WIDER, [{**row, "extra": "x"} for row in rows(6)])


def test_by_default_the_table_follows_and_the_difference_is_told(desk: Desk) -> None:
    desk.sync()
    edited(desk)
    outcome = desk.sync()["one"]
    assert (outcome.action, outcome.verdict, outcome.change) == ("landed", "schema", "added extra")
    assert "added extra" in outcome.reason
    assert columns(desk) == ["code", "n", "extra"]


def test_frozen_fields_stop_the_load_without_a_fetch_until_a_person_accepts(desk: Desk) -> None:
    desk.sync()
    edited(desk)
    for _ in range(2):
        outcomes = desk.sync(rules=FREEZE)
        assert len(desk.emulator.requests) == 1
        assert (outcomes["one"].action, outcomes["one"].verdict) == ("held", "frozen")
        assert "added extra" in outcomes["one"].reason
        assert exit_status(outcomes.values()) == 1
    assert (desk.loaded("one"), columns(desk)) == (5, ["code", "n"])
    assert desk.actions("one", rules=FREEZE, accept=True) == {"one": "landed"}
    assert columns(desk) == ["code", "n", "extra"]
    assert desk.actions(rules=FREEZE) == {"one": "unchanged"}


def test_in_quarantine_the_data_land_and_the_table_stays_until_a_person_accepts(
    desk: Desk,
) -> None:
    desk.sync()
    edited(desk)
    for fetched in (["one"], []):
        outcomes = desk.sync(rules=QUARANTINE)
        assert desk.exported == fetched
        assert (outcomes["one"].action, outcomes["one"].verdict) == ("held", "quarantined")
        assert outcomes["one"].change.startswith("added ")
        assert "added extra" in outcomes["one"].reason
        assert exit_status(outcomes.values()) == 1
    assert pq.read_metadata(desk.lake.partition("records", "one")).num_rows == 6
    assert (desk.loaded("one"), columns(desk)) == (5, ["code", "n"])
    accepted = desk.sync("one", rules=QUARANTINE, accept=True)["one"]
    assert (accepted.loaded, desk.exported) == ("loaded", [])
    assert (desk.loaded("one"), columns(desk)) == (6, ["code", "n", "extra"])
    assert desk.actions(rules=QUARANTINE) == {"one": "unchanged"}


@pytest.mark.parametrize("rules", [FREEZE, QUARANTINE])
def test_a_contract_lets_rows_and_words_through(desk: Desk, rules: Rules) -> None:
    desk.sync(rules=rules)
    desk.emulator.publish("one", records=rows(7))
    assert desk.actions(rules=rules) == {"one": "landed"}
    desk.emulator.relabel("one", "n", label="Number")
    assert desk.actions(rules=rules) == {"one": "described anew"}
    assert desk.loaded("one") == 7


def test_a_contract_is_chosen_by_the_last_pattern_that_matches() -> None:
    rules = Rules(contracts=(("*", "freeze"), ("finance-*", "quarantine"), ("finance-x", "evolve")))
    assert [rules.contract(name) for name in ("a", "finance-a", "finance-x")] == [
        "freeze",
        "quarantine",
        "evolve",
    ]
    assert Rules().contract("a") == "evolve"
    with pytest.raises(ConfigurationError, match="'thaw' is no schema contract"):
        Rules(contracts=(("*", "thaw"),))  # type: ignore[arg-type]


def test_the_difference_is_readable_in_all_its_kinds(desk: Desk) -> None:
    desk.sync()
    before = pq.read_schema(desk.lake.partition("records", "one"))
    fields = [
        {"name": "code", "type": "text", "label": "Code INSEE"},
        {"name": "n", "type": "text", "annotations": {"unit": "kWh"}},
        {"name": "new", "type": "date"},
    ]
    desk.emulator.publish("one", fields, [])
    from ods_pipeline.portal.portal import Portal
    from ods_pipeline.tables.schema import arrow_schema

    after = arrow_schema(Portal(desk.emulator.url).dataset("one").fields)
    found = difference(before, after)
    assert str(found) == (
        "added new; retyped n from int to text; "
        "renamed the label of code from 'code' to 'Code INSEE'; changed the annotations of n"
    )
    back = difference(after, before)
    assert str(back).startswith("removed new; retyped n from text to int")
    assert str(difference(before, before)) == ""
    assert str(difference(None, before)) == ""


def test_an_annotation_that_changes_is_written_without_a_fetch(desk: Desk) -> None:
    desk.sync()
    stamps = desk.emulator.state.dataset("one").metas["default"]["data_processed"]
    annotated = [FIELDS[0], {**FIELDS[1], "annotations": {"facet": True}}]
    desk.emulator.publish("one", annotated, rows(5))
    desk.emulator.lie("one", data_processed=stamps)
    assert desk.actions() == {"one": "described anew"}
    schema = pq.read_schema(desk.lake.partition("records", "one"))
    assert schema.field("n").metadata[b"annotations"] == b'{"facet": true}'


def test_no_wish_for_everything_goes_around_a_frozen_contract(desk: Desk) -> None:
    desk.sync()
    edited(desk)
    outcome = desk.sync(rules=FREEZE, mode=Mode.full)["one"]
    assert (outcome.action, outcome.verdict, desk.exported) == ("held", "frozen", [])


def test_fields_that_change_while_they_are_read_do_not_slip_by_a_frozen_contract(
    desk: Desk,
) -> None:
    desk.sync()
    desk.emulator.publish("one", records=rows(6))
    wider = [{**row, "extra": "x"} for row in rows(7)]
    publish = {"verb": "publish", "dataset_id": "one", "fields": WIDER, "records": wider}
    desk.emulator.fail("/one/exports", Fault.meanwhile([publish]), times=1)
    outcome = desk.sync(rules=FREEZE)["one"]
    assert (outcome.action, outcome.verdict) == ("held", "frozen")
    assert columns(desk) == ["code", "n"]
