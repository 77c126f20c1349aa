"""Writes batches of Arrow as PostgreSQL's binary COPY, whole columns at a time.

A row is its number of fields, and for each field its length and its bytes; so a batch is all
columns joined element by element, and the joined column's data are the stream. Nothing is sent.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ods_pipeline.warehouse.postgres.columns import (
    JSON,
    Target,
    dimensions,
    wkb_heads,
    wkb_types,
)

SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"

#: PostgreSQL allocates no more for a row.
LONGEST_ROW = (1 << 30) - (1 << 16)
_NULL = b"\xff\xff\xff\xff"
_NO_TEXT = "�"
# Days and microseconds from 1970 to PostgreSQL's year 2000.
_DAYS, _MICROSECONDS = 10_957, 946_684_800_000_000
# Its first and last date, in days of its own; its first moment, in microseconds since 1970.
_DATES = (-2_451_545, 2_145_031_948)
_EARLIEST = _MICROSECONDS - 211_813_488_000_000_000
_SRID_FLAG = 0x20000000
_OIDS = {
    "text": 25,
    "bigint": 20,
    "double precision": 701,
    "boolean": 16,
    "bytea": 17,
    "date": 1082,
    "timestamp with time zone": 1184,
    "timestamp without time zone": 1114,
}


class Unfit(ValueError):
    """A value that PostgreSQL does not have.

    Attributes:
        column: Name of its column.
        row: Its row in the batch, the first being 0.
    """

    def __init__(self, column: str, row: int, why: str) -> None:
        super().__init__(why)
        self.column, self.row = column, row


class OtherDimensions(Exception):
    """Geometries have other dimensions than the table's column."""


@dataclass(frozen=True)
class Encoded:
    """Rows as COPY takes them.

    Attributes:
        data: The bytes.
        rows: How many rows they are.
        nuls: How many texts held a NUL, by column.
    """

    data: pa.Buffer
    rows: int
    nuls: dict[str, int]


def encode(batch: pa.RecordBatch, columns: Sequence[Target]) -> Encoded:
    """The rows of a batch.

    Raises:
        Unfit: PostgreSQL does not have a value.
        OtherDimensions: A geometry does not fit its column's type.
    """
    nuls: dict[str, int] = {}
    if not len(batch):
        return Encoded(pa.py_buffer(b""), 0, nuls)
    if batch.nbytes > LONGEST_ROW and len(batch) == 1:
        sizes = [column.nbytes for column in batch.columns]
        raise Unfit(columns[int(np.argmax(sizes))].name, 0, "its record is larger than 1 GiB")
    parts: list[Any] = [pa.scalar(len(columns).to_bytes(2, "big"), pa.binary())]
    for array, column in zip(batch.columns, columns, strict=True):
        parts += _parts(array, column, nuls)
    joined = pc.binary_join_element_wise(*parts, pa.scalar(b"", pa.binary()))
    if isinstance(joined, pa.Scalar):  # Of a table without columns.
        return Encoded(pa.py_buffer(joined.as_py() * len(batch)), len(batch), nuls)
    return Encoded(_data(joined), len(batch), nuls)


def _parts(array: pa.Array, column: Target, nuls: dict[str, int]) -> list[pa.Array]:
    """The fields of a column, which may be in several pieces that follow each other."""
    if pa.types.is_dictionary(array.type):
        array = array.cast(column.kind)
    if column.geometry:
        return _geometries(array, column)
    kind = column.sql
    if kind.endswith("[]"):
        return _lists(array, column, nuls)
    if kind == JSON:
        texts = [None if value is None else b"\x01" + _json(value) for value in array.to_pylist()]
        return _sized(pa.array(texts, pa.binary()))
    if kind in {"text", "bytea"}:
        return _sized(_bytes(array, column, nuls))
    present = array.drop_null() if array.null_count else array
    return [_spread(_fixed(present, kind, column, array), array)]


