"""Converts a column of an export to the declared type of its field.

CSV gives text; Parquet gives Arrow types that vary between portals and versions. Both become the
same array, or an error that names field, record and value. How an export is fetched or split does
not belong here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ods_pipeline.dataset import GEOGRAPHIC, Field
from ods_pipeline.errors import SchemaMismatch, TypeMismatch
from ods_pipeline.tables.geometry import wkb
from ods_pipeline.tables.schema import arrow_type
from ods_pipeline.tables.values import EXACT, ROUNDED, file_address

# Requested between the values of a list in CSV: the portal does not escape its default `,`, which
# occurs in values ("Parks, recreation, and pets" is one theme).
LIST_SEPARATOR = "\x1f"

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


def typed(column: pa.Array, field: Field, row: int = 1, dialect: Dialect = Dialect()) -> pa.Array:
    """Convert a column to the declared type of its field.

    Args:
        column: The values as in the export.
        field: The declared field.
        row: Number of the column's first record in the export, for messages.
        dialect: How the export writes lists and files.

    Returns:
        An array of `arrow_type(field)`. Empty text is null, because no export reliably
        distinguishes the two; datetimes are cut to the millisecond.

    Raises:
        TypeMismatch: A value is not of the declared type.
        JoinedLists: Values of a list were joined by a separator that may occur in them.
    """
    column = _plain(column)
    target = arrow_type(field)
    if pa.types.is_null(column.type):
        return pa.nulls(len(column), target)
    if pa.types.is_string(column.type):
        column = _without_empty(column)
    if field.type in GEOGRAPHIC:
        return wkb(column, field, row)
    if pa.types.is_list(target):
        return _lists(column, field, row, dialect.list_separator)
    if field.type == "file":
        return _files(column, field, row, dialect.file_base)
    return _parsed(column, field, target, row)


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


def _parsed(column: pa.Array, field: Field, target: pa.DataType, row: int) -> pa.Array:
    try:
        return _KERNELS[field.type](column, target)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return _exact(column, field, target, row, EXACT[field.type])


def _exact(
    column: pa.Array, field: Field, target: pa.DataType, row: int, read: Callable[[Any], Any]
) -> pa.Array:
    values: list[object] = []
    for offset, scalar in enumerate(column):
        value: object = scalar
        try:
            value = scalar.as_py()
            values.append(None if value is None else read(value))
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            raise TypeMismatch(field.name, row + offset, value, field.type) from error
    return pa.array(values, target)


def _integers(column: pa.Array, target: pa.DataType) -> pa.Array:
    if pa.types.is_string(column.type):
        # Arrow reads hexadecimal; no portal writes it, and `0x10` in an int field is a mistake.
        if _mentions_x(column):
            raise pa.ArrowInvalid("hexadecimal")
    elif not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        raise pa.ArrowInvalid("no number")
    elif pa.types.is_floating(column.type) and _rounded(column):
        raise pa.ArrowInvalid("rounded")
    return column.cast(target)


def _mentions_x(column: pa.Array) -> bool:
    """Whether there is an `x` in the texts, or in other texts in the same buffer."""
    written = column.buffers()[2]
    text = written.to_pybytes() if written else b""
    return b"x" in text or b"X" in text


def _rounded(column: pa.Array) -> bool:
    """Whether floats are so large that they skip whole numbers."""
    return bool(pc.any(pc.greater_equal(pc.abs(column), ROUNDED)).as_py())


def _floats(column: pa.Array, target: pa.DataType) -> pa.Array:
    if pa.types.is_boolean(column.type) or pa.types.is_temporal(column.type):
        raise pa.ArrowInvalid("no number")
    return pc.cast(column, target, safe=pa.types.is_string(column.type))


def _instants(column: pa.Array, target: pa.DataType) -> pa.Array:
    if pa.types.is_string(column.type):
        column = column.cast(pa.timestamp("us", tz="UTC"))
    if not pa.types.is_timestamp(column.type):
        raise pa.ArrowInvalid("no timestamp")
    if column.type.unit in {"us", "ns"}:
        naive = column.cast(pa.timestamp(column.type.unit))
        column = pc.floor_temporal(naive, unit="millisecond")
    return column.cast(pa.timestamp("ms", column.type.tz)).cast(target)


def _cast(*accepted: Callable[[pa.DataType], bool]) -> Callable[[pa.Array, pa.DataType], pa.Array]:
    """A kernel that casts columns of the accepted types."""

    def cast(column: pa.Array, target: pa.DataType) -> pa.Array:
        if not any(accepts(column.type) for accepts in accepted):
            raise pa.ArrowInvalid("another type")
        return column.cast(target)

    return cast


_KERNELS: dict[str, Callable[[pa.Array, pa.DataType], pa.Array]] = {
    "text": _cast(pa.types.is_string),
    "json_blob": _cast(pa.types.is_string),
    "int": _integers,
    "double": _floats,
    "date": _cast(pa.types.is_date32, pa.types.is_string),
    "datetime": _instants,
    "boolean": _cast(pa.types.is_boolean, pa.types.is_string),
}


def _files(column: pa.Array, field: Field, row: int, base: str) -> pa.Array:
    if pa.types.is_string(column.type) and not pc.any(pc.starts_with(column, "{")).as_py():
        return column
    return _exact(column, field, pa.string(), row, partial(file_address, base=base))


def _lists(column: pa.Array, field: Field, row: int, separator: str) -> pa.Array:
    if pa.types.is_list(column.type):
        return pa.array([_list(value) for value in column.to_pylist()], pa.list_(pa.string()))
    if not pa.types.is_string(column.type):
        return _exact(column, field, pa.list_(pa.string()), row, _refuse)
    if not separator and any(
        pc.any(pc.match_substring(column, candidate)).as_py() for candidate in joiners(field)
    ):
        raise JoinedLists(f"the values of field {field.name!r} came joined into one text")
    return pc.split_pattern(column, separator or LIST_SEPARATOR)


def joiners(field: Field) -> set[str]:
    """The separators that a portal may have put between the values of a list in one text."""
    return {*_JOINERS, field.separator} - {""}


def _list(values: list[object] | None) -> list[str] | None:
    # CSV cannot distinguish no list, an empty list and a list of one empty value.
    kept = ["" if value is None else str(value) for value in values or ()]
    return None if kept in ([], [""]) else kept


def _refuse(value: object) -> object:
    raise ValueError(value)
