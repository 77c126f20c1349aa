"""Renames the table of a dataset, and its log entries, when dataset or table get another name.

A publisher renames datasets, and a user decides what tables are called. Only tables that were
provably loaded from the same dataset are touched: the log has its identifier for them, or a former
one of the receipt's with the same `dataset_uid`. What the portal calls a dataset is not looked up
here.
"""

from __future__ import annotations

from dataclasses import replace

from ods_pipeline.warehouse.landed import Partition
from ods_pipeline.warehouse.load_log import LoadLog, LogEntry
from ods_pipeline.warehouse.names import FEATURES, LONGEST, folded, shortened
from ods_pipeline.warehouse.session import Tables


def former_tables(session: Tables, log: LoadLog, partition: Partition) -> list[LogEntry]:
    """The tables that this dataset had under other names, newest identifier first."""
    receipt = partition.receipt
    entries: list[LogEntry] = []
    there = log.newest(partition.table).get(partition.table)
    if receipt.dataset_id and (there is None or there.dataset_id != receipt.dataset_id):
        entries += log.of_dataset(receipt.dataset_id)
    for dataset_id in partition.former_names if receipt.dataset_uid else ():
        entries += [e for e in log.of_dataset(dataset_id) if e.dataset_uid == receipt.dataset_uid]
    return [
        entry
        for entry in entries
        if _is_former(partition, entry.table)
        and session.table_comment(partition.schema, entry.table) is not None
    ]


def _is_former(partition: Partition, table: str) -> bool:
    """Whether a table of the dataset is of the same kind, and has another name now."""
    receipt, features = partition.receipt, partition.receipt.kind == "features"
    # The records of a dataset may have a name that looks like that of features, and are none.
    other = partition.names.table_of(receipt.dataset_id, "records" if features else "features")
    return table.endswith(FEATURES) == features and table not in {partition.table, other}


def rename(
    session: Tables, log: LoadLog, partition: Partition, former: list[LogEntry]
) -> LogEntry | None:
    """Rename the table of the newest former name, unless the new name has a table already.

    Returns:
        The entry of the renamed table under its former name; None if none was renamed.
    """
    for entry in former:
        # Where only the case differs, the table of the new name is the one to rename.
        same = folded(entry.table) == folded(partition.table)
        if same or not session.exists(partition.schema, partition.table):
            dataset_id = partition.receipt.dataset_id
            _move(session, log, partition.schema, entry, partition.table, dataset_id)
            return entry
    return None


def make_room(
    session: Tables, log: LoadLog, partition: Partition, former: list[LogEntry]
) -> list[LogEntry]:
    """Move away another dataset's table that has this one's name, where it is called otherwise now.

    Where a user swaps two names this one's table has to go first, to a name in between.

    Returns:
        The tables that this dataset had, by the names that they have now.
    """
    schema, wanted, own = partition.schema, partition.table, partition.receipt.dataset_id
    entry = log.newest(wanted).get(wanted)
    if entry is None or entry in former or entry.dataset_id in {"", own}:
        return former
    kind = "features" if wanted.endswith(FEATURES) else "records"
    theirs = partition.names.table_of(entry.dataset_id, kind)
    if folded(theirs) == folded(wanted) or not session.exists(schema, wanted):
        return former
    if session.exists(schema, theirs):
        if theirs not in {item.table for item in former}:
            return former
        between = shortened(f"_moving {theirs}", LONGEST)
        former = [
            _move(session, log, schema, item, between, own) if item.table == theirs else item
            for item in former
        ]
    _move(session, log, schema, entry, theirs, entry.dataset_id)
    return former


def _move(
    session: Tables, log: LoadLog, schema: str, entry: LogEntry, name: str, dataset_id: str
) -> LogEntry:
    """Rename a table, and its entries in the log."""
    with session.transaction():
        session.rename(schema, entry.table, name)
        moved = replace(entry, table=name)
        log.move(entry.table, moved, dataset_id)
    return moved


def drop_leftovers(
    session: Tables, log: LoadLog, partition: Partition, former: list[LogEntry]
) -> None:
    """Drop the former tables that were not renamed, after the dataset was loaded into another."""
    current = log.newest(partition.table).get(partition.table) if former else None
    if not current or current.dataset_uid != partition.receipt.dataset_uid:
        return
    for entry in former:
        with session.transaction():
            session.drop(partition.schema, entry.table)
            log.move(entry.table, current, partition.receipt.dataset_id)
