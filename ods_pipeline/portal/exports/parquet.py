"""A Parquet export as record batches: written to disk first, since its footer comes last.

Footer and page headers are checked before anything is unpacked: a few kilobytes can claim, or
unpack to, more than a machine holds. Page headers are read in a file of their own.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ods_pipeline.errors import OUT_OF_FILES, OdsPipelineError, Unproven, out_of_files
from ods_pipeline.portal.exports.parquet_crs import require_lonlat
from ods_pipeline.portal.exports.parquet_pages import require_sound_pages
from ods_pipeline.portal.exports.sniffing import require_parquet
from ods_pipeline.portal.http.limits import (
    BOUNDS,
    require_honest_packing,
    require_number,
    require_rows,
    require_size,
)
from ods_pipeline.redaction import excerpt
from ods_pipeline.tables.batches import BYTES_PER_BATCH, ROWS_PER_BATCH

# The most bytes of a batch before the lengths of its values are known, and after.
_UNSEEN, _SEEN = 256 << 20, 64 << 20
_NUMBER = 8
# From so many bytes of one batch on it is looked at how many there will be.
_MUCH = 1 << 30


class Spooled:
    """A Parquet export on disk, whose footer has been read and found sound."""

    def __init__(self, parquet: pq.ParquetFile, schema: pa.Schema, most: int) -> None:
        self._parquet, self._most = parquet, most
        self.schema = schema
        self.rows: int = parquet.metadata.num_rows

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """The rows as the portal typed them, in bounded memory.

        Args:
            columns: Names of the columns to read; all without it.

        Raises:
            Unproven: A page cannot be read.
            DataError: A value is larger than any honest one.
        """
        read = written = 0
        with parquet_errors():
            for groups in self._runs():
                footer = self._parquet.metadata
                rows = min(self._rows_at_once(footer.row_group(number)) for number in groups)
                for batch in self._parquet.iter_batches(
                    rows, row_groups=groups, columns=columns, use_threads=False
                ):
                    # The reader accepts any bytes as text, and any number as an offset of a list.
                    batch.validate(full=True)
                    read += batch.num_rows
                    longest = sum(map(_longest, batch.columns))
                    if longest * batch.num_rows > _MUCH:
                        written += self._require_bounded(batch, read, written)
                    yield from self._written_out(batch, longest)

    def _runs(self) -> Iterator[list[int]]:
        """Row groups in their order, small ones together: each reading costs a look at all."""
        run: list[int] = []
        rows = 0
        for number in range(self._parquet.num_row_groups):
            more = self._parquet.metadata.row_group(number).num_rows
            if run and rows + more > ROWS_PER_BATCH:
                yield run
                run, rows = [], 0
            run.append(number)
            rows += more
        if run:
            yield run

    def _require_bounded(self, batch: pa.RecordBatch, read: int, written: int) -> int:
        """Bytes that a batch's dictionaries stand for; refused if the rest would be as many.

        A few kilobytes can stand for terabytes, which would keep a run busy for days.
        """
        here = sum(map(_written_size, batch.columns))
        if here > _MUCH:
            further = here * (self.rows - read) // batch.num_rows
            require_size("the Parquet export, written out,", written + here + further, self._most)
        return here

    def _written_out(self, batch: pa.RecordBatch, longest: int) -> Iterator[pa.RecordBatch]:
        """The same rows without dictionaries, in pieces that stay small."""
        rows = max(1, _SEEN // longest) if longest else max(1, batch.num_rows)
        schema = pa.schema([self.schema.field(name) for name in batch.schema.names])
        for start in range(0, batch.num_rows, rows):
            piece = batch.slice(start, rows)
            columns = [
                column if column.type == kind else column.cast(kind)
                for column, kind in zip(piece.columns, schema.types, strict=True)
            ]
            yield pa.RecordBatch.from_arrays(columns, schema=schema)

    def _rows_at_once(self, group: pq.RowGroupMetaData) -> int:
        """How many rows to read at once, so that a batch stays small."""
        rows = max(1, min(ROWS_PER_BATCH, BYTES_PER_BATCH // self._width(group)))
        # Each value may repeat most of the one before, in almost no bytes.
        prefixed = sum(
            min(int(chunk.total_uncompressed_size), BOUNDS.record)
            for chunk in _risky(group, rows)
            if "DELTA_BYTE_ARRAY" in chunk.encodings
        )
        return max(1, min(rows, _SEEN // prefixed)) if prefixed else rows

    def _width(self, group: pq.RowGroupMetaData) -> int:
        """Bytes of an average row, unpacked; nulls count as well."""
        footer = self._parquet.metadata
        leaves = [footer.schema.column(place) for place in range(footer.num_columns)]
        values = sum(group.column(place).num_values for place in range(footer.num_columns))
        fixed = sum(max(leaf.length, 0) for leaf in leaves)
        written = max(group.total_byte_size, _NUMBER * values) // max(group.num_rows, 1)
        return int(max(written, fixed)) + 1


@contextlib.contextmanager
def spooled(
    chunks: Iterable[bytes], folder: Path | None, most: int | None = None
) -> Iterator[Spooled]:
    """Write an export to a temporary file and open it.

    Args:
        chunks: The body.
        folder: Folder of the temporary file; the system's own without it.
        most: Bytes that its values may have when they are written out.

    Raises:
        Unproven: The body is not a complete Parquet file, or its footer contradicts itself.
        DataError: It claims more than any honest export holds, or other coordinates than
            longitude and latitude.
    """
    with tempfile.TemporaryFile(dir=folder, prefix="export.") as file:
        for chunk in require_parquet(chunks):
            file.write(chunk)
        file.flush()
        with parquet_errors():
            plain = _opened(file)
            _require_sound(plain.metadata)
            require_lonlat(plain.schema_arrow)
            require_sound_pages(file, plain.metadata)
            repeating = _repeating(plain.metadata)
            parquet = _opened(file, repeating) if repeating else plain
        with plain, parquet:
            yield Spooled(parquet, plain.schema_arrow, BOUNDS.export if most is None else most)


def _opened(file: IO[bytes], as_dictionaries: Sequence[str] = ()) -> pq.ParquetFile:
    return pq.ParquetFile(
        file,
        pre_buffer=False,
        buffer_size=1 << 20,
        page_checksum_verification=True,
        # In nanoseconds, as they are written, years before 1677 and after 2262 would wrap.
        coerce_int96_timestamp_unit="ms",
        read_dictionary=list(as_dictionaries),
    )


def _require_sound(footer: pq.FileMetaData) -> None:
    """Refuse a footer that contradicts itself, or claims what no honest export holds."""
    what = "the Parquet export"
    require_number(what, footer.num_columns, BOUNDS.columns, "columns")
    require_rows(footer.num_rows, None, what)
    leaves = [footer.schema.column(place) for place in range(footer.num_columns)]
    for leaf in leaves:
        require_number(what, leaf.path.count("."), BOUNDS.depth, "groups in each other")
        require_size("a value of the Parquet export", leaf.length, BOUNDS.record)
    groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
    rows = [group.num_rows for group in groups]
    if footer.num_rows < 0 or sum(rows) != footer.num_rows or min(rows, default=0) < 0:
        raise Unproven(
            f"the Parquet export contradicts itself: its footer says {footer.num_rows:,} rows, its "
            f"row groups {sum(rows):,}"
        )
    for group in groups:
        _require_sound_group(group, leaves)


def _require_sound_group(group: pq.RowGroupMetaData, leaves: list[pq.ColumnSchema]) -> None:
    for place, leaf in enumerate(leaves):
        chunk = group.column(place)
        if leaf.max_repetition_level == 0 and chunk.num_values != group.num_rows:
            raise Unproven(
                f"the Parquet export contradicts itself: column {leaf.path!r} has "
                f"{chunk.num_values:,} values in {group.num_rows:,} rows"
            )
        per_row = chunk.num_values // max(group.num_rows, 1)
        require_size("a row of the Parquet export", _NUMBER * per_row, BOUNDS.record)
        packed, unpacked = chunk.total_compressed_size, chunk.total_uncompressed_size
        require_honest_packing(unpacked, packed, f"column {leaf.path!r} of the Parquet export")


def _risky(group: pq.RowGroupMetaData, rows: int) -> list[pq.ColumnChunkMetaData]:
    """The columns of which so many rows may unpack to far more than the footer says."""
    chunks = [group.column(place) for place in range(group.num_columns)]
    return [chunk for chunk in chunks if chunk.total_uncompressed_size * rows > _UNSEEN]


def _repeating(footer: pq.FileMetaData) -> list[str]:
    """The columns to read as dictionaries first, since their values repeat."""
    groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
    return sorted(
        {
            chunk.path_in_schema
            for group in groups
            for chunk in _risky(group, ROWS_PER_BATCH)
            if chunk.physical_type == "BYTE_ARRAY" and chunk.has_dictionary_page
        }
    )


def _dictionaries(column: pa.Array) -> Iterator[pa.Array]:
    """The dictionaries of a column, however deep in lists, structs and maps."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        yield column
    elif pa.types.is_struct(kind):
        for part in column.flatten():
            yield from _dictionaries(part)
    elif pa.types.is_map(kind):
        yield from _dictionaries(column.keys)
        yield from _dictionaries(column.items)
    elif pa.types.is_nested(kind):
        yield from _dictionaries(column.flatten())


def _written_size(column: pa.Array) -> int:
    """Bytes of the values that a column's dictionaries stand for."""
    total = 0
    for part in _dictionaries(column):
        lengths = pc.binary_length(part.dictionary).cast(pa.int64())
        total += pc.sum(lengths.take(part.indices)).as_py() or 0
    return total


def _longest(column: pa.Array) -> int:
    """Bytes of the longest values of a column's dictionaries; 0 where there are none."""
    total = 0
    for part in _dictionaries(column):
        longest = pc.max(pc.binary_length(part.dictionary)).as_py() or 0
        require_size("a value of the Parquet export", longest, BOUNDS.record)
        total += longest
    return total


@contextlib.contextmanager
def parquet_errors() -> Iterator[None]:
    """Turn errors of the Parquet reader into one sentence."""
    try:
        yield
    except (pa.ArrowException, OSError, MemoryError) as error:
        if out_of_files(error):
            raise OdsPipelineError(OUT_OF_FILES) from error
        reason = excerpt((str(error) or type(error).__name__).splitlines()[0], 200)
        raise Unproven(f"the Parquet export cannot be read whole: {reason}") from None
