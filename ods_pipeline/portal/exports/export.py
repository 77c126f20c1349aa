"""Bulk exports: the records of a dataset as one stream of batches of the declared types.

Parquet and CSV give the same Arrow table. Whether it is complete is not checked here; storing it
belongs to `lake`.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa

from ods_pipeline.dataset import Dataset, Field
from ods_pipeline.errors import ConfigurationError, SchemaMismatch
from ods_pipeline.portal.exports import csv, parquet
from ods_pipeline.portal.exports.sniffing import opening_of_csv
from ods_pipeline.portal.http import replies
from ods_pipeline.portal.http.address import dataset_path
from ods_pipeline.portal.http.client import Client
from ods_pipeline.portal.http.limits import (
    BOUNDS,
    bounded,
    export_bytes,
    require_number,
    require_rows,
)
from ods_pipeline.portal.query import ALL, Query
from ods_pipeline.tables.batches import map_ahead
from ods_pipeline.tables.columns import LIST_SEPARATOR, Dialect, JoinedLists, typed
from ods_pipeline.tables.schema import arrow_field, arrow_schema, arrow_type

Format = Literal["parquet", "csv"]
FORMATS: tuple[Format, ...] = ("parquet", "csv")

# Not integers: Arrow would read hexadecimal ones, which no field holds.
_AT_ONCE: Mapping[str, pa.DataType] = {
    "double": pa.float64(),
    "date": pa.date32(),
    "datetime": pa.timestamp("us", "UTC"),
}

# Requested explicitly, so that no portal's defaults change the columns or their separators.
_FIXED: Mapping[Format, Mapping[str, object]] = {
    "parquet": {"parquet_compression": "snappy"},
    "csv": {
        "delimiter": csv.DELIMITER,
        "list_separator": LIST_SEPARATOR,
        "quote_all": False,
        "with_bom": False,
        "use_labels": False,
    },
}


@dataclass(frozen=True)
class Export:
    """An export that is being read.

    Attributes:
        format: Its format: CSV also where Parquet was requested and joins lists; GML for features.
        url: Its address.
        schema: Columns in the order of the fields, with field metadata.
        batches: The rows in bounded memory, to be read once, inside the `with` block.
        notes: Decisions that the reader should know of, a sentence each; complete once the
            batches have been read.
    """

    format: Format | Literal["gml"]
    url: str
    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]
    notes: Sequence[str] = ()


@contextlib.contextmanager
def open_export(
    client: Client,
    dataset: Dataset,
    format: Format = "parquet",
    query: Query = ALL,
    *,
    staging_dir: Path | None = None,
    on_bytes: Callable[[int], object] = lambda size: None,
) -> Iterator[Export]:
    """Request the records of a dataset, typed by the catalog's declarations.

    Args:
        client: The client of the portal.
        dataset: The dataset, with its fields.
        format: The export to read. Where Parquet joins the values of a list with a separator that
            they hold themselves, CSV is read instead, with a separator of ours.
        query: Which records.
        staging_dir: Folder for temporary files.
        on_bytes: Called with the size of each piece that arrives.

    Yields:
        The export.

    Raises:
        ConfigurationError: There is no such format.
        SchemaMismatch: The export's columns are not the declared fields.
        TypeMismatch: A value is not of its field's type.
        Unproven: The body is not complete.
        DataError: It is larger than any honest one; see `http.limits`.
        PortalError: The portal's reply is not an export.
    """
    if format not in FORMATS:
        raise ConfigurationError(f"{format!r} is no export to land; choose parquet or csv")
    with contextlib.ExitStack() as stack:
        body = stack.enter_context(_body(client, dataset, format, query, on_bytes))
        if format == "csv":
            schema, raw = csv.read(body, {} if query.reshapes else _kinds(dataset))
        else:
            file = stack.enter_context(parquet.spooled(body, staging_dir))
            require_rows(file.rows, dataset.records_count, "the Parquet export's footer")
            if _joins_lists(file, dataset):
                stack.close()
                other = open_export(
                    client, dataset, "csv", query, staging_dir=staging_dir, on_bytes=on_bytes
                )
                yield stack.enter_context(other)
                return
            schema, raw = file.schema, file.batches()
        columns = _columns(schema, dataset, query)
        lists = [field for _, field in columns if field and pa.types.is_list(arrow_type(field))]
        if format == "csv" and lists:
            raw = csv.check_lists(raw, client, dataset, lists)
        batches = _typed(raw, dataset, columns, _dialect(client, dataset, format))
        yield Export(
            format,
            client.url(dataset_path(dataset.dataset_id, f"/exports/{format}")),
            pa.schema([target for target, _ in columns]),
            stack.enter_context(contextlib.closing(batches)),
        )


@contextlib.contextmanager
def _body(
    client: Client,
    dataset: Dataset,
    format: Format,
    query: Query,
    on_bytes: Callable[[int], object],
) -> Iterator[Iterator[bytes]]:
    path = dataset_path(dataset.dataset_id, f"/exports/{format}")
    url = client.url(path, {**query.parameters(), **_FIXED[format]})
    opening = opening_of_csv if format == "csv" else replies.opening
    with client.exchange(url, opening) as chunks:
        most = export_bytes(dataset.records_count)
        yield _counted(bounded(chunks, f"the {format} export", most), on_bytes)


def _joins_lists(file: parquet.Spooled, dataset: Dataset) -> bool:
    """Whether a column of lists was joined into text that cannot be split again."""
    lists = [field for field in dataset.fields if pa.types.is_list(arrow_type(field))]
    texts = [field for field in lists if field.name in file.schema.names]
    texts = [f for f in texts if not pa.types.is_list(file.schema.field(f.name).type)]
    try:
        for batch in file.batches([field.name for field in texts]) if texts else ():
            for field in texts:
                typed(batch.column(field.name), field)
    except JoinedLists:
        return True
    return False


def _kinds(dataset: Dataset) -> dict[str, pa.DataType]:
    """The types in which Arrow reads the texts of columns as `typed` does."""
    return {field.name: _AT_ONCE[field.type] for field in dataset.fields if field.type in _AT_ONCE}


_Columns = list[tuple[pa.Field, Field | None]]


def _typed(
    raw: Iterator[pa.RecordBatch], dataset: Dataset, columns: _Columns, dialect: Dialect
) -> Generator[pa.RecordBatch, None, None]:
    schema = pa.schema([target for target, _ in columns])

    def work(numbered: tuple[int, pa.RecordBatch]) -> pa.RecordBatch:
        row, batch = numbered
        arrays = [
            typed(batch.column(target.name), field, row, dialect)
            if field
            else batch.column(target.name)
            for target, field in columns
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=schema)

    return map_ahead(work, _numbered(raw, dataset))


def _numbered(
    raw: Iterator[pa.RecordBatch], dataset: Dataset
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Each batch with the number of its first record; refuses far more than the portal counts."""
    row = 1
    for batch in raw:
        require_rows(row - 1 + batch.num_rows, dataset.records_count)
        yield row, batch
        row += batch.num_rows


