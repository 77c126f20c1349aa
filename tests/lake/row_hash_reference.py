"""Hashes of rows, written from the description in `row_hash`: one number after the other."""

from datetime import UTC, date, datetime, timedelta
from struct import pack
from typing import Any

import pyarrow as pa

ALL = 2**64 - 1
STEP = 0x9E3779B97F4A7C15


def _mixed(number: int) -> int:
    number = (number + STEP) & ALL
    number = (number ^ number >> 30) * 0xBF58476D1CE4E5B9 & ALL
    number = (number ^ number >> 27) * 0x94D049BB133111EB & ALL
    return number ^ number >> 31


def _term(place: int, word: int) -> int:
    turned = int.from_bytes((word * 0xBF58476D1CE4E5B9 & ALL).to_bytes(8, "little"), "big")
    return (_mixed(place * STEP & ALL) | 1) * turned


def _sum(words: list[int], first: int = 1) -> int:
    return sum(_term(place, word) for place, word in enumerate(words, first)) & ALL


def _word(value: Any, kind: pa.DataType) -> int:
    if value is None:
        return 0x5BE0CD19137E2179
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_list(kind):
        return _sum([len(value), *(_word(item, kind.value_type) for item in value)], 0)
    if pa.types.is_struct(kind):
        return _sum([_word(value[field.name], field.type) for field in kind])
    if isinstance(value, str | bytes):
        held = value.encode() if isinstance(value, str) else value
        pieces = [held[at : at + 256].ljust(256, b"\0") for at in range(0, len(held), 256)]
        return _sum([len(held), *map(_piece, pieces)], 0)
    if isinstance(value, float):
        return int.from_bytes(pack("<d", value), "little")
    if isinstance(value, datetime):
        value = (value - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    elif isinstance(value, date):
        value = (value - date(1970, 1, 1)).days
    return int(value) & ALL


def _piece(piece: bytes) -> int:
    return _sum([int.from_bytes(piece[at : at + 8], "little") for at in range(0, 256, 8)])


def hashes_of(table: pa.Table) -> list[int]:
    """What `row_hashes` should say."""
    columns = [
        [_word(value, column.type) for value in column.to_pylist()] for column in table.columns
    ]
    return [_mixed(_sum(list(row))) for row in zip(*columns, strict=True)]


def digest_of(table: pa.Table) -> str:
    """What `ContentHash` should say."""
    hashes = hashes_of(table)
    sums = [sum(hashes) & ALL, sum(map(_mixed, hashes)) & ALL]
    return f"rows1:{len(hashes):x}-{sums[0]:016x}{sums[1]:016x}"
