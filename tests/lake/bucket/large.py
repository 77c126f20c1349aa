"""Rows that do not get smaller, for files that are sent in parts."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pyarrow as pa

_BATCH = 1 << 20


def batches(rows: int, size: int = 0) -> Iterator[pa.RecordBatch]:
    """Rows with about so many bytes in all, one batch of each megabyte.

    Args:
        rows: Number of rows.
        size: Bytes of all of them.
    """
    noise = random.Random(rows)
    count = max(1, min(rows, size // _BATCH))
    for number in range(count):
        first, end = rows * number // count, rows * (number + 1) // count
        each = size // rows
        yield pa.RecordBatch.from_pydict(
            {"n": range(first, end), "noise": [noise.randbytes(each) for _ in range(first, end)]},
            schema=pa.schema({"n": pa.int64(), "noise": pa.binary()}),
        )
