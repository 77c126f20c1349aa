"""Hashes of rows: what their description says, and another one for another row."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ods_pipeline.lake import row_hash
from ods_pipeline.lake.row_hash import mixed, row_hashes
from tests.lake.row_hash_reference import hashes_of

NESTED = pa.struct({"n": pa.int32(), "t": pa.string()})
SIZES = st.sampled_from([0, 1, 7, 8, 9, 31, 32, 33, 95, 96, 97, 255, 256, 257, 512, 513, 1000])
VALUES: dict[pa.DataType, st.SearchStrategy[Any]] = {
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.uint64(): st.integers(0, 2**64 - 1),
    pa.int16(): st.integers(-(2**15), 2**15 - 1),
    pa.float64(): st.floats(allow_nan=False),
    pa.float32(): st.floats(allow_nan=False, width=32),
    pa.bool_(): st.booleans(),
    pa.date32(): st.dates(),
    pa.timestamp("ms", "UTC"): st.integers(-(2**40), 2**40),
    pa.string(): st.text(max_size=12),
    pa.binary(): st.builds(lambda size, byte: bytes([byte]) * size, SIZES, st.integers(0, 255)),
    pa.dictionary(pa.int8(), pa.string()): st.sampled_from(["", "a", "eight byt", "é" * 200]),
    pa.list_(pa.string()): st.lists(st.none() | st.text(max_size=9), max_size=3),
    pa.list_(pa.list_(pa.int64())): st.lists(
        st.none() | st.lists(st.integers(0, 9), max_size=2), max_size=3
    ),
    pa.list_(NESTED): st.lists(
        st.none() | st.fixed_dictionaries({"n": st.integers(0, 9), "t": st.text(max_size=3)}),
        max_size=2,
    ),
    NESTED: st.fixed_dictionaries({"n": st.none() | st.integers(-9, 9), "t": st.text(max_size=3)}),
    pa.null(): st.none(),
}


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    """A table of a few columns that begin somewhere in their arrays, perhaps at their end."""
    rows, skipped = draw(st.integers(0, 12)), draw(st.integers(0, 9))
    kinds = draw(st.lists(st.sampled_from([*VALUES]), min_size=1, max_size=4))
    columns = [
        draw(st.lists(st.none() | VALUES[kind], min_size=rows, max_size=rows)) for kind in kinds
    ]
    arrays = [pa.array(column, kind) for column, kind in zip(columns, kinds, strict=True)]
    return pa.table(arrays, [f"c{place}" for place in range(len(kinds))]).slice(skipped)


@settings(deadline=None, max_examples=100)
@given(tables())
def test_u1_hashes_are_those_of_the_description(table: pa.Table) -> None:
    assert row_hashes(table).tolist() == hashes_of(table)


def test_u1_hashes_are_those_of_the_description_in_many_blocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes = [0, 5, 40, 300, 2_000, 256, 255, 33, 96, 0, 1] * 9
    table = pa.table(
        {
            "b": [bytes(range(1, 251)) * 8] * 9 + [b"\7" * size for size in sizes[9:]],
            "l": [["x" * size] * (size % 4) for size in sizes],
            "d": pa.array(["abc", None, "de"] * 33).dictionary_encode(),
        }
    )
    known = row_hashes(table).tolist()
    assert known == hashes_of(table)
    monkeypatch.setattr(row_hash, "_ROWS_AT_ONCE", 7)
    monkeypatch.setattr(row_hash, "_BYTES_AT_ONCE", 512)
    assert row_hashes(table).tolist() == known


def test_what_lies_under_null_does_not_count() -> None:
    def column(offsets: list[int], data: bytes) -> pa.Array:
        buffers = [pa.py_buffer(b"\5"), pa.py_buffer(np.array(offsets, np.int32)), data]
        return pa.Array.from_buffers(pa.string(), 3, [*buffers[:2], pa.py_buffer(data)])

    hidden, plain = column([0, 2, 4, 6], b"abcdef"), column([0, 2, 2, 4], b"abef")
    assert hidden.to_pylist() == plain.to_pylist() == ["ab", None, "ef"]
    assert row_hashes(pa.table({"t": hidden})).tolist() == hashes_of(pa.table({"t": plain}))
    codes = pa.DictionaryArray.from_arrays(
        pa.array([0, -99, 0], pa.int8(), mask=np.array([False, True, False])), pa.array(["ab"])
    )
    plain = pa.table({"t": ["ab", None, "ab"]})
    assert row_hashes(pa.table({"t": codes})).tolist() == hashes_of(plain)


def test_other_types_are_refused() -> None:
    for kind in (pa.decimal128(9), pa.large_string(), pa.string_view(), pa.binary(8)):
        with pytest.raises(TypeError, match="cannot be hashed"):
            row_hashes(pa.table({"x": pa.array([None], kind)}))


# A thousand by a thousand values: whatever cancels out in sums has a chance to.
LEFT, RIGHT = (array.ravel() for array in np.mgrid[0:1000, 0:1000])
DIGITS = np.char.zfill(np.arange(1000).astype("U3"), 3)
PAIRS = {
    "whole numbers": [LEFT, RIGHT],
    "around zero": [LEFT - 500, RIGHT - 500],
    "high bits": [LEFT << 54, RIGHT << 54],
    "high bits of both halves": [LEFT << 22 | LEFT << 54, RIGHT << 22 | RIGHT << 54],
    "doubles": [LEFT - 500.0, RIGHT - 500.0],
    "decimals": [LEFT / 100, RIGHT / 100],
    "narrow": [LEFT.astype(np.float32) / 7, RIGHT.astype(np.float32) / 7],
    "moments": [LEFT * 86_400_000, RIGHT * 86_400_000],
}


@pytest.mark.slow
@pytest.mark.parametrize("columns", PAIRS.values(), ids=PAIRS)
def test_u1_a_million_structured_rows_have_a_million_hashes(columns: list[Any]) -> None:
    one, two = map(pa.array, columns)
    hashes = row_hashes(pa.table({"one": one, "two": two}))
    swapped = row_hashes(pa.table({"one": two, "two": one}))
    assert len(np.unique(hashes)) == len(hashes)
    # The same values of each column in other rows, and the same rows but for their sides.
    assert np.array_equal(np.sort(hashes), np.sort(swapped))
    unlike = np.flatnonzero(LEFT != RIGHT)
    assert not (hashes[unlike] == swapped[unlike]).any()
    half = slice(0, len(LEFT) // 2)
    for spread in (lambda numbers: numbers, mixed):
        assert spread(hashes)[half].sum() != spread(swapped)[half].sum()


@pytest.mark.slow
@pytest.mark.parametrize("places", [(0, 8), (3, 6), (5, 13), (3, 11), (7, 16), (23, 31)])
def test_u1_a_million_similar_texts_have_a_million_hashes(places: tuple[int, int]) -> None:
    # Two runs of digits in a text of zeros, wherever they fall in its words.
    first, second = places
    blank = np.full((len(LEFT), 34), ord("0"), np.uint8)
    digits = DIGITS.view(np.uint32).reshape(1000, 3).astype(np.uint8)
    blank[:, first : first + 3] = digits[LEFT]
    blank[:, second : second + 3] = digits[RIGHT]
    offsets = np.arange(0, blank.size + 1, 34, dtype=np.int32)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(blank.tobytes())]
    column = pa.Array.from_buffers(pa.string(), len(blank), buffers)
    assert len(np.unique(row_hashes(pa.table({"t": column})))) == len(blank)


def test_u1_texts_that_differ_in_one_byte_have_other_hashes() -> None:
    texts = [
        b"0" * place + bytes([byte]) + b"0" * (size - place - 1)
        for size in (3, 8, 21, 40, 130, 300)
        for place in range(size)
        for byte in range(256)
        if byte != ord("0")
    ]
    hashes = row_hashes(pa.table({"b": pa.array(texts)}))
    assert len(np.unique(hashes)) == len(texts)


def test_u1_signs_and_top_bytes_that_change_together_do_not_cancel() -> None:
    flips = np.array([1 << 63, 1 << 31, (1 << 63) | (1 << 31), 255 << 56, 127 << 24], np.uint64)
    chance = np.random.default_rng(5)
    for size in (2, 3, 8, 31):
        words = chance.integers(0, 2**63, (1, size), dtype=np.uint64)
        changed = [words]
        for flip in flips:
            for one in range(size):
                for other in range(one):
                    row = words.copy()
                    row[:, [one, other]] ^= flip
                    changed.append(row)
        rows = np.concatenate(changed)
        fields = pa.table({f"c{place}": rows[:, place].view(np.int64) for place in range(size)})
        for table in (fields, pa.table({"b": [row.tobytes() for row in rows]})):
            assert len(np.unique(row_hashes(table))) == len(rows)


@pytest.mark.slow
def test_u1_values_that_change_places_in_a_pattern_do_not_cancel() -> None:
    # Sums by powers of one number, or by keys in a series, would be the same for some of these.
    chance = np.random.default_rng(7)
    one, other = chance.integers(0, 2**63, (2, 1000))
    patterns = [[number >> place & 1 for place in range(8)] for number in range(256)]
    rows = [np.where(pattern, one[at], other[at]) for at in range(1000) for pattern in patterns]
    columns = np.stack(rows)
    hashes = row_hashes(pa.table({f"c{place}": columns[:, place] for place in range(8)}))
    assert len(np.unique(hashes)) == len(hashes)
    lists = pa.array(columns[:100_000].tolist())
    assert len(np.unique(row_hashes(pa.table({"l": lists})))) == 100_000


def test_u1_a_change_of_one_bit_changes_each_bit_of_the_hash_in_half_of_the_rows() -> None:
    numbers = np.random.default_rng(3).integers(0, 2**62, 4000, dtype=np.uint64)
    before = row_hashes(pa.table({"n": numbers.view(np.int64)}))
    for bit in range(64):
        changed = numbers ^ np.uint64(1 << bit)
        after = row_hashes(pa.table({"n": changed.view(np.int64)}))
        bits = np.unpackbits((before ^ after).view(np.uint8)).reshape(-1, 64)
        assert np.abs(bits.mean(axis=0) - 0.5).max() < 0.05
