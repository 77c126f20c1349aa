"""A partition's file: written batch by batch, published whole or not at all.

The receipt goes into the footer together with the GeoParquet description. Where the file lies is
`lake`'s knowledge; fetching and judging data is neither's.
"""

from __future__ import annotations

import base64
import contextlib
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import TracebackType

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ods_pipeline.errors import Damaged
from ods_pipeline.lake.checksum import BLANK, SealedFile
from ods_pipeline.lake.content_hash import ContentHash
from ods_pipeline.lake.files import replace_durably
from ods_pipeline.lake.geoparquet import GeoSummary, geo_metadata
from ods_pipeline.lake.lake import Lake, disk_errors
from ods_pipeline.lake.receipt import Receipt
from ods_pipeline.tables.batches import read_batches
from ods_pipeline.tables.geometry import geometry_columns
from ods_pipeline.tables.schema import columns_hash

ROWS_PER_GROUP = 65_536
BYTES_PER_GROUP = 16 << 20
# A dictionary pays where values come back; elsewhere it takes twice the time and the room. Of the
# first row group a piece tells.
_LOOKED_AT, _TIMES = 16_384, 4


class PartitionWriter:
    """Writes one partition batch by batch and publishes it when its receipt is known.

    Row groups are hashed and packed in a thread beside whoever writes; memory stays within two of
    them. Leaving the `with` block without `publish` leaves the partition as it was.

    Attributes:
        target: Final name of the file.
        rows: Rows written so far.
    """

    def __init__(self, lake: Lake, target: Path, schema: pa.Schema, primary: str = "") -> None:
        """Open a writer.

        Args:
            lake: The portal's lake.
            target: Final name of the file.
            schema: Canonical types with field metadata; `geo_*` columns hold WKB.
            primary: Name of the primary geometry column, if there is any.
        """
        self.target = target
        self.rows = 0
        self._schema = schema
        self._primary = primary
        self._content = ContentHash()
        self._pending: list[pa.RecordBatch] = []
        self._bytes = 0
        self._geometries = {name: GeoSummary() for name in geometry_columns(schema)}
        self._parquet: pq.ParquetWriter | None = None
        # Begins its thread with the first group that another follows: most datasets are one.
        self._beside = ThreadPoolExecutor(1, "writing")
        self._packing: Future[None] | None = None
        self._exit = contextlib.ExitStack()
        self._path = self._exit.enter_context(lake.incoming(target.name))
        self._file = SealedFile(self._path)

    def __enter__(self) -> PartitionWriter:
        """The writer itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Drop what was not published."""
        self._beside.shutdown()
        self._content.close()
        with contextlib.suppress(OSError, pa.ArrowException):
            if self._parquet:
                self._parquet.close()
        with contextlib.suppress(OSError):
            self._file.close()
        self._exit.__exit__(kind, error, trace)

    def write(self, batch: pa.RecordBatch) -> None:
        """Append rows of the schema's types.

        Raises:
            LakeError: The disk does not take them, or did not take those before.
        """
        self.rows += batch.num_rows
        self._pending.append(batch)
        self._bytes += batch.nbytes
        if self._rows_pending() >= ROWS_PER_GROUP or self._bytes >= BYTES_PER_GROUP:
            group = self._group()
            self._settle()
            self._packing = self._beside.submit(self._pack, group)

    def _rows_pending(self) -> int:
        return sum(waiting.num_rows for waiting in self._pending)

    def _group(self) -> pa.Table:
        group = pa.Table.from_batches(self._pending, self._schema)
        self._pending, self._bytes = [], 0
        return group

    def _settle(self) -> None:
        """Wait for the row group that is being packed, and hear what became of it."""
        packing, self._packing = self._packing, None
        if packing:
            packing.result()

    def _finish(self) -> None:
        """Pack all that was written."""
        self._settle()
        if self._pending:
            self._pack(self._group())

    def _pack(self, group: pa.Table) -> None:
        self._content.update(group)
        for name, summary in self._geometries.items():
            for piece in group.column(name).chunks:
                summary.update(piece)
        if group.num_rows:
            with disk_errors(self.target):
                self._opened(group).write_table(group, row_group_size=group.num_rows)
        # Asked for, or the allocator keeps a second row group's worth for good.
        pa.default_memory_pool().release_unused()

    def _opened(self, group: pa.Table | None = None) -> pq.ParquetWriter:
        """Parquet's writer, made for the first row group."""
        if self._parquet is None:
            self._parquet = pq.ParquetWriter(
                self._file,
                self._schema.remove_metadata(),
                compression="zstd",
                compression_level=1,
                use_dictionary=_repeating(group) if group is not None else False,
                store_schema=False,
                write_page_checksum=True,
            )
        return self._parquet

    def content_hash(self) -> str:
        """The digest of all rows written so far."""
        self._finish()
        return self._content.hexdigest()

    def summary(self, known: Receipt) -> Receipt:
        """A receipt with the count and the content of what was written so far."""
        content = self.content_hash()
        return replace(known, row_count=str(self.rows), content_hash=content)

    def publish(self, known: Receipt) -> Receipt:
        """Make the partition the one that readers see: footer, fsync, rename, fsync.

        Args:
            known: Receipt without counts and hashes of the file, which are added here.

        Returns:
            The whole receipt, as it stands in the file's footer.

        Raises:
            LakeError: The disk does not let it; the old partition stays.
        """
        whole = replace(self.summary(known), columns_hash=columns_hash(self._schema))
        metadata = whole.metadata()
        if self._geometries:
            metadata["geo"] = geo_metadata(self._geometries, self._primary)
        arrow = self._schema.with_metadata(metadata).serialize().to_pybytes()
        with disk_errors(self.target):
            parquet = self._opened()
            parquet.add_key_value_metadata(
                {
                    **metadata,
                    "ARROW:schema": base64.b64encode(arrow).decode(),
                    # The last entry, and not in the copy above: there is one place to write it to.
                    "file_sha256": BLANK,
                }
            )
            parquet.close()
            digest = self._file.seal()
            replace_durably(self._path, self.target)
        return replace(whole, file_sha256=digest)


def rewrite(
    lake: Lake,
    target: Path,
    schema: pa.Schema,
    known: Receipt,
    primary: str,
    source: Path | None = None,
) -> Receipt:
    """Write a partition again with other descriptions and the same rows; asks the portal nothing.

    Args:
        lake: The portal's lake.
        target: The partition.
        schema: The same names and types with new field metadata.
        known: The new receipt without counts and hashes.
        primary: Name of the primary geometry column, if there is any.
        source: The file to take the rows from; the partition itself without it.

    Returns:
        The new receipt, with the content hash of before.
    """
    source = source or target
    with disk_errors(target), PartitionWriter(lake, target, schema, primary) as writer:
        try:
            with pq.ParquetFile(source, page_checksum_verification=True) as old:
                for batch in read_batches(old):
                    writer.write(batch)
        except (OSError, pa.ArrowException) as error:
            raise Damaged(f"{source} is damaged; delete it and sync again") from error
        return writer.publish(known)


def _repeating(group: pa.Table) -> list[str]:
    """The columns, as Parquet calls them, whose values come back often enough."""
    piece = group.slice(0, _LOOKED_AT).combine_chunks()
    found = []
    for name, column in zip(piece.column_names, piece.columns, strict=True):
        nested = pa.types.is_list(column.type)
        values = column.chunk(0).flatten() if nested else column
        if pa.types.is_nested(values.type) or pa.types.is_null(values.type):
            continue
        if pc.count_distinct(values).as_py() * _TIMES <= len(values):
            found.append(f"{name}.list.element" if nested else name)
    return found
