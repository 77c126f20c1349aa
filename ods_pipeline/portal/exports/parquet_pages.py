"""The page headers of a Parquet file: what each page claims to unpack to, before any is unpacked.

A footer can claim little and the pages much, and readers allocate what a page's header says. Snappy
pages that are too small to matter are not checked. No values are read here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import pyarrow.parquet as pq

from ods_pipeline.errors import Unproven
from ods_pipeline.portal.http.limits import BOUNDS, require_honest_packing, require_size
from ods_pipeline.tables import thrift

_SNAPPY_AT_MOST = 22  # Copies of 64 bytes cost three.
_HEAD = 1 << 16
_LONGEST_HEAD = 16 << 20
_UNPACKED, _PACKED = 2, 3


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
            found, length = thrift.fields(head)
            return length, {f.number: thrift.number(head, f.begin)[0] for f in found if f.is_number}
        except KeyError as error:
            raise Unproven("a page header of the Parquet export cannot be read") from error
        except IndexError:
            more = file.read(min(len(head), left - len(head), _LONGEST_HEAD - len(head)))
            if not more:
                return 0, {}
            head += more
