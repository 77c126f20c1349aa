"""Structs of Thrift as Parquet writes them, and bytes that only look like one."""

import io
import struct

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ods_pipeline.tables.thrift import fields, number


def footer(rows: int) -> bytes:
    written = io.BytesIO()
    pq.write_table(pa.table({"a": range(rows), "b": [["x"]] * rows}), written, row_group_size=10)
    content = written.getvalue()
    (size,) = struct.unpack("<I", content[-8:-4])
    return content[-8 - size : -8]


def test_a_footer_is_read_to_its_end_with_its_numbers() -> None:
    content = footer(1000)
    found, end = fields(content)
    assert end == len(content)
    told = {field.number: number(content, field.begin)[0] for field in found if field.is_number}
    assert told[3] == 1000  # Field 3 of Parquet's FileMetaData is its number of rows.


def test_what_is_cut_off_anywhere_is_told() -> None:
    content = footer(20)
    for size in range(len(content)):
        with pytest.raises(IndexError):
            fields(content[:size])


@given(st.binary(max_size=300))
def test_any_bytes_are_a_struct_or_one_of_two_errors(content: bytes) -> None:
    try:
        _, end = fields(content)
    except (IndexError, KeyError):
        return
    assert 0 < end <= len(content)
