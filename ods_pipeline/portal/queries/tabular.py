"""The rows of a query, which come as JSON, as one Arrow table.

Columns that a field declares are typed as in an export; others by what their values are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from ods_pipeline.dataset import Field
from ods_pipeline.tables.columns import Dialect, typed
from ods_pipeline.tables.schema import arrow_field, arrow_type, with_geoarrow

_PLAIN = Dialect()


def table_of(
    rows: Sequence[Mapping[str, Any]], known: Mapping[str, Field], dialect: Dialect = _PLAIN
) -> pa.Table:
    """Rows of JSON as a table, its columns in the order in which they first occur.

    Args:
        rows: The rows.
        known: Columns whose types are known; they are there even where there are no rows.
        dialect: How the portal writes files.

    Returns:
        Known columns with the types and the metadata of exports, geometries as WKB in longitude
        and latitude. Of the others whole numbers are int64, numbers double, truths bool, texts
        string; lists and objects are JSON text, and a column without any value is null.

    Raises:
        TypeMismatch: A value is not of its field's type.
    """
    names = dict.fromkeys(name for row in rows for name in row) or dict.fromkeys(known)
    fields, arrays = [], []
    for name in names:
        values = [row.get(name) for row in rows]
        field = known.get(name)
        array = _declared(values, field, dialect) if field else _by_values(values)
        fields.append(arrow_field(field).with_name(name) if field else pa.field(name, array.type))
        arrays.append(array)
    schema = with_geoarrow(pa.schema(fields))
    return pa.Table.from_arrays(arrays, schema=schema)


def _declared(values: Iterable[Any], field: Field, dialect: Dialect) -> pa.Array:
    if pa.types.is_list(arrow_type(field)):
        lists = [_list(value) for value in values]
        return typed(pa.array(lists, pa.list_(pa.string())), field, dialect=dialect)
    # As texts: every rule for values has those, and no digit is lost on the way.
    return typed(pa.array([_text(value) for value in values], pa.string()), field, dialect=dialect)


def _list(value: Any) -> list[str | None] | None:
    return [_text(item) for item in value] if isinstance(value, list) else value and [_text(value)]


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def _by_values(values: Sequence[Any]) -> pa.Array:
    kinds = {type(value) for value in values if value is not None}
    if kinds == {int} and all(-(2**63) <= value < 2**63 for value in values if value is not None):
        return pa.array(values, pa.int64())
    if kinds and kinds <= {int, float}:
        return pa.array([None if v is None else float(v) for v in values], pa.float64())
    if kinds == {bool}:
        return pa.array(values, pa.bool_())
    if not kinds:
        return pa.nulls(len(values))
    return pa.array([_text(value) for value in values], pa.string())
