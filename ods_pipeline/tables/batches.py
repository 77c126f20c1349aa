"""Batches of rows: read from Parquet in bounded memory, and worked on ahead of their consumer.

Opening files and explaining what is wrong with them does not belong here; requests to a portal do
not either, because `portal` counts them by thread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

ROWS_PER_BATCH = 32_768
# Rows alone do not bound memory: thirty thousand coastlines are gigabytes.
BYTES_PER_BATCH = 16 << 20

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def read_batches(
    file: pq.ParquetFile, columns: Sequence[str] | None = None, most: int = BYTES_PER_BATCH
) -> Iterator[pa.RecordBatch]:
    """The rows of a file in batches of about so many bytes and at most `ROWS_PER_BATCH`.

    Args:
        file: An open file.
        columns: Names of the columns to read; all without it.
        most: How many bytes.
    """
    for number in range(file.num_row_groups):
        group = file.metadata.row_group(number)
        size = group.total_byte_size // max(group.num_rows, 1) + 1
        rows = max(1, min(ROWS_PER_BATCH, most // size))
        yield from file.iter_batches(rows, row_groups=[number], columns=columns, use_threads=False)


def map_ahead(
    work: Callable[[_Item], _Result], items: Iterable[_Item], most: int = 2
) -> Generator[_Result, None, None]:
    """Map items in threads, in order, while the consumer still uses earlier results.

    This helps with work that releases Python's lock: splitting text, packing numbers, compressing.

    Args:
        work: Called for each item; calls run in parallel.
        items: Taken one by one, in the thread that takes the results.
        most: How many items are worked on, or wait to be taken, at once.

    Yields:
        A result for each item. The first failure ends it. A consumer that stops early must close
        the generator, or its threads wait.
    """
    waiting: deque[Future[_Result]] = deque()
    remaining = iter(items)
    first = list(islice(remaining, 2))
    # Most datasets are one batch, which needs no thread.
    if len(first) < 2:
        yield from map(work, first)
        return
    with ThreadPoolExecutor(most, "ahead") as pool:
        try:
            for item in chain(first, remaining):
                waiting.append(pool.submit(work, item))
                if len(waiting) > most:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