def _bytes(array: pa.Array, column: Target, nuls: dict[str, int]) -> pa.Array:
    if pa.types.is_null(array.type):
        return pa.nulls(len(array), pa.binary())
    text = pa.types.is_string(array.type) or pa.types.is_large_string(array.type)
    if text and _has_nul(array):
        # Which PostgreSQL has in no text; the sign says that something was there.
        found = pc.sum(pc.match_substring(array, "\0")).as_py() or 0
        if found:
            nuls[column.name] = nuls.get(column.name, 0) + found
            array = pc.replace_substring(array, "\0", _NO_TEXT)
    return array.cast(pa.binary())


def _has_nul(array: pa.Array) -> bool:
    data = np.frombuffer(_data(array), np.uint8)
    return bool(data.size and not data.min())


def _data(array: pa.Array) -> pa.Buffer:
    """The bytes of all values of an array of texts or bytes, one after the other."""
    wide = pa.types.is_large_string(array.type) or pa.types.is_large_binary(array.type)
    _, offsets, data = array.buffers()
    if data is None or not len(array):
        return pa.py_buffer(b"")
    ends = np.frombuffer(offsets, "<i8" if wide else "<i4")
    first, last = int(ends[array.offset]), int(ends[array.offset + len(array)])
    return data.slice(first, last - first)


def _sized(values: pa.Array, more: int = 0) -> list[pa.Array]:
    """Lengths, and bytes that have them; a null is the length -1 and nothing."""
    lengths = pc.fill_null(pc.add(pc.binary_length(values), more), -1)
    return [_binary(np.asarray(lengths).astype(">i4")), pc.fill_null(values, b"")]


def _binary(numbers: np.ndarray[Any, Any]) -> pa.Array:
    """Each row of an array as bytes."""
    if not len(numbers):
        return pa.array([], pa.binary())
    raw = np.ascontiguousarray(numbers).reshape(len(numbers), -1).view(np.uint8)
    offsets = np.arange(len(raw) + 1, dtype="<i4") * raw.shape[1]
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(raw)]
    return pa.Array.from_buffers(pa.binary(), len(raw), buffers)


def _spread(present: pa.Array, array: pa.Array) -> pa.Array:
    """Fields of the values that are there, with the field of a null in place of the others."""
    if not array.null_count:
        return present
    valid = array.is_valid()
    places = np.cumsum(np.asarray(valid)) - 1
    taken = present.take(pa.array(places, mask=~np.asarray(valid)))
    return pc.fill_null(taken, pa.scalar(_NULL, pa.binary()))


def _fixed(present: pa.Array, kind: str, column: Target, array: pa.Array) -> pa.Array:
    """Fields of values that all have one size."""
    values = _numbers(present, kind, column, array)
    size = values.dtype.itemsize
    fields = np.empty((len(values), 4 + size), np.uint8)
    fields[:, :4] = np.frombuffer(size.to_bytes(4, "big"), np.uint8)
    fields[:, 4:] = values.view(np.uint8).reshape(len(values), size)
    return _binary(fields)


def _numbers(present: pa.Array, kind: str, column: Target, array: pa.Array) -> np.ndarray[Any, Any]:
    if kind == "boolean":
        return np.asarray(present.cast(pa.uint8()))
    if kind == "double precision":
        return np.asarray(present).astype(">f8")
    if kind == "bigint":
        return np.asarray(present).astype(">i8")
    if kind == "date":
        days = np.asarray(present.cast(pa.int32())).astype("<i8") - _DAYS
        _refuse((days < _DATES[0]) | (days > _DATES[1]), column, array)
        return days.astype(">i4")
    try:
        moments = np.asarray(present.cast(pa.timestamp("us", array.type.tz)).cast(pa.int64()))
    except pa.ArrowInvalid:
        raise Unfit(column.name, 0, "it holds a moment that PostgreSQL does not have") from None
    # The latest that fits into 64 bits since 1970 is earlier than PostgreSQL's.
    _refuse(moments < _EARLIEST, column, array)
    return (moments - _MICROSECONDS).astype(">i8")


