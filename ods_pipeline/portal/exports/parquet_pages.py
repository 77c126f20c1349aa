"""The page headers of a Parquet file: what each page claims to unpack to, before any is unpacked.

A footer can claim little and the pages much, and readers allocate what a page's header says. The
headers are Thrift in its compact protocol, of which this reads two numbers and skips the rest.
Snappy pages that are too small to matter are not checked. No values are read here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import pyarrow.parquet as pq

from ods_pipeline.errors import Unproven
from ods_pipeline.portal.http.limits import BOUNDS, require_honest_packing, require_size

_SNAPPY_AT_MOST = 22  # Copies of 64 bytes cost three.
_HEAD = 1 << 16
_LONGEST_HEAD = 16 << 20
_UNPACKED, _PACKED = 2, 3
_FIXED = {1: 0, 2: 0, 3: 1, 7: 8, 13: 16}
_NUMBERS, _BINARY, _LISTS, _STRUCT = {4, 5, 6}, 8, {9, 10}, 12
_DEPTH = 16


def require_sound_pages(file: BinaryIO, footer: pq.FileMetaData) -> None:
    """Refuse a file with a page that claims to unpack to more than real data do.

    Args:
        file: The whole file; its position is moved.
        footer: Its footer.

    Raises:
        Unproven: Pages and footer contradict each other.
        DataError: A page is packed tighter than any real data.
    """
    for number in range(footer.num_row_groups):
        group = footer.row_group(number)
        for place in range(group.num_columns):
            chunk = group.column(place)
            if _may_matter(chunk):
                _require_sound(file, chunk)


def _may_matter(chunk: pq.ColumnChunkMetaData) -> bool:
    if chunk.compression == "UNCOMPRESSED":
        return False
    most = _SNAPPY_AT_MOST * int(chunk.total_compressed_size)
    return bool(chunk.compression != "SNAPPY") or most > BOUNDS.suspect


def _require_sound(file: BinaryIO, chunk: pq.ColumnChunkMetaData) -> None:
    what = f"column {chunk.path_in_schema!r} of the Parquet export"
    claimed = chunk.total_uncompressed_size
    total = 0
    for unpacked, packed in _pages(file, chunk):
        require_honest_packing(unpacked, packed, what)
        total += unpacked
        if total > claimed + BOUNDS.suspect:
            raise Unproven(f"{what} contradicts itself: its pages are larger than its footer says")
    require_size(f"a row group of {what}", total, BOUNDS.export)


def _pages(file: BinaryIO, chunk: pq.ColumnChunkMetaData) -> Iterator[tuple[int, int]]:
    """Bytes of each page of a column, unpacked and packed, as far as its headers can be read.

    A header that makes no sense ends it: the reader of the pages will refuse that one.
    """
    begin = chunk.data_page_offset
    first = chunk.dictionary_page_offset if chunk.has_dictionary_page else 0
    # A column without values can have a dictionary and nothing else.
    if first and (not begin or first < begin):
        begin = first
    end = begin + chunk.total_compressed_size
    while begin < end:
        file.seek(begin)
        size, numbers = _header(file, end - begin)
        unpacked, packed = numbers.get(_UNPACKED, -1), numbers.get(_PACKED, -1)
        if unpacked < 0 or packed < 0:
            return
        yield unpacked, packed
        begin += size + packed


def _header(file: BinaryIO, left: int) -> tuple[int, dict[int, int]]:
    """Length of a page header, and its numbers; statistics can make it long."""
    head = file.read(min(_HEAD, left))
    while True:
        try:
            return _struct(head, 0, _DEPTH)
        except KeyError as error:
            raise Unproven("a page header of the Parquet export cannot be read") from error
        except IndexError:
            more = file.read(min(len(head), left - len(head), _LONGEST_HEAD - len(head)))
            if not more:
                return 0, {}
            head += more


def _struct(data: bytes, at: int, depth: int) -> tuple[int, dict[int, int]]:
    numbers: dict[int, int] = {}
    field = 0
    while data[at]:
        kind, step = data[at] & 15, data[at] >> 4
        at += 1
        if step:
            field += step
        else:
            field, at = _number(data, at)
        if kind in _NUMBERS:
            numbers[field], at = _number(data, at)
        else:
            at = _skipped(data, at, kind, depth)
    return at + 1, numbers


def _skipped(data: bytes, at: int, kind: int, depth: int) -> int:
    """Where a value ends."""
    if not depth:
        raise KeyError("nested too deeply")
    if kind in _NUMBERS:
        return _number(data, at)[1]
    if kind == _BINARY:
        length, at = _unsigned(data, at)
        if at + length > len(data):
            raise IndexError
        return at + length
    if kind == _STRUCT:
        return _struct(data, at, depth - 1)[0]
    if kind in _LISTS:
        return _list(data, at, depth)
    return at + _FIXED[kind]


def _list(data: bytes, at: int, depth: int) -> int:
    length, kind = data[at] >> 4, data[at] & 15
    at += 1
    if length == 15:
        length, at = _unsigned(data, at)
    for _ in range(length):
        at = _skipped(data, at, kind if kind > 2 else 3, depth - 1)
        data[at - 1]
    return at


def _unsigned(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at
        if shift > 63:
            raise KeyError("no number")


def _number(data: bytes, at: int) -> tuple[int, int]:
    value, at = _unsigned(data, at)
    return (value >> 1) ^ -(value & 1), at
