"""Reading Parquet in bounded memory, however large its rows are.

A batch is measured in bytes as well as in rows: thirty thousand coastlines are gigabytes. Opening
files and explaining what is wrong with them is the caller's work.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

ROWS = 32_768
BYTES = 16 << 20


def batches(file: pq.ParquetFile, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """The rows of a file in batches of about `BYTES` and at most `ROWS`.

    Args:
        file: An open file.
        columns: Names of the columns to read; all without it.
    """
    for number in range(file.num_row_groups):
        group = file.metadata.row_group(number)
        size = group.total_byte_size // max(group.num_rows, 1) + 1
        rows = max(1, min(ROWS, BYTES // size))
        yield from file.iter_batches(rows, row_groups=[number], columns=columns, use_threads=False)
