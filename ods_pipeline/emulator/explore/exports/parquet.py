"""Parquet exports like those of real portals: row groups of 20,000, WKB, ``geo`` without CRS.

How rows are selected does not belong here.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from ods_pipeline.emulator.datasets.dataset import Column
from ods_pipeline.emulator.datasets.encoding import ARROW_TYPES
from ods_pipeline.emulator.datasets.formatting import file_url, iso_date
from ods_pipeline.emulator.datasets.geometry import project_shapes
from ods_pipeline.emulator.datasets.store import Store
from ods_pipeline.emulator.explore.query import Query
from ods_pipeline.emulator.http.request import Request
from ods_pipeline.emulator.quirks import Quirks

ROW_GROUP = 20_000
GEO = ("geo_point_2d", "geo_shape")
FILE = pa.struct(
    [
        ("id", pa.string()),
        ("filename", pa.string()),
        ("mimetype", pa.string()),
        ("url", pa.string()),
    ]
)


def arrow_type(column: Column, timezone: str, quirks: Quirks) -> pa.DataType:
    """The type a column has in the export."""
    if column.multivalued:
        return pa.list_(pa.string()) if quirks.multivalued == "list" else pa.string()
    if column.type == "datetime":
        return pa.timestamp("ms", timezone)
    if column.type == "date" and column.precision and quirks.short_dates == "string":
        return pa.string()
    if column.type == "file":
        return FILE if quirks.files == "struct" else pa.string()
    if column.type in GEO:
        return pa.binary()
    return ARROW_TYPES.get(column.type, pa.string())


def _column_sql(column: Column, target: pa.DataType, files: str) -> str:
    if column.multivalued and not pa.types.is_list(target):
        return f"array_to_string({column.sql}, ',')"
    if column.type == "date" and pa.types.is_string(target):
        return iso_date(column.sql, column.precision)
    if column.type == "file" and pa.types.is_string(target):
        return file_url(column.sql, files)
    return column.sql


def _wkb(column: Column, values: pa.Array, epsg: int) -> pa.Array:
    if column.type == "geo_point_2d":
        ends = [np.asarray(values.field(i).to_numpy(zero_copy_only=False)) for i in (0, 1)]
        shapes = shapely.points(*ends)
        shapes[values.is_null().to_numpy(zero_copy_only=False)] = None
    else:
        shapes = shapely.from_geojson(np.array(values.to_pylist(), dtype=object))
    shapes = np.atleast_1d(project_shapes(shapes, epsg))
    return pa.array(shapely.to_wkb(shapes, byte_order=1), pa.binary())


def _geometry_types(store: Store, query: Query, column: Column) -> list[str]:
    """The geometry types in a column."""
    if column.type == "geo_point_2d":
        return ["Point"]
    kind = f"json_extract_string({column.sql}, '$.type')"
    found = store.table(f"SELECT DISTINCT {kind} AS k FROM ({query.rows()}) AS q ORDER BY k")
    return [value for value in found.column(0).to_pylist() if value]


def geo_metadata(store: Store, query: Query) -> dict[str, str] | None:
    """The ``geo`` key: a version never released, no CRS, the first geometry primary."""
    columns = {
        column.name: {"encoding": "WKB", "geometry_types": _geometry_types(store, query, column)}
        for column in query.outer()
        if column.type in GEO
    }
    if not columns:
        return None
    first = next(iter(columns))
    found = {"version": "1.1.0-dev", "primary_column": first, "columns": columns}
    return {"geo": json.dumps(found)}


class ParquetExport:
    """Writes one Parquet file."""

    def __init__(self, store: Store, query: Query, request: Request, quirks: Quirks, files: str):
        """Define the schema and the query; the rows are read later."""
        self.columns = query.outer()
        self.epsg = request.integer("epsg", 4326, 1)
        self.codec = request.choice("parquet_compression", "snappy", ("snappy", "zstd"))
        self.quirks = quirks
        self.fault = request.fault
        targets = [arrow_type(c, request.timezone, quirks) for c in self.columns]
        names = [c.name for c in self.columns]
        pairs = list(zip(names, targets, strict=True))
        self.schema = pa.schema(pairs, metadata=geo_metadata(store, query))
        sql = [_column_sql(c, t, files) for c, t in zip(self.columns, targets, strict=True)]
        self.batches = store.batches(query.select(sql))

    def pieces(self) -> Iterator[bytes]:
        """The bytes of the file, a row group at a time."""
        sink = _ByteBuffer()
        writer = pq.ParquetWriter(sink, self.schema, version="2.6", compression=self.codec)
        empty = self.fault.text if self.fault.kind == "empty_row_groups" else ""
        if self.quirks.empty_row_group or empty == "all":
            writer.write_table(self.schema.empty_table())
        size = 2 if empty == "between" else ROW_GROUP
        for group in row_groups(self.batches, size) if empty != "all" else ():
            writer.write_table(self._group(group), row_group_size=size)
            if empty == "between":
                writer.write_table(self.schema.empty_table())
            yield sink.take()
        if empty in {"last", "all"}:
            writer.write_table(self.schema.empty_table())
        writer.close()
        yield sink.take()

    def _group(self, rows: pa.Table) -> pa.Table:
        whole = rows.combine_chunks().to_batches()[0]
        arrays = [
            self._array(column, whole.column(i), self.schema.field(i).type)
            for i, column in enumerate(self.columns)
        ]
        return pa.Table.from_arrays(arrays, schema=self.schema)

    def _array(self, column: Column, values: pa.Array, target: pa.DataType) -> pa.Array:
        if column.type in GEO:
            return _wkb(column, values, self.epsg)
        if column.type == "datetime":
            # Digits below a millisecond are lost, as in every recorded export.
            moments = values.cast(pa.timestamp("ms"), safe=False)
            return moments.cast(pa.timestamp("ms", "UTC")).cast(target)
        if pa.types.is_struct(target):
            return pa.array([_parsed_file(text) for text in values.to_pylist()], target)
        if self.fault.kind == "charset" and pa.types.is_string(target):
            return _in_charset(values, self.fault.text)
        return values.cast(target)


def _in_charset(values: pa.Array, charset: str) -> pa.Array:
    """Texts in another charset, in a column that is declared as UTF-8."""
    texts = [
        None if text is None else text.encode(charset, "replace") for text in values.to_pylist()
    ]
    return pa.array(texts, pa.binary()).view(pa.string())


def _parsed_file(text: str | None) -> dict[str, Any] | None:
    return None if text is None else json.loads(text)


def row_groups(batches: Iterator[pa.RecordBatch], rows: int) -> Iterator[pa.Table]:
    """The same rows in tables of equal size."""
    pending: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        pending.append(batch)
        count += batch.num_rows
        while count >= rows:
            table = pa.Table.from_batches(pending)
            yield table.slice(0, rows)
            pending, count = table.slice(rows).to_batches(), count - rows
    if count:
        yield pa.Table.from_batches(pending)


class _ByteBuffer(io.RawIOBase):
    """A file to write to, whose bytes are taken out piece by piece."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


def stream(
    store: Store, query: Query, request: Request, quirks: Quirks, files: str
) -> Iterator[bytes]:
    """The whole export, piece by piece."""
    return ParquetExport(store, query, request, quirks, files).pieces()
