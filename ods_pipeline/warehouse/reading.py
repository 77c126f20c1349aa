"""Rows of the warehouse's tables, and of landed files as tables, as relations of DuckDB.

Nothing is written. A relation holds its connection and with it the file that it reads, which no
process can load into until the relation is dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb

from ods_pipeline.errors import WarehouseLocked
from ods_pipeline.lake.bucket import LakePath
from ods_pipeline.warehouse.connection import failure
from ods_pipeline.warehouse.fill import rows_query
from ods_pipeline.warehouse.landed import read_partition
from ods_pipeline.warehouse.names import quoted

# Else times would be those of the machine's own zone.
_SETTINGS = "SET TimeZone = 'UTC'; SET enable_progress_bar = false"


def connect_to_read(path: Path) -> duckdb.DuckDBPyConnection:
    """Open a warehouse for reading only; other readers can open it as well.

    Raises:
        WarehouseLocked: It is open for writing, by another process or by this one.
        WarehouseError: It does not exist, or cannot be opened for any other reason.
    """
    try:
        connection = duckdb.connect(path, read_only=True)
        connection.execute(_SETTINGS)
    except duckdb.ConnectionException as error:
        raise WarehouseLocked(
            f"the warehouse {path} is open for writing in this process: close it and try again"
        ) from error
    except duckdb.Error as error:
        raise failure(error, path) from error
    return connection


def tables_in(connection: duckdb.DuckDBPyConnection, schema: str) -> frozenset[str]:
    """The names of a schema's tables; none if there is no such schema."""
    found = connection.execute(
        "SELECT table_name FROM duckdb_tables() "
        "WHERE database_name = current_database() AND schema_name = ?",
        [schema],
    ).fetchall()
    return frozenset(name for (name,) in found)


def rows_of_table(
    connection: duckdb.DuckDBPyConnection, schema: str, table: str
) -> duckdb.DuckDBPyRelation:
    """The rows of a table."""
    # With the database: DuckDB refuses a name that is both a database and a schema.
    ((database,),) = connection.execute("SELECT current_database()").fetchall()
    return connection.sql(f"SELECT * FROM {quoted(database)}.{quoted(schema)}.{quoted(table)}")


def connect_to_files() -> duckdb.DuckDBPyConnection:
    """A connection of its own for landed files, without a database."""
    connection = duckdb.connect()
    # Our SQL converts geometries, with their CRS, as for the warehouse.
    connection.execute(f"{_SETTINGS}; SET enable_geoparquet_conversion = false")
    return connection


def rows_of_file(connection: duckdb.DuckDBPyConnection, path: LakePath) -> duckdb.DuckDBPyRelation:
    """The rows of a landed file as its table has them: the same names and types.

    Raises:
        WarehouseError: It is not a landed partition, or incomplete.
    """
    return connection.sql(rows_query(read_partition(path)))


def one_after_the_other(
    connection: duckdb.DuckDBPyConnection, relations: Sequence[duckdb.DuckDBPyRelation]
) -> duckdb.DuckDBPyRelation:
    """The rows of several relations of a connection, their columns matched by name."""
    if len(relations) == 1:
        return relations[0]
    return connection.sql(" UNION ALL BY NAME ".join(f"({item.sql_query()})" for item in relations))


def without_geometries(relation: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    """The same rows with geometries as bytes of WKB, for readers who know no geometries."""
    replaced = ", ".join(
        f"ST_AsWKB({quoted(name)}) AS {quoted(name)}"
        for name, kind in zip(relation.columns, relation.types, strict=True)
        if str(kind).startswith("GEOMETRY")
    )
    return relation.project(f"* REPLACE ({replaced})") if replaced else relation
