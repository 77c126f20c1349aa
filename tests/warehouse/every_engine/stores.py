"""Each engine's database as its users read it: in SQL that all of them know, and in a few words.

Nothing of the product is used to read; a store opens the product's warehouse on request.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import duckdb
import psycopg
import pyarrow as pa
from psycopg import sql
from pyiceberg.catalog import Catalog, load_catalog

from ods_pipeline.warehouse import Warehouse, open_warehouse
from ods_pipeline.warehouse.names import AS_IS, TableNames
from tests.warehouse.partitions import SCHEMA

Rows = list[tuple[Any, ...]]


class Store(ABC):
    """An empty database.

    Attributes:
        url: Its URL.
        order: Column of the load log that tells which entry came first.
        types: What the engine calls the types of the lake.
        takes_any_name: Whether tables can have names of other than small letters.
        reads_geometries: Whether it knows what a geometry is, and refuses bytes that are none.
        milliseconds: SQL for a moment or a date as milliseconds since 1970.
    """

    order: str
    milliseconds: str
    types: Mapping[str, str]
    reads_geometries = True
    takes_any_name = True

    def __init__(self, url: str) -> None:
        self.url = url

    def open(self, names: TableNames = AS_IS) -> Warehouse:
        """The product's warehouse."""
        return open_warehouse(self.url, names=names)

    @abstractmethod
    def ask(self, query: str) -> Rows:
        """The answer over a connection of one's own."""

    @abstractmethod
    def tables(self, schema: str = SCHEMA) -> list[str]:
        """The tables that a person sees in a schema, without those of the warehouse itself."""

    @abstractmethod
    def comment(self, table: str) -> str | None:
        """What is said of a table."""

    @abstractmethod
    def column_comments(self, table: str) -> list[str | None]:
        """What is said of each column, in order."""

    @abstractmethod
    def columns(self, table: str, schema: str = SCHEMA) -> dict[str, str]:
        """Name and type of each column, in order."""

    @abstractmethod
    def wkb(self, table: str, column: str) -> list[bytes | None]:
        """The geometries of a column as ISO WKB, as they lie in the table."""

    def marked(self, table: str, column: str) -> Callable[[str], bool]:
        """Mark the rows of a table, and tell whether a table has them still."""
        text = "a mark that a load would wipe out"
        self.ask(f"UPDATE {_quoted(table)} SET {column} = '{text}'")
        return lambda now: self.ask(f"SELECT DISTINCT {column} FROM {_quoted(now)}") == [(text,)]

    def rows(self, table: str, columns: str = "*") -> Rows:
        """The rows of a table."""
        return self.ask(f'SELECT {columns} FROM "{SCHEMA}"."{table}"')

    def history(self, columns: str) -> Rows:
        """The load log, the earliest entry first."""
        return self.ask(f'SELECT {columns} FROM "{SCHEMA}"._loads ORDER BY {self.order}')


class DuckDB(Store):
    """A file."""

    order = "rowid"
    milliseconds = "epoch_ms({})"
    types = {  # noqa: RUF012 - the same for all of them
        **{"text": "VARCHAR", "list": "VARCHAR[]", "int": "BIGINT", "double": "DOUBLE"},
        **{"date": "DATE", "datetime": "TIMESTAMP WITH TIME ZONE", "boolean": "BOOLEAN"},
        **{"bytes": "BLOB", "geometry": "GEOMETRY('OGC:CRS84')"},
    }

    def ask(self, query: str) -> Rows:
        with duckdb.connect(self.url.removeprefix("duckdb:///")) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            return connection.execute(query).fetchall()

    def tables(self, schema: str = SCHEMA) -> list[str]:
        found = self.ask(f"SELECT table_name FROM duckdb_tables() WHERE schema_name = '{schema}'")
        return sorted(name for (name,) in found if not name.startswith("_"))

    def comment(self, table: str) -> str | None:
        query = f"SELECT comment FROM duckdb_tables() WHERE table_name = '{table}'"
        return self.ask(query)[0][0]

    def column_comments(self, table: str) -> list[str | None]:
        query = f"SELECT comment FROM duckdb_columns() WHERE table_name = '{table}'"
        return [text for (text,) in self.ask(query)]

    def columns(self, table: str, schema: str = SCHEMA) -> dict[str, str]:
        return {name: kind for name, kind, *_ in self.ask(f'DESCRIBE "{schema}"."{table}"')}

    def wkb(self, table: str, column: str) -> list[bytes | None]:
        return [value for (value,) in self.rows(table, f'ST_AsWKB("{column}")')]