def _refuse(outside: np.ndarray[Any, Any], column: Target, array: pa.Array) -> None:
    if outside.any():
        rows = np.flatnonzero(np.asarray(array.is_valid()))
        row = int(rows[np.flatnonzero(outside)[0]])
        raise Unfit(column.name, row, "it is a date that PostgreSQL does not have")


def _geometries(array: pa.Array, column: Target) -> list[pa.Array]:
    found = dimensions(array)
    if column.dimensions is not None and found - {column.dimensions}:
        raise OtherDimensions
    values = array.cast(pa.binary())
    if column.dimensions is not None or not column.srid:
        return _sized(values)
    # The type says nothing of the reference system, so each value does, as EWKB.
    present = values.drop_null()
    heads = wkb_heads(present)
    order = np.where(heads[:, :1] == 1, "<", ">").ravel()
    fields = np.empty((len(present), 9), np.uint8)
    fields[:, 0] = heads[:, 0]
    kinds, srid = wkb_types(heads) | _SRID_FLAG, np.full(len(present), column.srid)
    for sign in ("<", ">"):
        rows = order == sign
        fields[rows, 1:5] = kinds[rows].astype(f"{sign}u4").view(np.uint8).reshape(-1, 4)
        fields[rows, 5:9] = srid[rows].astype(f"{sign}u4").view(np.uint8).reshape(-1, 4)
    bodies = pc.binary_slice(present, 5, 2**31 - 1)
    lengths, bodies = _sized(bodies, 9)
    joined = pc.binary_join_element_wise(lengths, _binary(fields), bodies, b"")
    return [_spread(joined, array)]


def _lists(array: pa.Array, column: Target, nuls: dict[str, int]) -> list[pa.Array]:
    """Fields of lists: their head, and their elements, which are fields one after the other."""
    element = Target(column.name, array.type.value_type)
    present = array.drop_null() if array.null_count else array
    sizes = np.asarray(present.value_lengths()).astype("<i8")
    fields = _parts(present.flatten(), element, nuls)
    joined = fields[0] if len(fields) == 1 else pc.binary_join_element_wise(*fields, b"")
    ends = np.concatenate([[0], np.cumsum(np.asarray(pc.binary_length(joined)), dtype="<i8")])
    borders = ends[np.concatenate([[0], np.cumsum(sizes)])].astype("<i4")
    bodies = pa.Array.from_buffers(
        pa.binary(), len(present), [None, pa.py_buffer(borders), _data(joined)]
    )
    oid = _OIDS[element.sql]
    # Dimensions, nulls (which it looks for itself), type; of one not empty, size and lower bound.
    heads = np.zeros((len(present), 6), ">i4")
    heads[:, 1], heads[:, 3], heads[:, 4], heads[:, 5] = 1, oid, sizes, 1
    heads[:, 0] = np.diff(borders) + 20
    heads[sizes == 0, :2] = (12, 0)
    whole = np.ascontiguousarray(heads).view(np.uint8).reshape(len(present), 24)
    keep = np.ones(whole.shape, bool)
    keep[sizes == 0, 16:] = False
    starts = np.concatenate([[0], np.cumsum(keep.sum(axis=1))]).astype("<i4")
    lead = pa.Array.from_buffers(
        pa.binary(), len(present), [None, pa.py_buffer(starts), pa.py_buffer(whole[keep])]
    )
    return [_spread(pc.binary_join_element_wise(lead, bodies, b""), array)]


def _json(value: Any) -> bytes:
    return json.dumps(_clean(value), ensure_ascii=False, default=str).encode()


def _clean(value: Any) -> Any:
    """The value without NUL, which PostgreSQL has in no JSON either."""
    if isinstance(value, str):
        return value.replace("\0", _NO_TEXT)
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    return [_clean(item) for item in value] if isinstance(value, list) else value


def slices(batch: pa.RecordBatch, most: int) -> Iterator[pa.RecordBatch]:
    """A batch in pieces of at most so many bytes, or of one row."""
    if batch.nbytes <= most or len(batch) <= 1:
        yield batch
        return
    middle = len(batch) // 2
    yield from slices(batch.slice(0, middle), most)
    yield from slices(batch.slice(middle), most)
