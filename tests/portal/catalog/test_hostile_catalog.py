"""A catalog that is not what it says: each bad entry refused by name, and every good one there."""

import contextlib
import copy
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ods_pipeline.dataset import Dataset
from ods_pipeline.errors import DataError, NotAPortal, OdsPipelineError, PortalFailure
from ods_pipeline.lake.lake import Lake
from ods_pipeline.lake.receipt import Receipt
from ods_pipeline.portal.catalog import entries
from ods_pipeline.portal.catalog import table as tables
from ods_pipeline.portal.http import limits, replies
from ods_pipeline.portal.portal import Portal
from ods_pipeline.sync.verdict import verdict
from tests.portal.answers import Answer, Query, document, portal_of

EXPORT, PAGES = "/catalog/exports/json", "/catalog/datasets"


def good(name: str = "good", **more: Any) -> dict[str, Any]:
    return {
        "dataset_id": name,
        "dataset_uid": f"da_{name}",
        "fields": [{"name": "a", "type": "text", "annotations": {"facet": True}}],
        "features": ["analyze"],
        "has_records": True,
        "data_visible": True,
        "metas": {"default": {"title": f"Title of {name}", "records_count": 3}},
    } | more


def shown(*listed: Any) -> list[Dataset]:
    with portal_of(lambda path, query: document(list(listed))) as served:
        return Portal(served.url).datasets()


def of_default(**values: Any) -> dict[str, Any]:
    return good("bad", metas={"default": values})


@pytest.mark.parametrize(
    ("bad", "name", "said"),
    [
        ({"fields": [], "metas": {}}, "(entry 2 of the catalog)", "without a dataset_id"),
        (good("x", dataset_id=None), "(entry 2 of the catalog)", "without a dataset_id"),
        (good("x", dataset_id=12), "(entry 2 of the catalog)", "without a dataset_id"),
        (good("x", dataset_id={"a": 1}), "(entry 2 of the catalog)", "without a dataset_id"),
        ("a text", "(entry 2 of the catalog)", "without a dataset_id"),
        (None, "(entry 2 of the catalog)", "without a dataset_id"),
        ({"dataset": 7}, "(entry 2 of the catalog)", "without a dataset_id"),
        (good(""), "(a dataset without a name)", "its dataset_id is empty"),
        (good(" \t"), r"\t", "its dataset_id is empty"),
        (good("a\0b"), r"a\x00b", "invisible characters"),
        (good("a\x1b[31mb"), r"a\x1b[31mb", "invisible characters"),
        (good("a\u202eb"), r"a\u202eb", "invisible characters"),
        (good(".."), "..", "another path of the portal"),
        (good("."), ".", "another path of the portal"),
        (good("../../x"), "../../x", "another path of the portal"),
        (good("a/../b"), "a/../b", "another path of the portal"),
        (good("a\\..\\b"), "a\\..\\b", "another path of the portal"),
        (good("n" * 5_000), "n" * 200 + "…", "its dataset_id has 5,000 characters"),
        (good("bad", fields={"a": 1}), "bad", "its fields are no list"),
        (good("bad", fields="a"), "bad", "its fields are no list"),
        (good("bad", fields=[{"type": "text"}]), "bad", "a field without a name"),
        (good("bad", fields=[{"name": None}]), "bad", "a field without a name"),
        (good("bad", fields=[{"name": ""}]), "bad", "a field without a name"),
        (good("bad", fields=[{"name": "a\0"}]), "bad", "a field without a name"),
        (good("bad", fields=["a", 1]), "bad", "a field without a name"),
        (good("bad", fields=[{"name": "n" * 2_000}]), "bad", "a field of 2,000 characters"),
        (good("bad", fields=[{"name": "a", "annotations": 7}]), "bad", "malformed"),
        (good("bad", features={"geo": 1}), "bad", "its features are no list"),
        (good("bad", metas=[1]), "bad", "its metas are no object"),
        (good("bad", metas="x"), "bad", "its metas are no object"),
    ],
)
def test_one_bad_entry_is_refused_by_name_and_costs_the_others_nothing(
    bad: Any, name: str, said: str
) -> None:
    first, refused, last = shown(good("first"), bad, good("last"))
    assert (first.refused, last.refused) == ("", "")
    assert (refused.dataset_id, refused.fields) == (name, ())
    assert said in refused.refused
    assert "\n" not in refused.refused
    assert len(refused.refused) < 600
    assert tables.as_table([first, refused, last])["dataset_id"].to_pylist() == ["first", "last"]


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def test_an_entry_nested_beyond_all_reason_or_of_too_many_fields_is_refused() -> None:
    less = [{"name": f"f{n}", "type": "text"} for n in range(9_999)]
    many = [{"name": f"f{n}", "type": "text"} for n in range(10_001)]
    deep, wide, fine = shown(
        of_default(keyword=nested(300)),
        good("wide", fields=many),
        good("fine", fields=less),
    )
    assert "nested more than 64 levels" in deep.refused
    assert "10,001 fields" in wide.refused
    assert not fine.refused


