"""A partition's file: written batch by batch, published whole or not at all.

The receipt goes into the footer together with the GeoParquet description. Where the file lies is
`lake`'s knowledge; fetching and judging data is neither's.
"""

from __future__ import annotations

import base64
import contextlib
from dataclasses import replace
from pathlib import Path
from types import TracebackType

import pyarrow as pa
import pyarrow.parquet as pq

from ods_pipeline.errors import Damaged
from ods_pipeline.tables import reading
from ods_pipeline.tables.content import ContentHash
from ods_pipeline.tables.durable import replace_durably
from ods_pipeline.tables.geometry import GeoSummary, geo_metadata, geometry_columns
from ods_pipeline.tables.lake import Lake, explained
from ods_pipeline.tables.receipt import Receipt
from ods_pipeline.tables.schema import columns_hash
from ods_pipeline.tables.seal import BLANK, SealedFile

ROWS_PER_GROUP = 65_536
BYTES_PER_GROUP = 16 << 20


class PartitionWriter:
    """Writes one partition batch by batch and publishes it when its receipt is known.

    Memory stays within one row group. Leaving the `with` block without `publish` leaves the
    partition as it was.
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
        self.content = ContentHash()
        self._schema = schema
        self._primary = primary
        self._pending: list[pa.RecordBatch] = []
        self._geometries = {name: GeoSummary() for name in geometry_columns(schema)}
        self._exit = contextlib.ExitStack()
        self._path = self._exit.enter_context(lake.incoming(target.name))
        self._file = SealedFile(self._path)
        self._parquet = pq.ParquetWriter(
            self._file,
            schema.remove_metadata(),
            compression="zstd",
            compression_level=1,
            store_schema=False,
            write_page_checksum=True,
        )

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
        self.content.close()
        with contextlib.suppress(OSError, pa.ArrowException):
            self._parquet.close()
        with contextlib.suppress(OSError):
            self._file.close()
        self._exit.__exit__(kind, error, trace)

    def write(self, batch: pa.RecordBatch) -> None:
        """Append rows of the schema's types."""
        self.content.update(batch)
        for name, summary in self._geometries.items():
            summary.update(batch.column(name))
        self._pending.append(batch)
        rows = sum(waiting.num_rows for waiting in self._pending)
        if rows >= ROWS_PER_GROUP or sum(b.nbytes for b in self._pending) >= BYTES_PER_GROUP:
            self._flush()

    def _flush(self) -> None:
        group = pa.Table.from_batches(self._pending, self._schema)
        self._pending.clear()
        if group.num_rows:
            with explained(self.target):
                self._parquet.write_table(group, row_group_size=group.num_rows)
        # Asked for, or the allocator keeps a second row group's worth for good.
        pa.default_memory_pool().release_unused()

    def summary(self, known: Receipt) -> Receipt:
        """A receipt with the count and the content of what was written so far."""
        return replace(
            known, row_count=str(self.content.rows), content_hash=self.content.hexdigest()
        )

    def publish(self, known: Receipt) -> Receipt:
        """Make the partition the one that readers see: footer, fsync, rename, fsync.

        Args:
            known: Receipt without counts and hashes of the file, which are added here.

        Returns:
            The whole receipt, as it stands in the file's footer.

        Raises:
            LakeError: The disk does not let it; the old partition stays.
        """
        self._flush()
        whole = replace(self.summary(known), columns_hash=columns_hash(self._schema))
        metadata = whole.metadata()
        if self._geometries:
            metadata["geo"] = geo_metadata(self._geometries, self._primary)
        arrow = self._schema.with_metadata(metadata).serialize().to_pybytes()
        with explained(self.target):
            self._parquet.add_key_value_metadata(
                {
                    **metadata,
                    "ARROW:schema": base64.b64encode(arrow).decode(),
                    # The last entry, and not in the copy above: there is one place to write it to.
                    "file_sha256": BLANK,
                }
            )
            self._parquet.close()
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
    with explained(target), PartitionWriter(lake, target, schema, primary) as writer:
        try:
            with pq.ParquetFile(source, page_checksum_verification=True) as old:
                for batch in reading.batches(old):
                    writer.write(batch)
        except (OSError, pa.ArrowException) as error:
            raise Damaged(f"{source} is damaged; delete it and sync again") from error
        return writer.publish(known)