def _columns(schema: pa.Schema, dataset: Dataset, query: Query) -> _Columns:
    """Each column of the result: its Arrow field, and the declared field that it is typed by."""
    require_number("the export", len(schema.names), BOUNDS.columns, "columns")
    repeated = [name for name, times in Counter(schema.names).items() if times > 1]
    if repeated:
        raise SchemaMismatch(f"the export has the column {repeated[0]!r} more than once")
    declared = {field.name: field for field in dataset.fields}
    if query.reshapes:
        return [
            (arrow_field(declared[item.name]), declared[item.name])
            if item.name in declared and query.keeps(item.name)
            else (item, None)
            for item in schema
        ]
    there = set(schema.names)
    missing = [name for name in declared if name not in there]
    surplus = [name for name in schema.names if name not in declared]
    if missing or surplus:
        raise SchemaMismatch(_difference(missing, surplus), dataset=dataset.dataset_id)
    return list(zip(arrow_schema(dataset.fields), dataset.fields, strict=True))


def _difference(missing: list[str], surplus: list[str]) -> str:
    parts = [
        f"{what} {', '.join(map(repr, names[:5]))}{' …' if len(names) > 5 else ''}"
        for what, names in (("lacks", missing), ("adds", surplus))
        if names
    ]
    return (
        f"the export {' and '.join(parts)} compared with the fields that the catalog declares; "
        "it was probably edited this minute: run again"
    )


def _dialect(client: Client, dataset: Dataset, format: Format) -> Dialect:
    return Dialect(
        list_separator=LIST_SEPARATOR if format == "csv" else "",
        file_base=client.url(dataset_path(dataset.dataset_id, "/files")).partition("?")[0],
    )


def _counted(body: Iterable[bytes], on_bytes: Callable[[int], object]) -> Iterator[bytes]:
    for chunk in body:
        on_bytes(len(chunk))
        yield chunk
