"""One connection to a DuckDB file: its settings, its transactions, its failures as sentences.

Knows no partition and no table of ours: those are `duckdb`'s.
"""

from __future__ import annotations

import fcntl
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import duckdb

from ods_pipeline.errors import WarehouseError
from ods_pipeline.warehouse.messages import failure
from ods_pipeline.warehouse.names import quoted

# Memory and threads for a load, each tried when the one before it was too little: the first does
# for any number of rows, the others for hundreds of columns, of which DuckDB holds a whole row
# group at once.
_ROOM = (("200MB", 2), ("200MB", 1), ("400MB", 1), ("1600MB", 1), ("80%", 1))
# A second thread costs a small table more than it gives.
_LITTLE = ("64MB", 1)

_SETTINGS = """
    SET preserve_insertion_order = true;
    SET write_buffer_row_group_count = 1;     -- otherwise 60 columns take twice the memory
    SET disable_parquet_prefetching = true;   -- it holds whole row groups of the file
    SET enable_geoparquet_conversion = false; -- it refuses files that `statements` can convert
    SET enable_progress_bar = false; -- it writes to stdout
    PRAGMA disable_optimizer; -- at statements as plain as ours it costs more than it gives
    SET autoinstall_known_extensions = false; -- all that is needed is in the core
"""
# The least that a database takes, and all that is written when it is made.
_HEADERS = 12_288
_LAYOUT = (
    "SELECT tags['storage_version'] FROM duckdb_databases() "
    "WHERE database_name = current_database()"
)
_TABLE = (
    "SELECT comment FROM duckdb_tables() "
    "WHERE database_name = current_database() AND schema_name = ? AND table_name = ?"
)
_COLUMNS = (
    "SELECT column_name, comment FROM duckdb_columns() "
    "WHERE database_name = current_database() AND schema_name = ? AND table_name = ? "
    "AND comment IS NOT NULL"
)
_TABLES = (
    "SELECT table_name FROM duckdb_tables() "
    "WHERE database_name = current_database() AND schema_name = ?"
)
_COMMENTS = (
    "SELECT table_name, comment FROM duckdb_tables() "
    "WHERE database_name = current_database() AND schema_name = ?"
)
_INDEXES = (
    "SELECT index_name FROM duckdb_indexes() "
    "WHERE database_name = current_database() AND schema_name = ? AND table_name = ?"
)


@contextmanager
def _passed_over() -> Iterator[None]:
    """Let go of what more memory would mend; DuckDB has two ways of saying that it ran out."""
    try:
        yield
    except duckdb.OutOfMemoryException:
        return
    except duckdb.TransactionException as error:
        if "failed to pin block" not in str(error):
            raise


def _remove_half_made(path: Path) -> None:
    """Remove what was broken off before it was a database: DuckDB would refuse it for ever.

    Raises:
        OSError: It cannot be removed.
    """
    with suppress(FileNotFoundError, BlockingIOError):
        # First, for to open and close a file that this process has locked would unlock it.
        if not path.is_file() or path.stat().st_size >= _HEADERS:
            return
        with path.open("r+b") as file:
            begun = file.read()
            if not begun or begun[8:12] == b"DUCK":
                # Refused where another process is making it at this moment.
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()


