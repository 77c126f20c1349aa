"""Hashes each row of a table to 64 bits, with arithmetic that no library's version can change.

All numbers are unsigned and of 64 bits; sums and products wrap. The definitions:

- `mixed(n)` is one step of splitmix64: n += 9E3779B97F4A7C15; n ^= n >> 30;
  n *= BF58476D1CE4E5B9; n ^= n >> 27; n *= 94D049BB133111EB; n ^= n >> 31.
- `key(i)` is mixed(i * 9E3779B97F4A7C15) with its lowest bit set: splitmix64 from the seed 0.
- `turned(w)` is w * BF58476D1CE4E5B9 with its eight bytes in reverse order.
- The sum of words is that of key(i) * turned(word i). A word of zero adds nothing.

Each value is a word: null is 5BE0CD19137E2179; a whole number, a moment or a day is its number (a
negative one plus 2^64), a truth 0 or 1; other numbers are the bits of their double. A text (UTF-8)
or bytes are cut into pieces of 256 bytes, with zeros behind the last; each piece is the sum of its
32 words, low byte first, from i = 1; the value is the sum of its size in bytes as word 0 and of its
pieces, from i = 1. A list is the sum of its length as word 0 and of its values, from i = 1. A
struct is the sum of its fields, from i = 1, and so is a row, which is then mixed.

As the keys are odd and `turned` can be undone, rows that differ in one word of one value never have
one hash; others have by a chance of about one in 2^64. The product carries a change upwards, the
reversed order of bytes brings it to the bottom, the key spreads it again: else changes of the
highest bits could cancel each other. It resists no forgery. Which rows are hashed, and what
follows, does not belong here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

Hashes = np.ndarray[Any, np.dtype[np.uint64]]
_Integers = np.ndarray[Any, np.dtype[np.int64]]
_Bytes = np.ndarray[Any, np.dtype[np.uint8]]
_Truths = np.ndarray[Any, np.dtype[np.bool_]]

_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_NULL = np.uint64(0x5BE0CD19137E2179)
_UNSIGNED = (pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64())
_PIECE = 256
# So many rows, and bytes of them, stay in the processor's cache.
_ROWS_AT_ONCE, _SLICE = 8_192, 1 << 22
# For arrays of 128 kB and more the C library asks the system for memory each time, whose pages are
# then cleared and mapped: half of the time that hashing took.
_BYTES_AT_ONCE = (1 << 17) - (1 << 12)


def row_hashes(rows: pa.RecordBatch | pa.Table) -> Hashes:
    """One number for each row; columns count by their place, not by their names.

    Args:
        rows: Of at least one column. Lists and structs may be nested.

    Raises:
        TypeError: A column is of another type than the above, such as a decimal.
    """
    batches = rows.to_batches() if isinstance(rows, pa.Table) else [rows]
    parts = [
        mixed(_sum_of_columns(part.columns, part.num_rows))
        for batch in batches
        for step in [_rows_at_once(batch)]
        for start in range(0, batch.num_rows, step)
        for part in [batch.slice(start, step)]
    ]
    return np.concatenate(parts) if parts else np.empty(0, np.uint64)


def _rows_at_once(batch: pa.RecordBatch) -> int:
    fitting: int = _SLICE * batch.num_rows // max(batch.nbytes, 1)
    return max(1, min(fitting, _ROWS_AT_ONCE))


def mixed(numbers: Hashes) -> Hashes:
    """The same numbers with every bit spread over all of them, as in splitmix64."""
    spread = numbers + _STEP
    spread ^= spread >> np.uint64(30)
    spread *= _FIRST
    spread ^= spread >> np.uint64(27)
    spread *= _SECOND
    spread ^= spread >> np.uint64(31)
    return spread


def _keys(count: int) -> Hashes:
    return mixed(np.arange(count, dtype=np.uint64) * _STEP) | np.uint64(1)


_KEYS = _keys(_PIECE // 8 + 1)
# For each size of a piece, which of its bytes belong to it.
_MASKS = np.where(np.arange(_PIECE) < np.arange(_PIECE + 1)[:, None], 255, 0).astype(np.uint8)


def _turned(words: Hashes) -> Hashes:
    turned = words * _FIRST
    turned.byteswap(inplace=True)
    return turned


def _sum_of_columns(columns: list[pa.Array], rows: int) -> Hashes:
    total = np.zeros(rows, np.uint64)
    for column, key in zip(columns, _keys(len(columns) + 1)[1:], strict=True):
        terms = _turned(_words(column))
        terms *= key
        total += terms
    return total


def _words(column: pa.Array) -> Hashes:
    """Each value of a column as one word."""
    kind = column.type
    if pa.types.is_null(kind):
        return np.full(len(column), _NULL)
    if pa.types.is_dictionary(kind):
        if len(column.dictionary) > len(column):
            return _words(column.dictionary_decode())
        # What a null one points at is of no importance, but may be nowhere.
        words = _words(pa.concat_arrays([column.dictionary, pa.nulls(1, kind.value_type)]))
        words = words.take(_numbers(column.indices).view(np.int64), mode="clip")
    elif pa.types.is_string(kind) or pa.types.is_binary(kind):
        words = _sums_of_bytes(column)
    elif pa.types.is_list(kind):
        words = _sums_of_lists(column)
    elif pa.types.is_struct(kind):
        words = _sum_of_columns(column.flatten(), len(column))
    elif pa.types.is_boolean(kind):
        words = _bits(column, 1).astype(np.uint64)
    else:
        words = _numbers(column)
    return np.where(_bits(column, 0), words, _NULL) if column.null_count else words


def _bits(column: pa.Array, buffer: int) -> _Truths:
    """Truths that a column holds as bits, such as which of its values are not null."""
    first, last = column.offset, column.offset + len(column)
    held = np.frombuffer(column.buffers()[buffer], np.uint8)[first // 8 : (last + 7) // 8]
    return np.unpackbits(held, bitorder="little")[first % 8 :][: len(column)].view(np.bool_)


def _numbers(column: pa.Array) -> Hashes:
    """Numbers, moments and days; null as anything."""
    kind = column.type
    if not pa.types.is_primitive(kind):
        raise TypeError(f"rows with {kind} cannot be hashed")
    letter = "f" if pa.types.is_floating(kind) else "u" if kind in _UNSIGNED else "i"
    held = np.frombuffer(column.buffers()[1], f"<{letter}{kind.bit_width // 8}")
    values = held[column.offset : column.offset + len(column)]
    wide = values.astype("<f8" if letter == "f" else "<i8", copy=False)
    words: Hashes = wide.view(np.uint64)
    return words


def _sums_of_bytes(column: pa.Array) -> Hashes:
    ends = _offsets(column)
    starts, sizes = ends[:-1], np.diff(ends)
    held = np.frombuffer(column.buffers()[2] or b"", np.uint8)
    sums = _turned(sizes.view(np.uint64))
    sums *= _KEYS[0]
    terms = _turned(_sums_of_pieces(held, starts, np.minimum(sizes, _PIECE)))
    terms *= _KEYS[1]
    sums += terms
    rows = np.flatnonzero(sizes > _PIECE)
    if rows.size:
        left, at = sizes[rows] - _PIECE, starts[rows] + _PIECE
        counts = (left + _PIECE - 1) // _PIECE
        places = _places(counts)
        starts = np.repeat(at, counts) + places * _PIECE
        sizes = np.minimum(np.repeat(at + left, counts) - starts, _PIECE)
        sums[rows] += _sums_by_place(_sums_of_pieces(held, starts, sizes), counts, places + 2)
    return sums


def _sums_of_pieces(held: _Bytes, starts: _Integers, sizes: _Integers) -> Hashes:
    """The sums of pieces that follow each other; short ones apart, which cost less."""
    sums = np.empty(len(sizes), np.uint64)
    for low, high in ((-1, 32), (32, 96), (96, _PIECE - 1), (_PIECE - 1, _PIECE)):
        rows = np.flatnonzero((sizes > low) & (sizes <= high))
        if rows.size == len(sizes):
            return _sums_of_similar(held, starts, sizes)
        if rows.size:
            sums[rows] = _sums_of_similar(held, starts[rows], sizes[rows])
    return sums


def _sums_of_similar(held: _Bytes, starts: _Integers, sizes: _Integers) -> Hashes:
    sums = np.empty(len(sizes), np.uint64)
    # Words of zero add nothing, so that none need be read beyond the longest.
    width = max(int(sizes.max() + 7) // 8, 1) * 8
    cut = int(sizes.min()) < width
    masks = np.ascontiguousarray(_MASKS[:, :width]).view(np.uint64)
    step = _BYTES_AT_ONCE // width
    for first in range(0, len(sizes), step):
        part = slice(first, first + step)
        words = _read(held, starts[part], width)
        if cut:
            words &= masks.take(sizes[part], axis=0)
        words *= _FIRST
        words.byteswap(inplace=True)
        np.vecdot(words, _KEYS[1 : width // 8 + 1], out=sums[part])
    return sums


def _read(held: _Bytes, starts: _Integers, width: int) -> Hashes:
    """So many bytes from each start as words, with anything behind the last ones."""
    if int(starts[-1]) + width > held.size:
        first = int(starts[0])
        held = np.concatenate([held[first:], np.zeros(width, np.uint8)])
        starts = starts - first
    # One item for each byte that it may begin with: numpy copies them faster than words.
    items = np.ndarray((held.size - width + 1,), f"V{width}", held.data, 0, (1,))
    words: Hashes = items[starts].view("<u8").reshape(len(starts), width // 8)
    return words


def _sums_of_lists(column: pa.Array) -> Hashes:
    ends = _offsets(column)
    counts = np.diff(ends)
    sums = _turned(counts.view(np.uint64))
    sums *= _KEYS[0]
    values = column.values.slice(int(ends[0]), int(ends[-1] - ends[0]))
    if len(values):
        sums += _sums_by_place(_words(values), counts, _places(counts) + 1)
    return sums


def _places(counts: _Integers) -> _Integers:
    """Counts up from 0 for each of the counts."""
    ends = np.cumsum(counts)
    places: _Integers = np.arange(ends[-1]) - np.repeat(ends - counts, counts)
    return places


def _sums_by_place(words: Hashes, counts: _Integers, places: _Integers) -> Hashes:
    """Sums of so many words each, by the places that they have."""
    terms = _turned(words)
    terms *= _keys(int(places.max()) + 1).take(places)
    # As differences of a running sum, which may wrap.
    running = np.concatenate([np.zeros(1, np.uint64), np.cumsum(terms, dtype=np.uint64)])
    ends = np.cumsum(counts)
    sums: Hashes = running[ends] - running[ends - counts]
    return sums


def _offsets(column: pa.Array) -> _Integers:
    """Where the values of a column begin and end."""
    plain = np.frombuffer(column.buffers()[1], np.int32)
    offsets: _Integers = plain[column.offset : column.offset + len(column) + 1].astype(np.int64)
    return offsets
