"""The verdict: every signal that moves, and every one that must not."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ods_pipeline.dataset import Dataset, Field
from ods_pipeline.lake.holds import Hold
from ods_pipeline.lake.receipt import Receipt
from ods_pipeline.sync.rules import Rules
from ods_pipeline.sync.verdict import Kind, Verdict, under_contract, verdict
from ods_pipeline.tables.schema_diff import Difference

PROCESSED = "2026-05-23T13:30:54+00:00"
LATER = "2026-05-24T13:30:54+00:00"
FIELDS = (Field("a", "text", "A", "first"), Field("b", "int", "B"))
DEFAULT = {
    "title": "Trees",
    "license": "ODbL",
    "data_processed": PROCESSED,
    "modified": "2022-06-13T00:00:00+00:00",
    "metadata_processed": PROCESSED,
    "records_count": 10,
}


PARTS = ("has_records", "data_visible", "refused")


def dataset(fields: tuple[Field, ...] = FIELDS, **changes: Any) -> Dataset:
    parts = {key: changes.pop(key) for key in PARTS if key in changes}
    return Dataset(
        "portal.test", "trees", "da_1", fields, metas={"default": DEFAULT | changes}, **parts
    )


NOW = datetime.now(UTC)
FETCHED = {"row_count": "10", "fetched_at": NOW.isoformat()}
LANDED = Receipt.of(dataset(), "records", **FETCHED)
UNDATED = Receipt.of(dataset(data_processed=None, modified=None), "records", **FETCHED)
BY_HAND = Receipt.of(dataset(data_processed=None), "records", **FETCHED)
OLD = replace(LANDED, fetched_at=(NOW - timedelta(days=30, seconds=1)).isoformat())
FIRST, SECOND = FIELDS

TABLE: list[tuple[str, Receipt | None, Dataset | None, Kind, str]] = [
    ("never landed", None, dataset(), Kind.NEW, "nothing landed yet"),
    ("nothing moved", LANDED, dataset(), Kind.UNCHANGED, f"data as of {PROCESSED}"),
    (
        "the data were processed",
        LANDED,
        dataset(data_processed=LATER),
        Kind.DATA,
        f"data_processed {PROCESSED} → {LATER}",
    ),
    (
        "the date went backwards",
        replace(LANDED, data_processed=LATER),
        dataset(),
        Kind.DATA,
        f"data_processed {LATER} → {PROCESSED}",
    ),
    (
        "the same instant in another spelling",
        LANDED,
        dataset(data_processed="2026-05-23T15:30:54.000000+02:00"),
        Kind.UNCHANGED,
        "data as of",
    ),
    (
        "microseconds later",
        LANDED,
        dataset(data_processed="2026-05-23T13:30:54.120000+00:00"),
        Kind.DATA,
        "data_processed",
    ),
    (
        "dates that nobody can read, equal",
        replace(LANDED, data_processed="soon"),
        dataset(data_processed="soon"),
        Kind.UNCHANGED,
        "data as of soon",
    ),
    (
        "dates that nobody can read, different",
        replace(LANDED, data_processed="soon"),
        dataset(data_processed="now"),
        Kind.DATA,
        "data_processed soon → now",
    ),
    (
        "the date vanished",
        LANDED,
        dataset(data_processed=None),
        Kind.DATA,
        f"data_processed {PROCESSED} → nothing",
    ),
    (
        "the count alone moved",
        LANDED,
        dataset(records_count=11),
        Kind.DATA,
        "records_count 10 → 11",
    ),
    ("the count went missing", LANDED, dataset(records_count=None), Kind.UNCHANGED, "data as of"),
    (
        "the publisher's date moved, the portal's did not",
        LANDED,
        dataset(modified=LATER),
        Kind.METADATA,
        "data untouched",
    ),
    (
        "the publisher's date stands in for the portal's",
        BY_HAND,
        dataset(data_processed=None, modified=LATER),
        Kind.DATA,
        "modified 2022-06-13T00:00:00+00:00 → ",
    ),
    (
        "the publisher's date stands still",
        BY_HAND,
        dataset(data_processed=None),
        Kind.UNCHANGED,
        "data as of 2022-06-13",
    ),
    (
        "no date at all",
        UNDATED,
        dataset(data_processed=None, modified=None),
        Kind.DATA,
        "no date to compare",
    ),
    ("re-indexed", LANDED, dataset(metadata_processed=LATER), Kind.UNCHANGED, "data as of"),
    ("another title", LANDED, dataset(title="Arbres"), Kind.METADATA, "data untouched"),
    ("another licence", LANDED, dataset(license="CC0"), Kind.METADATA, "data untouched"),
    (
        "another label",
        LANDED,
        dataset((replace(FIRST, label="Alpha"), SECOND)),
        Kind.METADATA,
        "data untouched",
    ),
    (
        "another description of a field",
        LANDED,
        dataset((replace(FIRST, description="1st"), SECOND)),
        Kind.METADATA,
        "data untouched",
    ),
    (
        "another type",
        LANDED,
        dataset((FIRST, replace(SECOND, type="text"))),
        Kind.SCHEMA,
        "other field names or types",
    ),
    (
        "another name",
        LANDED,
        dataset((FIRST, replace(SECOND, name="c"))),
        Kind.SCHEMA,
        "other field names or types",
    ),
    ("another order", LANDED, dataset((SECOND, FIRST)), Kind.SCHEMA, "other field names"),
    ("a field less", LANDED, dataset((FIRST,)), Kind.SCHEMA, "other field names or types"),
    (
        "one value became several",
        LANDED,
        dataset((replace(FIRST, annotations={"multivalued": ","}), SECOND)),
        Kind.SCHEMA,
        "other field names or types",
    ),
    ("gone from the catalog", LANDED, None, Kind.WITHDRAWN, "what is landed stays"),
    ("never seen", None, None, Kind.UNKNOWN, "no such dataset"),
    ("hidden", LANDED, dataset(data_visible=False), Kind.RESTRICTED, "its records are not"),
    ("no fields shown", None, dataset(()), Kind.RESTRICTED, "none of its fields"),
    ("attachments", None, dataset(has_records=False), Kind.NO_RECORDS, "attachments or links"),
    ("emptied, says the count", LANDED, dataset(records_count=0), Kind.DATA, "10 → 0"),
    ("empty from the start", None, dataset(records_count=0), Kind.NEW, "nothing landed yet"),
    (
        "another dataset of the same name",
        replace(LANDED, dataset_uid="da_2"),
        dataset(),
        Kind.DATA,
        "another dataset has its name now, da_1",
    ),
    ("no identity to compare", replace(LANDED, dataset_uid=""), dataset(), Kind.UNCHANGED, ""),
    ("trusted for a month", OLD, dataset(), Kind.DEEP, "no date moved"),
    (
        "nobody knows when it was fetched",
        replace(LANDED, fetched_at=""),
        dataset(),
        Kind.DEEP,
        "an unknown day",
    ),
    ("trusted for a month, and moved", OLD, dataset(data_processed=LATER), Kind.DATA, "→"),
    ("told to be refused", LANDED, dataset(refused="its name is no name"), Kind.REFUSED, "no name"),
]


@pytest.mark.parametrize(
    ("landed", "now", "kind", "reason"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_the_verdict_names_the_signal_that_moved(
    landed: Receipt | None, now: Dataset | None, kind: Kind, reason: str
) -> None:
    found = verdict(landed, now)
    assert (found.kind, reason in found.reason) == (kind, True), found.reason


@pytest.mark.parametrize(
    ("landed", "now", "kind"), [row[1:4] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_asking_for_everything_fetches_what_is_there_and_nothing_that_is_not(
    landed: Receipt | None, now: Dataset | None, kind: Kind
) -> None:
    found = verdict(landed, now, full=True)
    if verdict(landed, now).skips or landed is None or kind is Kind.SCHEMA:
        assert found.kind == kind
    else:
        assert (found.kind, found.fetches) == (Kind.FULL, True)


def test_a_receipt_that_went_through_a_footer_decides_the_same() -> None:
    footer = {key.encode(): value.encode() for key, value in LANDED.metadata().items()}
    again = Receipt.from_metadata(footer)
    assert again == LANDED
    assert verdict(again, dataset()).kind == Kind.UNCHANGED
    assert Receipt.from_metadata({b"portal": b"p"}) is None
    assert Receipt.from_metadata({}) is None


def held(kind: Kind = Kind.SHRUNK, **changes: Any) -> Hold:
    known = {"verdict": str(kind), "reason": "it lost rows", "since": NOW.isoformat(), "rows": 10}
    return Hold("trees", "records", **{**known, "stamp": dataset().stamp, **changes})  # type: ignore[arg-type]


def test_what_was_held_back_is_not_asked_for_again_before_the_portal_says_something_else() -> None:
    moved = dataset(data_processed=LATER)
    refused = held(stamp=moved.stamp)
    assert verdict(LANDED, moved, hold=refused) == Verdict(Kind.SHRUNK, "it lost rows")
    assert verdict(LANDED, moved, hold=refused, full=True).kind == Kind.SHRUNK
    assert verdict(LANDED, dataset(records_count=11), hold=refused).kind == Kind.DATA
    assert verdict(LANDED, moved, hold=held(stamp="")).kind == Kind.DATA


def test_what_a_person_accepts_is_fetched_whatever_was_held() -> None:
    assert verdict(LANDED, dataset(), hold=held(), accept=True).kind == Kind.FULL
    assert verdict(LANDED, dataset(), hold=held(stamp=""), accept=True).kind == Kind.UNCHANGED
    assert verdict(LANDED, dataset(), accept=True).kind == Kind.UNCHANGED
    assert verdict(LANDED, None, hold=held(Kind.WITHDRAWN), accept=True).kind == Kind.WITHDRAWN


def test_nothing_is_trusted_for_longer_than_the_rules_say() -> None:
    at_once, late = Rules(trust_days=0), Rules(trust_days=31)
    assert verdict(LANDED, dataset(), rules=at_once, now=NOW).kind == Kind.DEEP
    assert verdict(OLD, dataset(), rules=late, now=NOW).kind == Kind.UNCHANGED
    assert verdict(OLD, dataset(title="Arbres"), now=NOW).kind == Kind.DEEP


@pytest.mark.parametrize("contract", ["evolve", "freeze", "quarantine"])
def test_a_contract_stops_what_breaks_names_or_types_and_nothing_else(contract: Any) -> None:
    schema, data = Verdict(Kind.SCHEMA, "moved"), Verdict(Kind.DATA, "moved")
    added, relabelled = Difference(added=("c",)), Difference(relabelled=(("a", "A", "Alpha"),))
    frozen = under_contract(schema, added, contract)
    assert frozen.kind == (Kind.FROZEN if contract == "freeze" else Kind.SCHEMA)
    assert "added c" in frozen.reason
    assert under_contract(schema, added, contract, accept=True).kind == Kind.SCHEMA
    assert under_contract(schema, relabelled, contract).kind == Kind.SCHEMA
    assert under_contract(schema, Difference(), contract) == schema
    assert under_contract(data, added, contract) == data
