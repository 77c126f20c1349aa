"""What every warehouse does with a landed partition: the order of it, and the decisions.

How a table is made and described, and how a connection is had, belong to each engine. Which
partitions are loaded, and when, is decided in `sync`.
"""

from __future__ import annotations

import dataclasses
import time
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Self

from ods_pipeline.lake.bucket import LakePath
from ods_pipeline.tables.schema_diff import Difference
from ods_pipeline.warehouse import comments, renames
from ods_pipeline.warehouse.landed import Partition, read_partition, refused
from ods_pipeline.warehouse.load_log import LoadLog, LogEntry, timed
from ods_pipeline.warehouse.names import AS_IS, HELD, RESERVED, TableNames, short
from ods_pipeline.warehouse.protocol import Contract, Load, LoadedTable
from ods_pipeline.warehouse.session import Tables
from ods_pipeline.warehouse.table_state import (
    TableState,
    overtaken,
    required_action,
    schema_change,
)

_ALTERED = "somebody else changed the rows of {}, so they were loaded again"
_LISTS = {"catalog": "catalog", "held": "list of holds"}


class TableWarehouse(ABC):
    """A warehouse that has a table for every partition; see `Warehouse`.

    Args:
        session: Its tables.
        names: What the schema and tables of the portal that is loaded are called.
    """

    def __init__(self, session: Tables, names: TableNames = AS_IS) -> None:
        self._session, self._names = session, names
        self._logs: dict[str, LoadLog] = {}
        self._marks: dict[str, Mapping[str, str]] = {}

    @abstractmethod
    def check(self, portal: str) -> str:
        """See `Warehouse.check`."""

    @abstractmethod
    def _column_types(self, partition: Partition) -> Mapping[str, str]:
        """The types of the columns that a table of the partition has, in order."""

    @abstractmethod
    def _fill(
        self,
        log: LoadLog,
        partition: Partition,
        current: TableState | None,
        wanted: TableState,
        entry: LogEntry,
    ) -> str:
        """Make the table in one transaction, in place of the current one, with its entry.

        Returns:
            What readers of the table have to know of its values; empty for nothing.
        """

    @abstractmethod
    def _describe(
        self,
        log: LoadLog,
        partition: Partition,
        current: TableState,
        wanted: TableState,
        entry: LogEntry,
    ) -> None:
        """Give the table its wanted comments, with its entry."""

    @abstractmethod
    def _open_log(self, portal: str) -> LoadLog:
        """The load log of a portal."""

    @abstractmethod
    def _remove_rows(self, log: LoadLog, schema: str, table: str) -> None:
        """Leave a table without rows, with an entry that says so."""

    @abstractmethod
    def _read_marks(self, schema: str) -> Mapping[str, str]:
        """The marks of a portal's held tables by table, whether they exist or not."""

    @abstractmethod
    def _write_marks(self, schema: str, marks: Mapping[str, str]) -> None:
        """Mark the held tables of a portal and no others; writes nothing where nothing differs."""

    def _adapted(self, partition: Partition, existing: Collection[str]) -> Partition:
        """The partition as the engine can have it, in a table that has some columns already."""
        return partition.beside(existing)

    def _alone(self, partition: Partition) -> AbstractContextManager[object]:
        """Keeps other loads of the same table waiting, where there can be any."""
        return nullcontext()

    def _dependents(self, partition: Partition, current: TableState) -> tuple[str, ...]:
        """The views that keep the table from getting the partition's columns."""
        return ()

    def _is_kept_otherwise(self, partition: Partition, current: TableState) -> bool:
        """Whether nothing but the form differs in which the user wants columns to be kept."""
        return False

    def __enter__(self) -> Self:
        """The warehouse, open."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close it, whatever happened."""
        self.close()

    def close(self) -> None:
        """See `Warehouse.close`."""
        with self._session.failures():
            self._session.close()

    def load(
        self,
        partition: LakePath,
        *,
        verdict: str,
        contract: Contract = "evolve",
        again: bool = False,
    ) -> Load:
        """See `Warehouse.load`; a table is renamed in a transaction of its own."""
        landed = self._read(partition)
        if landed.receipt.kind in _LISTS:
            kind = _LISTS[landed.receipt.kind]
            raise refused(landed, f"{partition} is a portal's {kind} and no dataset")
        return self._load(landed, verdict, contract, again=again)

    def load_catalog(self, catalog: LakePath) -> Load:
        """See `Warehouse.load_catalog`."""
        return self._load_list(catalog, "catalog")

    def load_holds(self, holds: LakePath) -> Load:
        """See `Warehouse.load_holds`."""
        portal = holds.parent.name
        load = self._load_list(holds, "held") if holds.exists() else self._empty_holds(portal)
        with self._session.failures(portal):
            self._marks[load.schema] = self._read_marks(load.schema)
            self._write_marks(load.schema, self._marks[load.schema])
        return load

    def loaded(self, portal: str) -> Mapping[str, LoadedTable]:
        """See `Warehouse.loaded`."""
        with self._session.failures(portal):
            found = self._log(portal).loaded()
            altered = self._session.altered(self._names.schema_of(portal), found)
        return {name: table for name, table in found.items() if name not in altered}

    def _read(self, path: LakePath) -> Partition:
        return read_partition(path, self._names)

    def _log(self, portal: str) -> LoadLog:
        if portal not in self._logs:
            self._logs[portal] = self._open_log(portal)
        return self._logs[portal]

    def _load_list(self, path: LakePath, kind: str) -> Load:
        landed = self._read(path)
        if landed.receipt.kind != kind:
            raise refused(landed, f"{path} is no portal's {_LISTS[kind]}")
        return self._load(landed, "", "evolve")

    def _empty_holds(self, portal: str) -> Load:
        started, schema = time.monotonic(), self._names.schema_of(portal)
        action = "unchanged"
        with self._session.failures(portal):
            if self._session.exists(schema, HELD) and self._session.count(schema, HELD):
                action = "loaded"
                self._remove_rows(self._log(portal), schema, HELD)
        return Load(schema, HELD, action, 0, Difference(), time.monotonic() - started, "")

    def _load(
        self, partition: Partition, verdict: str, contract: Contract, *, again: bool = False
    ) -> Load:
        started = time.monotonic()
        receipt = partition.receipt
        with self._session.failures(receipt.portal, receipt.dataset_id), self._alone(partition):
            log = self._log(partition.receipt.portal)
            former = renames.former_tables(self._session, log, partition)
            former = renames.make_room(self._session, log, partition, former)
            self._refuse_clash(partition, former)
            renamed = renames.rename(self._session, log, partition, former)
            current = self._current(partition)
            partition = self._adapted(partition, current.types if current else ())
            load = self._update_table(partition, current, verdict, contract, started, again=again)
            if load.action != "quarantined":
                left = [entry for entry in former if entry is not renamed]
                renames.drop_leftovers(self._session, log, partition, left)
        return dataclasses.replace(
            load,
            seconds=time.monotonic() - started,
            note="; ".join(filter(None, [partition.note, load.note])),
            renamed_from=renamed.table if renamed else "",
        )

    def _update_table(
        self,
        partition: Partition,
        current: TableState | None,
        verdict: str,
        contract: Contract,
        started: float,
        *,
        again: bool,
    ) -> Load:
        receipt, schema, table = partition.receipt, partition.schema, partition.table
        if current and current.whole and self._is_newer(current, partition):
            note = (
                f"{schema}.{short(table)} has data of {current.data_processed}, which another lake "
                f"loaded, and stays: what is landed here is of {receipt.data_processed}"
            )
            rows, content = self._session.count(schema, table), current.content_hash
            return Load(schema, table, "unchanged", rows, Difference(), 0.0, content, note)
        altered = bool(current and not current.whole)
        if current and again:
            current = dataclasses.replace(current, whole=False)
        if contract != "evolve" and current and self._is_kept_otherwise(partition, current):
            # That is no change by the publisher.
            contract = "evolve"
        wanted = self._wanted(partition, current)
        action = required_action(current, wanted, contract)
        if current and action == "commented":
            current = self._with_comments(partition, current)
            action = required_action(current, wanted, contract)
        views = self._dependents(partition, current) if current and action == "loaded" else ()
        load = Load(
            schema=schema,
            table=table,
            action="quarantined" if views else action,
            rows=receipt.rows,
            change=schema_change(current, wanted),
            seconds=0.0,
            content_hash=receipt.content_hash,
            views=views,
        )
        log, entry = self._log(receipt.portal), _entry(partition, load, verdict)
        if load.action == "loaded":
            note = self._fill(log, partition, current, wanted, entry)
            changed = _ALTERED.format(f"{schema}.{short(table)}") if altered else ""
            return dataclasses.replace(load, note="; ".join(filter(None, [changed, note])))
        if current and load.action == "commented":
            self._describe(log, partition, current, wanted, timed(entry, started))
        elif current and load.action == "quarantined":
            with self._session.transaction():
                log.record_once(timed(entry, started))
            rows = self._session.count(schema, table)
            return dataclasses.replace(load, rows=rows, content_hash=current.content_hash)
        elif current and current.version != receipt.version:
            log.note_version(entry)
        return load

    def _is_newer(self, current: TableState, partition: Partition) -> bool:
        """Whether the table has newer data than the partition, which another lake has loaded."""
        receipt = partition.receipt
        if current.data_processed in {"", receipt.data_processed}:
            return False
        log = self._log(receipt.portal)
        entry = log.newest(partition.table).get(partition.table)
        # The dates of two datasets that had one name say nothing of each other.
        if entry and entry.dataset_uid != receipt.dataset_uid:
            return False
        at = log.loaded_at(partition.table)
        return overtaken(current.data_processed, receipt.data_processed, at, receipt.fetched_at)

    def _refuse_clash(self, partition: Partition, former: list[LogEntry]) -> None:
        """Refuse the table of another dataset: names that differ by case alone are the same."""
        schema, table, receipt = partition.schema, partition.table, partition.receipt
        if table.lower() in RESERVED and receipt.kind not in _LISTS:
            raise refused(partition, f"the table {table} is kept for the warehouse's own use")
        own = {entry.table for entry in former}
        for other, entry in self._log(receipt.portal).newest(table).items():
            same = (other, entry.dataset_id) == (table, receipt.dataset_id) or other in own
            if not same and self._session.exists(schema, other):
                raise refused(
                    partition,
                    f"the table {schema}.{short(other)} holds the dataset "
                    f"{short(entry.dataset_id)!r}, and the names clash: drop that table if its "
                    "dataset is gone, or give one of the two another name with `table`",
                )

    def _wanted(self, partition: Partition, current: TableState | None) -> TableState:
        types: Mapping[str, str] = {column.name: "" for column in partition.columns}
        if current:  # Else there is nothing to compare types with, and they may cost a query.
            types = self._column_types(partition) or types
        if partition.schema not in self._marks or self._session.shared:
            self._marks[partition.schema] = self._read_marks(partition.schema)
        mark = self._marks[partition.schema].get(partition.table, "")
        return TableState(
            types=types,
            comment=comments.marked(partition.comment, mark),
            comments={
                column.name: column.comment for column in partition.columns if column.comment
            },
            content_hash=partition.receipt.content_hash,
            version=partition.receipt.version,
        )

    def _with_comments(self, partition: Partition, current: TableState) -> TableState:
        schema, table = partition.schema, partition.table
        return dataclasses.replace(
            current,
            comment=self._session.table_comment(schema, table) or "",
            comments=self._session.column_comments(schema, table),
        )

    def _current(self, partition: Partition) -> TableState | None:
        """The table as it is, without its comments, which are slow to query."""
        types = self._session.types(partition.schema, partition.table)
        if types is None:
            return None
        newest = self._log(partition.receipt.portal).newest(partition.table)
        entry = newest.get(partition.table)
        if entry is None and partition.receipt.kind not in _LISTS:
            # Made by a person or by dbt, say: it is not ours to replace.
            raise refused(
                partition,
                f"{partition.schema}.{short(partition.table)} is there already, and was not loaded "
                "from a portal: move it away, or give the dataset another name with `table`",
            )
        entry = entry or LogEntry(partition.table)
        loaded = LoadedTable(entry.content_hash, entry.rows, entry.version)
        altered = self._session.altered(partition.schema, {partition.table: loaded})
        return TableState(
            types,
            "",
            {},
            entry.content_hash,
            entry.version,
            entry.data_processed,
            whole=not altered,
        )


def _entry(partition: Partition, load: Load, verdict: str) -> LogEntry:
    receipt = partition.receipt
    return LogEntry(
        table=load.table,
        dataset_id=receipt.dataset_id,
        rows=load.rows,
        verdict=verdict,
        action=load.action,
        content_hash=load.content_hash,
        data_processed=receipt.data_processed,
        change=str(load.change),
        version=receipt.version,
        dataset_uid=receipt.dataset_uid,
        rejected=int(receipt.rejected or 0),
    )
