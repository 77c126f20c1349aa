"""Makes a table from a landed file in one transaction: rows proven, swapped in, logged.

Whether a table has to be made is not decided here.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import duckdb

from ods_pipeline.warehouse.comments import write_comments
from ods_pipeline.warehouse.connection import Session
from ods_pipeline.warehouse.landed import Column, Partition, refused, require_intact
from ods_pipeline.warehouse.load_log import LoadLog, LogEntry, timed
from ods_pipeline.warehouse.names import STAGING, literal, quoted
from ods_pipeline.warehouse.table_state import TableState

# Starting a thread takes longer than checking a file of this size.
_SMALL = 1 << 20


def fill(
    session: Session,
    log: LoadLog,
    partition: Partition,
    wanted: TableState,
    entry: LogEntry,
    *,
    fresh: bool,
) -> None:
    """Make the table of a file, in place of the existing one unless it is `fresh`; log it.

    Raises:
        WarehouseError: The file is damaged, or does not have the rows that its receipt says.
    """
    started = time.monotonic()
    small = partition.file.stat().st_size <= _SMALL
    with ThreadPoolExecutor(1, "checksum") as pool:
        # Computed beside DuckDB's work, and known to be right before anything is committed.
        check = None if small else pool.submit(require_intact, partition)
        whole = check.result if check else lambda: require_intact(partition)
        for attempt in session.memory_attempts(small=small):
            with attempt, session.transaction():
                log.make_schema()
                table = partition.table
                _create(session, partition, table if fresh else STAGING, whole)
                if not fresh:
                    session.run(f"DROP TABLE IF EXISTS {session.named(partition.schema, table)}")
                    staging = session.named(partition.schema, STAGING)
                    session.run(f"ALTER TABLE {staging} RENAME TO {quoted(table)}")
                write_comments(session, partition.schema, table, None, wanted)
                log.record(timed(entry, started))
                break


def _create(
    session: Session, partition: Partition, table: str, require_whole: Callable[[], None]
) -> None:
    name, expected = session.named(partition.schema, table), partition.receipt.rows
    try:
        ((count,),) = session.run(f"CREATE TABLE {name} AS {rows_query(partition)}")
    except duckdb.Error:
        require_whole()
        raise
    require_whole()
    if count != expected:
        says = f"{count} rows came out of {partition.path}, whose receipt says {expected}"
        raise refused(partition, f"{says}: fetch the dataset again")


def rows_query(partition: Partition) -> str:
    """The query that reads the file as the table should be."""
    # Columns are matched by position: DuckDB renames those that differ by case alone its own way.
    aliases = [f"c{number}" for number in range(len(partition.columns))]
    columns = ", ".join(
        f"{_value(alias, column)} AS {quoted(column.name)}"
        for alias, column in zip(aliases, partition.columns, strict=True)
    )
    # read_parquet takes a path as a pattern, and makes columns of folders called `key=value`.
    pattern = literal(re.sub(r"([\[*?])", r"[\1]", str(partition.file.absolute())))
    source = f"read_parquet({pattern}, hive_partitioning = false)"
    return f"SELECT {columns} FROM {source} AS file({', '.join(aliases)})"


def _value(alias: str, column: Column) -> str:
    if not column.geometry:
        return alias
    geometry = f"ST_GeomFromWKB({alias})"
    return f"ST_SetCRS({geometry}, {literal(column.crs)})" if column.crs else geometry
