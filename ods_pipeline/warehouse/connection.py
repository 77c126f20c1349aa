"""A connection to a DuckDB file: settings, transactions, catalog queries, errors as sentences.

Partitions and the meaning of tables do not belong here.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import duckdb

from ods_pipeline.errors import OUT_OF_FILES, WarehouseError, WarehouseLocked, out_of_files
from ods_pipeline.warehouse.names import literal, quoted
from ods_pipeline.warehouse.protocol import LoadedTable

# Memory and threads for a load, each tried when the one before was too little. The first is enough
# for any number of rows, the others are for hundreds of columns: DuckDB keeps a row group of all of
# them in memory.
_ATTEMPTS = (("112MB", 2), ("200MB", 1), ("400MB", 1), ("1600MB", 1), ("80%", 1))
# Starting a second thread takes longer than loading a small table.
_FOR_SMALL = ("64MB", 1)

_SETTINGS = """
    SET preserve_insertion_order = true;
    SET write_buffer_row_group_count = 1;     -- otherwise 60 columns take twice the memory
    SET disable_parquet_prefetching = true;   -- it holds whole row groups of the file
    SET enable_geoparquet_conversion = false; -- it refuses files that our SQL converts
    SET enable_progress_bar = false; -- it writes to stdout
    PRAGMA disable_optimizer; -- at statements as plain as ours it costs more than it gives
    SET autoinstall_known_extensions = false; -- all that is needed is in the core
    SET autoload_known_extensions = false;
    SET python_enable_replacements = false; -- a table's name must not find a variable of ours
