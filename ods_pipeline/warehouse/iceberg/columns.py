"""Which Iceberg type a column of a landed file gets, and which columns keep their numbers.

Pure: schemas in, schemas out. Nothing is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import count

import pyarrow as pa
from pyiceberg.schema import Schema
from pyiceberg.types import (
    BinaryType,
    BooleanType,
    DateType,
    DoubleType,
    IcebergType,
    ListType,
    LongType,
    NestedField,
    StringType,
    StructType,
    TimestampType,
    TimestamptzType,
)

from ods_pipeline.errors import WarehouseError
from ods_pipeline.warehouse.landed import Column
from ods_pipeline.warehouse.names import short


@dataclass(frozen=True)
class Wanted:
    """A column that a table is to have.

    Attributes:
        name: Its name.
        type: Its type, with numbers that mean nothing.
        doc: What is said of it; empty for nothing.
    """

    name: str
    type: IcebergType
    doc: str = ""


def wanted_columns(schema: pa.Schema, columns: Iterable[Column]) -> tuple[Wanted, ...]:
    """The columns of a table, in the order of the file.

    Args:
        schema: The file's.
        columns: The partition's.

    Raises:
        WarehouseError: A column is of a type that Iceberg does not have.
    """
    return tuple(
        Wanted(column.name, iceberg_type(field.type, column.name), column.comment)
        for column, field in zip(columns, schema, strict=True)
    )


def doc(column: Column) -> str:
    """What is said of a column: a geometry is bytes here, so its doc says of what."""
    if not column.geometry:
        return column.comment
    kind = f"geometry as WKB, CRS {column.crs or 'unknown'}"
    return f"{column.comment} — {kind}" if column.comment else kind


def iceberg_type(kind: pa.DataType, name: str) -> IcebergType:
    """The type of a column's values, with numbers that mean nothing.

    Raises:
        WarehouseError: There is none.
    """
    if pa.types.is_dictionary(kind):
        return iceberg_type(kind.value_type, name)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return ListType(0, iceberg_type(kind.value_type, name), element_required=False)
    if pa.types.is_struct(kind):
        fields = [
            NestedField(0, child.name, iceberg_type(child.type, name), required=False)
            for child in kind
        ]
        return StructType(*fields)
    if pa.types.is_timestamp(kind) and kind.unit != "ns":
        return TimestamptzType() if kind.tz else TimestampType()
    for is_kind, made in _TYPES:
        if is_kind(kind):
            return made
    raise WarehouseError(
        f"the column {short(name)!r} is of the type {kind}, which Iceberg has no type for; give "
        "it another one with `types`"
    )


_TYPES: tuple[tuple[Callable[[pa.DataType], bool], IcebergType], ...] = (
    (pa.types.is_string, StringType()),
    (pa.types.is_large_string, StringType()),
    (pa.types.is_int64, LongType()),
    (pa.types.is_float64, DoubleType()),
    (pa.types.is_boolean, BooleanType()),
    (pa.types.is_date32, DateType()),
    (pa.types.is_binary, BinaryType()),
    (pa.types.is_large_binary, BinaryType()),
)


def type_text(kind: IcebergType) -> str:
    """A type as people write it, without numbers."""
    if isinstance(kind, ListType):
        return f"list<{type_text(kind.element_type)}>"
    if isinstance(kind, StructType):
        inner = ", ".join(f"{f.name}: {type_text(f.field_type)}" for f in kind.fields)
        return f"struct<{inner}>"
    return str(kind)


def types_of(schema: Schema) -> dict[str, str]:
    """Type of each column, in order."""
    return {field.name: type_text(field.field_type) for field in schema.fields}


def evolved(current: Schema | None, last: int, wanted: Iterable[Wanted]) -> Schema:
    """The schema of a table that is to have some columns.

    A column of the same name and type keeps its number. One of another type is another column,
    with a number of its own: rows of old snapshots stay what they were.

    Args:
        current: The table's schema; None where there is none.
        last: The highest number that any column of the table ever had.
        wanted: The columns, in order.

    Raises:
        WarehouseError: Two names cannot be told apart in Iceberg.
    """
    before = {field.name: field for field in current.fields} if current else {}
    numbers = count(last + 1)
    fields = [_field(item, before.get(item.name), numbers) for item in wanted]
    try:
        made = Schema(*fields)
        made._name_to_id  # noqa: B018 - refuses `a.b` beside a field `b` of `a`
    except ValueError as error:
        raise WarehouseError(f"Iceberg cannot tell the columns apart ({error})") from error
    return made


def _field(wanted: Wanted, before: NestedField | None, numbers: Iterator[int]) -> NestedField:
    text = wanted.doc or None
    if before and type_text(before.field_type) == type_text(wanted.type):
        number, kind = before.field_id, before.field_type
        return NestedField(number, wanted.name, kind, doc=text, required=False)
    number = next(numbers)
    kind = _fresh(wanted.type, numbers)
    return NestedField(number, wanted.name, kind, doc=text, required=False)


def _fresh(kind: IcebergType, numbers: Iterator[int]) -> IcebergType:
    if isinstance(kind, ListType):
        number = next(numbers)
        return ListType(number, _fresh(kind.element_type, numbers), element_required=False)
    if isinstance(kind, StructType):
        fields = [
            NestedField(next(numbers), f.name, _fresh(f.field_type, numbers), required=False)
            for f in kind.fields
        ]
        return StructType(*fields)
    return kind


def file_schema(schema: Schema, columns: Iterable[Column]) -> Schema:
    """The table's schema with the names that the columns have in the file."""
    return Schema(
        *(
            NestedField(f.field_id, column.field, f.field_type, doc=f.doc, required=f.required)
            for f, column in zip(schema.fields, columns, strict=True)
        )
    )


def number_of(schema: Schema, path: tuple[str, ...]) -> int:
    """The number of a field by the path to it, in which a list's values are called `element`."""
    field = next(f for f in schema.fields if f.name == path[0])
    number, kind = field.field_id, field.field_type
    for name in path[1:]:
        if isinstance(kind, ListType):
            number, kind = kind.element_id, kind.element_type
        elif isinstance(kind, StructType):
            child = next(f for f in kind.fields if f.name == name)
            number, kind = child.field_id, child.field_type
    return number
