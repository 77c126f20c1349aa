"""Part of a dataset: its filter is part of what is landed, proven and compared."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from ods_pipeline.emulator import Emulator, Fault
from ods_pipeline.lake.lake import receipt
from ods_pipeline.lake.receipt import Receipt
from ods_pipeline.sync.rules import Rules, TableRules
from ods_pipeline.sync.selection import EVERYTHING, Selection
from tests.desk import TOWN_FIELDS, TOWNS, Desk

LANES: list[dict[str, Any]] = [{"format": "parquet"}, {"format": "csv"}]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Emulator(sample=False) as emulator:
        emulator.publish("towns", fields=TOWN_FIELDS, records=TOWNS)
        yield Desk(emulator, tmp_path)


def chosen(**choices: Any) -> Rules:
    return Rules(tables={"towns": TableRules(**choices)})


def landed(desk: Desk, kind: str = "records") -> Receipt:
    found = receipt(desk.lake.partition(kind, "towns"))
    assert found is not None
    return found


@pytest.mark.parametrize("lane", LANES, ids=str)
def test_only_the_chosen_records_and_fields_are_landed_and_counted(
    desk: Desk, lane: dict[str, Any]
) -> None:
    rules = chosen(where="n >= 15", select=("n", "code"))
    outcome = desk.sync(rules=rules, **lane)["towns"]
    assert (outcome.action, outcome.rows) == ("landed", 5)
    table = pq.read_table(desk.lake.partition("records", "towns"))
    assert table.column_names == ["code", "n"]
    assert sorted(table.column("n").to_pylist()) == [15, 16, 17, 18, 19]
    assert landed(desk).proof.startswith("5 rows = live count 5")
    assert landed(desk).filter == '{"where": "n >= 15", "select": ["code", "n"]}'
    assert desk.actions(rules=rules, **lane) == {"towns": "unchanged"}
    assert desk.loaded("towns") == 5
    assert "n >= 15" in desk.comment("towns")


def test_another_filter_fetches_again_and_says_why(desk: Desk) -> None:
    desk.sync(rules=chosen(where="n >= 15"))
    outcome = desk.sync(rules=chosen(where="n >= 18"))["towns"]
    assert (outcome.verdict, outcome.action, outcome.rows) == ("filter", "landed", 2)
    assert all(text in outcome.reason for text in ("n >= 15", "n >= 18"))
    outcome = desk.sync()["towns"]
    assert (outcome.verdict, outcome.action, outcome.rows) == ("filter", "landed", 20)
    assert landed(desk).filter == ""


def test_fewer_rows_or_columns_that_a_user_asks_for_are_no_alarm(desk: Desk) -> None:
    frozen = (("*", "freeze"),)
    assert desk.actions(rules=Rules(contracts=frozen)) == {"towns": "landed"}
    less = TableRules(where="n = 3", select=("n",))
    rules = Rules(contracts=frozen, tables={"towns": less})
    assert desk.actions(rules=rules) == {"towns": "landed"}
    assert desk.loaded("towns") == 1
    desk.emulator.retype("towns", "n", "double")
    assert desk.sync(rules=rules)["towns"].verdict == "frozen"


def test_a_filter_that_matches_nothing_lands_a_typed_table_of_no_rows(desk: Desk) -> None:
    assert desk.actions(rules=chosen(where="n > 1000")) == {"towns": "landed"}
    assert desk.loaded("towns") == 0


def test_a_filter_of_a_portal_that_shows_no_record_at_all_is_a_failure(desk: Desk) -> None:
    desk.emulator.fail("/exports/parquet", Fault.header_only(), None)
    desk.emulator.fail(r"limit=0.*n\+%3E\+10|n\+%3E\+10.*limit=0", Fault.miscount(-9), None)
    desk.emulator.fail(r"/records\?.*limit=0", Fault.miscount(-20), None)
    outcome = desk.sync(rules=chosen(where="n > 10"))["towns"]
    assert outcome.action == "failed"
    assert "shows 0 of the 20 records" in outcome.reason


def test_a_filter_that_the_portal_does_not_count_is_held(desk: Desk) -> None:
    desk.emulator.fail(r"/records\?.*limit=0", Fault.refused(), None)
    assert desk.actions(rules=chosen(where="n > 10")) == {"towns": "held"}
    assert desk.actions(rules=chosen(select=("n",))) == {"towns": "landed"}
    assert landed(desk).proven_by == "catalog count"


def test_rows_that_a_filtered_export_lacks_are_noticed(desk: Desk) -> None:
    desk.emulator.fail("/exports/parquet", Fault.short_rows(1, honest=True), None)
    outcome = desk.sync(rules=chosen(where="n >= 15"))["towns"]
    assert outcome.action == "failed"
    assert "4 rows came where the portal counts 5" in outcome.reason


@pytest.mark.parametrize(
    ("choice", "sentence"),
    [
        ({"where": "no_such > 1"}, "no_such"),
        ({"select": ("nothing",)}, "it has no field 'nothing', which `select` names"),
        ({"types": {"code": "int"}, "select": ("nothing",)}, "`select` names"),
    ],
)
def test_a_wrong_filter_is_one_sentence(desk: Desk, choice: dict[str, Any], sentence: str) -> None:
    outcome = desk.sync(rules=chosen(**choice))["towns"]
    assert outcome.action == "failed"
    assert sentence in outcome.reason


@pytest.mark.parametrize("version", ["1.1.0", "2.0.0"])
def test_features_have_the_selected_fields_alone(desk: Desk, version: Any) -> None:
    rules = chosen(select=("where", "n"))
    desk.sync(rules=rules, features=True, wfs_version=version)
    table = pq.read_table(desk.lake.partition("features", "towns"))
    assert table.column_names == ["gml_id", "n", "where"]
    assert landed(desk, "features").filter == '{"select": ["n", "where"]}'


def test_a_box_is_a_filter_that_wfs_2_knows_as_well(desk: Desk) -> None:
    rules = chosen(where="in_bbox(`where`, 47, 0.45, 49, 1.05)")
    outcomes = desk.sync(rules=rules, features=True, wfs_version="2.0.0")
    assert {item.action for item in outcomes.values()} == {"landed"}
    rows = [outcomes[name].rows for name in ("towns", "towns (features)")]
    assert rows == [6, 6]
    assert any("bbox" in request.query for request in desk.emulator.requests)


@pytest.mark.parametrize(
    ("version", "where"), [("1.1.0", "in_bbox(`where`, 47, 0, 49, 1)"), ("2.0.0", "n > 1")]
)
def test_a_filter_that_wfs_does_not_know_is_refused_for_features_alone(
    desk: Desk, version: Any, where: str
) -> None:
    outcomes = desk.sync(rules=chosen(where=where), features=True, wfs_version=version)
    assert outcomes["towns"].action == "landed"
    features = outcomes["towns (features)"]
    assert features.action == "failed"
    assert "cannot filter features" in features.reason
    assert "leave the dataset out of `features`" in features.reason


FIELDS = [
    {"name": "id", "type": "int"},
    {"name": "name", "type": "text"},
    {"name": "open", "type": "boolean"},
    {"name": "price", "type": "double"},
    {"name": "begun", "type": "date"},
    {"name": "seen", "type": "datetime"},
    {"name": "tags", "type": "text", "annotations": {"multivalued": ","}},
    {"name": "at", "type": "geo_point_2d"},
]
#: Conditions as ODSQL has them, each with the same in DuckDB's SQL.
FORMS = {
    "id = 3": "id = 3",
    "id != 3": "id <> 3",
    "id: 3": "id = 3",
    "id > 3 and id <= 12": "id > 3 AND id <= 12",
    "id in (1, 5, 7)": "id IN (1, 5, 7)",
    "id in [3 .. 7[": "id >= 3 AND id < 7",
    "id not in (1, 5, 7)": "id NOT IN (1, 5, 7)",
    "not id < 10": "NOT id < 10",
    "id >= 3 or (id < 2 and name != 'shop 1')": "id >= 3 OR (id < 2 AND name <> 'shop 1')",
    "name = 'shop 4' or name = 'shop 5'": "name IN ('shop 4', 'shop 5')",
    "name like 'shop'": "name LIKE '%shop%'",
    "startswith(name, 'shop 1')": "starts_with(name, 'shop 1')",
    "name is null": "name IS NULL",
    "price is not null": "price IS NOT NULL",
    "price < 4.5": "price < 4.5",
    "open": "open",
    "open is false": "open = false",
    "not open": "NOT open",
    "begun >= date'2024-01-10'": "begun >= DATE '2024-01-10'",
    "begun > '2024'": "begun > DATE '2024-01-01'",
    "seen < date'2024-01-03T06:00:00Z'": "seen < TIMESTAMPTZ '2024-01-03 06:00:00+00'",
    "year(begun) = 2024 and month(begun) = 1": "year(begun) = 2024 AND month(begun) = 1",
    "tags = 'b'": "list_contains(tags, 'b')",
    "'b' in tags": "list_contains(tags, 'b')",
    "in_bbox(at, 47, 0.25, 49, 0.85)": "id BETWEEN 3 AND 8",
    "within_distance(at, geom'POINT(0.5 48)', 10km)": "id BETWEEN 4 AND 6",
}


def shop(number: int) -> dict[str, object]:
    return {
        "id": number,
        "name": None if number == 17 else f"shop {number}",
        "open": number % 3 == 0,
        "price": None if number % 5 == 0 else number / 2,
        "begun": f"20{23 + number % 2}-01-{number + 1:02}",
        "seen": f"2024-01-{number + 1:02}T05:30:00+00:00",
        "tags": ["a", "b"] if number % 4 == 0 else ["c, d"],
        "at": {"lon": number / 10, "lat": 48},
    }


@pytest.fixture(scope="module")
def shops(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Emulator, Path]]:
    with Emulator(sample=False) as emulator:
        emulator.publish("shops", fields=FIELDS, records=[shop(number) for number in range(20)])
        full = Desk(emulator, tmp_path_factory.mktemp("full"))
        full.sync()
        yield emulator, full.lake.partition("records", "shops")


@pytest.mark.parametrize("where", FORMS)
@pytest.mark.parametrize("format", ["parquet", "csv"])
def test_a_filtered_landing_is_the_full_one_filtered_by_duckdb(
    shops: tuple[Emulator, Path], tmp_path: Path, where: str, format: Any
) -> None:
    emulator, everything = shops
    desk = Desk(emulator, tmp_path)
    rules = Rules(tables={"shops": TableRules(where=where)})
    assert desk.actions(rules=rules, format=format) == {"shops": "landed"}
    rows = "SELECT * FROM read_parquet('{}') WHERE {} ORDER BY id"
    expected = duckdb.sql(rows.format(everything, FORMS[where])).fetchall()
    some = desk.lake.partition("records", "shops")
    assert duckdb.sql(rows.format(some, "true")).fetchall() == expected
    assert 0 < len(expected) < 20


def test_the_time_zone_of_a_filter_is_the_users_and_moments_stay_utc(
    shops: tuple[Emulator, Path], tmp_path: Path
) -> None:
    desk = Desk(shops[0], tmp_path)
    rows = {}
    for zone in ("UTC", "Asia/Tokyo"):
        table = TableRules(where="hour(seen) = 14", timezone=zone)
        outcome = desk.sync(rules=Rules(tables={"shops": table}))["shops"]
        assert outcome.action == "landed"
        rows[zone] = pq.read_table(desk.lake.partition("records", "shops"))
    assert {zone: table.num_rows for zone, table in rows.items()} == {"UTC": 0, "Asia/Tokyo": 20}
    assert min(rows["Asia/Tokyo"].column("seen").to_pylist()).isoformat() == (
        "2024-01-01T05:30:00+00:00"
    )


def test_a_box_of_one_of_several_geometries_is_no_filter_for_features(desk: Desk) -> None:
    fields = [*TOWN_FIELDS, {"name": "other", "type": "geo_point_2d"}]
    records = [{**town, "other": {"lon": 1, "lat": 1}} for town in TOWNS]
    desk.emulator.publish("towns", fields=fields, records=records)
    rules = chosen(where="in_bbox(`where`, 47, 0.45, 49, 1.05)")
    outcomes = desk.sync(rules=rules, features=True, wfs_version="2.0.0")
    assert outcomes["towns"].action == "landed"
    assert "cannot filter features" in outcomes["towns (features)"].reason


@pytest.mark.parametrize("selection", [EVERYTHING, Selection(("towns",))])
def test_a_renamed_dataset_is_not_landed_whole_while_the_filter_has_its_old_name(
    desk: Desk, selection: Selection
) -> None:
    rules = chosen(where="n >= 15", select=("n",))
    assert desk.sync(selection=selection, rules=rules)["towns"].action == "landed"
    desk.emulator.rename("towns", "villages")
    outcomes = desk.sync(selection=selection, rules=rules)
    assert {item.action for item in outcomes.values()} == {"failed"}
    reasons = " ".join(item.reason for item in outcomes.values())
    assert "villages" in reasons
    assert "towns" in reasons
    assert desk.exported == []
    corrected = Rules(tables={"villages": TableRules(where="n >= 15", select=("n",))})
    outcomes = desk.sync(rules=corrected)
    assert outcomes["villages"].action in {"unchanged", "described anew"}
    assert desk.loaded("villages") == 5


@pytest.mark.parametrize("contract", ["freeze", "quarantine"])
def test_another_filter_hides_no_change_of_types_by_the_publisher(
    desk: Desk, contract: Any
) -> None:
    kept = (("*", contract),)
    desk.sync(rules=Rules(contracts=kept))
    desk.emulator.retype("towns", "n", "double")
    wish = {"towns": TableRules(where="n > 1")}
    outcome = desk.sync(rules=Rules(contracts=kept, tables=wish))["towns"]
    assert (outcome.action, outcome.verdict) == ("held", "frozen")
    wish = {"towns": TableRules(types={"code": "int"})}
    desk.emulator.retype("towns", "n", "int")
    outcome = desk.sync(rules=Rules(contracts=kept, tables=wish))["towns"]
    assert (outcome.action, outcome.verdict) == ("landed", "filter"), "the user's own types"


def test_another_selection_of_fields_hides_no_loss_of_rows(desk: Desk) -> None:
    desk.sync()
    desk.emulator.publish("towns", records=TOWNS[:1])
    outcome = desk.sync(rules=chosen(select=("n",)))["towns"]
    assert (outcome.action, outcome.verdict) == ("held", "shrunk")
    outcome = desk.sync(rules=chosen(where="n >= 0"))["towns"]
    assert (outcome.action, outcome.verdict) == ("held", "shrunk")
    assert "1 rows in all where it had 20" in outcome.reason
    assert desk.loaded("towns") == 20


def test_a_hold_is_about_the_filter_that_it_was_made_for(desk: Desk) -> None:
    desk.sync(rules=chosen(where="n >= 15"))
    desk.emulator.publish("towns", records=TOWNS[:14])
    assert desk.actions(rules=chosen(where="n >= 15")) == {"towns": "held"}
    assert desk.actions(rules=chosen(where="n >= 11")) == {"towns": "landed"}
    assert desk.loaded("towns") == 3


def test_a_deep_check_that_is_put_off_is_no_other_filter(desk: Desk) -> None:
    names = [f"d{number:02}" for number in range(30)]
    for name in names:
        desk.emulator.publish(name, fields=TOWN_FIELDS, records=TOWNS[:2])
    rules = Rules(trust_days=0, tables={name: TableRules(where="n < 1") for name in names})
    desk.sync(rules=rules)
    again = desk.sync(rules=rules)
    verdicts = {again[name].verdict for name in names}
    assert verdicts <= {"deep check", "unchanged"}
