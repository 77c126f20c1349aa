"""The identity of a table's rows in any order.

Portals do not promise an order of rows, so a digest over bytes would differ for a reshuffled
export. This one adds up a hash of each row: equal multisets of rows have equal digests. It detects
changes, it does not resist forgery. Labels and types are not part of it.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ods_pipeline.lake.bucket import LakePath
from ods_pipeline.lake.row_hash import mixed, row_hashes
from ods_pipeline.tables.batches import read_batches

#: The name of the algorithm: any change of `row_hash`, or of what is summed, needs another.
ALGORITHM = "rows1"


class ContentHash:
    """Digest of the rows seen so far."""

    def __init__(self) -> None:
        self._sums = [0, 0]
        self.rows = 0

    def update(self, rows: pa.RecordBatch | pa.Table) -> None:
        """Add rows; a few thousand at once cost little more than one.

        Args:
            rows: Of the canonical types; the same columns each time.
        """
        self.rows += rows.num_rows
        if not rows.num_rows or not rows.num_columns:
            return
        hashes = row_hashes(rows)
        for index, sums in enumerate((hashes, mixed(hashes))):
            self._sums[index] += int(np.sum(sums, dtype=np.uint64))

    def hexdigest(self) -> str:
        """The digest, after the name of its algorithm."""
        first, second = (value % 2**64 for value in self._sums)
        return f"{ALGORITHM}:{self.rows:x}-{first:016x}{second:016x}"


def is_current(digest: str) -> bool:
    """Whether a digest can be compared with those of today."""
    return digest.partition(":")[0] == ALGORITHM


def content_of(path: LakePath) -> str:
    """The digest of the rows of a landed file.

    Raises:
        OSError: There is no such file.
        pa.ArrowException: It is damaged.
    """
    content = ContentHash()
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        for batch in read_batches(file):
            content.update(batch)
    return content.hexdigest()
