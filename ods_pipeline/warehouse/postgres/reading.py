"""Rows of the tables of a PostgreSQL warehouse as Arrow, with the types that landed files have.

Nothing is written. The form in which a reader wants them is not known here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pyarrow as pa

from ods_pipeline.errors import WarehouseError
from ods_pipeline.tables.batches import ROWS_PER_BATCH
from ods_pipeline.tables.schema import geoarrow
from ods_pipeline.warehouse.landed import CRS84
from ods_pipeline.warehouse.names import quoted
from ods_pipeline.warehouse.postgres.address import parse
from ods_pipeline.warehouse.postgres.columns import JSON
from ods_pipeline.warehouse.postgres.connection import Session
from ods_pipeline.warehouse.postgres.tables import postgis

_ARROW = {
    "text": pa.string(),
    "bigint": pa.int64(),
    "double precision": pa.float64(),
    "boolean": pa.bool_(),
    "bytea": pa.binary(),
    "date": pa.date32(),
    "timestamp with time zone": pa.timestamp("ms", "UTC"),
    "timestamp without time zone": pa.timestamp("ms"),
    JSON: pa.string(),
}
# As numbers: Python's own dates end in the year 9999.
_READ = {
    "date": "({} - DATE '1970-01-01')",
    "timestamp with time zone": "(extract(epoch FROM {}) * 1000)::bigint",
    "timestamp without time zone": "(extract(epoch FROM {}) * 1000)::bigint",
    JSON: "{}::text",
}
_NUMBERS = {
    pa.date32(): pa.int32(),
    pa.timestamp("ms", "UTC"): pa.int64(),
    pa.timestamp("ms"): pa.int64(),
}


def tables_in(url: str, schema: str) -> frozenset[str]:
    """The names of a schema's tables; none if there is no such schema."""
    session = Session(parse(url))
    with session.failures(), closing(session):
        return frozenset(session.table_comments(schema))


def reader(url: str, schema: str, table: str) -> pa.RecordBatchReader:
    """The rows of a table, in batches; the connection is open until the last was read.

    Geometries are WKB, and say so in the terms of GeoArrow.

    Raises:
        WarehouseError: The server cannot be reached, or there is no such table.
    """
    session = Session(parse(url))
    with session.failures():
        types = session.exact_types(schema, table)
        if types is None:
            raise WarehouseError(f"{session.where} has no table {schema}.{table}")
        found = postgis(session)
        space = quoted(found[0]) if found else ""
        fields = pa.schema([_field(name, kind) for name, kind in types.items()])
        chosen = ", ".join(_expression(name, kind, space) for name, kind in types.items())
    query = f"SELECT {chosen} FROM {session.named(schema, table)}"
    return pa.RecordBatchReader.from_batches(fields, _batches(session, query, fields))


def _batches(session: Session, query: str, fields: pa.Schema) -> Iterator[pa.RecordBatch]:
    # On the server: the client would otherwise hold all rows before it gives the first.
    with (
        session.failures(),
        closing(session),
        session.transaction(),
        session.connection.cursor("ods_pipeline_rows", binary=True) as cursor,
    ):
        cursor.execute(query.encode())
        while rows := cursor.fetchmany(ROWS_PER_BATCH):
            columns = zip(*rows, strict=True)
            arrays = [_array(c, f.type) for c, f in zip(columns, fields, strict=True)]
            yield pa.RecordBatch.from_arrays(arrays, schema=fields)


def _array(values: Any, kind: pa.DataType) -> pa.Array:
    numbers = _NUMBERS.get(kind)
    return pa.array(values, numbers).cast(kind) if numbers else pa.array(values, kind)


def _field(name: str, kind: str) -> pa.Field:
    if kind.startswith("geometry"):
        return pa.field(name, pa.binary(), metadata=geoarrow(CRS84 if "4326" in kind else ""))
    if kind.endswith("[]"):
        return pa.field(name, pa.list_(_ARROW.get(kind[:-2], pa.string())))
    return pa.field(name, _ARROW.get(kind, pa.string()))


def _expression(name: str, kind: str, space: str) -> str:
    column = quoted(name)
    if kind.startswith("geometry"):
        return f"{space}.ST_AsBinary({column})"
    if kind not in _ARROW and not kind.endswith("[]"):
        return f"{column}::text"
    return _READ.get(kind, "{}").format(column)
