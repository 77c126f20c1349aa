"""Writes a partition's file batch by batch, and publishes it whole or not at all.

The receipt and the GeoParquet description go into the footer. Fetching and judging rows does not
belong here.
"""

from __future__ import annotations

import base64
import contextlib
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ods_pipeline.errors import Damaged
from ods_pipeline.lake.bucket import LakePath, ObjectPath
from ods_pipeline.lake.checksum import BLANK, SealedFile
from ods_pipeline.lake.content_hash import ContentHash
from ods_pipeline.lake.files import replace_durably, require_files
from ods_pipeline.lake.geoparquet import GeoSummary, geo_metadata
from ods_pipeline.lake.lake import Lake, disk_errors
from ods_pipeline.lake.receipt import Receipt
from ods_pipeline.state.locks import require_held
from ods_pipeline.tables.batches import read_batches
from ods_pipeline.tables.geometry import geometry_columns
from ods_pipeline.tables.schema import columns_hash

ROWS_PER_GROUP = 65_536
BYTES_PER_GROUP = 16 << 20
# A dictionary pays off for values that occur repeatedly; for others it doubles time and memory. The
# first rows decide.
_SAMPLE_ROWS, _REPETITIONS = 16_384, 4


class PartitionWriter:
    """Writes one partition batch by batch and publishes it with its receipt.

    Row groups are hashed and compressed in a thread of their own; at most two are in memory.
    Leaving the `with` block without `publish` leaves the partition as it was.

    Attributes:
        target: Final name of the file.
        rows: Rows written so far.
    """

    def __init__(self, lake: Lake, target: LakePath, schema: pa.Schema, primary: str = "") -> None:
        """Open a writer.

        Args:
            lake: The portal's lake.
            target: Final name of the file.
            schema: Canonical types with field metadata; `geo_*` columns hold WKB.
            primary: Name of the primary geometry column; empty for none.
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
        # Starts its thread with the first task: most datasets are one row group and need none.
        self._pool = ThreadPoolExecutor(1, "writing")
        self._packing: Future[None] | None = None
        # In a bucket no lock is as sure: what is published replaces this version and no other.
        self._known = target.version() if isinstance(target, ObjectPath) else None
        with contextlib.ExitStack() as opened:
            self._path = opened.enter_context(lake.incoming(target.name))
            with disk_errors(target):
                self._file = SealedFile(self._path)
            self._exit = opened.pop_all()

    def __enter__(self) -> PartitionWriter:
        """The writer itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Drop what was not published."""
        self._pool.shutdown()
        with contextlib.suppress(OSError, pa.ArrowException):
            if self._parquet:
                self._parquet.close()
        with contextlib.suppress(OSError):
            self._file.close()
        self._exit.close()

    def write(self, batch: pa.RecordBatch) -> None:
        """Append rows of the schema's types.

        Raises:
            LakeError: The disk refuses them, or refused earlier ones.
        """
        self.rows += batch.num_rows
        self._pending.append(batch)
        self._bytes += batch.nbytes
        rows = sum(pending.num_rows for pending in self._pending)
        if rows >= ROWS_PER_GROUP or self._bytes >= BYTES_PER_GROUP:
            group = self._take_group()
            self._wait()
            self._packing = self._pool.submit(self._pack, group)

    def _take_group(self) -> pa.Table:
        group = pa.Table.from_batches(self._pending, self._schema)
        self._pending, self._bytes = [], 0
        return group

    def _wait(self) -> None:
        """Wait for the row group that is being packed; raises its error."""
        packing, self._packing = self._packing, None
        if packing:
            packing.result()

    def _finish(self) -> None:
        """Pack all rows written so far."""
        self._wait()
        if self._pending:
            self._pack(self._take_group())

    def _pack(self, group: pa.Table) -> None:
        self._content.update(group)
        for name, summary in self._geometries.items():
            for piece in group.column(name).chunks:
                summary.update(piece)
        if group.num_rows:
            with disk_errors(self.target):
                self._parquet_writer(group).write_table(group, row_group_size=group.num_rows)
        # Otherwise the allocator keeps the memory of a second row group for good.
        pa.default_memory_pool().release_unused()

    def _parquet_writer(self, group: pa.Table | None = None) -> pq.ParquetWriter:
        """Parquet's writer, made for the first row group."""
        if self._parquet is None:
            self._parquet = pq.ParquetWriter(
                self._file,
                self._schema.remove_metadata(),
                compression="zstd",
                compression_level=1,
                use_dictionary=_repetitive(group) if group is not None else False,
                store_schema=False,
                write_page_checksum=True,
            )
        return self._parquet

    def content_hash(self) -> str:
        """The digest of all rows written so far."""
        self._finish()
        return self._content.hexdigest()

    def summary(self, known: Receipt) -> Receipt:
        """The receipt with count and content hash of the rows written so far."""
        return replace(known, row_count=str(self.rows), content_hash=self.content_hash())

    def publish(self, known: Receipt) -> Receipt:
        """Replace the partition by the written rows: footer, fsync, rename, fsync.

        Args:
            known: Receipt without counts and hashes of the file, which are added here.

        Returns:
            The complete receipt, as in the file's footer.

        Raises:
            LakeError: The disk refuses it; the old partition stays.
            StateError: The lock that it was written under was lost; the old partition stays.
        """
        whole = replace(self.summary(known), columns_hash=columns_hash(self._schema))
        metadata = whole.metadata()
        if self._geometries:
            metadata["geo"] = geo_metadata(self._geometries, self._primary)
        arrow = self._schema.with_metadata(metadata).serialize().to_pybytes()
        with disk_errors(self.target):
            parquet = self._parquet_writer()
            parquet.add_key_value_metadata(
                {
                    **metadata,
                    "ARROW:schema": base64.b64encode(arrow).decode(),
                    # The last entry, and not in the copy above, so that there is one to overwrite.
                    "file_sha256": BLANK,
                }
            )
            parquet.close()
            digest = self._file.seal()
            require_held()
            if isinstance(self.target, ObjectPath):
                self.target.replace_with(self._path, self._known)
            else:
                replace_durably(self._path, self.target)
        return replace(whole, file_sha256=digest)


