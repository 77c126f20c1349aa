"""A whole run, and the next one: what is asked, what lands, what is said, what is left alone."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from ods_pipeline.emulator import Emulator, Fault
from ods_pipeline.errors import PortalUnreachable
from ods_pipeline.portal import proof
from ods_pipeline.portal.portal import Portal
from ods_pipeline.sync.landing import land
from ods_pipeline.sync.landing_request import LandingRequest
from ods_pipeline.sync.options import Mode, RunContext
from ods_pipeline.sync.outcome import exit_status
from ods_pipeline.sync.run import Run
from tests.desk import FIELDS, Desk, rows

FAR = "2999-01-01T00:00:00Z"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Emulator(sample=False) as emulator:
        for number, name in enumerate(("one", "two", "three"), 1):
            emulator.publish(name, fields=FIELDS, records=rows(number), metas={"title": name})
        yield Desk(emulator, tmp_path)


def test_a_first_run_lands_and_loads_everything_and_the_second_asks_once(desk: Desk) -> None:
    first = desk.sync()
    assert {o.action for o in first.values()} == {"landed"}
    assert {o.verdict for o in first.values()} == {"new"}
    assert {name: o.rows for name, o in first.items()} == {"one": 1, "two": 2, "three": 3}
    assert {o.loaded for o in first.values()} == {"loaded"}
    # The catalog, and its own count: it has other datasets than the last time.
    assert sum(o.requests for o in first.values()) == len(desk.emulator.requests) - 2
    assert desk.loaded("three") == 3
    files = desk.files()
    second = desk.sync()
    assert len(desk.emulator.requests) == 1
    assert {o.action for o in second.values()} == {"unchanged"}
    assert {o.requests for o in second.values()} == {0}
    assert desk.files() == files


def test_one_change_costs_one_export(desk: Desk) -> None:
    desk.sync()
    desk.emulator.publish("two", records=rows(5))
    outcomes = desk.sync()
    assert desk.exported == ["two"]
    assert (outcomes["two"].action, outcomes["two"].verdict) == ("landed", "data")
    assert outcomes["two"].reason.startswith("data_processed ")
    assert outcomes["one"].action == "unchanged"
    assert desk.loaded("two") == 5


def test_a_false_change_reloads_nothing_and_is_settled(desk: Desk) -> None:
    desk.sync()
    desk.emulator.republish("three", shuffle=True)
    outcome = desk.sync()["three"]
    assert (outcome.action, outcome.loaded) == ("same content", "unchanged")
    assert set(desk.actions().values()) == {"unchanged"}


def test_new_words_are_written_without_fetching_anything(desk: Desk) -> None:
    desk.sync()
    desk.emulator.relabel("one", "n", label="Number")
    desk.emulator.touch("two")
    outcomes = desk.sync()
    assert len(desk.emulator.requests) == 1
    assert outcomes["one"].action == "described anew"
    assert outcomes["two"].action == "unchanged"
    schema = pq.read_schema(desk.lake.partition("records", "one"))
    assert schema.field("n").metadata[b"label"] == b"Number"
    assert set(desk.actions().values()) == {"unchanged"}


def test_a_retyped_field_is_fetched_and_the_difference_is_told(desk: Desk) -> None:
    desk.sync()
    desk.emulator.retype("three", "n", "text")
    outcome = desk.sync()["three"]
    assert (outcome.action, outcome.verdict) == ("landed", "schema")
    assert "n" in outcome.change
    table = pq.read_table(desk.lake.partition("records", "three"))
    assert sorted(table.column("n").to_pylist()) == ["0", "1", "2"]


def test_what_is_withdrawn_stays_landed_and_is_named(desk: Desk) -> None:
    desk.sync()
    desk.emulator.withdraw("two")
    outcomes = desk.sync()
    assert (outcomes["two"].action, outcomes["two"].verdict) == ("held", "withdrawn")
    assert set(desk.files()) == {"one", "two", "three"}
    assert exit_status(outcomes.values()) == 0
    assert desk.actions("two") == {"two": "held"}, "by name as among all"


def test_datasets_without_visible_records_are_skipped_among_all_and_fail_by_name(
    desk: Desk,
) -> None:
    desk.emulator.restrict("one")
    desk.emulator.publish("links", fields=[], has_records=False)
    desk.emulator.publish("empty", fields=FIELDS, records=[])
    outcomes = desk.sync()
    kinds = {name: (o.action, o.verdict) for name, o in outcomes.items()}
    assert kinds["one"] == ("skipped", "restricted")
    assert kinds["links"] == ("skipped", "no records")
    assert kinds["empty"] == ("landed", "new")
    assert exit_status(outcomes.values()) == 0
    assert set(desk.files()) == {"empty", "two", "three"}
    named = desk.sync("one", "links", "empty")
    assert {name: o.action for name, o in named.items()} == {
        "one": "failed",
        "links": "failed",
        "empty": "unchanged",
    }
    assert "restricted" in named["one"].reason
    assert len(desk.emulator.requests) == 1, "an empty dataset that is landed costs nothing more"
    assert exit_status(named.values()) == 1


def test_an_unknown_name_fails_beside_the_others_with_the_nearest_ones(desk: Desk) -> None:
    outcomes = desk.sync("thre", "two")
    assert (outcomes["thre"].action, outcomes["two"].action) == ("failed", "landed")
    assert "did you mean three" in outcomes["thre"].reason
    assert exit_status(outcomes.values()) == 1


@pytest.mark.parametrize(
    "fault",
    [Fault.short_rows(1), Fault.header_only(), Fault.cut(40), Fault.html()],
    ids=lambda fault: fault.kind,
)
@pytest.mark.parametrize("format", ["parquet", "csv"])
def test_one_failure_leaves_the_others_landed_and_the_old_partition_whole(
    desk: Desk, fault: Fault, format: str
) -> None:
    desk.sync()
    before = desk.files()["three"]
    for name in ("one", "three"):
        desk.emulator.publish(name, records=rows(9))
    desk.emulator.fail("/three/exports/", fault, times=None)
    outcomes = desk.sync(format=format)
    assert (outcomes["three"].action, outcomes["one"].action) == ("failed", "landed")
    assert outcomes["three"].reason.startswith("three: ")
    assert exit_status(outcomes.values()) == 1
    assert desk.files()["three"] == before
    assert desk.loaded("three") == 3
    assert not list((desk.lake.root / ".incoming").iterdir())


def test_a_spent_quota_defers_what_is_left_and_the_next_run_goes_on(desk: Desk) -> None:
    desk.emulator.fail("/(two|three)/exports/", Fault.quota(FAR), times=1)
    outcomes = desk.sync(workers=1)
    actions = {name: o.action for name, o in outcomes.items()}
    assert actions == {"one": "landed", "three": "deferred", "two": "deferred"}
    assert "starts anew at 2999-01-01" in outcomes["three"].reason
    assert "before its turn" in outcomes["two"].reason
    assert desk.exported == ["one", "three"]
    assert exit_status(outcomes.values()) == 3
    assert desk.actions() == {"one": "unchanged", "two": "landed", "three": "landed"}


def test_a_failure_counts_for_more_than_what_is_put_off(desk: Desk) -> None:
    desk.emulator.fail("/three/exports/", Fault.quota(FAR), times=1)
    desk.emulator.fail("/one/exports/", Fault.html(), times=None)
    outcomes = desk.sync(workers=1)
    assert {o.action for o in outcomes.values()} == {"failed", "deferred"}
    assert exit_status(outcomes.values()) == 1


def test_a_lost_file_is_fetched_again_and_a_damaged_one_too(desk: Desk) -> None:
    desk.sync()
    desk.lake.partition("records", "one").unlink()
    damaged = desk.lake.partition("records", "two")
    damaged.write_bytes(damaged.read_bytes()[:-3])
    outcomes = desk.sync()
    assert desk.exported == ["one", "two"]
    assert outcomes["three"].action == "unchanged"


def test_a_lost_warehouse_is_filled_again_from_the_lake_without_an_export(desk: Desk) -> None:
    desk.sync()
    (desk.folder / "warehouse.duckdb").unlink()
    outcomes = desk.sync()
    assert len(desk.emulator.requests) == 1
    assert {o.loaded for o in outcomes.values()} == {"loaded"}
    assert desk.loaded("three") == 3


def test_everything_is_fetched_when_asked_for_in_full(desk: Desk) -> None:
    desk.sync()
    outcomes = desk.sync(mode=Mode.full)
    assert desk.exported == ["one", "three", "two"]
    assert {(o.verdict, o.action) for o in outcomes.values()} == {("full", "same content")}


def test_a_comparison_lands_nothing_and_tells_what_differs(desk: Desk) -> None:
    desk.sync()
    files = desk.files()
    default = desk.emulator.state.dataset("two").metas["default"]
    stamps = {key: default[key] for key in ("data_processed", "modified")}
    desk.emulator.publish("two", records=[{"code": "x", "n": 1}, {"code": "y", "n": 2}])
    desk.emulator.lie("two", **stamps)
    assert desk.actions()["two"] == "unchanged"
    outcomes = desk.sync(mode=Mode.verify)
    actions = {name: o.action for name, o in outcomes.items()}
    assert actions == {"one": "unchanged", "two": "differs", "three": "unchanged"}
    assert exit_status(outcomes.values()) == 1
    assert desk.files() == files


def test_a_portal_that_is_gone_ends_the_run_with_the_lake_as_it_was(tmp_path: Path) -> None:
    with Emulator(sample=False) as emulator:
        emulator.publish("one", fields=FIELDS, records=rows(1))
        desk = Desk(emulator, tmp_path)
        desk.sync()
    files = desk.files()
    with pytest.raises(PortalUnreachable):
        Run(RunContext(Portal(emulator.url), desk.lake), desk.warehouse)()
    assert desk.files() == files


def test_hostile_names_and_words_land_like_any_others(desk: Desk) -> None:
    names = [".hidden", "a b", "CON", "x" * 300, "é;'\"", "select"]
    for name in names:
        desk.emulator.publish(name, fields=FIELDS, records=rows(2), metas={"title": "\ud83d <b>"})
    outcomes = desk.sync(*names)
    assert {name: o.action for name, o in outcomes.items()} == dict.fromkeys(names, "landed")
    landed = [p.relative_to(desk.folder).parts[0] for p in desk.folder.rglob("*.parquet")]
    assert set(landed) == {"lake"}
    assert set(desk.actions(*names).values()) == {"unchanged"}


def test_a_name_that_leads_elsewhere_is_refused_and_costs_no_other_its_landing(desk: Desk) -> None:
    desk.emulator.publish("../../x", fields=FIELDS, records=rows(2))
    desk.emulator.publish("ONE", fields=FIELDS, records=rows(2))
    outcomes = desk.sync()
    assert {name: o.action for name, o in outcomes.items()} == {
        **dict.fromkeys(("ONE", "two", "three"), "landed"),
        **dict.fromkeys(("../../x", "one"), "failed"),
    }
    assert "lead to another path" in outcomes["../../x"].reason
    assert "differs from that of ONE by case alone" in outcomes["one"].reason
    assert set(desk.files()) == {"ONE", "two", "three"}


def test_a_table_follows_names_that_were_swapped_although_a_run_died_before_its_load(
    desk: Desk,
) -> None:
    fields = [{"name": "low", "type": "int"}, {"name": "high", "type": "int"}]
    desk.emulator.publish("tides", fields, [{"low": 1, "high": 9}], {})
    desk.sync("tides")
    desk.emulator.publish("tides", fields[::-1], [{"low": 9, "high": 1}], {})

    portal = Portal(desk.emulator.url)
    land(portal, LandingRequest(portal.dataset("tides")), desk.lake)
    (outcome,) = desk.sync("tides").values()
    assert (outcome.verdict, outcome.loaded) == ("unchanged", "loaded")
    with duckdb.connect(desk.folder / "warehouse.duckdb", read_only=True) as warehouse:
        schema = desk.lake.root.name.replace(".", "_")
        found = warehouse.execute(f'SELECT high, low FROM "{schema}".tides').fetchall()
    assert found == [(1, 9)]
    assert desk.sync("tides")["tides"].loaded == "unchanged"


def test_a_comparison_of_what_was_never_landed_is_no_good_news(desk: Desk) -> None:
    assert set(desk.actions(mode=Mode.verify).values()) == {"skipped"}


def test_a_surprise_in_one_dataset_costs_no_other_its_landing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = proof.prove

    def surprised(client: Any, dataset: Any, *rest: Any) -> Any:
        if dataset.dataset_id == "two":
            raise ZeroDivisionError("nobody thought of this")
        return real(client, dataset, *rest)

    monkeypatch.setattr(proof, "prove", surprised)
    outcomes = desk.sync()
    assert outcomes["two"].action == "failed"
    assert "please report it" in outcomes["two"].reason
    assert {item.action for name, item in outcomes.items() if name != "two"} == {"landed"}