@pytest.mark.parametrize("count", ["12", -1, 1e300, math.nan, math.inf, True, None, [3], {}])
def test_a_count_that_is_no_count_is_no_count(count: Any) -> None:
    (dataset,) = shown(of_default(records_count=count))
    assert dataset.records_count is None
    assert not dataset.refused


def test_dates_that_are_numbers_are_no_dates() -> None:
    (dataset,) = shown(of_default(modified=1e300, data_processed=[], metadata_processed={}))
    table = tables.as_table([dataset])
    assert table["modified"].to_pylist() == table["data_processed"].to_pylist() == [None]


def test_a_title_of_ten_megabytes_or_of_control_characters_is_shown_in_a_line() -> None:
    long, odd = shown(of_default(title="t" * 10_000_000), good("odd", metas={"default": {
        "title": "a\x1b[2J\r\n\u202eb\0"}}))  # fmt: skip
    assert len(long.title) == 1_001
    assert odd.title == "a [2J b"
    assert not long.refused


def test_a_description_that_no_file_could_hold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries, "BOUNDS", limits.Bounds(text=1000))
    (dataset, _) = shown(of_default(description="d" * 1001), good())
    assert "the text of 'description' has 1,001 characters" in dataset.refused


def test_a_dataset_listed_twice_alike_is_one_and_twice_otherwise_is_refused() -> None:
    one, other, fine = shown(
        good("same"), good("torn"), good("same"), good("torn", fields=[]), good("fine")
    )
    assert (one.dataset_id, one.refused) == ("same", "")
    assert other.dataset_id == "torn"
    assert "more than once, and not alike" in other.refused
    assert not fine.refused


def test_an_identity_that_two_datasets_claim_identifies_neither() -> None:
    names = [good("a", dataset_uid="da_1"), good("b", dataset_uid="da_1"), good("c")]
    odd = [good("d", dataset_uid=5), good("e", dataset_uid=["da_1"]), good("f", dataset_uid=None)]
    assert [d.dataset_uid for d in shown(*names, *odd)] == ["", "", "da_c", "", "", ""]


TWINS = ["e\u0301t\u00e9", "\u00e9t\u00e9", "Data", "data", "x" * 300, "x" * 301, "CON", "nul.txt",
         "a/b", "a%2Fb", "a b", ".hidden", "x", "x__features"]  # fmt: skip


def test_names_that_look_alike_are_different_datasets_in_files_of_their_own(
    tmp_path: Path,
) -> None:
    found = shown(*map(good, TWINS))
    assert [dataset.dataset_id for dataset in found] == TWINS
    assert not any(dataset.refused for dataset in found)
    lake = Lake.of(tmp_path / "data", "p")
    files = {lake.partition("records", name) for name in TWINS}
    assert len(files) == len(TWINS)
    assert {file.parent for file in files} == {lake.root / "records"}


def test_nothing_outside_the_data_folder_is_touched_whatever_datasets_are_called(
    tmp_path: Path,
) -> None:
    sentinel = tmp_path / "records.parquet"
    sentinel.write_bytes(b"mine")
    around = tmp_path / "a" / "b"
    lake = Lake.of(around / "data", "p")
    for name in [
        "..",
        ".",
        "../../x",
        "/etc/passwd",
        "a\0b",
        "..\\x",
        "%2e%2e",
        "~",
        "",
        "a/../../b",
    ]:
        path = lake.partition("records", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"theirs")
        with lake.incoming(f"{path.name}") as spool:
            spool.write_bytes(b"theirs")
    there = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()}
    assert {p for p in there if not p.startswith("a/b/data/lake/p/")} == {"records.parquet"}
    assert sentinel.read_bytes() == b"mine"


def test_an_identifier_is_asked_for_as_it_is_and_never_as_another_path() -> None:
    names = [
        "a/b",
        "a?b",
        "a#b",
        "a%2Fb",
        "a b",
        "é",
        "a;b",
        "a&b=c",
        "..a",
        "a..",
        "...",
        "%2e%2e",
    ]
    with portal_of(lambda path, query: document(good())) as served:
        portal = Portal(served.url)
        for name in names:
            assert not entries.unusable(name)
            portal.dataset(name)
        assert len({*served.asked}) == len(names)
        for path in served.asked:
            assert path.startswith("/catalog/datasets/")
            assert path.count("/") == 3


