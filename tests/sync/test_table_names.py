"""What a user calls the schema and the tables of a portal: they follow, with rows and history."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from ods_pipeline.emulator import Emulator
from ods_pipeline.warehouse.names import TableNames
from tests.desk import FIELDS, TOWN_FIELDS, TOWNS, Desk, rows

SCHEMA = "city"
CITY = TableNames(SCHEMA)
CALLED = TableNames(SCHEMA, "snake", {"towns": "villes"})


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Emulator(sample=False) as emulator:
        for name in ("bike-lanes", "2024-budget"):
            emulator.publish(name, fields=FIELDS, records=rows(5))
        emulator.publish("towns", fields=TOWN_FIELDS, records=TOWNS)
        yield Desk(emulator, tmp_path)


def ask(desk: Desk, query: str) -> list[tuple[object, ...]]:
    with duckdb.connect(desk.folder / "warehouse.duckdb") as connection:
        return connection.execute(query).fetchall()


def tables(desk: Desk, schema: str = SCHEMA) -> set[object]:
    query = f"SELECT table_name FROM duckdb_tables() WHERE schema_name = '{schema}'"
    return {name for (name,) in ask(desk, query)} - {"_catalog", "_held", "_loads"}


def test_tables_are_called_as_the_user_says(desk: Desk) -> None:
    desk.sync(names=CALLED, features=True)
    assert tables(desk) == {"bike_lanes", "_2024_budget", "villes", "villes__features"}
    assert ask(desk, "SELECT count(*) FROM city.bike_lanes") == [(5,)]
    assert set(desk.actions(names=CALLED, features=True).values()) == {"unchanged"}
    assert len(desk.emulator.requests) == 1


def test_another_name_renames_the_table_and_fetches_nothing(desk: Desk) -> None:
    desk.sync(names=CITY, features=True)
    ask(desk, "UPDATE city.towns SET code = 'a mark that a reload would wipe out'")
    outcome = desk.sync(names=CALLED, features=True)["towns"]
    assert outcome.note == "the table towns is called villes now"
    assert len(desk.emulator.requests) == 1
    assert tables(desk) == {"bike_lanes", "_2024_budget", "villes", "villes__features"}
    mark = [("a mark that a reload would wipe out",)]
    assert ask(desk, "SELECT DISTINCT code FROM city.villes") == mark
    history = """SELECT action, change FROM city._loads WHERE "table" = 'villes' ORDER BY rowid"""
    assert ask(desk, history) == [("loaded", None), ("renamed", "renamed from towns")]
    desk.sync(names=CITY, features=True)
    assert tables(desk) == {"bike-lanes", "2024-budget", "towns", "towns__features"}
    assert ask(desk, "SELECT DISTINCT code FROM city.towns") == mark


def test_a_name_and_new_rows_can_come_together(desk: Desk) -> None:
    desk.sync(names=CITY)
    desk.emulator.publish("bike-lanes", records=rows(7))
    assert desk.actions(names=CALLED)["bike-lanes"] == "landed"
    assert ask(desk, "SELECT count(*) FROM city.bike_lanes") == [(7,)]
    assert "bike-lanes" not in tables(desk)


def test_publisher_and_user_may_both_rename(desk: Desk) -> None:
    desk.sync(names=TableNames(SCHEMA, tables={"towns": "villes"}))
    desk.emulator.rename("towns", "cities")
    desk.sync(names=TableNames(SCHEMA, tables={"cities": "orte"}))
    assert "orte" in tables(desk)
    assert not tables(desk) & {"towns", "cities", "villes"}


def test_another_schema_is_filled_without_a_fetch_and_the_old_one_stays(desk: Desk) -> None:
    desk.sync(names=CITY)
    desk.sync(names=TableNames("town"))
    assert len(desk.emulator.requests) == 1
    assert tables(desk) == tables(desk, "town") == {"bike-lanes", "2024-budget", "towns"}


def test_a_held_table_is_marked_under_its_own_name(desk: Desk) -> None:
    desk.sync(names=CALLED)
    desk.emulator.withdraw("towns")
    desk.sync(names=CALLED)
    assert desk.comment("villes").startswith("HELD since ")


def test_a_name_may_go_from_one_dataset_to_another(desk: Desk) -> None:
    desk.sync(names=TableNames(SCHEMA, tables={"towns": "places"}))
    moved = TableNames(SCHEMA, tables={"bike-lanes": "places", "towns": "villes"})
    assert set(desk.actions(names=moved).values()) == {"unchanged"}
    assert ask(desk, "SELECT count(*) FROM city.places") == [(5,)]
    assert ask(desk, "SELECT count(*) FROM city.villes") == [(20,)]


def test_two_datasets_may_swap_their_names_and_do_so_once(desk: Desk) -> None:
    desk.sync(names=TableNames(SCHEMA, tables={"towns": "a", "bike-lanes": "b"}), features=True)
    swapped = TableNames(SCHEMA, tables={"towns": "b", "bike-lanes": "a"})
    outcomes = desk.sync(names=swapped, features=True)
    assert {outcome.action for outcome in outcomes.values()} == {"unchanged"}
    assert any("is called" in outcome.note for outcome in outcomes.values())
    assert tables(desk) == {"2024-budget", "a", "b", "b__features"}
    assert ask(desk, "SELECT count(*) FROM city.a") == [(5,)]
    assert ask(desk, "SELECT count(*) FROM city.b") == [(20,)]
    again = desk.sync(names=swapped, features=True)
    assert not any(outcome.note for outcome in again.values())


def test_two_datasets_of_one_name_are_told_before_anything_is_fetched(desk: Desk) -> None:
    desk.emulator.publish("bike_lanes", fields=FIELDS, records=rows(7))
    for _ in range(2):
        outcomes = desk.sync(names=CALLED)
        assert outcomes["bike_lanes"].action in {"landed", "unchanged"}
        assert outcomes["bike-lanes"].action == "failed"
        assert "its table would be bike_lanes, which is that of bike_lanes" in (
            outcomes["bike-lanes"].reason
        )
        assert "bike-lanes" not in desk.exported
    named = TableNames(SCHEMA, "snake", {"bike-lanes": "lanes"})
    assert desk.actions(names=named)["bike-lanes"] == "landed"
    assert ask(desk, "SELECT count(*) FROM city.lanes") == [(5,)]


def test_a_table_of_the_users_own_is_never_replaced(desk: Desk) -> None:
    desk.sync(names=CITY)
    ask(desk, "CREATE TABLE city.mine AS SELECT 42 AS answer")
    outcome = desk.sync(names=TableNames(SCHEMA, tables={"towns": "mine"}))["towns"]
    assert outcome.action == "failed"
    assert "was not loaded from a portal: move it away" in outcome.reason
    assert ask(desk, "SELECT * FROM city.mine") == [(42,)]
    assert ask(desk, "SELECT count(*) FROM city.towns") == [(20,)]
