"""The warehouse that is an Iceberg catalog: how a landed partition becomes a table of it.

A load is one commit of one table: columns, rows, comments and the receipt change together. Rows are
the landed file's own, copied under a name that never comes back. What is decided for every engine
is not here.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta

import pyarrow.parquet as pq
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.table.metadata import TableMetadata

from ods_pipeline.warehouse import comments
from ods_pipeline.warehouse.iceberg import columns
from ods_pipeline.warehouse.iceberg.address import parse
from ods_pipeline.warehouse.iceberg.expiry import tidy
from ods_pipeline.warehouse.iceberg.files import placed
from ods_pipeline.warehouse.iceberg.log import LOAD, IcebergLog, as_property
from ods_pipeline.warehouse.iceberg.tables import (
    COMMENT,
    MOVING,
    RECEIPT,
    Change,
    IcebergTables,
    LostRace,
    stage,
)
from ods_pipeline.warehouse.landed import Partition, refused
from ods_pipeline.warehouse.load_log import LoadLog, LogEntry, timed
from ods_pipeline.warehouse.names import AS_IS, HELD, LOADS, TableNames, short
from ods_pipeline.warehouse.protocol import Contract, Load
from ods_pipeline.warehouse.table_state import TableState
from ods_pipeline.warehouse.table_warehouse import TableWarehouse

#: Property of a table: the reference system of each column of geometries.
GEOMETRIES = "ods-pipeline.geometries"
# Property of the load log: which tables were marked.
_MARKED = "ods-pipeline.marked"
# Long texts, which would be repeated in every snapshot that is kept.
_LONG = {"description", "note", "formerly"}
_ATTEMPTS, _PAUSE = 5, 0.2


class IcebergWarehouse(TableWarehouse):
    """A catalog of Iceberg tables; several processes may load into it at once.

    Args:
        url: `iceberg:NAME`, a catalog of pyiceberg's configuration.
        names: What the schema and tables of the portal that is loaded are called.

    Raises:
        ConfigurationError: There is no such catalog, or pyiceberg is not installed.
        WarehouseError: The catalog cannot be reached, or refuses.
    """

    _session: IcebergTables

    def __init__(self, url: str, names: TableNames = AS_IS) -> None:
        address = parse(url)
        super().__init__(IcebergTables(address), names)
        days = address.keep_days
        self._keep = None if days is None else timedelta(days=days)

    def check(self, portal: str) -> str:
        """See `Warehouse.check`: the catalog answers; its store is first used by a load."""
        catalog = self._session.catalog
        with self._session.failures(portal):
            there = catalog.namespace_exists((self._names.schema_of(portal),))
        kind = type(catalog).__name__.removesuffix("Catalog")
        return f"answers: {kind} catalog, the schema is {'there' if there else 'made by a load'}"

    def _load(
        self, partition: Partition, verdict: str, contract: Contract, *, again: bool = False
    ) -> Load:
        """Decide again where another process was faster: what it did may be all that is needed."""
        receipt = partition.receipt
        for attempt in range(_ATTEMPTS):
            self._session.forget()
            try:
                with self._session.failures(receipt.portal, receipt.dataset_id):
                    self._resume(partition)
                return super()._load(partition, verdict, contract, again=again)
            except LostRace:
                if attempt + 1 == _ATTEMPTS:
                    raise
                time.sleep(_PAUSE * 2**attempt)
        raise AssertionError  # The last attempt has returned or raised.

    def _resume(self, partition: Partition) -> None:
        """Finish what a killed process left between a table and the log."""
        log, receipt = self._iceberg_log(partition.receipt.portal), partition.receipt
        table = self._session.table(partition.schema, partition.table)
        entry = log.newest(partition.table).get(partition.table)
        if table is None or entry is None:
            return
        former = table.properties.get(MOVING, partition.table)
        own = entry.dataset_id == receipt.dataset_id or (
            entry.dataset_id in partition.former_names
            and bool(receipt.dataset_uid)
            and entry.dataset_uid == receipt.dataset_uid
        )
        if own and former != partition.table:
            log.move(former, entry, receipt.dataset_id)
        else:
            log.complete(partition.table)

    def _adapted(self, partition: Partition, existing: Collection[str]) -> Partition:
        """The partition with docs that say which columns are geometries: here they are bytes."""
        partition = super()._adapted(partition, existing)
        adapted = [dataclasses.replace(c, comment=columns.doc(c)) for c in partition.columns]
        return dataclasses.replace(partition, columns=tuple(adapted))

    def _column_types(self, partition: Partition) -> Mapping[str, str]:
        return {item.name: columns.type_text(item.type) for item in self._wanted_columns(partition)}

    def _wanted_columns(self, partition: Partition) -> tuple[columns.Wanted, ...]:
        return columns.wanted_columns(pq.read_schema(partition.file), partition.columns)

    def _fill(
        self,
        log: LoadLog,
        partition: Partition,
        current: TableState | None,
        wanted: TableState,
        entry: LogEntry,
    ) -> str:
        started, at = time.monotonic(), datetime.now(UTC)
        table = self._session.table(partition.schema, partition.table) if current else None
        if table is None:
            table = self._made(partition, wanted, entry, at)
        else:
            self._require_plain(partition, table)
            change = self._change(partition, wanted, entry, at, table)
            metadata = _with_schema(table, change)
            with placed(table.io, metadata, partition) as file:
                self._session.commit(table, change, file)
        self._iceberg_log(partition.receipt.portal).record_at(timed(entry, started), at)
        tidy(table, self._keep, datetime.now(UTC))
        self._session.made(partition.schema, partition.table)
        return ""

    def _made(
        self, partition: Partition, wanted: TableState, entry: LogEntry, at: datetime
    ) -> Table:
        schema = columns.evolved(None, 0, self._wanted_columns(partition))
        transaction = self._session.creation(partition.schema, partition.table, schema)
        change = self._change(partition, wanted, entry, at, None)
        with placed(transaction._table.io, transaction.table_metadata, partition) as file:
            stage(transaction, None, change, file)
            table = transaction.commit_transaction()
        self._session.made(partition.schema, partition.table)
        return table

    def _change(
        self,
        partition: Partition,
        wanted: TableState,
        entry: LogEntry,
        at: datetime,
        table: Table | None,
    ) -> Change:
        receipt = partition.receipt.metadata()
        crs = {c.name: c.crs for c in partition.columns if c.geometry}
        return Change(
            schema=self._evolved(table, partition) if table else None,
            properties={
                COMMENT: wanted.comment,
                LOAD: as_property(entry, at),
                GEOMETRIES: json.dumps(crs, ensure_ascii=False) if crs else "",
            },
            summary={f"{RECEIPT}{n}": text for n, text in receipt.items() if n not in _LONG},
            replaces=True,
        )

    def _evolved(self, table: Table, partition: Partition) -> Schema:
        last = table.metadata.last_column_id
        return columns.evolved(table.schema(), last, self._wanted_columns(partition))

    def _require_plain(self, partition: Partition, table: Table) -> None:
        if not table.spec().is_unpartitioned():
            raise refused(
                partition,
                f"somebody has partitioned the table {partition.schema}.{short(partition.table)}, "
                "which cannot be replaced as a whole then: drop it, and the next run loads it",
            )

    def _describe(
        self,
        log: LoadLog,
        partition: Partition,
        current: TableState,
        wanted: TableState,
        entry: LogEntry,
    ) -> None:
        table, at = self._session.table(partition.schema, partition.table), datetime.now(UTC)
        if table is None:
            raise LostRace(f"the table {short(partition.table)} is gone")
        change = self._change(partition, wanted, entry, at, table)
        self._session.commit(table, dataclasses.replace(change, replaces=False))
        self._iceberg_log(partition.receipt.portal).record_at(entry, at)

    def _open_log(self, portal: str) -> LoadLog:
        return IcebergLog(self._session, self._names.schema_of(portal), portal)

    def _iceberg_log(self, portal: str) -> IcebergLog:
        log = self._log(portal)
        assert isinstance(log, IcebergLog)  # noqa: S101 - `_open_log` makes no other
        return log

    def _remove_rows(self, log: LoadLog, schema: str, table: str) -> None:
        found, entry, at = self._session.table(schema, table), LogEntry(table), datetime.now(UTC)
        if found is not None:
            properties = {LOAD: as_property(entry, at)}
            self._session.commit(found, Change(properties=properties, replaces=True))
            log.record(entry)

    def _read_marks(self, schema: str) -> Mapping[str, str]:
        self._session.made(schema, HELD)
        held = self._session.table(schema, HELD)
        if held is None or held.current_snapshot() is None:
            return {}
        rows = held.scan(selected_fields=("dataset_id", "kind", "since", "reason", "verdict"))
        return {
            self._names.table_of(row["dataset_id"], row["kind"]): comments.mark(
                f"{row['since'].astimezone(UTC):%Y-%m-%d}" if row["since"] else "",
                next(filter(None, (row["reason"], row["verdict"])), ""),
            )
            for row in rows.to_arrow().to_pylist()
        }

    def _write_marks(self, schema: str, marks: Mapping[str, str]) -> None:
        """See `TableWarehouse`; the log knows which were marked, for not all can be looked at."""
        self._session.forget()
        log = self._session.table(schema, LOADS)
        if log is None:
            return
        earlier = set(json.loads(log.properties.get(_MARKED, "[]")))
        if not earlier <= set(marks) or not set(marks) <= earlier:
            # All of them before, and those that still are after: one that is killed can go on.
            self._remember_marked(log, earlier | set(marks))
        # A catalog may refuse to look for a name that no table can have there.
        there = self._session.names(schema, fresh=True)
        for name in sorted(there & (earlier | set(marks))):
            table = self._session.table(schema, name)
            before = table.properties.get(COMMENT, "") if table else ""
            wanted = comments.marked(before, marks.get(name, ""))
            if table and wanted != before:
                self._session.commit(table, Change(properties={COMMENT: wanted}))
        if not earlier <= set(marks):
            log = self._session.table(schema, LOADS)
            if log is not None:
                self._remember_marked(log, set(marks))

    def _remember_marked(self, log: Table, names: set[str]) -> None:
        text = json.dumps(sorted(names), ensure_ascii=False) if names else ""
        self._session.commit(log, Change(properties={_MARKED: text}))


def _with_schema(table: Table, change: Change) -> TableMetadata:
    """The table's description with the columns that it will have."""
    transaction = table.transaction()
    stage(transaction, table, dataclasses.replace(change, replaces=False), None)
    return transaction.table_metadata
