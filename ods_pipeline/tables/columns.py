"""Converts a column of an export to the declared type of its field.

CSV gives text; Parquet gives Arrow types that vary between portals and versions. Both become the
same array. Values that are not of their type become null and are counted; the caller decides what
follows. How an export is fetched or split does not belong here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ods_pipeline.dataset import GEOGRAPHIC, Field
from ods_pipeline.errors import SchemaMismatch
from ods_pipeline.tables.geometry import wkb
from ods_pipeline.tables.nested import LIST_SEPARATOR, Reading, json_text
from ods_pipeline.tables.numbers import floats, integers, texts_of
from ods_pipeline.tables.oddities import Column, Oddities
from ods_pipeline.tables.schema import arrow_type
from ods_pipeline.tables.values import (
    EXACT,
    JOINER,
    csv_text,
    file_address,
    items,
    plain_day,
    zone_of,
)

_JOINERS = (",", ";", "|")
# Taken from an array: Arrow loads pandas to make a scalar of a Python value.
_NO_TEXT = pa.nulls(1, pa.string())[0]


class JoinedLists(SchemaMismatch):
    """An export joined lists into text in a way that cannot be undone."""


@dataclass(frozen=True)
class Dialect:
    """What the columns of an export do not say themselves.

    Attributes:
        list_separator: Text between the values of a list; empty where none was requested.
        file_base: Address of the dataset's files, for exports that give ids.
    """

    list_separator: str = ""
    file_base: str = ""


def typed(
    column: pa.Array,
    field: Field,
    row: int = 1,
    dialect: Dialect = Dialect(),
    oddities: Oddities | None = None,
) -> pa.Array:
    """Convert a column to the declared type of its field.

    Args:
        column: The values as in the export.
        field: The declared field.
        row: Number of the column's first record in the export.
        dialect: How the export writes lists and files.
        oddities: Takes the values that are not of the declared type, which become null, and those
            that are read in an odd way.

    Returns:
        An array of `arrow_type(field)`. Empty text is null, because no export reliably
        distinguishes the two; datetimes are cut to the millisecond. NaN is null: Parquet has it
        where CSV has an empty cell. The values of a list in a field of single texts are joined.

    Raises:
        TypeMismatch: A value is not of the declared type, and `oddities` is not given.
        JoinedLists: Values of a list were joined by a separator that may occur in them.
    """
    found = Oddities() if oddities is None else oddities
    array = _typed(Column(field, row, found), _plain(column), dialect)
    refusal = found.error() if oddities is None else None
    if refusal:
        raise refusal
    return array


def _typed(of: Column, column: pa.Array, dialect: Dialect) -> pa.Array:
    field, target = of.field, arrow_type(of.field)
    if pa.types.is_null(column.type):
        return pa.nulls(len(column), target)
    if pa.types.is_string(column.type):
        column = _without_empty(column)
    if field.type in GEOGRAPHIC:
        return wkb(column, field, of.row, of.oddities)
    if field.retyped and field.type == "text" and not pa.types.is_string(column.type):
        return _exact(of, column, target, csv_text)
    if pa.types.is_list(target):
        return _lists(of, column, dialect.list_separator)
    if field.type == "file":
        return _files(of, column, dialect.file_base)
    try:
        return _KERNELS.get(field.type, _texts)(of, column, target)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        read = EXACT.get(field.type, json_text)
        if field.type == "date" and not _of_one_zone(of, column):
            read = plain_day
        return _exact(of, column, target, read)


def _of_one_zone(of: Column, column: pa.Array) -> bool:
    """Whether moments in a column of dates can be the midnights of one place, in both its times."""
    zones = {zone for value in _values(column) if (zone := zone_of(value))}
    return of.are_of_one_place(zones)


def _values(column: pa.Array) -> Iterator[Any]:
    for scalar in column:
        with contextlib.suppress(ValueError, OverflowError):
            yield scalar.as_py()


def _plain(column: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if pa.types.is_large_string(column.type) or pa.types.is_string_view(column.type):
        return column.cast(pa.string())
    if pa.types.is_large_list(column.type) or pa.types.is_list_view(column.type):
        return column.cast(pa.list_(column.type.value_type))
    return column


def _without_empty(column: pa.Array) -> pa.Array:
    filled = pc.binary_length(column).cast(pa.bool_())
    return column if pc.all(filled).as_py() else pc.if_else(filled, column, _NO_TEXT)


def _exact(
    of: Column, column: pa.Array, target: pa.DataType, read: Callable[[Any], Any]
) -> pa.Array:
    values: list[object] = []
    for offset, scalar in enumerate(column):
        value: object = scalar
        result: object = None
        try:
            value = _alone(of.field, _python(scalar))
            result = None if value is None else read(value)
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            of.reject(offset, _UNREADABLE if value is scalar else value)
        if isinstance(result, Reading):
            of.note(result.note)
            result = result.value
        values.append(None if result in ("", [], [""]) else result)
    return pa.array(values, target)


def _alone(field: Field, value: Any) -> Any:
    """What a list of one value stands for in a field of single ones, as in CSV: that value."""
    if field.type not in _SINGLE or not isinstance(value, list) or len(value) > 1:
        return value
    return value[0] if value and value[0] != "" else None


def _python(scalar: pa.Scalar) -> Any:
    """A value of Arrow as Python's; maps as mappings, each of whose keys has to be another."""
    return scalar.as_py(maps_as_pydicts="strict")


