"""A Parquet export as record batches: spooled to disk first, for its footer comes last."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ods_pipeline.errors import Unproven
from ods_pipeline.tables import reading


class Spooled:
    """A Parquet export on disk, whose footer has been read."""

    def __init__(self, parquet: pq.ParquetFile) -> None:
        self._parquet = parquet
        self.schema: pa.Schema = parquet.schema_arrow

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """The rows as the portal typed them, in bounded memory.

        Args:
            columns: Names of the columns to read; all without it.

        Raises:
            Unproven: A page cannot be read.
        """
        with explained():
            yield from reading.batches(self._parquet, columns)


@contextlib.contextmanager
def spooled(chunks: Iterable[bytes], folder: Path | None) -> Iterator[Spooled]:
    """Write an export to a temporary file and open it.

    Args:
        chunks: The body.
        folder: Where the temporary file lies; the system's own place without it.

    Raises:
        Unproven: The body is no whole Parquet file.
    """
    with tempfile.TemporaryFile(dir=folder, prefix="export.") as file:
        for chunk in chunks:
            file.write(chunk)
        file.flush()
        with explained():
            parquet = pq.ParquetFile(file, pre_buffer=False, buffer_size=1 << 20)
        with parquet:
            yield Spooled(parquet)


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Turn what Parquet's reader says of a damaged file into one sentence."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        said = (str(error) or type(error).__name__).splitlines()[0][:200]
        raise Unproven(f"the Parquet export cannot be read whole: {said}") from error
