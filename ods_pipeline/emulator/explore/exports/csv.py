"""CSV exports: every line is composed by SQL, so that millions of them stream.

The CSV of the catalog shares only the quoting.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ods_pipeline.emulator.datasets.formatting import sql_text, text_value
from ods_pipeline.emulator.datasets.store import Store
from ods_pipeline.emulator.explore.query import Query
from ods_pipeline.emulator.http.request import Request

BOM = b"\xef\xbb\xbf"
DELIMITERS = (";", ",", "\t", "|")


@dataclass(frozen=True)
class CsvOptions:
    """The declared parameters of CSV exports."""

    delimiter: str = ";"
    list_separator: str = ","
    quote_all: bool = False
    with_bom: bool = True
    use_labels: bool = False

    @classmethod
    def of(cls, request: Request) -> CsvOptions:
        """The options of a request."""
        return cls(
            request.choice("delimiter", ";", DELIMITERS),
            request.one("list_separator") or ",",
            request.flag("quote_all", False),
            request.flag("with_bom", True),
            request.flag("use_labels", False),
        )


def csv_header(names: Sequence[str], dialect: CsvOptions) -> bytes:
    """A line of names, after a byte order mark where there is one."""
    text = io.StringIO()
    if dialect.quote_all:
        csv.writer(text, delimiter=dialect.delimiter, quoting=csv.QUOTE_ALL).writerow(names)
    else:
        csv.writer(text, delimiter=dialect.delimiter).writerow(names)
    return (BOM if dialect.with_bom else b"") + text.getvalue().encode()


def csv_cell(text: str, dialect: CsvOptions, *, lone: bool = False) -> str:
    """SQL for a text as a CSV cell; null is empty, but quoted if it is the only column."""
    quoted = f"'\"' || replace({text}, '\"', '\"\"') || '\"'"
    if dialect.quote_all:
        return f"coalesce({quoted}, '\"\"')"
    special = " OR ".join(
        f"contains({text}, {c})"
        for c in (sql_text(dialect.delimiter), sql_text('"'), "chr(10)", "chr(13)")
    )
    text_or_empty = f"coalesce(CASE WHEN {special} THEN {quoted} ELSE {text} END, '')"
    return (
        f"CASE {text_or_empty} WHEN '' THEN '\"\"' ELSE {text_or_empty} END"
        if lone
        else text_or_empty
    )


def csv_line(query: Query, timezone: str, dialect: CsvOptions, files: str) -> str:
    """SQL for a whole line."""
    columns = query.outer()
    lone = len(columns) == 1
    cells = [
        csv_cell(f"({text_value(c, timezone, dialect.list_separator, files)})", dialect, lone=lone)
        if _may_need_quotes(c.type, c.multivalued) or dialect.quote_all or lone
        else f"coalesce({text_value(c, timezone)}, '')"
        for c in columns
    ]
    joint = f" || {sql_text(dialect.delimiter)} || "
    return joint.join(cells or ["''"]) + " || chr(13) || chr(10)"


def _may_need_quotes(kind: str, multivalued: bool) -> bool:
    return multivalued or kind not in ("int", "double", "date", "datetime", "boolean")


def stream(
    store: Store, query: Query, request: Request, files: str
) -> Iterator[bytes | memoryview]:
    """The whole export, piece by piece."""
    dialect = CsvOptions.of(request)
    labels = [c.label if dialect.use_labels and c.label else c.name for c in query.columns]
    first = csv_header(labels, dialect)
    batches = store.batches(query.select([csv_line(query, request.timezone, dialect, files)]))

    def pieces() -> Iterator[bytes | memoryview]:
        yield first
        for batch in batches:
            yield joined_texts(batch.column(0))

    return pieces()


def joined_texts(column: pa.Array) -> memoryview:
    """All the texts of a column, one after the other, without a copy."""
    _, offsets, data = column.buffers()
    if data is None:
        return memoryview(b"")
    bounds = np.frombuffer(offsets, dtype=np.int32)[column.offset :]
    return memoryview(data)[bounds[0] : bounds[len(column)]]
