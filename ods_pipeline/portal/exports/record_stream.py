"""Records as a stream that users hold: batches to iterate over, opened late and closed early.

How records are requested, typed and proven belongs to the files beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from types import TracebackType

import pyarrow as pa

from ods_pipeline.errors import ConfigurationError

#: The columns, and the batches while the block lasts.
Opened = AbstractContextManager[tuple[pa.Schema, Iterator[pa.RecordBatch]]]


class RecordStream(Iterator[pa.RecordBatch]):
    """The records of a dataset in bounded memory: an iterator of batches, to be read once.

    Nothing is requested before the first batch or the schema is asked for. The proof comes with the
    end: the last read raises if the rows are not all. Leaving a `with` block, or `close`, ends the
    download. Whatever takes streams of Arrow takes it too, such as `pyarrow.RecordBatchReader.
    from_stream`, DuckDB and polars.

    Examples:
        >>> for batch in portal.record_batches("public-art"):  # doctest: +SKIP
        ...     print(batch.num_rows)
    """

    def __init__(self, name: str, opened: Callable[[], Opened]) -> None:
        """Prepare to read; nothing is requested yet.

        Args:
            name: What is read, for people.
            opened: Requests it.
        """
        self._name, self._open = name, opened
        self._stack = ExitStack()
        self._found: tuple[pa.Schema, Iterator[pa.RecordBatch]] | None = None
        self._ended = self._closed = False

    def __repr__(self) -> str:
        """What is read, and how far it is."""
        state = "at its end" if self._ended else "closed" if self._closed else "open"
        return f"RecordStream({self._name!r}, {state})"

    @property
    def schema(self) -> pa.Schema:
        """The columns, with GeoArrow's metadata; asks the portal.

        Raises:
            PortalError: The portal does not give them.
        """
        return self._begun()[0]

    def _begun(self) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
        if self._found is None:
            self._require_open()
            self._found = self._stack.enter_context(self._open())
        return self._found

    def _require_open(self) -> None:
        # An end here would pass the rows that were read for all rows.
        if self._closed and not self._ended:
            raise ConfigurationError(
                f"the records of {self._name} were closed before their end: ask for them again"
            )

    def __next__(self) -> pa.RecordBatch:
        """The next batch; the end only where the rows are proven to be all.

        Raises:
            DataError: The rows cannot be trusted, or are not all.
            PortalError: The portal does not give them.
        """
        self._require_open()
        if self._ended:
            raise StopIteration
        try:
            return next(self._begun()[1])
        except StopIteration:
            self._ended = True
            self.close()
            raise
        except BaseException:  # Ctrl-C as well: a download that nobody reads on keeps a connection.
            self.close()
            raise

    def read_all(self) -> pa.Table:
        """The batches that were not read yet, as one table."""
        return pa.Table.from_batches(self, self.schema)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The same for any library that takes Arrow's streams."""
        reader = pa.RecordBatchReader.from_batches(self.schema, self)
        return reader.__arrow_c_stream__(requested_schema)

    def close(self) -> None:
        """End the download; what was read stays, and nothing more can be read."""
        self._closed = True
        self._stack.close()

    def __enter__(self) -> RecordStream:
        """The stream itself, closed at the end of the block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
