"""The catalog: one request where the portal allows it, all datasets or an error in any case."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ods_pipeline.dataset import Dataset
from ods_pipeline.emulator import Emulator, Fault
from ods_pipeline.errors import NotAPortal, PortalFailure, RequestRefused
from ods_pipeline.lake.receipt import Receipt
from ods_pipeline.portal.catalog.catalog import identity
from ods_pipeline.portal.catalog.table import SCHEMA, as_table
from ods_pipeline.portal.portal import Portal
from ods_pipeline.sync.verdict import verdict
from tests.portal.answers import Answer, Query, document, portal_of

EXPORT = "/catalog/exports/json"
PAGES = "/catalog/datasets"


def numbered(number: int) -> dict[str, Any]:
    return {"dataset_id": f"d{number:05}", "fields": []}


def test_the_whole_sample_portal_comes_in_one_request() -> None:
    with Emulator() as emulator:
        portal = Portal(emulator.url)
        table = portal.catalog()
        assert [request.path for request in emulator.requests] == [f"/api/explore/v2.1{EXPORT}"]
        assert table.schema == SCHEMA
        ids = table.column("dataset_id").to_pylist()
        assert ids == sorted(ids)
        assert len(ids) == sum(not dataset.hidden for dataset in emulator.state.datasets())
        assert set(table.column("data_visible").to_pylist()) <= {True, False}
        one = portal.dataset(ids[0])
        assert one.metadata_hash == portal.datasets(f'dataset_id = "{ids[0]}"')[0].metadata_hash


@pytest.mark.parametrize("status", [400, 404, 405, 410])
def test_a_portal_that_refuses_the_export_is_read_in_pages(status: int) -> None:
    with Emulator(sample=False) as emulator:
        emulator.make_up(250)
        emulator.fail(EXPORT, Fault.status(status), times=None)
        portal = Portal(emulator.url)
        assert len({dataset.dataset_id for dataset in portal.datasets()}) == 250
        offsets = [r.query.get("offset") for r in emulator.requests]
        assert offsets == [None, "0", "100", "200"]


def test_an_empty_portal_has_no_datasets_when_it_says_so_twice() -> None:
    empty = {"total_count": 0, "results": []}
    for export in (document(empty, 404), document([]), document(empty)):
        answers = {EXPORT: export}
        with portal_of(lambda path, query, told=answers: told.get(path, document(empty))) as served:
            assert Portal(served.url).datasets() == []
            assert len(served.asked) == 2


@pytest.mark.parametrize("export", [[], {"total_count": 2, "results": []}], ids=["empty", "short"])
def test_an_export_that_holds_less_than_the_portal_is_read_again_in_pages(export: object) -> None:
    entries = [{"dataset_id": name, "fields": [], "metas": {}} for name in ("a", "b")]

    def answer(path: str, query: Query) -> Answer:
        return document(export if path == EXPORT else {"total_count": 2, "results": entries})

    with portal_of(answer) as served:
        assert [dataset.dataset_id for dataset in Portal(served.url).datasets()] == ["a", "b"]


def test_a_date_that_no_calendar_has_is_no_date() -> None:
    entry: dict[str, Any] = {
        "dataset_id": "a",
        "fields": [],
        "metas": {"default": {"modified": "0001-01-01T00:00:00+02:00"}},
    }
    with portal_of(lambda path, query: document([entry])) as served:
        assert Portal(served.url).catalog()["modified"].to_pylist() == [None]


def test_more_datasets_than_pages_can_reach_are_an_error_and_no_partial_catalog() -> None:
    def answer(path: str, query: Query) -> Answer:
        if path == EXPORT:
            return document({"message": "no"}, 400)
        start = int(query["offset"])
        page = [numbered(number) for number in range(start, start + int(query["limit"]))]
        return document({"total_count": 10_001, "results": page})

    with portal_of(answer) as served:
        with pytest.raises(PortalFailure, match=r"10000 datasets where the portal states 10001"):
            Portal(served.url).datasets()
        assert len(served.asked) == 101


@pytest.mark.parametrize("shown", [[1, 2, 2], [1, 2]], ids=["twice", "missing"])
def test_pages_that_do_not_add_up_are_an_error(shown: list[int]) -> None:
    def answer(path: str, query: Query) -> Answer:
        if path == EXPORT:
            return document({}, 404)
        rows = shown[int(query["offset"]) :]
        return document({"total_count": 3, "results": [numbered(number) for number in rows]})

    with portal_of(answer) as served, pytest.raises(PortalFailure, match=r"2 datasets where .* 3"):
        Portal(served.url).datasets()


@pytest.mark.parametrize(
    "answered",
    [
        document({"hello": "world"}),
        document("text"),
        document([1, 2]),
        document([{"id": "no dataset"}]),
        document({"message": "Not found"}, 404),
        (200, b"<rss/>"),
    ],
)
def test_something_else_that_answers_is_no_portal(answered: Answer) -> None:
    with (
        portal_of(lambda path, query: answered) as served,
        pytest.raises(NotAPortal),
    ):
        Portal(served.url).datasets()


def test_a_filter_that_the_portal_cannot_read_is_refused_in_its_words() -> None:
    with Emulator() as emulator, pytest.raises(RequestRefused, match=r"malformed|syntax"):
        Portal(emulator.url).datasets("nothing (")


WHOLE = st.characters(exclude_categories=["Cs"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(WHOLE, max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(WHOLE, max_size=3), inner),
    max_leaves=4,
)
FIELD = st.fixed_dictionaries(
    {"name": JSON}, optional={"type": JSON, "label": JSON, "annotations": JSON}
)
READ = ["title", "records_count", "data_processed", "modified", "keyword"]
METAS = st.fixed_dictionaries(
    {}, optional={"default": JSON | st.dictionaries(st.sampled_from(READ), JSON), "explore": JSON}
)
ODD = st.fixed_dictionaries(
    {"dataset_id": st.text(WHOLE, max_size=5), "fields": JSON | st.lists(FIELD, max_size=3)},
    optional={
        "dataset_uid": JSON,
        "features": JSON,
        "has_records": JSON,
        "data_visible": JSON,
        "metas": JSON | METAS,
    },
)


@settings(deadline=None, max_examples=200)
@given(ODD)
def test_metadata_of_any_shape_are_read_or_refused_and_never_a_crash(body: dict[str, Any]) -> None:
    try:
        dataset = Dataset.from_api("portal.test", body)
    except (KeyError, TypeError, ValueError, AttributeError):
        return
    assert as_table([dataset]).num_rows == 1
    receipt = Receipt.of(dataset, "records")
    assert verdict(receipt, dataset).reason
    footer = {key.encode(): text.encode() for key, text in receipt.metadata().items()}
    assert Receipt.from_metadata(footer) == receipt


def test_the_two_ways_of_writing_annotations_mean_the_same() -> None:
    def fields(annotations: object) -> tuple[bool, str, str, str]:
        body = {"dataset_id": "d", "fields": [{"name": "f", "type": "date"}]}
        body["fields"][0]["annotations"] = annotations  # type: ignore[index]
        (field,) = Dataset.from_api("p", body).fields
        return field.multivalued, field.separator, field.unit, field.precision

    now = {"multivalued": ";", "unit": "%", "timeserie_precision": "year"}
    then = {key: [value] for key, value in now.items()}
    assert fields(now) == fields(then) == (True, ";", "%", "year")
    assert fields(None) == fields({}) == (False, "", "", "")


def test_whatever_the_catalogs_table_would_tell_is_in_its_identity() -> None:
    entry: dict[str, Any] = {
        "dataset_id": "d",
        "dataset_uid": "da_1",
        "fields": [{"name": "a", "type": "text", "label": "A", "description": None}],
        "features": ["geo"],
        "has_records": True,
        "data_visible": True,
        "metas": {"default": {"title": "Been \ud83d", "theme": ["Sea", "Sun"]}},
    }
    first = Dataset.from_api("p", entry)
    others: list[dict[str, Any]] = [
        {"dataset_id": "e"},
        {"dataset_uid": "da_2"},
        {"fields": [{"name": "a", "type": "int", "label": "A"}]},
        {"fields": [{"name": "a", "type": "text", "label": "B"}]},
        {"features": []},
        {"has_records": False},
        {"data_visible": False},
        {"metas": {"default": {"title": "Been", "theme": ["Sea", "Sun"]}}},
        {"metas": {"default": {"title": "Been \ud83d", "theme": ["Sea"]}}},
    ]
    known = identity([first])
    assert identity([Dataset.from_api("p", json.loads(json.dumps(entry)))]) == known
    found = [identity([Dataset.from_api("p", {**entry, **other})]) for other in others]
    assert len({known, *found, identity([]), identity([first, first])}) == len(others) + 3