@pytest.mark.parametrize("total", ["3", 1e300, math.nan, True, -1, None, [1], 2.5])
def test_a_total_that_is_no_number_is_no_catalog(total: Any) -> None:
    def answer(path: str, query: Query) -> Answer:
        if path == EXPORT:
            return document({}, 404)
        return document({"total_count": total, "results": [good()]})

    with portal_of(answer) as served, pytest.raises((NotAPortal, PortalFailure)):
        Portal(served.url).datasets()


@pytest.mark.parametrize("total", [0, 1, 3, 10**30])
def test_a_total_that_lies_is_an_error_and_no_partial_catalog(total: int) -> None:
    body = {"total_count": total, "results": [good("a"), good("b")]}
    answers = {EXPORT: document(body), PAGES: document(body)}
    with (
        portal_of(lambda path, query: answers[path]) as served,
        pytest.raises(PortalFailure, match=f"2 datasets where the portal states {total}"),
    ):
        Portal(served.url).datasets()


WHOLE = json.dumps([good("a"), good("b")]).encode()


@pytest.mark.parametrize(
    "body",
    [
        WHOLE[:-1],
        WHOLE[: len(WHOLE) // 2],
        WHOLE + b'{"error_code": "InternalError"}',
        WHOLE + b"\nInternal Server Error",
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000,
        WHOLE.replace(b"Title", b"Titl\xe9"),
        b"",
        b"null",
        b"12",
    ],
)
def test_a_catalog_that_is_no_whole_json_is_read_in_pages_or_refused(body: bytes) -> None:
    page = document({"total_count": 2, "results": [good("a"), good("b")]})
    with portal_of(lambda path, query: (200, body) if path == EXPORT else page) as served:
        assert {dataset.dataset_id for dataset in Portal(served.url).datasets()} == {"a", "b"}
    with portal_of(lambda path, query: (200, body)) as served, pytest.raises(NotAPortal):
        Portal(served.url).datasets()


def test_more_datasets_than_there_can_be_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries, "BOUNDS", limits.Bounds(datasets=2))
    with pytest.raises(DataError, match="the catalog has 3 datasets, and no honest portal"):
        shown(good("a"), good("b"), good("c"))


def test_entries_without_fields_are_odd_where_the_others_have_them() -> None:
    with portal_of(lambda path, query: document([good("a"), good("b"), {"dataset_id": "c"}])) as at:
        assert [d.dataset_id for d in Portal(at.url).datasets()] == ["a", "b", "c"]
        assert at.asked == [EXPORT]


JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from(["..", "\0", "\ud800", "9999-99-99", "1e9", "a" * 2000]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place within a document, as the keys that lead there."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for key, below in inner:
        found.append((*path, key))
        if isinstance(below, (dict, list)):
            found += places(below, (*path, key))
    return found


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


PLACES = places(good())


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    entry = copy.deepcopy(good("bad"))
    for path in draw(st.lists(st.sampled_from(PLACES), min_size=1, max_size=3)):
        try:
            holder = _at(entry, path[:-1])
            if draw(st.booleans()):
                holder[path[-1]] = draw(JUNK)
            else:
                del holder[path[-1]]
        except (KeyError, IndexError, TypeError):
            continue
    return entry


@settings(max_examples=200)
@given(mutated() | JUNK)
def test_whatever_becomes_of_one_entry_the_others_are_there_and_nothing_crashes(bad: Any) -> None:
    # As they come from the wire, where half characters are made whole.
    came = replies.document(json.dumps([good("a"), bad, good("b")]).encode())
    found = entries.read("p", came)
    assert found is not None
    there = {dataset.dataset_id: dataset for dataset in found}
    assert not there["a"].refused
    assert not there["b"].refused
    assert len(there) == len(found) == 3
    for dataset in found:
        if dataset.refused:
            assert (dataset.fields, dataset.metas) == ((), {})
            continue
        assert verdict(None, dataset).reason
        footer = Receipt.of(dataset, "records").metadata()
        assert all(isinstance(text, str) for text in footer.values())
    assert tables.as_table(found).num_rows == sum(not dataset.refused for dataset in found)


@settings(max_examples=60)
@given(JUNK)
def test_whatever_a_catalog_is_it_ends_in_datasets_or_in_one_of_our_errors(body: Any) -> None:
    text = json.dumps(body).encode()
    answer = (200, text)
    with portal_of(lambda path, query: answer) as served, contextlib.suppress(OdsPipelineError):
        Portal(served.url).datasets()
