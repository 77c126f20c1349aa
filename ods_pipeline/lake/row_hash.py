"""Hashes each row of a table to 64 bits, with arithmetic that no library's version can change.

Values are taken as their bytes: integers of 64 bits, UTF-8, WKB. Eight bytes at a time are mixed as
in splitmix64, for all rows at once. It tells different rows apart by chance of one
in 2^64; it resists no forgery. Which rows are hashed, and what follows, does not belong here.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pyarrow as pa

Hashes = np.ndarray[Any, np.dtype[np.uint64]]
_Integers = np.ndarray[Any, np.dtype[np.int64]]

# Odd numbers without a pattern: the fractions of the golden ratio, and of the roots of 2 and 3.
_ONE = np.uint64(0x9E3779B97F4A7C15)
_TWO = np.uint64(0x6A09E667F3BCC909)
_THREE = np.uint64(0xBB67AE8584CAA73B)
# The multipliers of splitmix64, by which a change of any bit changes about half of all bits.
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_NULL = np.uint64(0x5BE0CD19137E2179)
# What is left of a word of which so many bytes belong to a value.
_MASKS = np.array([(1 << 8 * size) - 1 for size in range(9)], np.uint64)
# Longer values are hashed one by one: a loop over all their words would take longer.
_LONG = 2_048
# So many rows stay in the processor's cache, and their arrays need no new pages of memory.
_AT_ONCE = 16_384


def row_hashes(rows: pa.RecordBatch | pa.Table) -> Hashes:
    """One number for each row; columns count by their place, not by their names.

    Args:
        rows: Of at least one column. Lists and structs may be nested.
    """
    batches = rows.to_batches() if isinstance(rows, pa.Table) else [rows]
    parts = [
        mixed(_combined(part.columns, part.num_rows))
        for batch in batches
        for start in range(0, batch.num_rows, _AT_ONCE)
        for part in [batch.slice(start, _AT_ONCE)]
    ]
    return np.concatenate(parts) if parts else np.empty(0, np.uint64)


def mixed(hashes: Hashes) -> Hashes:
    """The same numbers with every bit spread over all of them."""
    spread = hashes + _ONE
    _mix(spread)
    return spread


def _mix(state: Hashes) -> None:
    """Spread every bit over all of them, in place, as in splitmix64: each step can be undone."""
    state ^= state >> np.uint64(30)
    state *= _FIRST
    state ^= state >> np.uint64(27)
    state *= _SECOND
    state ^= state >> np.uint64(31)


def _combined(columns: list[pa.Array], rows: int) -> Hashes:
    total = np.zeros(rows, np.uint64)
    for place, column in enumerate(columns, 1):
        # A multiplier of its own for each place, so that values cannot change places.
        total += mixed(_hashed(column) * (_THREE + np.uint64(2 * place)))
        total *= _ONE
    return total


def _hashed(column: pa.Array) -> Hashes:
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.dictionary_decode()
        kind = column.type
    if pa.types.is_null(kind):
        return np.full(len(column), _NULL)
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        hashes = _hashed_bytes(column)
    elif pa.types.is_list(kind):
        hashes = _hashed_lists(column)
    elif pa.types.is_struct(kind):
        hashes = _combined(column.flatten(), len(column))
    else:
        hashes = _numbers(column) * _ONE + _TWO
    if column.null_count:
        hashes = np.where(_flags(column.is_valid()), hashes, _NULL)
    return hashes


def _numbers(column: pa.Array) -> Hashes:
    """Numbers, dates and truths as 64 bits; null as anything."""
    kind = column.type
    if pa.types.is_boolean(kind):
        column = column.cast(pa.uint8())
    elif pa.types.is_date32(kind):
        column = column.cast(pa.int32())
    filled = column.fill_null(0) if column.null_count else column
    if pa.types.is_temporal(kind) and not pa.types.is_date32(kind):
        filled = filled.view(pa.int64())
    values: Any = np.from_dlpack(filled)
    wide = values.astype(np.float64 if values.dtype.kind == "f" else np.int64, copy=False)
    bits: Hashes = wide.view(np.uint64)
    return bits


def _flags(column: pa.Array) -> np.ndarray[Any, np.dtype[np.bool_]]:
    flags: Any = np.from_dlpack(column.cast(pa.uint8()))
    truths: np.ndarray[Any, np.dtype[np.bool_]] = flags.astype(np.bool_)
    return truths


def _hashed_bytes(column: pa.Array) -> Hashes:
    """Texts or bytes: eight at a time, of all values that have so many left."""
    offsets = _offsets(column)
    data = column.buffers()[2]
    first = int(offsets[0])
    raw = np.frombuffer(data or b"", np.uint8)[first : int(offsets[-1])]
    starts, lengths = offsets[:-1] - first, np.diff(offsets)
    hashes: Hashes = (lengths.view(np.uint64) + _ONE) * _THREE
    if not raw.size:
        return hashes
    # Words may begin at any byte, and the last one reaches beyond the end.
    padded = np.concatenate([raw, np.zeros(8, np.uint8)])
    words: Hashes = np.ndarray((raw.size + 1,), "<u8", padded.data, 0, (1,))
    long = np.flatnonzero(lengths > _LONG)
    for row in long:
        value = raw[starts[row] : starts[row] + lengths[row]]
        digest = hashlib.blake2b(value.tobytes(), digest_size=8).digest()
        hashes[row] = np.frombuffer(digest, "<u8")[0]
    _mix_words(
        hashes, words, starts, np.where(lengths > _LONG, 0, lengths) if long.size else lengths
    )
    return hashes


def _mix_words(hashes: Hashes, words: Hashes, starts: _Integers, lengths: _Integers) -> None:
    rows: Any = slice(None)
    left, at = lengths, starts
    if (lengths <= 0).any():
        rows = np.flatnonzero(lengths > 0)
        left, at = lengths[rows], starts[rows]
    state = hashes[rows]
    while left.size:
        word = words[at]
        if int(left.min()) < 8:
            word &= _MASKS[np.minimum(left, 8)]
        state ^= word
        _mix(state)
        left, at = left - 8, at + 8
        more = np.flatnonzero(left > 0)
        if more.size < left.size:
            hashes[rows] = state
            rows = more if isinstance(rows, slice) else rows[more]
            left, at, state = left[more], at[more], state[more]


def _hashed_lists(column: pa.Array) -> Hashes:
    """Lists: each value by its place in the list, and how many there are."""
    offsets = _offsets(column)
    first = int(offsets[0])
    values = column.values.slice(first, int(offsets[-1]) - first)
    lengths, starts = np.diff(offsets), offsets[:-1] - first
    hashes: Hashes = (lengths.view(np.uint64) + _TWO) * _THREE
    if not len(values):
        return hashes
    place = np.arange(len(values)) - np.repeat(starts, lengths)
    items = mixed(_hashed(values) * (place.view(np.uint64) * np.uint64(2) + _THREE))
    # Sums of each list as differences of a running sum, which may wrap.
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(items, dtype=np.uint64)])
    hashes += sums[starts + lengths] - sums[starts]
    return hashes


def _offsets(column: pa.Array) -> _Integers:
    """Where the values of a column begin and end in its buffer; null ones are empty."""
    plain = np.frombuffer(column.buffers()[1], np.int32)
    offsets: _Integers = plain[column.offset : column.offset + len(column) + 1].astype(np.int64)
    return offsets
