"""Portals that give no count, are behind, or hold bad values: F1, F4, F9, F10, D1.

Each test says what is landed, what is asked for, and what the next run does.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from ods_pipeline.dataset import Dataset as DeclaredDataset
from ods_pipeline.emulator import Emulator, Fault, Quirks
from ods_pipeline.errors import Uncounted
from ods_pipeline.lake import content_hash
from ods_pipeline.lake.holds import read_holds, update_holds
from ods_pipeline.lake.lake import receipt
from ods_pipeline.lake.receipt import Receipt
from ods_pipeline.lake.verify import audited
from ods_pipeline.portal.portal import Portal
from ods_pipeline.sync.options import Mode
from ods_pipeline.sync.rules import Rules, TableRules
from tests.desk import FIELDS, TOWN_FIELDS, TOWNS, Desk, rows

COUNTS = r"/records\?.*limit=0"
RECORDS = r"/records\?"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Emulator(sample=False) as emulator:
        emulator.publish("towns", fields=TOWN_FIELDS, records=TOWNS)
        yield Desk(emulator, tmp_path)


def landed(desk: Desk, name: str = "towns", kind: str = "records") -> Receipt:
    found = receipt(desk.lake.partition(kind, name))
    assert found is not None
    return found


REFUSALS = [
    *(Fault.refused(status) for status in (400, 401, 403, 404, 410)),
    Fault.uncounted(),
]
LANES: list[dict[str, Any]] = [
    {"format": "parquet"},
    {"format": "csv"},
    {"features": True},
    {"features": True, "wfs_version": "2.0.0"},
]


@pytest.mark.parametrize("fault", REFUSALS, ids=lambda fault: f"{fault.kind} {fault.number:g}")
@pytest.mark.parametrize("lane", LANES, ids=str)
def test_f1_where_the_portal_does_not_count_the_catalogs_count_is_the_proof(
    desk: Desk, fault: Fault, lane: dict[str, Any]
) -> None:
    desk.emulator.fail(COUNTS, fault, None)
    outcomes = desk.sync(**lane)
    assert {outcome.action for outcome in outcomes.values()} == {"landed"}
    for kind, name in (("records", "towns"), ("features", "towns (features)")):
        if name in outcomes:
            assert landed(desk, kind=kind).proven_by == "catalog count"
            assert landed(desk, kind=kind).counted == "20"
            assert "catalog count 20" in landed(desk, kind=kind).proof
            assert "compared with its catalog's count" in outcomes[name].note
    assert set(desk.actions(**lane).values()) == {"unchanged"}
    assert Portal(desk.emulator.url).records("towns").num_rows == 20


@pytest.mark.parametrize(("count", "figures"), [(19, "20 rows came.*19"), (None, "20 rows came")])
def test_f1_where_no_count_can_be_had_a_person_takes_the_rows_by_name(
    desk: Desk, count: int | None, figures: str
) -> None:
    desk.emulator.fail(COUNTS, Fault.refused(), None)
    desk.emulator.lie("towns", records_count=count)
    with pytest.raises(Uncounted, match=figures):
        Portal(desk.emulator.url).records("towns")
    held = desk.sync()["towns"]
    assert (held.action, held.verdict) == ("held", "unproven")
    assert "cannot be known" in held.reason
    assert "ODS_API_KEY" not in held.reason
    assert not desk.files()
    again = desk.sync()["towns"]
    assert (again.action, again.verdict) == ("held", "unproven")
    assert desk.exported == []
    assert desk.actions("towns", accept=True) == {"towns": "landed"}
    assert landed(desk).proven_by == "nothing"
    assert "without a proof" in landed(desk).note
    assert desk.actions() == {"towns": "unchanged"}


def test_f1_a_filter_that_nobody_counts_is_refused_with_its_rows(desk: Desk) -> None:
    desk.emulator.fail(COUNTS, Fault.refused(), None)
    with pytest.raises(Uncounted, match="3 rows came, which the portal does not count for this"):
        Portal(desk.emulator.url).records("towns", where="n < 3")


def test_f1_joined_lists_are_compared_with_an_export_where_records_are_refused(
    tmp_path: Path,
) -> None:
    tags = [{"name": "tags", "type": "text", "annotations": {"multivalued": [","]}}]
    with Emulator(sample=False) as emulator:
        emulator.publish("t", fields=tags, records=[{"tags": ["Parks, and pets"]}, {"tags": ["x"]}])
        emulator.fail(RECORDS, Fault.refused(), None)
        desk = Desk(emulator, tmp_path)
        assert desk.actions(format="csv") == {"t": "landed"}
        table = pq.read_table(desk.lake.partition("records", "t"))
        assert table.column("tags").to_pylist() == [["Parks, and pets"], ["x"]]


@pytest.mark.parametrize("lane", LANES, ids=str)
def test_f4_a_catalog_that_is_behind_costs_one_export_and_two_small_requests(
    desk: Desk, lane: dict[str, Any]
) -> None:
    desk.emulator.lie("towns", data_processed="2024-05-01T10:00:00+00:00")
    desk.emulator.fail("/catalog/exports/json", Fault.behind(600), None)
    outcomes = desk.sync(**lane)
    assert {outcome.action for outcome in outcomes.values()} == {"landed"}
    assert outcomes["towns"].requests == 3
    assert landed(desk).data_processed == "2024-05-01T10:00:00+00:00"
    assert landed(desk).listed == "2024-05-01T09:50:00+00:00"
    assert set(desk.actions(**lane).values()) == {"unchanged"}
    desk.emulator.faults.clear()
    assert set(desk.actions(**lane).values()) == {"unchanged"}
    desk.emulator.lie("towns", data_processed="2024-05-01T10:01:00+00:00")
    assert set(desk.actions(**lane).values()) == {"same content"}


def test_f4_data_that_were_processed_after_the_export_was_made_are_read_again(desk: Desk) -> None:
    desk.emulator.fail("/catalog/exports/json", Fault.behind(600), 1)
    again = [{"verb": "republish", "dataset_id": "towns"}]
    desk.emulator.fail("/exports/parquet", Fault.meanwhile(again), 1)
    assert desk.actions() == {"towns": "landed"}
    assert desk.exported == ["towns", "towns"]
    assert not landed(desk).listed


def test_k13_an_export_that_a_cache_kept_since_before_the_data_is_unproven(desk: Desk) -> None:
    desk.emulator.fail("/exports/parquet", Fault.header("age", "86400000"), None)
    outcome = desk.sync()["towns"]
    assert outcome.action == "failed"
    assert "a cache on the way keeps old ones" in outcome.reason
    desk.emulator.faults.clear()
    assert desk.actions() == {"towns": "landed"}


@pytest.mark.parametrize("name", ["roads.parquet", "les-rues-2024.csv"])
def test_k13_an_export_that_is_called_like_another_dataset_is_unproven(
    desk: Desk, name: str
) -> None:
    header = Fault.header("content-disposition", f'attachment; filename="{name}"')
    desk.emulator.fail("/exports/parquet", header, None)
    outcome = desk.sync()["towns"]
    assert outcome.action == "failed"
    assert "of another dataset" in outcome.reason


@pytest.mark.parametrize(
    "name", ["", "towns", "Towns.parquet", "export.parquet", "my-towns.parquet"]
)
def test_k13_a_file_name_that_says_nothing_else_is_taken(desk: Desk, name: str) -> None:
    header = Fault.header("content-disposition", f'attachment; filename="{name}"')
    desk.emulator.fail("/exports/parquet", header, None)
    assert desk.actions() == {"towns": "landed"}


def test_f9_a_column_that_parquet_lacks_comes_from_csv(desk: Desk) -> None:
    desk.emulator.fail("/exports/parquet", Fault.column("missing", "n"), None)
    outcome = desk.sync()["towns"]
    assert outcome.action == "landed"
    assert outcome.note == "read as csv: the Parquet export lacks the column 'n'"
    assert landed(desk).format == "csv"
    assert desk.actions() == {"towns": "unchanged"}


@pytest.mark.parametrize("lane", LANES[:2], ids=str)
def test_f9_an_export_that_disagrees_with_the_catalog_is_fetched_once_and_said_so(
    desk: Desk, lane: dict[str, Any]
) -> None:
    desk.emulator.fail("/exports/", Fault.column("renamed", "n"), None)
    outcome = desk.sync(**lane)["towns"]
    assert (outcome.action, outcome.verdict) == ("failed", "refused")
    assert "export and catalog disagree" in outcome.reason
    assert outcome.bytes > 0
    again = desk.sync(**lane)["towns"]
    assert again.action == "failed"
    assert "still refused, and nothing has changed since" in again.reason
    assert len(desk.emulator.requests) == 1


def spoilt(desk: Desk, *values: str) -> None:
    """Publish a dataset whose int holds texts."""
    given = [{"code": f"{n:05}", "n": value} for n, value in enumerate(values)]
    fields = [FIELDS[0], {"name": "n", "type": "text"}]
    desk.emulator.publish("bad", fields=fields, records=given)
    desk.emulator.claim("bad", "n", type="int")


@pytest.mark.parametrize("lane", LANES[:2], ids=str)
def test_f10_what_was_refused_is_not_fetched_again_before_something_changes(
    desk: Desk, lane: dict[str, Any]
) -> None:
    desk.emulator.withdraw("towns")
    spoilt(desk, "1", "12.5", "x")
    first = desk.sync(**lane)["bad"]
    assert (first.action, first.verdict) == ("failed", "refused")
    assert "record 2 holds '12.5'" in first.reason
    assert first.bytes > 0
    for _ in range(2):
        again = desk.sync(**lane)["bad"]
        assert (again.action, again.verdict, again.bytes) == ("failed", "refused", 0)
        assert "still refused, and nothing has changed since" in again.reason
        assert "record 2 holds '12.5'" in again.reason
        assert again.reason.count("still refused") == 1
        assert len(desk.emulator.requests) == 1, "the catalog alone"
    other = {"format": "csv" if lane["format"] == "parquet" else "parquet"}
    assert desk.sync(**lane, mode=Mode.full)["bad"].bytes > 0
    assert desk.sync(**other)["bad"].bytes > 0
    assert desk.sync(**lane)["bad"].bytes > 0, "the refusal is of the way that came last"
    desk.emulator.republish("bad")
    assert desk.sync(**lane)["bad"].bytes > 0
    spoilt(desk, "1", "2")
    assert desk.actions(**lane) == {"bad": "landed"}
    assert not read_holds(desk.lake)


def test_f10_what_is_landed_stays_while_the_new_data_are_refused(desk: Desk) -> None:
    desk.emulator.publish("bad", fields=FIELDS, records=rows(3))
    desk.sync()
    desk.emulator.withdraw("bad")
    spoilt(desk, "1", "x")
    for _ in range(2):
        outcome = desk.sync()["bad"]
        assert (outcome.action, outcome.rows) == ("failed", 3)
        assert desk.loaded("bad") == 3
    hold = read_holds(desk.lake)["records", "bad"]
    assert (hold.verdict, hold.rows) == ("refused", 3)


def test_f10_a_refusal_is_worth_another_look_after_some_days(desk: Desk) -> None:
    spoilt(desk, "x")
    rules = Rules(trust_days=0)
    for _ in range(2):
        assert desk.sync("bad", rules=rules)["bad"].bytes > 0


def decided(**choices: Any) -> Rules:
    return Rules(tables={"bad": TableRules(**choices)})


@pytest.mark.parametrize("lane", LANES[:2], ids=str)
def test_d1_bad_values_are_lost_where_a_user_says_so_and_kept_beside_the_partition(
    desk: Desk, lane: dict[str, Any]
) -> None:
    spoilt(desk, "1", "12.5", "2", "n/a")
    assert desk.actions("bad", **lane) == {"bad": "failed"}
    rules = decided(bad_values="null")
    outcome = desk.sync("bad", rules=rules, **lane)["bad"]
    assert outcome.action == "landed"
    assert outcome.note == (
        "2 values are null for not being of the field's type (2 of 'n'), and kept in "
        "bad.rejected.parquet"
    )
    assert landed(desk, "bad").rejected == "2"
    table = pq.read_table(desk.lake.partition("records", "bad"))
    assert table.column("n").to_pylist() == [1, None, 2, None]
    kept = pq.read_table(desk.lake.root / "records" / "bad.rejected.parquet").to_pylist()
    assert kept == [
        {"record": 2, "field": "n", "declared": "int", "value": "12.5"},
        {"record": 4, "field": "n", "declared": "int", "value": "n/a"},
    ]
    assert desk.actions("bad", rules=rules, **lane) == {"bad": "unchanged"}
    assert set(desk.lake.receipts("records")) == {"bad"}
    assert not any(audit.problem for audit in audited(desk.lake.root.parent))
    spoilt(desk, "1", "2")
    assert desk.actions("bad", rules=rules, **lane) == {"bad": "landed"}
    assert not (desk.lake.root / "records" / "bad.rejected.parquet").exists()


def test_d1_features_lose_and_keep_the_same_values_as_records(desk: Desk) -> None:
    here = {"lon": 2, "lat": 48}
    fields = [{"name": "n", "type": "text"}, {"name": "here", "type": "geo_point_2d"}]
    given = [{"n": value, "here": here} for value in ("1", "x", "3")]
    desk.emulator.publish("bad", fields=fields, records=given)
    desk.emulator.claim("bad", "n", type="int")
    outcomes = desk.sync("bad", features=True, rules=decided(bad_values="null"))
    assert {outcome.action for outcome in outcomes.values()} == {"landed"}
    for kind in ("records", "features"):
        assert landed(desk, "bad", kind).rejected == "1"
        kept = pq.read_table(desk.lake.root / kind / "bad.rejected.parquet")
        assert kept.column("value").to_pylist() == ["x"]
        lane = pq.read_table(desk.lake.partition(kind, "bad")).column("n")
        assert lane.to_pylist() == [1, None, 3]


def test_d1_a_user_can_retype_a_field(desk: Desk) -> None:
    spoilt(desk, "1", "12.5")
    rules = decided(types={"n": "double"})
    assert desk.actions("bad", rules=rules) == {"bad": "landed"}
    assert pq.read_table(desk.lake.partition("records", "bad")).column("n").to_pylist() == [1, 12.5]
    assert desk.actions("bad", rules=rules) == {"bad": "unchanged"}
    as_text = decided(types={"n": "text"})
    assert desk.sync("bad", rules=as_text)["bad"].verdict == "filter"
    wrong = desk.sync("bad", rules=decided(types={"m": "text"}))["bad"]
    assert wrong.action == "failed"
    assert "it has no field 'm', which `types` names" in wrong.reason


def test_a_dataset_of_another_ones_rejected_values_has_a_file_of_its_own(desk: Desk) -> None:
    spoilt(desk, "x")
    desk.emulator.publish("bad.rejected", fields=FIELDS, records=rows(2))
    desk.sync(rules=decided(bad_values="null"))
    assert desk.loaded("bad.rejected") == 2
    assert landed(desk, "bad.rejected").rows == 2


def test_seven_an_empty_dataset_is_a_typed_table_and_a_count_of_none_is_looked_at(
    desk: Desk,
) -> None:
    desk.emulator.publish("empty", fields=FIELDS, records=[])
    assert desk.actions("empty") == {"empty": "landed"}
    assert desk.loaded("empty") == 0
    desk.emulator.publish("empty", fields=FIELDS, records=rows(2))
    desk.emulator.lie("empty", records_count=0)
    assert desk.actions("empty") == {"empty": "landed"}
    assert desk.loaded("empty") == 2
    desk.emulator.publish("empty", fields=FIELDS, records=[])
    assert desk.actions("empty") == {"empty": "held"}
    assert desk.loaded("empty") == 2


def test_features_of_an_empty_dataset_are_a_typed_layer_of_none(desk: Desk) -> None:
    desk.emulator.publish("none", fields=TOWN_FIELDS, records=[])
    outcomes = desk.sync("none", features=True)
    assert {name: item.action for name, item in outcomes.items()} == {
        "none": "landed", "none (features)": "landed",
    }  # fmt: skip
    assert desk.loaded("none__features") == 0


def test_parquet_csv_and_wfs_give_one_table_of_every_odd_value_at_once(tmp_path: Path) -> None:
    ring = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 1]]]}
    fields = [
        {"name": "list", "type": "text", "annotations": {"multivalued": [","]}},
        {"name": "tags", "type": "text", "annotations": {"multivalued": [","]}},
        {"name": "day", "type": "text"},
        {"name": "moment", "type": "text"},
        {"name": "number", "type": "text"},
        {"name": "whole", "type": "text"},
        {"name": "vector", "type": "text"},
        {"name": "blob", "type": "text"},
        {"name": "point", "type": "text"},
        {"name": "shape", "type": "text"},
        {"name": "here", "type": "geo_point_2d"},
    ]
    given = [
        {
            "list": ["108798950", "108 798 950"], "tags": ["a"], "day": "2024-03-01T22:00:00Z",
            "moment": "2019", "number": "NaN", "whole": "12.0", "vector": "0.5 1",
            "blob": '{"a": NaN}', "point": "POINT (2 48)", "shape": json.dumps(ring),
            "here": {"lon": 2, "lat": 48},
        },
        {
            "list": ["one"], "tags": ["b"], "day": "2024", "moment": "2024-05-01T10:00:00+02:00",
            "number": "1e3", "whole": "7", "vector": "x", "blob": "{}", "point": "[48, 2]",
            "shape": '{"type": "LineString", "coordinates": [[1, 2]]}',
            "here": {"lon": 3, "lat": 4},
        },
    ]  # fmt: skip
    declared = {
        "day": "date", "moment": "datetime", "number": "double", "whole": "int",
        "vector": "vector", "blob": "json_blob", "point": "geo_point_2d", "shape": "geo_shape",
    }  # fmt: skip
    with Emulator(sample=False, quirks=Quirks(multivalued="list")) as emulator:
        emulator.publish("odd", fields=fields, records=given)
        emulator.claim("odd", "list", annotations={})
        for name, kind in declared.items():
            emulator.claim("odd", name, type=kind)
        tables = []
        for name, lane in enumerate(LANES):
            desk = Desk(emulator, tmp_path / str(name))
            outcomes = desk.sync(**lane)
            assert {outcome.action for outcome in outcomes.values()} == {"landed"}, outcomes
            for kind in ("features",) if "features" in lane else ("records",):
                table = pq.read_table(desk.lake.partition(kind, "odd"))
                tables.append(table.select([item["name"] for item in fields]).to_pylist())
    assert tables[0] == tables[1]
    assert tables[0] == tables[2] == tables[3]
    (first, second) = tables[0]
    assert first["list"] == "108798950,108 798 950"
    assert (str(first["day"]), first["number"], first["whole"]) == ("2024-03-02", None, 12)
    assert second["shape"] is None
    assert first["shape"] is not None


def test_u1_what_was_landed_with_another_digest_is_compared_by_its_rows(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as older:
        older.setattr(content_hash, "ALGORITHM", "duckdb2.0.0.2")
        desk.sync()
    assert landed(desk).content_hash.startswith("duckdb2.0.0.2:")
    assert desk.actions() == {"towns": "unchanged"}
    assert desk.actions(mode=Mode.verify) == {"towns": "unchanged"}
    desk.emulator.republish("towns", shuffle=True)
    assert desk.actions() == {"towns": "same content"}
    assert landed(desk).content_hash.startswith(content_hash.ALGORITHM)
    desk.emulator.publish("towns", records=TOWNS[1:])
    assert desk.actions() == {"towns": "landed"}


def test_d5_a_field_that_is_declared_twice_alike_is_one_field(desk: Desk) -> None:
    twice = desk.emulator.publish("twice", fields=FIELDS, records=rows(2))
    document = [item.document() for item in twice.fields]
    assert [
        item.name for item in DeclaredDataset.from_api("p", declaring(document * 2)).fields
    ] == [
        "code",
        "n",
    ]
    other = [*document, {**document[1], "type": "text"}]
    assert len(DeclaredDataset.from_api("p", declaring(other)).fields) == 3


def declaring(fields: list[dict[str, Any]]) -> dict[str, Any]:
    return {"dataset_id": "d", "fields": fields}


def test_k8_an_identifier_with_a_tab_does_not_take_the_honest_one_down(desk: Desk) -> None:
    desk.emulator.publish("a b", fields=FIELDS, records=rows(2))
    desk.emulator.publish("a\tb", fields=FIELDS, records=rows(1))
    outcomes = desk.sync()
    assert outcomes["a b"].action == "landed"
    assert outcomes["a b"].rows == 2
    assert outcomes[r"a\tb"].action == "failed"
    assert "invisible characters" in outcomes[r"a\tb"].reason


def test_k11_a_catalog_of_huge_descriptions_costs_no_other_table_its_load(tmp_path: Path) -> None:
    with Emulator(sample=False) as emulator:
        for number in range(30):
            huge = {"description": "x" * 1_000_000}
            emulator.publish(f"d{number}", fields=FIELDS, records=rows(1), metas=huge)
        desk = Desk(emulator, tmp_path)
        assert {outcome.loaded for outcome in desk.sync().values()} == {"loaded"}


def test_d1_rejected_values_follow_a_renamed_dataset(desk: Desk) -> None:
    spoilt(desk, "1", "x")
    desk.sync("bad", rules=decided(bad_values="null"))
    desk.emulator.rename("bad", "good")
    desk.emulator.publish("bad", fields=FIELDS, records=rows(1))
    desk.sync()
    folder = desk.lake.root / "records"
    assert not (folder / "bad.rejected.parquet").exists()
    kept = pq.read_table(folder / "good.rejected.parquet")
    assert kept.column("value").to_pylist() == ["x"]
    assert not any(audit.problem for audit in audited(desk.lake.root.parent))


def test_f1_an_unproven_dataset_is_looked_at_again_after_some_days(desk: Desk) -> None:
    desk.emulator.fail(COUNTS, Fault.refused(), 1)
    desk.emulator.lie("towns", records_count=19)
    assert desk.actions() == {"towns": "held"}
    before = read_holds(desk.lake)
    longer_ago = replace(before["records", "towns"], looked=days_ago(20), since=days_ago(20))
    update_holds(desk.lake, {longer_ago.key: longer_ago})
    assert desk.actions() == {"towns": "held"}
    assert read_holds(desk.lake)["records", "towns"].looked[:10] == days_ago(20)[:10]
    assert desk.actions(rules=Rules(trust_days=10)) == {"towns": "landed"}


@pytest.mark.parametrize("lane", LANES[:2], ids=str)
def test_d1_a_number_can_be_read_as_text_from_either_export(
    desk: Desk, lane: dict[str, Any]
) -> None:
    desk.emulator.publish("codes", fields=FIELDS, records=rows(2))
    rules = Rules(tables={"codes": TableRules(types={"n": "text"})})
    assert desk.actions("codes", rules=rules, **lane) == {"codes": "landed"}
    table = pq.read_table(desk.lake.partition("records", "codes"))
    assert table.column("n").to_pylist() == ["0", "1"]


def test_f3_no_separator_of_ours_is_left_in_json_nor_in_expressions(tmp_path: Path) -> None:
    tags = [{"name": "tags", "type": "text", "annotations": {"multivalued": [","]}}]
    given = [{"tags": ["p", "q"]}]
    with Emulator(sample=False, quirks=Quirks(multivalued="list")) as emulator:
        emulator.publish("t", fields=tags, records=given)
        for kind in ("json_blob", "vector"):
            emulator.claim("t", "tags", type=kind, annotations={})
            portal = Portal(emulator.url)
            landed_as = [
                portal.records("t", format).column("tags").to_pylist()  # type: ignore[arg-type]
                for format in ("parquet", "csv")
            ]
            assert landed_as == [['["p", "q"]'], ['["p", "q"]']]
        renamed = portal.records("t", "csv", select="tags as other")
        assert "\x1f" not in str(renamed.to_pylist())


CONTRADICTIONS: list[tuple[str, Fault, dict[str, Any]]] = [
    (COUNTS, Fault.miscount(1), {}),
    ("/exports/parquet", Fault.header("age", "86400000"), {}),
    (
        "/exports/csv",
        Fault.header("content-disposition", "filename=roads.csv"),
        {"format": "csv"},
    ),
    ("resultType=hits", Fault.miscount(1), {"features": True}),
]


@pytest.mark.parametrize(("where", "fault", "lane"), CONTRADICTIONS)
def test_f10_a_contradiction_that_lasts_is_read_less_and_less(
    desk: Desk, where: str, fault: Fault, lane: dict[str, Any]
) -> None:
    desk.emulator.fail(where, fault, None)
    key = ("features" if "features" in lane else "records", "towns")
    name = "towns (features)" if "features" in lane else "towns"
    for _ in range(2):
        outcome = desk.sync(**lane)[name]
        assert (outcome.action, outcome.verdict) == ("failed", "contradicted")
        assert outcome.requests > 1
    hold = read_holds(desk.lake)[key]
    assert hold.verdict == "contradicted"
    update_holds(desk.lake, {key: replace(hold, since=days_ago(3), looked=days_ago(1))})
    outcome = desk.sync(**lane)[name]
    assert (outcome.action, outcome.verdict, outcome.requests) == ("failed", "refused", 0)
    assert "still refused" in outcome.reason
    update_holds(desk.lake, {key: replace(hold, since=days_ago(5), looked=days_ago(3))})
    assert desk.sync(**lane)[name].requests > 1
    desk.emulator.faults.clear()
    assert desk.actions(**lane, mode=Mode.full)[name] == "landed"
    assert not read_holds(desk.lake)


def days_ago(days: float) -> str:
    return (datetime.now(UTC) - timedelta(days=days)).isoformat()


def test_f4_a_portal_with_many_copies_of_its_catalog_costs_one_small_request_for_an_older_one(
    desk: Desk,
) -> None:
    desk.emulator.lie("towns", data_processed="2024-05-01T10:00:00+00:00")
    assert desk.actions() == {"towns": "landed"}
    for seconds in (600, 1200, 60):
        desk.emulator.fail("/catalog/exports/json", Fault.behind(seconds), 1)
        assert desk.actions() == {"towns": "unchanged"}
        assert len(desk.emulator.requests) == 2
    desk.emulator.lie("towns", data_processed="2024-04-01T10:00:00+00:00")
    assert desk.actions() == {"towns": "same content"}, "the publisher went back for good"


@pytest.mark.parametrize("status", [400, 403, 404, 410])
def test_f1_where_parquet_is_closed_csv_is_read_and_said_so(desk: Desk, status: int) -> None:
    desk.emulator.fail("/exports/parquet", Fault.refused(status), None)
    outcome = desk.sync()["towns"]
    assert outcome.action == "landed"
    assert outcome.note.startswith("read as csv: the portal gives no Parquet export (")
    assert landed(desk).format == "csv"
    assert desk.actions() == {"towns": "unchanged"}
    desk.emulator.fail("/exports/csv", Fault.refused(status), None)
    assert desk.actions(mode=Mode.full) == {"towns": "failed"}


def test_d1_where_nulls_are_no_longer_allowed_what_holds_them_is_fetched_again(desk: Desk) -> None:
    spoilt(desk, "1", "x")
    assert desk.actions("bad", rules=decided(bad_values="null")) == {"bad": "landed"}
    outcome = desk.sync("bad")["bad"]
    assert (outcome.action, outcome.verdict, outcome.rows) == ("failed", "refused", 2)
    assert desk.sync("bad")["bad"].bytes == 0, "and it is remembered"
    assert desk.actions("bad", rules=decided(bad_values="null")) == {"bad": "unchanged"}


@pytest.mark.parametrize("format", ["parquet", "csv"])
def test_c9_records_can_be_grouped_by_a_field_of_lists(desk: Desk, format: str) -> None:
    fields = [{"name": "tags", "type": "text", "annotations": {"multivalued": ","}}]
    records = [{"tags": ["Parks, and pets", "b"]}, {"tags": ["b"]}]
    desk.emulator.publish("t", fields=fields, records=records)
    portal = Portal(desk.emulator.url)
    table = portal.records("t", format=format, select="tags, count(*) as n", group_by="tags")
    assert dict(zip(*(column.to_pylist() for column in table.columns), strict=True)) in (
        {"Parks, and pets": 1, "b": 2},
        {"Parks, and pets": "1", "b": "2"},
    )