class PostgreSQL(Store):
    """A database of a server."""

    order = "entry"
    milliseconds = "(extract(epoch FROM {}) * 1000)::bigint"
    types = {  # noqa: RUF012 - the same for all of them
        **{"text": "text", "list": "text[]", "int": "bigint", "double": "double precision"},
        **{"date": "date", "datetime": "timestamp with time zone", "boolean": "boolean"},
        **{"bytes": "bytea", "geometry": "gis.geometry(Geometry,4326)"},
    }

    def ask(self, query: str) -> Rows:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            cursor = connection.execute(sql.SQL(query))  # type: ignore[arg-type]
            rows = cursor.fetchall() if cursor.description else []
            # Else the server counts what was written a moment later, when the connection is gone.
            connection.execute("SELECT pg_catalog.pg_stat_force_next_flush()")
            return rows

    def tables(self, schema: str = SCHEMA) -> list[str]:
        found = self.ask(
            "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition "
            f"AND relnamespace = '\"{schema}\"'::regnamespace"
        )
        return sorted(name for (name,) in found if not name.startswith("_"))

    def comment(self, table: str) -> str | None:
        return self.ask(f"SELECT obj_description('{_quoted(table)}'::regclass, 'pg_class')")[0][0]

    def column_comments(self, table: str) -> list[str | None]:
        found = self.ask(f"SELECT col_description(attrelid, attnum) {_columns(table, SCHEMA)}")
        return [text for (text,) in found]

    def columns(self, table: str, schema: str = SCHEMA) -> dict[str, str]:
        kinds = f"SELECT attname, format_type(atttypid, atttypmod) {_columns(table, schema)}"
        return dict(self.ask(kinds))

    def marked(self, table: str, column: str) -> Callable[[str], bool]:
        def part(name: str) -> Rows:
            whole = f"'{_quoted(name)}'::regclass"
            return self.ask(f"SELECT inhrelid::bigint FROM pg_inherits WHERE inhparent = {whole}")

        # A change of the rows would be noticed.
        before = part(table)
        return lambda now: part(now) == before

    def wkb(self, table: str, column: str) -> list[bytes | None]:
        found = self.rows(table, f'gis.ST_AsBinary("{column}")')
        return [None if value is None else bytes(value) for (value,) in found]


class Iceberg(Store):
    """A catalog, asked in the words of DuckDB over copies of its tables.

    What those statements change goes back into the table, as another engine would write it.
    """

    order = "entry"
    milliseconds = "epoch_ms({})"
    types = {  # noqa: RUF012 - the same for all of them
        **{"text": "string", "list": "list<string>", "int": "long", "double": "double"},
        **{"date": "date", "datetime": "timestamptz", "boolean": "boolean"},
        **{"bytes": "binary", "geometry": "binary"},
    }
    reads_geometries = False

    def __init__(self, name: str, properties: Mapping[str, str], query: str = "") -> None:
        super().__init__(f"iceberg:{name}{query}")
        self.own, self.takes_any_name = ("ods_", False) if query else ("_", True)
        self.catalog: Catalog = load_catalog(name, **properties)

    def ask(self, query: str) -> Rows:
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            for space in self.catalog.list_namespaces():
                connection.execute(f'CREATE SCHEMA "{space[0]}"')
                for key in self.catalog.list_tables(space):
                    copy = self.catalog.load_table(key).scan().to_arrow()
                    connection.register("copy", copy)
                    name = re.sub(f"^{self.own}", "_", key[1])
                    connection.execute(f'CREATE TABLE "{key[0]}"."{name}" AS FROM copy')
            answer = connection.execute(query).fetchall()
            for schema, table in _named(query) if not query.startswith("SELECT") else []:
                self._keep(connection, query, schema, table)
            return answer

    def _keep(
        self, connection: duckdb.DuckDBPyConnection, query: str, schema: str, table: str
    ) -> None:
        key = (schema, re.sub("^_", self.own, table))
        if query.startswith("DROP"):
            self.catalog.drop_table(key)
            return
        found = self.catalog.load_table(key)
        if query.startswith("COMMENT"):
            text = query.partition(" IS ")[2].strip("'")
            with found.transaction() as change:
                change.set_properties({"comment": text})
            return
        rows = connection.sql(f'FROM "{schema}"."{table}"').to_arrow_table()
        before = found.scan().to_arrow()
        write = found.overwrite if len(before) else found.append
        write(rows.cast(before.schema))

    def tables(self, schema: str = SCHEMA) -> list[str]:
        names = [name for *_, name in self.catalog.list_tables((schema,))]
        return sorted(name for name in names if not name.startswith(self.own))

    def comment(self, table: str) -> str | None:
        return self.catalog.load_table((SCHEMA, table)).properties.get("comment")

    def column_comments(self, table: str) -> list[str | None]:
        return [field.doc for field in self.catalog.load_table((SCHEMA, table)).schema().fields]

    def columns(self, table: str, schema: str = SCHEMA) -> dict[str, str]:
        fields = self.catalog.load_table((schema, table)).schema().fields
        return {field.name: re.sub(r"\d+: ", "", str(field.field_type)) for field in fields}

    def marked(self, table: str, column: str) -> Callable[[str], bool]:
        def head(name: str) -> object:
            return self.catalog.load_table((SCHEMA, name)).current_snapshot()

        # A change of the rows would be noticed.
        before = head(table)
        return lambda now: head(now) == before

    def wkb(self, table: str, column: str) -> list[bytes | None]:
        values: pa.ChunkedArray = self.catalog.load_table((SCHEMA, table)).scan().to_arrow()[column]
        return values.to_pylist()


def _named(statement: str) -> list[tuple[str, str]]:
    """The tables that a statement names."""
    found = re.findall(r'"([^"]+)"\."?([^" ]+)"?', statement)
    return [(schema, table) for schema, table in found]


def _quoted(table: str, schema: str = SCHEMA) -> str:
    return f'"{schema}"."{table}"'


def _columns(table: str, schema: str) -> str:
    return (
        f"FROM pg_attribute WHERE attrelid = '{_quoted(table, schema)}'::regclass "
        "AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
    )