class Session:
    """A DuckDB file held open, and closed to all other processes, until `close`.

    Attributes:
        undone: How many transactions were rolled back: what was known of them is so no more.

    Args:
        path: The file; it and the folders above it are made if they do not exist.

    Raises:
        WarehouseLocked: Another process has it open.
        WarehouseError: It cannot be opened or made.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.undone = 0
        self._given: tuple[str, int] | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _remove_half_made(path)
            # No `config=`: a second connection of this process would have to repeat it exactly.
            self._connection = duckdb.connect(path)
            self.run(_SETTINGS)
            ((self._database,),) = self.run("SELECT current_database()")
            self._room(*_ROOM[0])
        except (OSError, duckdb.Error) as error:
            raise failure(error, path) from error
        self._refuse_if_old()

    def _refuse_if_old(self) -> None:
        """Files laid out for DuckDB before 1.5 lose every CRS without a word when they close."""
        ((version,),) = self.run(_LAYOUT)
        if tuple(map(int, re.findall(r"\d+", version))) < (1, 5):
            self.close()
            raise WarehouseError(
                f"{self._path} is laid out for DuckDB {version}, which keeps no coordinate "
                "reference systems: move it away, and the next run fills a new one"
            )

    def close(self) -> None:
        """Bring everything into the one file and let other processes in."""
        self._connection.close()

    def run(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Execute a statement with bound values and return its rows."""
        return self._connection.execute(statement, list(values)).fetchall()

    def named(self, *names: str) -> str:
        """A schema, or a table in it, as SQL writes it."""
        # With the database: a file may be called as a schema is, and DuckDB then asks which.
        return ".".join(quoted(name) for name in (self._database, *names))

    def exists(self, schema: str, table: str) -> bool:
        """Whether there is such a table.

        By asking for it: DuckDB's lists of tables are gone through from end to end each time.
        """
        try:
            self.run(f"SELECT 1 FROM {self.named(schema, table)} LIMIT 0")
        except duckdb.CatalogException:
            return False
        return True

    def count(self, schema: str, table: str) -> int:
        """How many rows a table has."""
        ((rows,),) = self.run(f"SELECT count(*) FROM {self.named(schema, table)}")
        return int(rows)

    def checkpoint(self) -> None:
        """Write everything to the file: until then each small table keeps some 30 kB in memory."""
        self.run("CHECKPOINT")

    def table_comment(self, schema: str, table: str) -> str | None:
        """The comment of a table, empty if it has none; None if there is no such table."""
        found = self.run(_TABLE, schema, table)
        return (found[0][0] or "") if found else None

    def types(self, schema: str, table: str) -> dict[str, str] | None:
        """Type of each column of a table, in order; None if there is no such table."""
        try:
            found = self.run(f"DESCRIBE {self.named(schema, table)}")
        except duckdb.CatalogException:
            return None
        return {name: kind for name, kind, *_ in found}

    def column_comments(self, schema: str, table: str) -> dict[str, str]:
        """The comments of a table's columns that have one.

        Slow where there are thousands of tables: DuckDB goes through the columns of all of them.
        """
        return dict(self.run(_COLUMNS, schema, table))

    def tables(self, schema: str) -> set[str]:
        """The names of all tables of a schema."""
        return {name for (name,) in self.run(_TABLES, schema)}

    def table_comments(self, schema: str) -> dict[str, str]:
        """The comment of every table of a schema, empty for those that have none."""
        return {table: comment or "" for table, comment in self.run(_COMMENTS, schema)}

    def indexes(self, schema: str, table: str) -> list[str]:
        """The indexes that somebody made on a table."""
        return [name for (name,) in self.run(_INDEXES, schema, table)]

    @contextmanager
    def failures(self, portal: str = "", dataset: str = "") -> Iterator[None]:
        """Turn what DuckDB raises into one sentence about a portal's dataset."""
        try:
            yield
        except duckdb.Error as error:
            raise failure(error, self._path, portal=portal, dataset=dataset) from error
        except ValueError as error:
            raise WarehouseError(str(error), portal=portal, dataset=dataset) from error
        except RuntimeError as error:
            # This is how DuckDB reports Ctrl-C.
            if "interrupted" in str(error):
                raise KeyboardInterrupt from error
            raise

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of the block or nothing of it."""
        self._connection.begin()
        try:
            yield
            self._connection.commit()
        except BaseException:  # Ctrl-C as well: nothing of it may stay.
            self.undone += 1
            # DuckDB has already rolled back by itself what failed at the commit.
            with suppress(duckdb.Error):
                self._connection.rollback()
            raise

    def rooms(self, *, small: bool = False) -> Iterator[AbstractContextManager[object]]:
        """Attempts at one piece of work, each with more memory than the one before.

        The caller leaves the loop when its work is done; an attempt that ran out of memory is
        passed over in silence, except the last.

        Args:
            small: Whether it is too little for a second thread.
        """
        for memory, threads in _ROOM[:-1]:
            self._room(*(_LITTLE if small and (memory, threads) == _ROOM[0] else (memory, threads)))
            yield _passed_over()
        self._room(*_ROOM[-1])
        yield nullcontext()

    def _room(self, memory: str, threads: int) -> None:
        if self._given != (memory, threads):
            self.run(f"SET memory_limit = '{memory}'; SET threads = {threads}")
            self._given = memory, threads
