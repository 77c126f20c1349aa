"""A connection to PostgreSQL: settings, transactions, catalog queries, locks that are waited for.

Partitions and the meaning of tables do not belong here.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from ods_pipeline.errors import WarehouseError
from ods_pipeline.state.postgres import Address, lock_number, psycopg
from ods_pipeline.warehouse.names import LONGEST, quoted, short
from ods_pipeline.warehouse.postgres.failures import failure, unopened
from ods_pipeline.warehouse.protocol import LoadedTable

if TYPE_CHECKING:
    import psycopg as driver

# Names in our statements are complete; with a path, names in the path would come first.
_SETTINGS = """
    SET search_path = ''; SET TimeZone = 'UTC'; SET client_min_messages = error;
    SET standard_conforming_strings = on; SET statement_timeout = 0;
    SET idle_in_transaction_session_timeout = 0;
    SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED
"""
# While a lock is waited for, all who come later wait behind: so briefly, and again and again.
_LOCK_TIMEOUT, _FIRST_PAUSE, _LONGEST_PAUSE = "40ms", 0.05, 1.0
#: Seconds to wait for those who read a table, and for another process that loads it.
PATIENCE, PATIENCE_WITH_LOADS = 60.0, 600.0

# What has columns, and is asked for by name.
_RELATIONS = "('r', 'p', 'v', 'm', 'f')"
_OF_TABLE = """
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
"""

# What the server knows of each table's part without a look at its rows. The part is new with each
# load, so what the server counted is what was written to it since then and by the load itself.
_PARTS = f"""
    SELECT c.relname, c.relkind = 'p', count(p.oid)::int,
        coalesce(bool_or(CASE WHEN p.relpages = 0 THEN pg_catalog.pg_relation_size(p.oid) = 0 END),
            false),
        coalesce(sum(pg_catalog.pg_stat_get_tuples_inserted(p.oid)), 0)::bigint,
        coalesce(sum(pg_catalog.pg_stat_get_tuples_updated(p.oid)
            + pg_catalog.pg_stat_get_tuples_deleted(p.oid)), 0) > 0
    {_OF_TABLE} LEFT JOIN pg_catalog.pg_inherits i ON i.inhparent = c.oid
        LEFT JOIN pg_catalog.pg_class p ON p.oid = i.inhrelid
    WHERE n.nspname = ? AND c.relkind IN ('r', 'p') AND NOT c.relispartition {{}}
    GROUP BY c.oid, c.relname, c.relkind
