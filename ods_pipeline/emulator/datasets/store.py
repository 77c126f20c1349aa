"""Keeps the rows of datasets in an embedded DuckDB, one relation per dataset, and streams them.

What a query means, in ODSQL or as a URL, does not belong here.
"""

from __future__ import annotations

import atexit
import itertools
import os
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import duckdb
import pyarrow as pa

from ods_pipeline.emulator.datasets import geometry

# Stored datetimes are naive UTC. An offset is only computed where the zone is not UTC.
MACROS = """
CREATE MACRO clock_of(t) AS strftime(t, '%Y-%m-%dT%H:%M:%S')
    || CASE WHEN microsecond(t) % 1000000 = 0 THEN '' ELSE strftime(t, '.%f') END;
CREATE MACRO offset_of(m) AS (CASE WHEN m < 0 THEN '-' ELSE '+' END)
    || lpad((abs(m) // 60)::VARCHAR, 2, '0') || ':' || lpad((abs(m) % 60)::VARCHAR, 2, '0');
CREATE MACRO local_of(t, tz) AS timezone(tz, timezone('UTC', t));
CREATE MACRO iso_of(t, tz) AS clock_of(local_of(t, tz))
    || offset_of(date_diff('minute', t, local_of(t, tz)));
CREATE MACRO words_of(s) AS string_split_regex(lower(strip_accents(s)), '[^\\pL\\pN]+');
"""


_NUMBERS = itertools.count()
_ENGINE_LOCK = threading.Lock()


@cache
def _engine(process: int) -> duckdb.DuckDBPyConnection:
    """The engine of a process: a forked child must not use the engine of its parent."""
    engine = duckdb.connect()
    engine.execute("SET TimeZone = 'UTC'")
    engine.execute("SET memory_limit = '1GB'")
    engine.execute(MACROS)
    geometry.register(engine)
    # Release it at the end of the process, or the binding reports a leak on stderr.
    atexit.register(_engine.cache_clear)
    atexit.register(_file_view.cache_clear)
    return engine


@cache
def _file_view(engine: duckdb.DuckDBPyConnection, path: Path, columns: int) -> str:
    """A view that every database of an engine finds; to define it, the file must be read."""
    name = f"memory.main.file{next(_NUMBERS)}"
    names = ", ".join(f"c{i}" for i in range(columns))
    quoted = str(path).replace("'", "''")
    engine.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet('{quoted}') AS t({names})")
    return name


class Store:
    """The tables of one emulator: a database of its own in the engine of the process.

    To start an engine takes a hundred times as long as to attach a database.
    """

    def __init__(self) -> None:
        """Attach an empty database in memory."""
        self._database = f"portal{next(_NUMBERS)}"
        with _ENGINE_LOCK:
            self._engine = _engine(os.getpid())
            self._engine.execute(f"ATTACH ':memory:' AS {self._database}")
        self._connection = self._connected(self._engine)
        self._numbers = itertools.count()
        self._lock = threading.Lock()

    def _connected(self, parent: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
        """A connection that creates and finds tables in this database, and the shared macros."""
        connection = parent.cursor()
        connection.execute(f"SET search_path = '{self._database}.main,memory.main'")
        return connection

    def create_table(self, rows: pa.Table) -> str:
        """A new table with these rows; its name is the relation."""
        name = f"d{next(self._numbers)}"
        with self._lock:
            self._connection.register("incoming", rows)
            self._connection.execute(f"CREATE TABLE {name} AS SELECT * FROM incoming")
            self._connection.unregister("incoming")
        return name

    def create_view(self, select: str) -> str:
        """A view: rows that are computed when read."""
        name = f"d{next(self._numbers)}"
        with self._lock:
            self._connection.execute(f"CREATE VIEW {name} AS {select}")
        return name

    def create_table_as(self, select: str) -> str:
        """A table filled by a query over other relations."""
        name = f"d{next(self._numbers)}"
        with self._lock:
            self._connection.execute(f"CREATE TABLE {name} AS {select}")
        return name

    def view_of_file(self, path: Path, columns: int) -> str:
        """A view over a Parquet file, its columns renamed by position; all stores share it."""
        with _ENGINE_LOCK:
            return _file_view(self._engine, path, columns)

    def batches(self, sql: str, rows: int = 20_000) -> Iterator[pa.RecordBatch]:
        """The rows of a query in order, never all at once; a wrong query fails here."""
        cursor = self._connected(self._connection)
        reader = cursor.sql(sql).to_arrow_reader(rows)
        return _read_batches(cursor, reader)

    def table(self, sql: str) -> pa.Table:
        """The rows of a small query."""
        cursor = self._connected(self._connection)
        try:
            return cursor.sql(sql).to_arrow_table()
        finally:
            cursor.close()

    def number(self, sql: str) -> int:
        """The single number that a query gives."""
        return int(self.table(sql).column(0)[0].as_py())

    def count(self, relation: str) -> int:
        """How many rows a relation has."""
        return self.number(f"SELECT count(*) FROM {relation}")

    def close(self) -> None:
        """Drop all data; a second call does nothing."""
        self._connection.close()
        with _ENGINE_LOCK:
            self._engine.execute(f"DETACH DATABASE IF EXISTS {self._database}")


def _read_batches(
    cursor: duckdb.DuckDBPyConnection, reader: pa.RecordBatchReader
) -> Iterator[pa.RecordBatch]:
    try:
        yield from reader
    finally:
        cursor.close()
