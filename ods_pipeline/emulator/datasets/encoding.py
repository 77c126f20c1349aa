"""JSON-shaped values into stored Arrow columns, one rule per field type; nothing here renders."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa

from ods_pipeline.emulator.datasets.dataset import Field

POINT = pa.struct([("lon", pa.float64()), ("lat", pa.float64())])
STORED: dict[str, pa.DataType] = {
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


def stored_type(field: Field) -> pa.DataType:
    """The Arrow type under which a field is kept."""
    return pa.list_(pa.string()) if field.multivalued else STORED[field.type]


def encode(fields: Sequence[Field], records: Iterable[Mapping[str, Any]] | pa.Table) -> pa.Table:
    """Records (JSON-shaped, or an Arrow table with the same names) as the stored table."""
    if isinstance(records, pa.Table):
        arrays = [_column(field, records.column(field.name)) for field in fields]
    else:
        rows = list(records)
        arrays = [_array(field, [row.get(field.name) for row in rows]) for field in fields]
    return pa.table(arrays, names=[f"c{i}" for i in range(len(fields))])


def _column(field: Field, values: pa.ChunkedArray) -> pa.ChunkedArray | pa.Array:
    target = stored_type(field)
    if pa.types.is_timestamp(values.type) and values.type.tz:
        return values.cast(pa.timestamp("us", "UTC")).cast(target)
    if pa.types.is_nested(values.type) or pa.types.is_binary(values.type):
        return _array(field, values.to_pylist())
    return values.cast(target)


def _array(field: Field, values: list[Any]) -> pa.Array:
    convert = _CONVERT.get(field.type)
    if convert:
        values = [None if value is None else convert(value) for value in values]
    return pa.array(values, stored_type(field))


def _date(value: str | date) -> date:
    """Years and months alone are dates of short precision."""
    if isinstance(value, date):
        return value
    return date.fromisoformat(value + "0000-01-01"[len(value) :])


def _datetime(value: str | datetime) -> datetime | None:
    """A moment without its zone; what cannot be read is none, for an engine holds nothing else."""
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


_CONVERT: dict[str, Any] = {
    "date": _date,
    "datetime": _datetime,
    "geo_point_2d": _point,
    "geo_shape": _geometry,
    "file": _file,
    "json_blob": _json_text,
}