"""
# Asking for each of 5,000 tables takes twice as long as for so many at once.
_COUNTED_AT_ONCE = 200
# Size of the smallest database, which is all that DuckDB writes to make one.
_HEADERS = 12_288
_LAYOUT = (
    "SELECT tags['storage_version'] FROM duckdb_databases() "
    "WHERE database_name = current_database()"
)
_HOLDER = re.compile(r"held in (?P<program>.+?) \(PID (?P<pid>\d+)\)")
_SENTENCES = (
    (
        "No space left on device",
        "the disk that holds {path} is full: free some space and retry",
    ),
    ("File too large", "{path} cannot grow any further: raise the limit on the size of files"),
    ("not a valid DuckDB", "{path} is not a DuckDB database: set ODS_WAREHOUSE to another file"),
    (
        "different configuration",
        "{path} is open in this process already, with other settings: close it and try again",
    ),
    ("Is a directory", "{path} is a folder: set ODS_WAREHOUSE to a file"),
    ("Permission denied", "{path} cannot be written: correct its permissions"),
    ("Cannot open file", "{path} cannot be written: check the folder that it is in"),
)
_NO_MEMORY = re.compile(r"(allocate|pin) block")
_DAMAGED = "Corrupt database file"


def failure(
    error: duckdb.Error | OSError, path: Path, *, portal: str = "", dataset: str = ""
) -> WarehouseError:
    """One sentence for a failure of DuckDB or of the file system: what is wrong and what to do."""
    if out_of_files(error):
        return WarehouseError(OUT_OF_FILES, portal=portal, dataset=dataset)
    if isinstance(error, OSError):
        reason = f"{error.strerror}: {error.filename}"
        return WarehouseError(f"{path} cannot be written ({reason}): check its folder")
    text = str(error)
    if "Could not set lock" in text or "being used by another process" in text:
        holder = _HOLDER.search(text)
        who = f" ({Path(holder['program']).name}, process {holder['pid']})" if holder else ""
        return WarehouseLocked(
            f"the warehouse {path} is in use by another process{who}: close it there and try again",
            portal=portal,
            dataset=dataset,
        )
    if isinstance(error, duckdb.OutOfMemoryException) or _NO_MEMORY.search(text):
        return WarehouseError(
            f"the table takes more memory than {path} can be given on this machine: free some, or "
            "load it where there is more",
            portal=portal,
            dataset=dataset,
        )
    for sign, sentence in _SENTENCES:
        if sign in text:
            return WarehouseError(sentence.format(path=path), portal=portal, dataset=dataset)
    # Without DuckDB's class, such as "IO Error: ", which says nothing to the reader.
    reason = re.sub(r"^[A-Z][\w-]*( [\w-]+)? Error: ", "", text.strip().partition("\n")[0])
    message = f"the warehouse {path} refused: {reason}"
    if _DAMAGED in text:
        message = (
            f"{message}; move the file away and sync again, the lake has everything that was in it"
        )
    return WarehouseError(message, portal=portal, dataset=dataset)


@contextmanager
def _out_of_memory_ignored() -> Iterator[None]:
    """Ignore that DuckDB ran out of memory, in the middle or, in other words, at the commit."""
    with suppress(duckdb.OutOfMemoryException, duckdb.TransactionException):
        yield


def _remove_half_made(path: Path) -> None:
    """Remove a file that an interrupted process began: DuckDB would always refuse it."""
    with suppress(FileNotFoundError, BlockingIOError):
        # Not opened if it is whole: closing a file that this process has locked would unlock it.
        if not path.is_file() or path.stat().st_size >= _HEADERS:
            return
        with path.open("r+b") as file:
            content = file.read()
            if not content or content[8:12] == b"DUCK":
                # Fails where another process is just making the database.
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()


def _require_files() -> None:
    """Fail where no more files may be opened: DuckDB 1.5 would abort the process."""
    with open(os.devnull, "rb"), open(os.devnull, "rb"):
        pass


class Session:
    """An open DuckDB file; no other process can open it until `close`. See `session.Session`."""

    shared = False
    log_order = "rowid"
    log_columns: tuple[str, ...] = ()
    utc_day = "strftime(epoch_ms(epoch_ms({})), '%Y-%m-%d')"

    def __init__(self, path: Path) -> None:
        self._path = path
        self.rollbacks = 0
        self._limits: tuple[str, int] | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _remove_half_made(path)
            _require_files()
            # No `config=`: a second connection of this process would have to repeat it exactly.
            self._connection = duckdb.connect(path)
            self.run(_SETTINGS)
            ((self._database,),) = self.run("SELECT current_database()")
            self._limit(*_ATTEMPTS[0])
        except (OSError, duckdb.Error) as error:
            raise failure(error, path) from error
        self._refuse_if_old()

    def _refuse_if_old(self) -> None:
        """Refuse files in the layout of DuckDB before 1.5: they silently lose every CRS."""
        ((version,),) = self.run(_LAYOUT)
        if tuple(map(int, re.findall(r"\d+", version))) < (1, 5):
            self.close()
            raise WarehouseError(
                f"{self._path} is laid out for DuckDB {version}, which keeps no coordinate "
                "reference systems: move it away, and the next run fills a new one"
            )

    def close(self) -> None:
        """Write everything to the one file and let other processes open it."""
        self._connection.close()

    def run(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Execute a statement with bound values and return its rows."""
        return self._connection.execute(statement, list(values)).fetchall()

    def named(self, *names: str) -> str:
        """The quoted name of a schema, or of a table in it."""
        # With the database: DuckDB refuses a name that is both a database and a schema.
        return ".".join(quoted(name) for name in (self._database, *names))

    def exists(self, schema: str, table: str) -> bool:
        """Whether there is such a table."""
        return self.types(schema, table) is not None

    def count(self, schema: str, table: str) -> int:
        """How many rows a table has."""
        ((rows,),) = self.run(f"SELECT count(*) FROM {self.named(schema, table)}")
        return int(rows)

    def altered(self, schema: str, tables: Mapping[str, LoadedTable]) -> frozenset[str]:
        """The tables that have another number of rows than were loaded."""
        # Not the number in DuckDB's list of tables, which counts rows that were deleted.
        counts: dict[str, int] = {}
        every = [*tables]
        for begin in range(0, len(every), _COUNTED_AT_ONCE):
            names = every[begin : begin + _COUNTED_AT_ONCE]
            each = (
                f"SELECT {number}, count(*) FROM {self.named(schema, name)}"
                for number, name in enumerate(names)
            )
            found = self.run(" UNION ALL ".join(each))
            counts |= {names[number]: int(rows) for number, rows in found}
        return frozenset(name for name, table in tables.items() if counts[name] != table.rows)

    def table_comment(self, schema: str, table: str) -> str | None:
        """The comment of a table, empty if it has none; None if there is no such table."""
        found = dict(self._list("tables", "table_name, comment", schema, table))
        return (found[table] or "") if found else None

    def types(self, schema: str, table: str) -> dict[str, str] | None:
        """Type of each column of a table, in order; None if there is no such table."""
        # Not from the list of tables, which DuckDB reads from end to end each time; and not by
        # DESCRIBE, which takes the name of a missing table that ends in `.csv` for a file.
        try:
            found = self.run(
                f"SELECT name, type FROM pragma_table_info({literal(self.named(schema, table))})"
            )
        except duckdb.CatalogException:
            return None
        return dict(found)

    def column_comments(self, schema: str, table: str) -> dict[str, str]:
        """The comments of a table's columns that have one.

        Slow where there are thousands of tables: DuckDB reads the columns of all of them.
        """
        found = self._list("columns", "column_name, comment", schema, table)
        return {name: comment for name, comment in found if comment is not None}

    def table_comments(self, schema: str) -> dict[str, str]:
        """The comment of every table of a schema, empty for those that have none."""
        found = self._list("tables", "table_name, comment", schema)
        return {table: comment or "" for table, comment in found}

    def make_schema(self, schema: str) -> None:
        """Make a schema if there is none."""
        self.run(f"CREATE SCHEMA IF NOT EXISTS {self.named(schema)}")

    def add_columns(self, schema: str, table: str, columns: Sequence[str]) -> None:
        """Add the columns of these definitions that a table lacks, if there is such a table."""
        for column in columns:
            added = f"ADD COLUMN IF NOT EXISTS {column}"
            self.run(f"ALTER TABLE IF EXISTS {self.named(schema, table)} {added}")

    def rename(self, schema: str, table: str, name: str) -> None:
        """Give a table another name."""
        # DuckDB refuses where it has indexes; a load drops them as well.
        for (index,) in self._list("indexes", "index_name", schema, table):
            self.run(f"DROP INDEX {self.named(schema, index)}")
        self.run(f"ALTER TABLE {self.named(schema, table)} RENAME TO {quoted(name)}")

    def drop(self, schema: str, table: str) -> None:
        """Drop a table."""
        self.run(f"DROP TABLE {self.named(schema, table)}")

    def _list(self, kind: str, columns: str, schema: str, table: str = "") -> list[tuple[Any, ...]]:
        """What DuckDB lists of a schema, or of one table in it."""
        query = (
            f"SELECT {columns} FROM duckdb_{kind}() "
            "WHERE database_name = current_database() AND schema_name = ?"
        )
        if not table:
            return self.run(query, schema)
        return self.run(f"{query} AND table_name = ?", schema, table)

    @contextmanager
    def failures(self, portal: str = "", dataset: str = "") -> Iterator[None]:
        """Turn errors of DuckDB into one sentence about a portal's dataset."""
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
        """Keep all changes of the block, or none where it raises."""
        self._connection.begin()
        try:
            yield
            self._connection.commit()
        except BaseException:  # Ctrl-C as well.
            self.rollbacks += 1
            # DuckDB has already rolled back where the commit failed.
            with suppress(duckdb.Error):
                self._connection.rollback()
            raise

    def memory_attempts(self, *, small: bool = False) -> Iterator[AbstractContextManager[object]]:
        """Attempts at a load, each with more memory than the one before.

        The caller leaves the loop when the load is done. Every attempt but the last ignores that it
        ran out of memory. A small load gets a single thread.
        """
        first, *more, last = _ATTEMPTS
        for attempt in (_FOR_SMALL if small else first, *more):
            self._limit(*attempt)
            yield _out_of_memory_ignored()
        self._limit(*last)
        yield nullcontext()

    def _limit(self, memory: str, threads: int) -> None:
        if self._limits != (memory, threads):
            self.run(f"SET memory_limit = '{memory}'; SET threads = {threads}")
            self._limits = memory, threads