def rewrite(
    lake: Lake,
    target: LakePath,
    schema: pa.Schema,
    known: Receipt,
    primary: str,
    source: LakePath | None = None,
) -> Receipt:
    """Write a partition again with other descriptions and the same rows, without the portal.

    Args:
        lake: The portal's lake.
        target: The partition.
        schema: The same names and types with new field metadata.
        known: The new receipt without counts and hashes.
        primary: Name of the primary geometry column; empty for none.
        source: The file to take the rows from; the partition itself without it.

    Returns:
        The new receipt, with the same content hash.
    """
    source = source or target
    with disk_errors(target), PartitionWriter(lake, target, schema, primary) as writer:
        try:
            with pq.ParquetFile(source, page_checksum_verification=True) as old:
                for batch in read_batches(old):
                    writer.write(batch)
        except (OSError, pa.ArrowException) as error:
            require_files(error)
            raise Damaged(f"{source} is damaged; delete it and sync again") from error
        return writer.publish(known)


def _repetitive(group: pa.Table) -> list[str]:
    """The columns of repeated values, by their names in Parquet."""
    sample = group.slice(0, _SAMPLE_ROWS).combine_chunks()
    found = []
    for name, column in zip(sample.column_names, sample.columns, strict=True):
        nested = pa.types.is_list(column.type)
        values = column.chunk(0).flatten() if nested else column
        if pa.types.is_nested(values.type) or pa.types.is_null(values.type):
            continue
        if pc.count_distinct(values).as_py() * _REPETITIONS <= len(values):
            found.append(f"{name}.list.element" if nested else name)
    return found
