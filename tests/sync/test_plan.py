"""The plan of a run: each dataset and what is to become of it."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from ods_pipeline.dataset import Dataset, Field
from ods_pipeline.errors import DatasetNotFound
from ods_pipeline.lake.holds import Hold
from ods_pipeline.lake.receipt import Receipt
from ods_pipeline.sync.extractor import FEATURES, RECORDS
from ods_pipeline.sync.plan import Landed, Planned, plan
from ods_pipeline.sync.rules import Rules
from ods_pipeline.sync.verdict import Kind
from ods_pipeline.tables.schema import arrow_schema

NOW = datetime.now(UTC)
PROCESSED, LATER = "2026-05-23T13:30:54+00:00", "2026-05-24T13:30:54+00:00"
FIELDS = (Field("a", "text"), Field("b", "int"))
PLACED = (*FIELDS, Field("where", "geo_point_2d"))


def dataset(name: str, fields: tuple[Field, ...] = FIELDS, **changes: Any) -> Dataset:
    parts = {key: changes.pop(key) for key in ("data_visible", "refused") if key in changes}
    uid = changes.pop("uid", f"da_{name}")
    default = {"data_processed": PROCESSED, "records_count": 10, **changes}
    return Dataset("portal.test", name, uid, fields, metas={"default": default}, **parts)


def receipt(before: Dataset, kind: Any = "records", days: float = 0, **known: Any) -> Receipt:
    """What was landed of a dataset so many days ago."""
    fetched = {"row_count": "10", "fetched_at": (NOW - timedelta(days=days)).isoformat()}
    return Receipt.of(before, kind, **fetched, **known)


def landed(*before: Dataset, **known: Any) -> Landed:
    return Landed({item.dataset_id: receipt(item, **known) for item in before})


def hold(now: Dataset, verdict: str = "shrunk", kind: Any = "records") -> Hold:
    return Hold(now.dataset_id, kind, verdict, "it lost rows", NOW.isoformat(), 10, now.stamp)


def kinds(steps: Iterable[Planned]) -> dict[str, Kind]:
    return {step.dataset_id: step.verdict.kind for step in steps}


def test_the_plan_is_in_the_order_of_names_and_covers_what_is_gone() -> None:
    here = Dataset("p", "b", fields=())
    gone = Receipt("p", "records", "a", title="Gone")
    steps = plan([here], Landed({"a": gone}))
    assert [(s.dataset_id, s.verdict.kind, s.named) for s in steps] == [
        ("a", Kind.WITHDRAWN, False),
        ("b", Kind.RESTRICTED, False),
    ]
    assert [s.title for s in steps] == ["Gone", "b"]
    (step,) = plan([here], Landed(), ["nope", "nope"])
    assert (step.verdict.kind, step.named, step.title) == (Kind.UNKNOWN, True, "nope")
    assert "`ods-pipeline catalog` shows" in step.verdict.reason


def test_every_dataset_gets_the_verdict_of_its_own_receipt() -> None:
    steps = plan(
        [dataset("new"), dataset("same"), dataset("moved", data_processed=LATER)],
        landed(dataset("same"), dataset("moved")),
    )
    assert kinds(steps) == {"moved": Kind.DATA, "new": Kind.NEW, "same": Kind.UNCHANGED}


def test_named_datasets_are_planned_alone_and_once() -> None:
    catalog = [dataset("a"), dataset("b"), dataset("c")]
    steps = plan(catalog, landed(dataset("d")), ["c", "a", "c"])
    assert [(step.dataset_id, step.named) for step in steps] == [("a", True), ("c", True)]


def test_full_fetches_what_is_landed_and_nothing_that_is_gone() -> None:
    steps = plan([dataset("a"), dataset("b")], landed(dataset("a"), dataset("gone")), full=True)
    assert kinds(steps) == {"a": Kind.FULL, "b": Kind.NEW, "gone": Kind.WITHDRAWN}


def test_a_misspelt_name_is_told_the_names_that_are_close() -> None:
    (step,) = plan([dataset("public-art"), dataset("roads")], Landed(), ["public-arts"])
    assert step.verdict.kind is Kind.UNKNOWN
    assert step.verdict.reason.endswith("; did you mean public-art?")
    with pytest.raises(DatasetNotFound, match="did you mean public-art"):
        _ = step.present


def test_a_former_name_is_told_the_present_one() -> None:
    before, now = dataset("towns", uid="da_1"), dataset("villes", uid="da_1")
    (step,) = plan([now], landed(before), ["towns"])
    assert step.verdict.reason.endswith("; the portal calls it villes now")
    moved = replace(receipt(now), formerly='["towns"]')
    (step,) = plan([now], Landed({"villes": moved}), ["towns"])
    assert step.verdict.reason.endswith("; the portal calls it villes now")


# Renamed datasets: `dataset_uid` is the identity.


def test_a_renamed_dataset_is_one_step_with_the_receipt_of_its_old_name() -> None:
    before, now = dataset("towns", uid="da_1"), dataset("villes", uid="da_1")
    (step,) = plan([now], landed(before))
    assert (step.dataset_id, step.formerly) == ("villes", "towns")
    assert step.landed
    assert step.landed.dataset_id == "towns"
    assert step.verdict.kind is Kind.METADATA


def test_a_name_that_a_new_dataset_takes_over_is_new() -> None:
    before = dataset("towns", uid="da_1")
    steps = plan([dataset("villes", uid="da_1"), dataset("towns", uid="da_2")], landed(before))
    assert kinds(steps) == {"towns": Kind.NEW, "villes": Kind.METADATA}
    assert [step.formerly for step in steps] == ["", "towns"]


def test_names_that_move_on_in_a_row_each_keep_their_rows() -> None:
    before = [dataset("a", uid="da_1"), dataset("b", uid="da_2")]
    now = [dataset("b", uid="da_1"), dataset("c", uid="da_2")]
    steps = plan(now, landed(*before))
    assert {step.dataset_id: step.formerly for step in steps} == {"b": "a", "c": "b"}


def test_swapped_names_are_fetched_again() -> None:
    before = [dataset("a", uid="da_1"), dataset("b", uid="da_2")]
    now = [dataset("a", uid="da_2"), dataset("b", uid="da_1")]
    steps = plan(now, landed(*before))
    assert kinds(steps) == {"a": Kind.DATA, "b": Kind.DATA}
    assert "another dataset has its name now" in steps[0].verdict.reason
    assert not any(step.formerly for step in steps)


def test_an_identity_that_two_datasets_claim_renames_nothing() -> None:
    now = [dataset("b", uid="da_1"), dataset("c", uid="da_1")]
    steps = plan(now, landed(dataset("a", uid="da_1")))
    assert kinds(steps) == {"a": Kind.WITHDRAWN, "b": Kind.NEW, "c": Kind.NEW}


def test_a_dataset_without_an_identity_is_never_renamed() -> None:
    steps = plan([dataset("b", uid="")], landed(dataset("a", uid="")))
    assert kinds(steps) == {"a": Kind.WITHDRAWN, "b": Kind.NEW}


def test_a_name_whose_case_alone_changes_is_renamed() -> None:
    steps = plan([dataset("Towns", uid="da_1")], landed(dataset("towns", uid="da_1")))
    assert [(step.dataset_id, step.formerly) for step in steps] == [("Towns", "towns")]


def test_of_names_that_differ_by_case_alone_the_landed_one_stays() -> None:
    now = [dataset("Roads"), dataset("roads")]
    assert kinds(plan(now, Landed())) == {"Roads": Kind.NEW, "roads": Kind.REFUSED}
    steps = plan(now, landed(dataset("roads")))
    assert kinds(steps) == {"Roads": Kind.REFUSED, "roads": Kind.UNCHANGED}
    assert "differs from that of roads by case alone" in steps[0].verdict.reason


# Layers: only geographic datasets have one.


def test_a_dataset_without_geometry_has_no_step_as_a_layer_unless_it_is_named() -> None:
    catalog = [dataset("flat"), dataset("towns", PLACED)]
    assert kinds(plan(catalog, Landed(), extractor=FEATURES)) == {"towns": Kind.NEW}
    (step,) = plan(catalog, Landed(), ["flat"], extractor=FEATURES)
    assert step.verdict.kind is Kind.NO_GEOMETRY
    assert "it has no geographic field" in step.verdict.reason


def test_a_landed_layer_that_lost_its_geometry_stays_and_is_not_fetched() -> None:
    before = landed(dataset("towns", PLACED), kind="features")
    (step,) = plan([dataset("towns")], before, extractor=FEATURES)
    assert step.verdict.kind is Kind.NO_GEOMETRY
    assert "what is landed stays" in step.verdict.reason


# Holds and contracts.


def test_what_is_held_is_not_fetched_before_the_portal_says_something_else() -> None:
    before, now = dataset("a"), dataset("a", data_processed=LATER, records_count=2)
    receipts = landed(before).receipts
    held = Landed(receipts, {("records", "a"): hold(now)})
    (step,) = plan([now], held)
    assert (step.verdict.kind, step.verdict.reason) == (Kind.SHRUNK, "it lost rows")
    (step,) = plan([dataset("a", data_processed=LATER, records_count=9)], held)
    assert step.verdict.kind is Kind.DATA
    (step,) = plan([now], held, accept=True)
    assert step.verdict.kind is Kind.FULL


def test_a_hold_on_the_records_does_not_hold_the_layer() -> None:
    before = dataset("a", PLACED)
    now = dataset("a", PLACED, data_processed=LATER)
    holds = {("records", "a"): hold(now)}
    (step,) = plan([now], Landed(landed(before).receipts, holds))  # type: ignore[arg-type]
    assert step.verdict.kind is Kind.SHRUNK
    layer = Landed(landed(before, kind="features").receipts, holds)  # type: ignore[arg-type]
    (step,) = plan([now], layer, extractor=FEATURES)
    assert step.verdict.kind is Kind.DATA


WIDER = (*FIELDS, Field("c", "text"))


def widened(contract: Any, holds: Any = (), **options: Any) -> Planned:
    before = landed(dataset("a"))
    there = Landed(before.receipts, dict(holds), lambda name: arrow_schema(FIELDS))
    rules = Rules(contracts=(("a", contract),))
    (step,) = plan([dataset("a", WIDER)], there, rules=rules, **options)
    return step


@pytest.mark.parametrize("contract", ["evolve", "quarantine"])
def test_other_columns_are_fetched_and_named(contract: str) -> None:
    step = widened(contract)
    assert step.verdict.kind is Kind.SCHEMA
    assert step.verdict.reason == "the publisher changed its fields: added c"


def test_a_frozen_dataset_whose_columns_change_is_not_fetched_even_in_full() -> None:
    assert widened("freeze").verdict.kind is Kind.FROZEN
    assert widened("freeze", full=True).verdict.kind is Kind.FROZEN


def test_accepting_lets_columns_follow_only_where_a_hold_on_columns_was_shown() -> None:
    now = dataset("a", WIDER)
    frozen = {("records", "a"): hold(now, "frozen")}
    assert widened("freeze", frozen).verdict.kind is Kind.FROZEN
    assert widened("freeze", frozen, accept=True).verdict.kind is Kind.SCHEMA
    assert widened("freeze", accept=True).verdict.kind is Kind.FROZEN
    shrunk = {("records", "a"): hold(now, "shrunk")}
    assert widened("freeze", shrunk, accept=True).verdict.kind is Kind.FROZEN


def test_columns_are_read_only_of_what_declares_other_ones_and_under_the_old_name() -> None:
    asked: list[str] = []

    def columns(name: str) -> pa.Schema:
        asked.append(name)
        return arrow_schema(FIELDS)

    before = landed(dataset("a"), dataset("b", uid="da_1"))
    there = Landed(before.receipts, columns=columns)
    plan([dataset("a"), dataset("c", WIDER, uid="da_1")], there)
    assert asked == ["b"]


def test_d2_a_type_that_nobody_knows_is_a_column_like_any_other() -> None:
    there = Landed(landed(dataset("a")).receipts, columns=lambda name: arrow_schema(FIELDS))
    (step,) = plan([dataset("a", (*FIELDS, Field("c", "hologram")))], there)
    assert step.verdict.kind is Kind.SCHEMA
    assert "added c" in step.verdict.reason


# Deep checks, and the order of work.


def test_a_run_compares_a_few_by_content_and_those_first_that_wait_longest() -> None:
    names = [f"d{number:02}" for number in range(40)]
    receipts = {name: receipt(dataset(name), days=31 + int(name[1:])) for name in names}
    rules = Rules()
    steps = plan(map(dataset, names), Landed(receipts))
    due = [step.dataset_id for step in steps if step.verdict.kind is Kind.DEEP]
    assert due == names[-rules.deep_checks(40) :]
    assert set(kinds(steps).values()) == {Kind.DEEP, Kind.UNCHANGED}


def test_named_datasets_are_all_compared_that_are_due() -> None:
    names = [f"d{number:02}" for number in range(40)]
    receipts = {name: receipt(dataset(name), days=40) for name in names}
    steps = plan(map(dataset, names), Landed(receipts), names)
    assert set(kinds(steps).values()) == {Kind.DEEP}


def test_what_waits_for_its_comparison_and_has_no_date_of_it_says_so() -> None:
    names = [f"d{number:02}" for number in range(40)]
    receipts = {name: replace(receipt(dataset(name)), fetched_at="") for name in names}
    steps = plan(map(dataset, names), Landed(receipts))
    waiting = [step for step in steps if step.verdict.kind is Kind.UNCHANGED]
    assert len(waiting) == 40 - Rules().deep_checks(40)
    assert waiting[0].verdict.reason == "due to be compared by content, in one of the next runs"


def test_an_edited_title_is_not_lost_where_the_comparison_waits() -> None:
    names = [f"d{number:02}" for number in range(40)]
    receipts = {name: receipt(dataset(name), days=40) for name in names}
    steps = plan([dataset(name, title="Edited") for name in names], Landed(receipts))
    assert set(kinds(steps).values()) == {Kind.DEEP, Kind.METADATA}


def test_work_begins_with_what_was_never_landed_then_what_is_oldest_then_deep_checks() -> None:
    receipts = {
        "young": receipt(dataset("young"), days=1),
        "old": receipt(dataset("old"), days=9),
        "due": receipt(dataset("due"), days=99),
    }
    moved = [dataset(name, data_processed=LATER) for name in ("young", "old", "fresh")]
    steps = plan([*moved, dataset("due")], Landed(receipts))
    order = [step.dataset_id for step in sorted(steps, key=lambda step: step.priority)]
    assert order == ["fresh", "old", "young", "due"]


def test_a_step_knows_its_partition() -> None:
    (step,) = plan([dataset("a", PLACED)], Landed(), extractor=FEATURES)
    assert (step.extractor, step.partition) == (FEATURES, ("features", "a"))
    (step,) = plan([dataset("a")], Landed())
    assert (step.extractor, step.partition) == (RECORDS, ("records", "a"))


def test_a_withdrawal_is_new_until_a_hold_says_so() -> None:
    before = landed(dataset("a"))
    (step,) = plan([], before)
    assert step.newly_withdrawn
    noted = Landed(before.receipts, {("records", "a"): hold(dataset("a"), "withdrawn")})
    (step,) = plan([], noted)
    assert (step.verdict.kind, step.newly_withdrawn) == (Kind.WITHDRAWN, False)
