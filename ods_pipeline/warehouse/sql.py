"""DuckDB's SQL for a landed partition, as text: nothing here is connected to a database.

Identifiers are quoted and comments written as literals, since SQL can bind neither.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ods_pipeline.warehouse.landed import Column, Partition
from ods_pipeline.warehouse.names import literal, quoted
from ods_pipeline.warehouse.table_state import Shape

_LOADS_COLUMNS = """
    loaded_at TIMESTAMP WITH TIME ZONE, "table" VARCHAR, dataset_id VARCHAR, rows BIGINT,
    verdict VARCHAR, action VARCHAR, content_hash VARCHAR, data_processed VARCHAR,
    change VARCHAR, seconds DOUBLE, version VARCHAR, dataset_uid VARCHAR
"""
# What a line says was not done says nothing of what stands in the table.
_STANDS = "action <> 'quarantined'"
_TOLD = '"table", dataset_id, content_hash, rows, version, dataset_uid'


def rows_of(partition: Partition) -> str:
    """The query that reads the file as the table should be."""
    # Columns are matched by position: DuckDB renames those that differ by case alone its own way.
    aliases = ", ".join(f"c{place}" for place in range(len(partition.columns)))
    columns = ", ".join(
        f"{_value(f'c{place}', column)} AS {quoted(column.name)}"
        for place, column in enumerate(partition.columns)
    )
    # A path is a pattern to read_parquet, and `key=value` folders in it would become columns.
    pattern = literal(re.sub(r"([\[*?])", r"[\1]", str(partition.path.absolute())))
    source = f"read_parquet({pattern}, hive_partitioning = false)"
    return f"SELECT {columns} FROM {source} AS file({aliases})"


def _value(alias: str, column: Column) -> str:
    if not column.geometry:
        return alias
    geometry = f"ST_GeomFromWKB({alias})"
    return f"ST_SetCRS({geometry}, {literal(column.crs)})" if column.crs else geometry


def create_loads(loads: str) -> str:
    """The statement that makes a portal's record of loads.

    Args:
        loads: The table, quoted, with its schema and database.
    """
    return f"CREATE TABLE IF NOT EXISTS {loads} ({_LOADS_COLUMNS})"


def complete_loads(loads: str) -> str:
    """The statement that adds to an older record the column that it lacks, if there is one."""
    return f"ALTER TABLE IF EXISTS {loads} ADD COLUMN IF NOT EXISTS dataset_uid VARCHAR"


def record_load(loads: str) -> str:
    """The statement that adds a load, all but its time bound in the order of the columns."""
    return f"INSERT INTO {loads} VALUES (now(), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


def note_version(loads: str) -> str:
    """The statement that gives what stands in a table another version.

    For descriptions that no comment shows, so that the table is not looked at again. Version,
    dataset's identity and table are bound.
    """
    newest = f'SELECT max(rowid) FROM {loads} WHERE "table" = ? AND {_STANDS}'
    known = "version = ?, dataset_uid = coalesce(?, dataset_uid)"
    return f"UPDATE {loads} SET {known} WHERE rowid = ({newest})"


def move_loads(loads: str) -> str:
    """The statement that lets a table's lines name another one; new and old name are bound."""
    return f'UPDATE {loads} SET "table" = ? WHERE "table" = ?'


def last_line(loads: str) -> str:
    """The query for action and version of the last line on a table, which is bound."""
    return f'SELECT action, version FROM {loads} WHERE "table" = ? ORDER BY rowid DESC LIMIT 1'


def newest_loads(loads: str) -> str:
    """The query for the newest load of every table, existing or not; gives what `loads_of` does.

    Args:
        loads: The record of loads, quoted, with its schema and database.
    """
    return (
        f"SELECT {_TOLD} FROM {loads} AS loads WHERE {_STANDS} "
        # Not by loaded_at: a clock can be set back.
        'QUALIFY row_number() OVER (PARTITION BY "table" ORDER BY loads.rowid DESC) = 1'
    )


def loads_of(loads: str) -> str:
    """The query for the loads of the tables of one name in any case, the newest last.

    Gives table, dataset, content hash, rows, version and the dataset's identity, whether the
    tables exist or not.
    """
    return (
        f"SELECT {_TOLD} FROM {loads} AS loads "
        f'WHERE lower("table") = lower(?) AND {_STANDS} ORDER BY loads.rowid'
    )


def comments(table: str, before: Shape | None, wanted: Shape) -> Iterator[str]:
    """The statements that give a table and its columns the comments that they lack.

    Args:
        table: The table, quoted, with its schema and database.
        before: The table as it is, None for one that has just been made.
        wanted: The table as it should be.
    """
    if wanted.comment != (before.comment if before else ""):
        yield comment(table, wanted.comment)
    for name in wanted.types:
        text = wanted.comments.get(name, "")
        if text != (before.comments.get(name, "") if before else ""):
            yield f"COMMENT ON COLUMN {table}.{quoted(name)} IS {_comment(text)}"


def comment(table: str, text: str) -> str:
    """The statement that gives a table a comment, or takes it away where the text is empty."""
    return f"COMMENT ON TABLE {table} IS {_comment(text)}"


def _comment(text: str) -> str:
    return literal(text) if text else "NULL"
