"""The making of a table from a landed file: its rows proven, swapped in, described, recorded.

Each in one transaction or not at all. Whether a table has to be made is `duckdb`'s to say.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import duckdb

from ods_pipeline.errors import WarehouseError
from ods_pipeline.lake.checksum import intact
from ods_pipeline.warehouse import sql
from ods_pipeline.warehouse.connection import Session
from ods_pipeline.warehouse.landed import Partition
from ods_pipeline.warehouse.load_log import Entry, History
from ods_pipeline.warehouse.names import STAGING, quoted
from ods_pipeline.warehouse.table_state import Shape

# A file no larger than this is small: a thread costs more than it gives.
_SMALL = 1 << 20


def fill(
    session: Session,
    history: History,
    partition: Partition,
    wanted: Shape,
    entry: Entry,
    *,
    fresh: bool,
) -> None:
    """Make a table of a file, in place of the one that stands there if there is one.

    Args:
        session: The open warehouse.
        history: The portal's record of loads.
        partition: The file.
        wanted: The table as it should be.
        entry: What is recorded of it, without its time.
        fresh: Whether no table stands there.

    Raises:
        WarehouseError: The file is not as it was sealed, or has not the rows that it says.
    """
    started = time.monotonic()
    small = partition.path.stat().st_size <= _SMALL
    with ThreadPoolExecutor(1, "seal") as beside:
        # The digest lets others work; nothing is committed before it is known to be right.
        seal = None if small else beside.submit(_require_intact, partition)
        require_intact = seal.result if seal else lambda: _require_intact(partition)
        for attempt in session.rooms(small=small):
            with attempt, session.transaction():
                history.make_schema()
                if fresh:
                    _create(session, partition, partition.table, require_intact)
                else:
                    _swap_in(session, partition, require_intact)
                describe(session, partition, None, wanted)
                history.record(timed(entry, started))
                break


def _require_intact(partition: Partition) -> None:
    """DuckDB reads flipped bits as values: the seal is looked at."""
    if not partition.receipt.file_sha256:
        return
    with partition.path.open("rb") as file:
        if not intact(file):
            told = f"{partition.path} is damaged: delete it and sync again"
            raise refused(partition, told)


def _swap_in(session: Session, partition: Partition, require_intact: Callable[[], None]) -> None:
    _create(session, partition, STAGING, require_intact)
    staging = session.named(partition.schema, STAGING)
    session.run(f"DROP TABLE IF EXISTS {session.named(partition.schema, partition.table)}")
    session.run(f"ALTER TABLE {staging} RENAME TO {quoted(partition.table)}")


def _create(
    session: Session, partition: Partition, table: str, require_intact: Callable[[], None]
) -> None:
    made, told = session.named(partition.schema, table), partition.receipt
    try:
        ((count,),) = session.run(f"CREATE TABLE {made} AS {sql.rows_of(partition)}")
    except duckdb.Error:
        require_intact()
        raise
    require_intact()
    if count != told.rows:
        says = f"{count} rows came out of {partition.path}, whose receipt says {told.rows}"
        raise refused(partition, f"{says}: fetch the dataset again")


def describe(session: Session, partition: Partition, before: Shape | None, wanted: Shape) -> None:
    """Give a table and its columns the comments that they should have.

    Args:
        session: The open warehouse.
        partition: The file that the table is made of.
        before: The table as it is, None for one that has just been made.
        wanted: The table as it should be.
    """
    table = session.named(partition.schema, partition.table)
    for statement in sql.comments(table, before, wanted):
        session.run(statement)


def timed(entry: Entry, started: float) -> Entry:
    """The line with the seconds that it took.

    Args:
        entry: The line.
        started: When it began, by the clock that only goes forward.
    """
    return dataclasses.replace(entry, seconds=time.monotonic() - started)


def refused(partition: Partition, message: str) -> WarehouseError:
    """The failure of a load, with the portal's and the dataset's names."""
    told = partition.receipt
    return WarehouseError(message, portal=told.portal, dataset=told.dataset_id)
