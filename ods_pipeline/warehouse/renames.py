"""A table follows its dataset: when the publisher renames that, the table and its history move.

Only what was provably loaded from the same dataset is ever touched: its `dataset_uid` must be the
same, and its last identifier one that the partition's receipt names as former.
"""

from __future__ import annotations

from dataclasses import replace

from ods_pipeline.warehouse.connection import Session
from ods_pipeline.warehouse.landed import Partition
from ods_pipeline.warehouse.load_log import Entry, History
from ods_pipeline.warehouse.names import folded, quoted, table_name


def formers(session: Session, history: History, partition: Partition) -> list[Entry]:
    """What stands in tables of this very dataset under its former names, newest name first."""
    uid, found = partition.receipt.dataset_uid, []
    for dataset_id in partition.formerly if uid else ():
        table = table_name(dataset_id, partition.receipt.kind)
        entry = history.newest(table).get(table)
        its_own = entry and (entry.dataset_id, entry.dataset_uid) == (dataset_id, uid)
        if entry and its_own and session.table_comment(partition.schema, table) is not None:
            found.append(entry)
    return found


def follow(
    session: Session, history: History, partition: Partition, found: list[Entry]
) -> Entry | None:
    """Rename the table of the newest former name, unless the new name has a table already.

    Returns:
        What stood under the former name; None if nothing was renamed.
    """
    for former in found:
        # A name that differs by case alone is taken by the very table that is to be renamed.
        same = folded(former.table) == folded(partition.table)
        if same or not session.exists(partition.schema, partition.table):
            with session.transaction():
                _rename(session, partition.schema, former.table, partition.table)
                standing = replace(former, table=partition.table)
                history.move(former.table, standing, partition.receipt.dataset_id)
            return former
    return None


def drop_leftovers(
    session: Session, history: History, partition: Partition, found: list[Entry]
) -> None:
    """Drop what stands under former names besides the table that holds the dataset now.

    Args:
        session: The open warehouse.
        history: The portal's record of loads.
        partition: What has just been loaded.
        found: The tables of former names, without the one that was renamed.
    """
    standing = history.newest(partition.table).get(partition.table) if found else None
    if not standing or standing.dataset_uid != partition.receipt.dataset_uid:
        return
    for former in found:
        with session.transaction():
            session.run(f"DROP TABLE {session.named(partition.schema, former.table)}")
            history.move(former.table, standing, partition.receipt.dataset_id)


def _rename(session: Session, schema: str, old: str, new: str) -> None:
    # DuckDB renames no table with indexes of its user's; a load, too, makes the table without.
    for index in session.indexes(schema, old):
        session.run(f"DROP INDEX {session.named(schema, index)}")
    session.run(f"ALTER TABLE {session.named(schema, old)} RENAME TO {quoted(new)}")
