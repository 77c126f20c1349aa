"""Rows of the tables of an Iceberg warehouse as Arrow, with the types that landed files have.

Nothing is written. The form in which a reader wants them is not known here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing

import pyarrow as pa
from pyiceberg.io.pyarrow import schema_to_pyarrow
from pyiceberg.table import Table

from ods_pipeline.errors import WarehouseError
from ods_pipeline.tables.schema import geoarrow
from ods_pipeline.warehouse.iceberg.address import parse
from ods_pipeline.warehouse.iceberg.tables import IcebergTables
from ods_pipeline.warehouse.iceberg.warehouse import GEOMETRIES
from ods_pipeline.warehouse.names import short


def tables_in(url: str, schema: str) -> frozenset[str]:
    """The names of a schema's tables; none if there is no such schema."""
    with closing(IcebergTables(parse(url))) as tables, tables.failures():
        return tables.names(schema)


def reader(url: str, schema: str, table: str) -> pa.RecordBatchReader:
    """The rows of a table, in batches, of the snapshot that it has now.

    Geometries are WKB, and say so in the terms of GeoArrow.

    Raises:
        WarehouseError: The catalog cannot be reached, or there is no such table.
    """
    tables = IcebergTables(parse(url))
    with closing(tables), tables.failures():
        found = tables.table(schema, table)
        if found is None:
            raise WarehouseError(f"{tables.where} has no table {schema}.{short(table)}")
        fields = landed_schema(found)
    return pa.RecordBatchReader.from_batches(fields, _batches(tables, found, fields))


def landed_schema(table: Table) -> pa.Schema:
    """A table's columns with the types that landed files have."""
    crs = json.loads(table.properties.get(GEOMETRIES) or "{}")
    fields = schema_to_pyarrow(table.schema(), include_field_ids=False)
    return pa.schema([_field(field, crs) for field in fields])


def _field(field: pa.Field, crs: dict[str, str]) -> pa.Field:
    if field.name not in crs:
        return pa.field(field.name, _landed_type(field.type))
    return pa.field(field.name, pa.binary(), metadata=geoarrow(crs[field.name]))


def _landed_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_timestamp(kind):
        return pa.timestamp("ms", kind.tz)
    if pa.types.is_large_string(kind):
        return pa.string()
    if pa.types.is_large_binary(kind):
        return pa.binary()
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.list_(_landed_type(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(child.name, _landed_type(child.type)) for child in kind])
    return kind


def _batches(tables: IcebergTables, table: Table, fields: pa.Schema) -> Iterator[pa.RecordBatch]:
    with tables.failures():
        for batch in table.scan().to_arrow_batch_reader():
            columns = [batch.column(f.name).cast(f.type) for f in fields]
            yield pa.RecordBatch.from_arrays(columns, schema=fields)
