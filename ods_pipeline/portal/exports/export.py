"""Bulk exports: the records of a dataset as one stream of batches of the declared types.

Parquet and CSV give the same Arrow table. Whether it is complete is not checked here; storing it
belongs to `lake`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import pyarrow as pa

from ods_pipeline.dataset import Dataset
from ods_pipeline.errors import (
    AccessDenied,
    ConfigurationError,
    LoginNeeded,
    NoEndpoint,
    RequestRefused,
)
from ods_pipeline.portal.exports import csv, parquet
from ods_pipeline.portal.exports.columns import Columns, Typing
from ods_pipeline.portal.exports.field_names import listed
from ods_pipeline.portal.exports.sniffing import (
    opening_of_csv,
    require_newer,
    require_of_dataset,
)
from ods_pipeline.portal.http import replies
from ods_pipeline.portal.http.address import dataset_path
from ods_pipeline.portal.http.client import Client
from ods_pipeline.portal.http.limits import (
    bounded,
    export_bytes,
    require_rows,
)
from ods_pipeline.portal.query import ALL, Query
from ods_pipeline.tables.columns import Dialect, JoinedLists, typed
from ods_pipeline.tables.nested import LIST_SEPARATOR
from ods_pipeline.tables.oddities import Oddities, OnBad
from ods_pipeline.tables.schema import unknown_types

Format = Literal["parquet", "csv"]
FORMATS: tuple[Format, ...] = ("parquet", "csv")

# Not numbers: Arrow would read hexadecimal ones, which no field holds, and lose digits unseen.
_AT_ONCE: Mapping[str, pa.DataType] = {
    "date": pa.date32(),
    "datetime": pa.timestamp("us", "UTC"),
}

# Requested explicitly, so that no portal's defaults change the columns, their separators or the
# coordinates.
_FIXED: Mapping[Format, Mapping[str, object]] = {
    "parquet": {"parquet_compression": "snappy", "epsg": 4326},
    "csv": {
        "epsg": 4326,
        "delimiter": csv.DELIMITER,
        "list_separator": LIST_SEPARATOR,
        "quote_all": False,
        "with_bom": False,
        "use_labels": False,
    },
}


# Some portals give one format to everybody, and another to few or to nobody.
_CLOSED = (AccessDenied, NoEndpoint, RequestRefused)


@dataclass(frozen=True)
class Export:
    """An export that is being read.

    Attributes:
        format: Its format: CSV also where Parquet was requested and cannot say all; GML for
            features.
        url: Its address.
        schema: Columns in the order of the fields, with field metadata.
        batches: The rows in bounded memory, to be read once, inside the `with` block.
        notes: Decisions that the reader should know of, a sentence each; complete once the
            batches have been read.
        made_at: When the portal made it, by its own clock; None if it does not say.
        rows: How many rows it says it has, where all of it is here before the first one is read.
    """

    format: Format | Literal["gml"]
    url: str
    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]
    notes: Sequence[str] = ()
    made_at: datetime | None = None
    rows: int | None = None


@contextlib.contextmanager
def open_export(
    client: Client,
    dataset: Dataset,
    format: Format = "parquet",
    query: Query = ALL,
    *,
    staging_dir: Path | None = None,
    on_bytes: Callable[[int], object] = lambda size: None,
    on_bad: OnBad | None = None,
) -> Iterator[Export]:
    """Request the records of a dataset, typed by the catalog's declarations.

    Args:
        client: The client of the portal.
        dataset: The dataset, with its fields.
        format: The export to read. Where the portal gives no Parquet, or Parquet lacks a field or
            joins the values of a list with a separator that they hold themselves, CSV is read.
        query: Which records.
        staging_dir: Folder for temporary files.
        on_bytes: Called with the size of each piece that arrives.
        on_bad: Takes the values of a batch that are not of their fields' types, which become null.
            Without it they are counted to the end of the export and refused.

    Yields:
        The export.

    Raises:
        ConfigurationError: There is no such format.
        SchemaMismatch: The export lacks a field, in either format.
        TypeMismatch: Values are not of their fields' types; raised after the last batch.
        Unproven: The body is not complete, or older than the data.
        DataError: It is larger than any honest one (see `http.limits`), or its coordinates are not
            longitude and latitude.
        PortalError: The portal's reply is not an export.
    """
    if format not in FORMATS:
        raise ConfigurationError(f"{format!r} is no export to land; choose parquet or csv")
    notes: list[str] = []
    with contextlib.ExitStack() as stack:
        parquet_sent = None
        if format == "parquet":
            try:
                sent = _sent(client, dataset, "parquet", query, on_bytes)
                parquet_sent = stack.enter_context(sent)
            except _CLOSED as error:
                of_odsql = isinstance(error, RequestRefused) and error.of_odsql
                if isinstance(error, LoginNeeded) or of_odsql:
                    raise
                notes.append(f"read as csv: the portal gives no Parquet export ({error.message})")
                format = "csv"
        if parquet_sent:
            body, made = parquet_sent
            most = export_bytes(dataset.records_count)
            file = stack.enter_context(parquet.spooled(body, staging_dir, most))
            require_rows(file.rows, dataset.records_count, "the Parquet export's footer")
            columns = Columns.of(file.schema, dataset, query)
            why = _why_not_parquet(file, columns)
            schema, raw = file.schema, file.batches()
            if why:
                stack.close()
                notes.append(f"read as csv: {why}")
                format = "csv"
        if format == "csv":
            body, made = stack.enter_context(_sent(client, dataset, "csv", query, on_bytes))
            names = [field.name for field in dataset.fields]
            schema, raw = csv.read(body, {} if query.reshapes else _kinds(dataset), names)
            columns = Columns.of(schema, dataset, query)
            if columns.lists:
                raw = csv.check_lists(raw, client, dataset, columns.lists, query)
        columns.require_all(dataset)
        notes += [*columns.notes, *unknown_types(columns.fields)]
        separator = LIST_SEPARATOR if format == "csv" else ""
        written = dialect(client, dataset, separator)
        typing = Typing(columns, dataset, written, notes, on_bad)
        yield Export(
            format,
            client.url(dataset_path(dataset.dataset_id, f"/exports/{format}")),
            columns.schema,
            stack.enter_context(contextlib.closing(typing.batches(raw))),
            notes,
            made,
            file.rows if format == "parquet" else None,
        )


@contextlib.contextmanager
def _sent(
    client: Client,
    dataset: Dataset,
    format: Format,
    query: Query,
    on_bytes: Callable[[int], object],
) -> Iterator[tuple[Iterator[bytes], datetime | None]]:
    """The body of an export, and when the portal made it."""
    path = dataset_path(dataset.dataset_id, f"/exports/{format}")
    url = client.url(path, {**query.parameters(), **_FIXED[format]})
    first = opening_of_csv if format == "csv" else replies.opening
    made: list[datetime | None] = []

    def opening(
        status: int, headers: Mapping[str, str], chunks: Iterator[bytes], where: dict[str, str]
    ) -> bytes:
        head = first(status, headers, chunks, where)
        require_of_dataset(headers, dataset.dataset_id)
        made.append(replies.made_at(headers))
        require_newer(headers, dataset.data_processed)
        return head

    with client.exchange(url, opening) as chunks:
        most = export_bytes(dataset.records_count)
        yield _counted(bounded(chunks, f"the {format} export", most), on_bytes), made[-1]


def _why_not_parquet(file: parquet.Spooled, columns: Columns) -> str:
    """Why CSV has to be read instead; empty if Parquet can be."""
    if columns.missing:
        return f"the Parquet export lacks {listed(columns.missing)}"
    texts = [
        item for item in columns.lists if not pa.types.is_list(file.schema.field(item[0]).type)
    ]
    try:
        for batch in file.batches([name for name, _ in texts]) if texts else ():
            for name, field in texts:
                typed(batch.column(name), field, 1, Dialect(), Oddities())
    except JoinedLists:
        return "parquet joins its lists"
    return ""


def _kinds(dataset: Dataset) -> dict[str, pa.DataType]:
    """The types in which Arrow reads the texts of columns as `typed` does."""
    return {field.name: _AT_ONCE[field.type] for field in dataset.fields if field.type in _AT_ONCE}


def dialect(client: Client, dataset: Dataset, list_separator: str = "") -> Dialect:
    """How the portal writes the values of a dataset.

    Args:
        client: The client of the portal.
        dataset: The dataset.
        list_separator: Text between the values of a list that was asked for; empty for none.
    """
    return Dialect(
        list_separator=list_separator,
        file_base=client.url(dataset_path(dataset.dataset_id, "/files")).partition("?")[0],
    )


def _counted(body: Iterable[bytes], on_bytes: Callable[[int], object]) -> Iterator[bytes]:
    for chunk in body:
        on_bytes(len(chunk))
        yield chunk
