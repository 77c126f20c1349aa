"""Sends the rows of a landed file into a table: read, encode and send side by side, in flat memory.

Tables are made elsewhere, and so is what follows from what is found on the way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from ods_pipeline.tables.batches import map_ahead, read_batches
from ods_pipeline.warehouse.landed import Partition, refused
from ods_pipeline.warehouse.names import quoted, short
from ods_pipeline.warehouse.postgres.columns import Target, dimensions
from ods_pipeline.warehouse.postgres.encoder import (
    SIGNATURE,
    TRAILER,
    Encoded,
    Unfit,
    encode,
    slices,
)

if TYPE_CHECKING:
    import psycopg

# Cut by bytes: rows of a layer of coastlines are hundreds of times those of a list of points.
_BYTES = 8 << 20
# Else a whole column of a row group is read at once.
_READ = 1 << 20


@dataclass
class Copied:
    """What went into the table.

    Attributes:
        rows: How many rows.
        nuls: How many texts held a NUL, by column.
    """

    rows: int = 0
    nuls: dict[str, int] = field(default_factory=dict)

    def add(self, encoded: Encoded) -> None:
        """Count some more."""
        self.rows += encoded.rows
        for name, count in encoded.nuls.items():
            self.nuls[name] = self.nuls.get(name, 0) + count

    @property
    def note(self) -> str:
        """One sentence on texts that are not quite as they were; empty if all are."""
        if not self.nuls:
            return ""
        where = ", ".join(f"{short(name)!r} ({count})" for name, count in self.nuls.items())
        return (
            "PostgreSQL has no NUL in a text, so U+FFFD stands in its place in values of the "
            f"columns {where}"
        )


def copy(
    connection: psycopg.Connection[Any],
    partition: Partition,
    columns: Sequence[Target],
    table: str,
    extra: Mapping[str, Sequence[str | None]],
) -> Copied:
    """Send all rows of a file into a table that this transaction has made.

    Args:
        connection: In a transaction.
        partition: The file.
        columns: The columns of the table, those of the file first.
        table: Quoted name of the table.
        extra: Values of columns that are not in the file, by name.

    Raises:
        OtherDimensions: A geometry does not fit its column's type.
        WarehouseError: PostgreSQL does not have a value.
    """
    copied, before = Copied(), 0
    # Frozen, they are seen by readers whose snapshot is older than the table: they were about to
    # read the table whose place it takes.
    names = ", ".join(quoted(column.name) for column in columns)
    statement = f"COPY {table} ({names}) FROM STDIN (FORMAT BINARY, FREEZE)"
    with (
        pq.ParquetFile(partition.file, pre_buffer=False, buffer_size=_READ) as file,
        closing(map_ahead(partial(_encoded, columns), _pieces(file, extra))) as encoded,
        connection.cursor().copy(statement.encode()) as stream,
    ):
        stream.write(SIGNATURE)
        for result in encoded:
            if isinstance(result, Unfit):
                raise refused(
                    partition,
                    f"record {before + result.row + 1} cannot be loaded into PostgreSQL for its "
                    f"column {short(result.column)!r}: {result}; leave the field out with `select`",
                )
            stream.write(memoryview(result.data))
            copied.add(result)
            before += result.rows
        stream.write(TRAILER)
    return copied


def with_dimensions(partition: Partition, columns: Sequence[Target]) -> tuple[Target, ...]:
    """The columns with the dimensions that all the file's geometries have."""
    found: dict[str, frozenset[str]] = {}
    places = [n for n, column in enumerate(columns) if column.geometry]
    with pq.ParquetFile(partition.file) as file:
        names = [partition.columns[n].field for n in places]
        for batch in read_batches(file, names):
            for n, array in zip(places, batch.columns, strict=True):
                name = columns[n].name
                found[name] = found.get(name, frozenset()) | dimensions(array)
    return tuple(
        replace(column, dimensions=_one(found.get(column.name, frozenset()))) for column in columns
    )


def _one(found: frozenset[str]) -> str | None:
    return next(iter(found), "") if len(found) <= 1 else None


def _encoded(columns: Sequence[Target], batch: pa.RecordBatch) -> Encoded | Unfit:
    try:
        return encode(batch, columns)
    except Unfit as error:
        return error


def _pieces(
    file: pq.ParquetFile, extra: Mapping[str, Sequence[str | None]]
) -> Iterator[pa.RecordBatch]:
    start = 0
    for batch in read_batches(file, most=_BYTES):
        for name, values in extra.items():
            some = pa.array(values[start : start + len(batch)], pa.string())
            batch = batch.append_column(name, some)  # noqa: PLW2901 - one batch, growing
        start += len(batch)
        yield from slices(batch, _BYTES)
