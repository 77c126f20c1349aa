"""Renames the table of a dataset, and its log entries, when the publisher renames the dataset.

Only tables that were provably loaded from the same dataset are touched: the `dataset_uid` must be
the same, and the receipt must have the table's last identifier as a former one. What the portal
calls a dataset is not looked up here.
"""

from __future__ import annotations

from dataclasses import replace

from ods_pipeline.warehouse.connection import Session
from ods_pipeline.warehouse.landed import Partition
from ods_pipeline.warehouse.load_log import LoadLog, LogEntry
from ods_pipeline.warehouse.names import folded, quoted, table_name


def former_tables(session: Session, log: LoadLog, partition: Partition) -> list[LogEntry]:
    """The tables of this dataset under its former names, newest name first."""
    uid, found = partition.receipt.dataset_uid, []
    for dataset_id in partition.former_names if uid else ():
        table = table_name(dataset_id, partition.receipt.kind)
        entry = log.newest(table).get(table)
        same = entry and (entry.dataset_id, entry.dataset_uid) == (dataset_id, uid)
        if entry and same and session.table_comment(partition.schema, table) is not None:
            found.append(entry)
    return found


def rename(
    session: Session, log: LoadLog, partition: Partition, former: list[LogEntry]
) -> LogEntry | None:
    """Rename the table of the newest former name, unless the new name has a table already.

    Returns:
        The entry of the renamed table under its former name; None if none was renamed.
    """
    for entry in former:
        # Where only the case differs, the table of the new name is the one to rename.
        same = folded(entry.table) == folded(partition.table)
        if same or not session.exists(partition.schema, partition.table):
            with session.transaction():
                # DuckDB refuses to rename a table that has indexes; a load drops them as well.
                for index in session.indexes(partition.schema, entry.table):
                    session.run(f"DROP INDEX {session.named(partition.schema, index)}")
                old = session.named(partition.schema, entry.table)
                session.run(f"ALTER TABLE {old} RENAME TO {quoted(partition.table)}")
                current = replace(entry, table=partition.table)
                log.move(entry.table, current, partition.receipt.dataset_id)
            return entry
    return None


def drop_leftovers(
    session: Session, log: LoadLog, partition: Partition, former: list[LogEntry]
) -> None:
    """Drop the former tables that were not renamed, after the dataset was loaded into another."""
    current = log.newest(partition.table).get(partition.table) if former else None
    if not current or current.dataset_uid != partition.receipt.dataset_uid:
        return
    for entry in former:
        with session.transaction():
            session.run(f"DROP TABLE {session.named(partition.schema, entry.table)}")
            log.move(entry.table, current, partition.receipt.dataset_id)
