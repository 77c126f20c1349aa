"""The content hash: the same for the same rows, however they came; another for other rows."""

import random
from datetime import date
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from ods_pipeline.lake.content_hash import ContentHash
from ods_pipeline.lake.row_hash import row_hashes
from tests.lake.row_hash_reference import digest_of

SCHEMA = pa.schema(
    {
        "n": pa.int64(),
        "text": pa.string(),
        "tags": pa.list_(pa.string()),
        "day": pa.date32(),
        "at": pa.timestamp("ms", "UTC"),
        "shape": pa.binary(),
        "ok": pa.bool_(),
        "x": pa.float64(),
    }
)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "n": st.none() | st.integers(-3, 3),
            "text": st.none() | st.text(max_size=3),
            "tags": st.none() | st.lists(st.text(max_size=2), max_size=2),
            "day": st.none() | st.just(date(2024, 2, 29)),
            "at": st.none() | st.integers(-5, 5),
            "shape": st.none() | st.binary(max_size=3),
            "ok": st.none() | st.booleans(),
            "x": st.none() | st.floats(allow_nan=False),
        }
    ),
    max_size=12,
)


def digest(rows: list[dict[str, Any]], size: int = 100) -> str:
    content = ContentHash()
    for batch in pa.Table.from_pylist(rows, SCHEMA).to_batches(max_chunksize=size):
        content.update(batch)
    assert content.rows == len(rows)
    return content.hexdigest()


@settings(deadline=None, max_examples=25)
@given(ROWS, st.randoms(use_true_random=False), st.integers(1, 5))
def test_neither_the_order_of_rows_nor_the_size_of_batches_counts(
    rows: list[dict[str, Any]], chance: random.Random, size: int
) -> None:
    shuffled = chance.sample(rows, len(rows))
    assert digest(shuffled, size) == digest(rows)


@settings(deadline=None, max_examples=25)
@given(ROWS, ROWS)
def test_other_rows_have_another_hash(one: list[Any], other: list[Any]) -> None:
    same = sorted(map(_written, one)) == sorted(map(_written, other))
    assert (digest(one) == digest(other)) == same


def _written(row: dict[str, Any]) -> str:
    return repr(sorted(row.items()))


def test_a_row_more_of_the_same_is_another_content() -> None:
    row = {"n": 1, "text": "a"}
    assert len({digest([row] * count) for count in range(5)}) == 5


def test_values_that_change_places_between_rows_are_another_content() -> None:
    one = [{"n": 1, "text": "a"}, {"n": 2, "text": "b"}]
    other = [{"n": 1, "text": "b"}, {"n": 2, "text": "a"}]
    assert digest(one) != digest(other)


def test_null_and_empty_are_told_apart() -> None:
    texts = [digest([{"text": value}]) for value in (None, "")]
    lists = [digest([{"tags": value}]) for value in (None, [], [""], ["", ""])]
    assert len(set(texts)) == 2
    assert len(set(lists)) == 4


# Computed once: a change of any of them calls everything that is landed different.
KNOWN = [
    "rows1:7-5e88b94421845d38dcd92ba25faabd29",
    "rows1:7-bd5b6d796a7f66458867796773647cef",
    "rows1:7-8b85fd32844ef49fd82ca14e0e01a5e0",
    "rows1:7-5bc8e9076bc3c829783790e30bda70c5",
    "rows1:3-cdcbf6925e14357a18b127fb077f80cc",
    "rows1:7-d3cd987123433ba4741a676ff4f97dc4",
]


def known(columns: dict[str, pa.Array]) -> str:
    content = ContentHash()
    content.update(pa.table(columns))
    return content.hexdigest()


def test_u1_the_hash_of_known_rows_is_the_same_for_ever() -> None:
    texts = pa.array(["", "a", "eight by", "eight byt", "é" * 20, None, "x" * 3000])
    words = pa.array([["a", "b"], [], None, [""], ["b", "a"], ["a"], ["b"]])
    moments = pa.array([0, 1, -1, None, 2**40, 5, 6], pa.timestamp("ms", "UTC"))
    nested = pa.array([[{"n": 1, "t": "x"}], [], None, [{"n": None, "t": None}], [], [], []])
    tables = [
        {"n": pa.array([0, 1, -1, 2**63 - 1, -(2**63), None, 7])},
        {"x": pa.array([0.0, -0.0, 1.5, 1e300, -1e-300, None, 7])},
        {"t": texts},
        {"w": words, "m": moments},
        {"ok": pa.array([True, False, None]), "d": pa.array([0, 1, None], pa.date32())},
        {"s": nested, "b": pa.array([b"", b"\0", b"\0\0", None, b"1", b"2", b"3"])},
    ]
    assert [digest_of(pa.table(columns)) for columns in tables] == KNOWN
    assert [known(columns) for columns in tables] == KNOWN


def test_u1_slices_dictionaries_and_chunks_hash_like_the_plain_rows() -> None:
    texts = pa.array(["no", "a", "eight byt", None, "x" * 3000, "no"])
    lists = pa.array([["no"], ["a", "b"], [], None, ["c"], ["no"]])
    whole = known({"t": texts.slice(1, 4), "l": lists.slice(1, 4)})
    plain = pa.table({"t": texts.to_pylist()[1:5], "l": lists.to_pylist()[1:5]})
    assert whole == known({name: plain.column(name) for name in plain.column_names})
    coded = {"t": texts.dictionary_encode().slice(1, 4), "l": lists.slice(1, 4)}
    assert known(coded) == whole
    chunked = pa.chunked_array([texts.slice(1, 2), texts.slice(3, 2)])
    assert known({"t": chunked, "l": lists.slice(1, 4)}) == whole


@settings(deadline=None, max_examples=50)
@given(st.lists(st.binary(max_size=20), unique=True, min_size=2))
def test_u1_values_that_differ_by_zeros_at_their_end_have_other_hashes(values: list[bytes]) -> None:
    longer = [*values, *(value + b"\0" for value in values)]
    hashes = [known({"b": pa.array([value], pa.binary())}) for value in set(longer)]
    assert len(set(hashes)) == len(hashes)


def test_u1_texts_that_differ_in_a_few_places_have_other_hashes() -> None:
    texts = [
        f"3685957{a}8906{b}28{c}-{a}{b}{c}"[:size]
        for size in (16, 17, 24)
        for a in "0123456789abcdef"
        for b in "0123456789abcdef"
        for c in "0123456789abcdef"
    ]
    unique = sorted({*texts})
    hashes = row_hashes(pa.record_batch({"t": pa.array(unique)}))
    assert len({*hashes.tolist()}) == len(unique)


@settings(deadline=None)
@given(st.binary(min_size=1, max_size=40), st.integers(0, 39), st.integers(0, 255))
def test_u1_a_change_of_one_byte_changes_about_half_of_the_bits(
    value: bytes, place: int, byte: int
) -> None:
    place %= len(value)
    other = value[:place] + bytes([byte]) + value[place + 1 :]
    one, two = row_hashes(pa.record_batch({"b": pa.array([value, other])})).tolist()
    assert (one == two) == (value == other)
    assert value == other or 8 <= (one ^ two).bit_count() <= 56