"""


class Session:
    """A connection, made again where it was lost between two transactions. See `session.Session`.

    Attributes:
        rollbacks: How many transactions were rolled back.
        where: Host and database, for messages.
        patience: Seconds to wait for those who read a table that is to be replaced.
    """

    shared = True
    log_order = "entry"
    log_columns: tuple[str, ...] = ("entry BIGINT GENERATED ALWAYS AS IDENTITY",)
    utc_day = "to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD')"

    def __init__(self, address: Address, patience: float = PATIENCE) -> None:
        self._address, self.where, self.patience = address, address.where, patience
        self.rollbacks = 0
        self._open: driver.Connection[tuple[Any, ...]] | None = None
        self.connection  # noqa: B018 - a server that cannot be reached is told at once

    def __repr__(self) -> str:
        """The place alone."""
        return f"Session({self.where!r})"

    @property
    def connection(self) -> driver.Connection[tuple[Any, ...]]:
        """The connection, made where there is none that works."""
        if self._open is None or self._open.closed:
            self._open = self._connected()
        return self._open

    def _connected(self) -> driver.Connection[tuple[Any, ...]]:
        library, problem = psycopg(), None
        try:
            made: driver.Connection[tuple[Any, ...]] = library.connect(
                **self._address.parameters, autocommit=True
            )
            made.execute(_SETTINGS)
            return made
        except library.Error as error:
            problem = unopened(error, self.where)
        # Not as its cause or context: the error holds the password.
        raise problem

    def close(self) -> None:
        """Give the connection back."""
        if self._open is not None:
            self._open.close()

    def run(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Execute a statement, with a `?` for each bound value, and return its rows."""
        if values:
            text = statement.replace("%", "%%").replace("?", "%s")
            # It has no NUL in any text: with another sign there, nothing is found by it either.
            bound = [v.replace("\0", "\ufffd") if isinstance(v, str) else v for v in values]
            cursor = self.connection.execute(text.encode(), bound)
        else:
            cursor = self.connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []

    def named(self, *names: str) -> str:
        """The quoted name of a schema, or of a table in it.

        Raises:
            ValueError: PostgreSQL would cut it.
        """
        for name in names:
            if len(name.encode()) > LONGEST:
                raise ValueError(f"{short(name)!r} cannot be an SQL identifier of {LONGEST} bytes")
        return ".".join(quoted(name) for name in names)

    def oid(self, schema: str, table: str) -> int | None:
        """The number of a table, which it keeps when it is renamed; None if there is none."""
        found = self.run(
            f"SELECT c.oid::bigint {_OF_TABLE} WHERE n.nspname = ? AND c.relname = ? "
            f"AND c.relkind IN {_RELATIONS}",
            *(schema, table),
        )
        return int(found[0][0]) if found else None

    def exists(self, schema: str, table: str) -> bool:
        """Whether there is such a table."""
        return self.oid(schema, table) is not None

    def count(self, schema: str, table: str) -> int:
        """How many rows a table has."""
        ((rows,),) = self.run(f"SELECT count(*) FROM {self.named(schema, table)}")
        return int(rows)

    def altered(self, schema: str, tables: Mapping[str, LoadedTable]) -> frozenset[str]:
        """The tables that have another part than a load makes, or whose part somebody wrote to."""
        # One alone is looked for by its name.
        only = "AND c.relname = ?" if len(tables) == 1 else ""
        found = self.run(_PARTS.format(only), schema, *(tables if only else ()))
        sound = {
            name: divided
            and parts == 1
            and not ((emptied and tables[name].rows) or written)
            and added <= tables[name].rows
            for name, divided, parts, emptied, added, written in found
            if name in tables
        }
        return frozenset(name for name in tables if not sound.get(name))

    def exact_types(self, schema: str, table: str) -> dict[str, str] | None:
        """Type of each column of a table, in order, with the dimensions of geometries."""
        number = self.oid(schema, table)
        if number is None:
            return None
        found = self.run(
            "SELECT attname, pg_catalog.format_type(atttypid, atttypmod) "
            "FROM pg_catalog.pg_attribute "
            "WHERE attrelid = ? AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            number,
        )
        return {name: re.sub(r"^.*\bgeometry\b", "geometry", kind) for name, kind in found}

    def types(self, schema: str, table: str) -> dict[str, str] | None:
        """Type of each column of a table, in order; None if there is no such table."""
        found = self.exact_types(schema, table)
        return None if found is None else {name: plain(kind) for name, kind in found.items()}

    def table_comment(self, schema: str, table: str) -> str | None:
        """The comment of a table, empty if it has none; None if there is no such table."""
        number = self.oid(schema, table)
        if number is None:
            return None
        ((comment,),) = self.run("SELECT pg_catalog.obj_description(?, 'pg_class')", number)
        return str(comment or "")

    def column_comments(self, schema: str, table: str) -> dict[str, str]:
        """The comments of a table's columns that have one."""
        found = self.run(
            "SELECT a.attname, pg_catalog.col_description(c.oid, a.attnum) "
            f"{_OF_TABLE} JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid "
            "WHERE n.nspname = ? AND c.relname = ? AND a.attnum > 0 AND NOT a.attisdropped",
            *(schema, table),
        )
        return {name: comment for name, comment in found if comment is not None}

    def table_comments(self, schema: str) -> dict[str, str]:
        """The comment of every table of a schema that is no part of another."""
        found = self.run(
            f"SELECT c.relname, pg_catalog.obj_description(c.oid, 'pg_class') {_OF_TABLE} "
            "WHERE n.nspname = ? AND c.relkind IN ('r', 'p') AND NOT c.relispartition",
            schema,
        )
        return {table: comment or "" for table, comment in found}

    def make_schema(self, schema: str) -> None:
        """Make a schema if there is none, which may need a right that loading into it does not.

        Raises:
            WarehouseError: It may not be made.
        """
        if self.run("SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = ?", schema):
            return
        self.require_right_to_make(schema)
        # Two that make it at once: the second waits here, and finds it.
        self.run("SELECT pg_catalog.pg_advisory_xact_lock(?)", lock_number("schema", schema))
        self.run(f"CREATE SCHEMA IF NOT EXISTS {self.named(schema)}")

    def require_right_to_make(self, schema: str) -> None:
        """See that a schema that is not there could be made.

        Raises:
            WarehouseError: It may not.
        """
        ((user, database, may),) = self.run(
            "SELECT current_user, current_database(), "
            "pg_catalog.has_database_privilege(current_database(), 'CREATE')"
        )
        if not may:
            raise WarehouseError(
                f"the schema {schema} is not there, and {user} may not make it: have the owner of "
                f"the database {database} run CREATE SCHEMA {quoted(schema)} AUTHORIZATION "
                f"{quoted(user)}"
            )

    def add_columns(self, schema: str, table: str, columns: Sequence[str]) -> None:
        """Add the columns of these definitions that a table lacks, if there is such a table."""
        there = self.types(schema, table)
        for column in columns if there is not None else ():
            # Looked for first: the statement would lock the table even where it does nothing.
            if column.split()[0] not in (there or {}):
                self.run(f"ALTER TABLE {self.named(schema, table)} ADD COLUMN {column}")

    def rename(self, schema: str, table: str, name: str) -> None:
        """Give a table another name; views and indexes follow it by themselves."""
        old = self.named(schema, table)
        self.patiently(lambda: self.run(f"ALTER TABLE {old} RENAME TO {self.named(name)}"), table)

    def drop(self, schema: str, table: str) -> None:
        """Drop a table."""
        name = self.named(schema, table)
        self.patiently(lambda: self.run(f"DROP TABLE {name}"), table)

    def patiently(self, step: Callable[[], object], table: str) -> None:
        """Do what nobody may read a table during; to be called in a transaction.

        Raises:
            WarehouseError: Somebody read it all the time.
        """
        errors = psycopg().errors
        end, pause = time.monotonic() + self.patience, _FIRST_PAUSE
        while True:
            with suppress(errors.LockNotAvailable, errors.DeadlockDetected):
                with self.connection.transaction():
                    self.run(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
                    step()
                    self.run("SET LOCAL lock_timeout = 0")
                return
            if time.monotonic() >= end:
                raise WarehouseError(
                    f"the table {short(table)} was read for {self.patience:g} s without a pause, "
                    "so that it could not be replaced: it stays as it was, and the next run loads "
                    "it"
                )
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    @contextmanager
    def alone(self, schema: str, table: str) -> Iterator[None]:
        """Keep other loads of a table waiting; the lock ends with the connection.

        Raises:
            WarehouseError: Another one had it for long.
        """
        number, pause = lock_number(schema, table), _FIRST_PAUSE
        end = time.monotonic() + PATIENCE_WITH_LOADS
        while self.run("SELECT pg_catalog.pg_try_advisory_lock(?)", number) != [(True,)]:
            if time.monotonic() >= end:
                raise WarehouseError(
                    f"another process has been loading the table {short(table)} for "
                    f"{PATIENCE_WITH_LOADS:g} s: the next run loads it"
                )
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        held = self._open
        try:
            yield
        finally:
            # Not on another connection, where there is no such lock.
            if held is self._open and held is not None and not held.closed:
                self.run("SELECT pg_catalog.pg_advisory_unlock(?)", number)

    @contextmanager
    def failures(self, portal: str = "", dataset: str = "") -> Iterator[None]:
        """Turn errors of PostgreSQL into one sentence about a portal's dataset."""
        try:
            yield
        except psycopg().Error as error:
            connected = self._open is not None and not self._open.closed
            raise failure(
                error, self.where, portal=portal, dataset=dataset, connected=connected
            ) from None
        except ValueError as error:
            raise WarehouseError(str(error), portal=portal, dataset=dataset) from error

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Keep all changes of the block, or none where it raises."""
        try:
            with self.connection.transaction():
                yield
        except BaseException:  # Ctrl-C as well.
            self.rollbacks += 1
            raise


def plain(kind: str) -> str:
    """A type without the dimensions of a geometry, which values have and fields do not."""
    return re.sub(r"^geometry\(Geometry(Z|M|ZM)?(,|\))", r"geometry(Geometry\2", kind)
