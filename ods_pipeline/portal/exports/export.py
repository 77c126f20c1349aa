"""Bulk exports: the records of a dataset as one stream of batches of the declared types.

Parquet and CSV end in the same Arrow table. Proving that it is whole is `proof`'s work, keeping it
`lake`'s.
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
from ods_pipeline.portal.exports.csv_lists import watched
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

# Not whole numbers: Arrow takes hexadecimal ones, which no field holds.
_AT_ONCE: Mapping[str, pa.DataType] = {
    "double": pa.float64(),
    "date": pa.date32(),
    "datetime": pa.timestamp("us", "UTC"),
}

# Asked for explicitly, so that no portal's own defaults change the columns or their separators.
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
        format: The export that it is; CSV where Parquet was asked for and joins lists; GML for
            features.
        url: Its address.
        schema: Columns in the order of the fields, with field metadata.
        batches: The rows in bounded memory, to be read once, inside the `with` block.
        notes: What was decided on the way and the reader should know, a sentence each; complete
            once the batches have been read.
    """

    format: Format | Literal["gml"]
    url: str
    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]
    notes: Sequence[str] = ()


@contextlib.contextmanager
def opened(
    client: Client,
    dataset: Dataset,
    format: Format = "parquet",
    query: Query = ALL,
    *,
    spool: Path | None = None,
    received: Callable[[int], object] = lambda size: None,
) -> Iterator[Export]:
    """Ask for the records of a dataset, typed by the catalog's declarations.

    Args:
        client: The conversation with the portal.
        dataset: The dataset, with its fields.
        format: The export to read. Where Parquet joins the values of a list with a separator that
            they hold themselves, CSV is read instead, with a separator of ours.
        query: Which records.
        spool: Folder for temporary files.
        received: Told the size of each piece that arrives, in bytes.

    Yields:
        The export.

    Raises:
        ConfigurationError: There is no such format.
        SchemaMismatch: The export's columns are not the declared fields.
        TypeMismatch: A value is not of its field's type.
        Unproven: The body is not whole.
        DataError: It is larger than any honest one; see `bounds`.
        PortalError: The portal did not answer as it should.
    """
    if format not in FORMATS:
        raise ConfigurationError(f"{format!r} is no export to land; choose parquet or csv")
    with contextlib.ExitStack() as stack:
        body = stack.enter_context(_body(client, dataset, format, query, received))
        if format == "csv":
            came, raw = csv.read(body, {} if query.reshapes else _kinds(dataset))
        else:
            file = stack.enter_context(parquet.spooled(body, spool))
            require_rows(file.rows, dataset.records_count, "the Parquet export's footer")
            if _joins_lists(file, dataset):
                stack.close()
                other = opened(client, dataset, "csv", query, spool=spool, received=received)
                yield stack.enter_context(other)
                return
            came, raw = file.schema, file.batches()
        columns = _columns(came, dataset, query)
        lists = [field for _, field in columns if field and pa.types.is_list(arrow_type(field))]
        if format == "csv" and lists:
            raw = watched(raw, client, dataset, lists)
        batches = _typed(_few(raw, dataset), columns, _dialect(client, dataset, format))
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
    received: Callable[[int], object],
) -> Iterator[Iterator[bytes]]:
    path = dataset_path(dataset.dataset_id, f"/exports/{format}")
    url = client.url(path, {**query.parameters(), **_FIXED[format]})
    opening = opening_of_csv if format == "csv" else replies.opening
    with client.exchange(url, opening) as chunks:
        most = export_bytes(dataset.records_count)
        yield _counted(bounded(chunks, f"the {format} export", most), received)


def _few(raw: Iterator[pa.RecordBatch], dataset: Dataset) -> Iterator[pa.RecordBatch]:
    """The same batches, unless they are far more than the portal counts."""
    rows = 0
    for batch in raw:
        rows += batch.num_rows
        require_rows(rows, dataset.records_count)
        yield batch


def _joins_lists(file: parquet.Spooled, dataset: Dataset) -> bool:
    """Whether a column of lists came as text in which the values cannot be told apart."""
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
    raw: Iterator[pa.RecordBatch], columns: _Columns, dialect: Dialect
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

    return map_ahead(work, _numbered(raw))


def _numbered(raw: Iterator[pa.RecordBatch]) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Each batch with the number of its first record."""
    row = 1
    for batch in raw:
        yield row, batch
        row += batch.num_rows


def _columns(came: pa.Schema, dataset: Dataset, query: Query) -> _Columns:
    """Each column to give: as Arrow, and the declared field that it is typed by, if any."""
    require_number("the export", len(came.names), BOUNDS.columns, "columns")
    repeated = [name for name, times in Counter(came.names).items() if times > 1]
    if repeated:
        raise SchemaMismatch(f"the export has the column {repeated[0]!r} more than once")
    declared = {field.name: field for field in dataset.fields}
    if query.reshapes:
        return [
            (arrow_field(declared[item.name]), declared[item.name])
            if item.name in declared and query.keeps(item.name)
            else (item, None)
            for item in came
        ]
    there = set(came.names)
    missing = [name for name in declared if name not in there]
    surplus = [name for name in came.names if name not in declared]
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


def _counted(body: Iterable[bytes], received: Callable[[int], object]) -> Iterator[bytes]:
    for chunk in body:
        received(len(chunk))
        yield chunk