def _texts(of: Column, column: pa.Array, target: pa.DataType) -> pa.Array:
    """Text as it is, unless it holds the separator that we request between the values of a list."""
    if not pa.types.is_string(column.type) or _mentions(column, LIST_SEPARATOR):
        raise pa.ArrowInvalid("no plain text")
    return column


def without_separators(column: pa.Array) -> pa.Array:
    """The texts of an expression of a query, whose lists are joined by commas."""
    if not pa.types.is_string(column.type) or not _mentions(column, LIST_SEPARATOR):
        return column
    return pc.replace_substring(column, LIST_SEPARATOR, JOINER)


def _json(of: Column, column: pa.Array, target: pa.DataType) -> pa.Array:
    if not pa.types.is_string(column.type) or any(
        _mentions(column, word) for word in ("NaN", "Infinity", LIST_SEPARATOR)
    ):
        raise pa.ArrowInvalid("no plain JSON")
    return column


def _mentions(column: pa.Array, text: str) -> bool:
    """Whether a text is in one of the texts; the buffer as a whole tells most of the time."""
    return text.encode() in texts_of(column) and bool(
        pc.any(pc.match_substring(column, text)).as_py()
    )


def _instants(of: Column, column: pa.Array, target: pa.DataType) -> pa.Array:
    if pa.types.is_string(column.type):
        column = column.cast(pa.timestamp("us", tz="UTC"))
    if not pa.types.is_timestamp(column.type):
        raise pa.ArrowInvalid("no timestamp")
    if column.type.unit in {"us", "ns"}:
        naive = column.cast(pa.timestamp(column.type.unit))
        column = pc.floor_temporal(naive, unit="millisecond")
    moments = column.cast(pa.timestamp("ms", column.type.tz)).cast(target)
    return _within(of, moments, pa.int64(), _MOMENTS)


def _days(of: Column, column: pa.Array, target: pa.DataType) -> pa.Array:
    if not (pa.types.is_date32(column.type) or pa.types.is_string(column.type)):
        raise pa.ArrowInvalid("another type")
    return _within(of, column.cast(target), pa.int32(), _DAYS)


def _within(of: Column, column: pa.Array, storage: pa.DataType, years: tuple[int, int]) -> pa.Array:
    """The same array without what is before the year 1 or after 9999, which no reader takes."""
    first, last = years
    numbers = column.view(storage)
    # Compared here: to compare with a number of Python, Arrow would load pandas.
    found = pc.min_max(numbers).as_py()
    if found["min"] is None or (first <= found["min"] and found["max"] <= last):
        return column
    outside = pc.or_(pc.less(numbers, first), pc.greater(numbers, last))
    for offset in pc.indices_nonzero(outside).to_pylist():
        of.reject(offset, f"{numbers[offset].as_py()} {_UNITS[storage]} after 1970")
    return pc.if_else(outside, pa.nulls(1, column.type)[0], column)


def _truths(of: Column, column: pa.Array, target: pa.DataType) -> pa.Array:
    if not (pa.types.is_boolean(column.type) or pa.types.is_string(column.type)):
        raise pa.ArrowInvalid("another type")
    return column.cast(target)


_SINGLE = frozenset({"int", "double", "boolean", "date", "datetime"})
_UNREADABLE = "a value that no calendar has"
_DAYS = ((date.min - date(1970, 1, 1)).days, (date.max - date(1970, 1, 1)).days)
_MOMENTS = (_DAYS[0] * 86_400_000, (_DAYS[1] + 1) * 86_400_000 - 1)
_UNITS = {pa.int32(): "days", pa.int64(): "milliseconds"}
_KERNELS: dict[str, Callable[[Column, pa.Array, pa.DataType], pa.Array]] = {
    "text": _texts,
    "json_blob": _json,
    "int": integers,
    "double": floats,
    "date": _days,
    "datetime": _instants,
    "boolean": _truths,
}


def _files(of: Column, column: pa.Array, base: str) -> pa.Array:
    nested = ("{", "[", " ")
    if (
        pa.types.is_string(column.type)
        and not any(pc.any(pc.starts_with(column, first)).as_py() for first in nested)
        and not _mentions(column, LIST_SEPARATOR)
    ):
        return column
    return _exact(of, column, pa.string(), partial(file_address, base=base))


def _lists(of: Column, column: pa.Array, separator: str) -> pa.Array:
    of_texts = pa.types.is_list(column.type) and pa.types.is_string(column.type.value_type)
    if of_texts and not _mentions(column.flatten(), LIST_SEPARATOR):
        return pa.array([_kept(value) for value in column.to_pylist()], arrow_type(of.field))
    if not pa.types.is_string(column.type):
        return _exact(of, column, arrow_type(of.field), _list)
    if not separator and any(_mentions(column, candidate) for candidate in joiners(of.field)):
        raise JoinedLists(f"the values of field {of.field.name!r} came joined into one text")
    return pc.split_pattern(column, separator or LIST_SEPARATOR)


def joiners(field: Field) -> set[str]:
    """The separators that a portal may have put between the values of a list in one text."""
    return {*_JOINERS, field.separator} - {""}


def _kept(values: list[str | None] | None) -> list[str] | None:
    # CSV cannot distinguish no list, an empty list and a list of one empty value.
    kept = ["" if value is None else value for value in values or ()]
    return None if kept in ([], [""]) else kept


def _list(values: object) -> list[str]:
    if not isinstance(values, list):
        raise ValueError(values)
    return [item for value in values for item in items(value)]
