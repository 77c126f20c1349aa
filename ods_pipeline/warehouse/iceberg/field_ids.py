"""Numbers the columns of a landed Parquet file, as Iceberg knows them, without touching its rows.

Every reader of Iceberg finds columns by number, under whatever name; in snapshots of before a
change of columns, this alone is right. Only the description of the columns in the footer is
replaced, by one that pyarrow writes for an empty file. No Iceberg here.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from ods_pipeline.tables import thrift

_END = struct.Struct("<I4s")
_MAGIC = b"PAR1"
_COLUMNS = 2  # Which field of the footer describes the columns.
_KEY = b"PARQUET:field_id"


def split(file: BinaryIO) -> tuple[int, bytes]:
    """Where the rows of a Parquet file end, and its footer."""
    file.seek(-_END.size, io.SEEK_END)
    size, magic = _END.unpack(file.read(_END.size))
    if magic != _MAGIC:
        raise ValueError("this is no Parquet file")
    file.seek(-_END.size - size, io.SEEK_END)
    return file.tell(), file.read(size)


def numbered(footer: bytes, schema: pa.Schema) -> bytes:
    """The end of a file, from its footer on, with the numbers of a schema.

    Args:
        footer: The footer as it is.
        schema: The file's schema with numbers, as `with_numbers` gives it.

    Raises:
        ValueError: The footer describes other columns than the schema.
    """
    empty = io.BytesIO()
    pq.write_table(schema.empty_table(), empty)
    _, other = split(empty)
    here, there = _columns(footer), _columns(other)
    made = footer[: here[0]] + other[there[0] : there[1]] + footer[here[1] :]
    end = ended(made)
    old, new = (pq.read_metadata(io.BytesIO(_MAGIC + f)) for f in (ended(footer), end))
    if _described(old) != _described(new):
        raise ValueError("its columns are written in another way than this version writes them")
    return end


def with_numbers(schema: pa.Schema, number: Callable[[tuple[str, ...]], int]) -> pa.Schema:
    """The schema with a number for every field, which is given by the path to it.

    Args:
        schema: The file's.
        number: The number of a field by its path; values of a list are called `element` there.
    """
    return pa.schema([_numbered(field, (field.name,), number) for field in schema])


def _numbered(
    field: pa.Field, path: tuple[str, ...], number: Callable[[tuple[str, ...]], int]
) -> pa.Field:
    kind = field.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        make = pa.list_ if pa.types.is_list(kind) else pa.large_list
        kind = make(_numbered(kind.value_field, (*path, "element"), number))
    elif pa.types.is_struct(kind):
        kind = pa.struct([_numbered(child, (*path, child.name), number) for child in kind])
    metadata = {_KEY: str(number(path)).encode()}
    return pa.field(field.name, kind, field.nullable, metadata)


def ended(footer: bytes) -> bytes:
    """A footer with what follows it, to the end of the file."""
    return footer + _END.pack(len(footer), _MAGIC)


def _described(footer: pq.FileMetaData) -> list[tuple[object, ...]]:
    columns = (footer.schema.column(number) for number in range(footer.num_columns))
    return [
        (c.path, c.physical_type, str(c.logical_type), c.max_definition_level, c.length)
        for c in columns
    ]


def _columns(footer: bytes) -> tuple[int, int]:
    """Where the description of the columns begins and ends in a footer."""
    try:
        found, _ = thrift.fields(footer)
    except KeyError as error:
        raise ValueError("the footer has a value of an unknown kind") from error
    for field in found:
        if field.number == _COLUMNS:
            return field.begin, field.end
    raise ValueError("the footer describes no columns")
