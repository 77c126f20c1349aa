"""Values as they are stored: JSON values as Arrow columns, and columns under another field type.

How values are written in replies does not belong here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa

from ods_pipeline.emulator.datasets.dataset import TYPES, Column, Field
from ods_pipeline.emulator.datasets.formatting import text_value

POINT = pa.struct([("lon", pa.float64()), ("lat", pa.float64())])
ARROW_TYPES: dict[str, pa.DataType] = {
    "text": pa.string(),
    "int": pa.int64(),
    "double": pa.float64(),
    "date": pa.date32(),
    "datetime": pa.timestamp("us"),
    "boolean": pa.bool_(),
    "geo_point_2d": POINT,
    "geo_shape": pa.string(),
    "file": pa.string(),
    "json_blob": pa.string(),
}


def arrow_type(field: Field) -> pa.DataType:
    """The Arrow type under which a field is kept."""
    return pa.list_(pa.string()) if field.multivalued else ARROW_TYPES[field.type]


def encode(fields: Sequence[Field], records: Iterable[Mapping[str, Any]] | pa.Table) -> pa.Table:
    """Records (JSON-shaped, or an Arrow table with the same names) as the stored table."""
    if isinstance(records, pa.Table):
        arrays = [_column(field, records.column(field.name)) for field in fields]
    else:
        rows = list(records)
        arrays = [_array(field, [row.get(field.name) for row in rows]) for field in fields]
    return pa.table(arrays, names=[f"c{i}" for i in range(len(fields))])


def _column(field: Field, values: pa.ChunkedArray) -> pa.ChunkedArray | pa.Array:
    target = arrow_type(field)
    if pa.types.is_timestamp(values.type) and values.type.tz:
        return values.cast(pa.timestamp("us", "UTC")).cast(target)
    if pa.types.is_nested(values.type) or pa.types.is_binary(values.type):
        return _array(field, values.to_pylist())
    return values.cast(target)


def _array(field: Field, values: list[Any]) -> pa.Array:
    convert = _CONVERTERS.get(field.type)
    if convert:
        values = [None if value is None else convert(value) for value in values]
    return pa.array(values, arrow_type(field))


def _date(value: str | date) -> date:
    """Years and months alone are dates of short precision."""
    if isinstance(value, date):
        return value
    return date.fromisoformat(value + "0000-01-01"[len(value) :])


def _datetime(value: str | datetime) -> datetime | None:
    """A datetime as naive UTC; none where it cannot be read."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        return None
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def _point(value: Mapping[str, float]) -> dict[str, float]:
    return {"lon": value["lon"], "lat": value["lat"]}


def _geometry(value: str | Mapping[str, Any]) -> str:
    """Features are unwrapped; keys come in the recorded order."""
    shape = json.loads(value) if isinstance(value, str) else value
    shape = shape["geometry"] if shape.get("type") == "Feature" else shape
    if "coordinates" not in shape:
        return json.dumps(shape)
    return json.dumps({"coordinates": shape["coordinates"], "type": shape["type"]})


def _file(value: str | Mapping[str, Any]) -> str:
    return json.dumps({"url": value} if isinstance(value, str) else value)


def _json_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


_CONVERTERS: dict[str, Any] = {
    "date": _date,
    "datetime": _datetime,
    "geo_point_2d": _point,
    "geo_shape": _geometry,
    "file": _file,
    "json_blob": _json_text,
}


SQL_TYPES = {
    "text": "VARCHAR",
    "json_blob": "VARCHAR",
    "int": "BIGINT",
    "double": "DOUBLE",
    "date": "DATE",
    "datetime": "TIMESTAMP",
    "boolean": "BOOLEAN",
}

# Within a group values are cast directly, else through their text.
CASTABLE = ({"int", "double", "boolean"}, {"date", "datetime"})


def with_other_type(field: Field, kind: str) -> Field:
    """The declaration with another type; annotations of the old type go."""
    if kind not in TYPES:
        raise ValueError(f"{kind!r} is no field type; choose from {TYPES}")
    of_old_type = ("multivalued", "timeserie_precision", "decimals", "unit")
    kept = {k: v for k, v in field.annotations.items() if k not in of_old_type}
    return replace(field, type=kind, annotations=kept)


def values_of_other_type(column: Column, kind: str) -> str:
    """SQL for the values; what does not fit the new type becomes null."""
    if kind == column.type and not column.multivalued:
        return column.sql
    if kind not in SQL_TYPES:
        raise ValueError(f"values of type {column.type} can not become {kind}")
    text = text_value(column, "UTC")
    if kind in ("text", "json_blob"):
        return text
    castable = any({kind, column.type} <= group for group in CASTABLE)
    return f"TRY_CAST({column.sql if castable else text} AS {SQL_TYPES[kind]})"
