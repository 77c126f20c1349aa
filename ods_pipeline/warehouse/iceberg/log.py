"""The load log of a portal in Iceberg: what each table says of itself, and the table `_loads`.

A table and the log cannot be changed in one commit. So each table has its own newest entry in its
properties, which change with its rows in one commit: that is what decisions are made by. `_loads`
is for people, and to find tables by their datasets. An entry that a killed process left out of it
is added by the table's next load.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.schema import Schema
from pyiceberg.table import Table

from ods_pipeline.warehouse.iceberg.columns import Wanted, evolved, iceberg_type
from ods_pipeline.warehouse.iceberg.expiry import keep_newest
from ods_pipeline.warehouse.iceberg.files import NOT_COMMITTED
from ods_pipeline.warehouse.iceberg.tables import MOVING, Change, IcebergTables
from ods_pipeline.warehouse.load_log import LogEntry, require_own
from ods_pipeline.warehouse.names import CATALOG, HELD, LOADS, folded
from ods_pipeline.warehouse.protocol import LoadedTable

#: Property of a table: its newest entry, and when it was made.
LOAD = "ods-pipeline.load"
_AT, _ENTRY = "loaded_at", "entry"
_QUARANTINED = "quarantined"
_KINDS = {"int": pa.int64(), "float": pa.float64()}
_ARROW = pa.schema(
    [
        pa.field(_AT, pa.timestamp("us", "UTC")),
        *(
            pa.field(f.name, _KINDS.get(str(f.type), pa.string()))
            for f in fields(LogEntry)
            if f.name != "rejected"
        ),
        pa.field("rejected", pa.int64()),
        pa.field(_ENTRY, pa.int64()),
    ]
)
# Each entry is a small file; so many are made one.
_MOST_FILES = 64
# Each commit writes the list of all snapshots: thousands of loads would take seconds each.
_MOST_SNAPSHOTS = 20
_ATTEMPTS = 5


class IcebergLog:
    """The load log of one portal; see `LoadLog`.

    Raises:
        WarehouseError: The schema is another portal's, whose name is the same.
    """

    def __init__(self, tables: IcebergTables, schema: str, portal: str) -> None:
        self._tables, self._schema, self._portal = tables, schema, portal
        own = (LOADS, CATALOG, HELD)
        require_own(portal, schema, {n: tables.table_comment(schema, n) or "" for n in own})
        self._rows = _ARROW.empty_table()
        self._as_of: int | None = None

    def newest(self, table: str) -> dict[str, LogEntry]:
        """See `LoadLog.newest`."""
        alike = {n for n in self._tables.names(self._schema) if folded(n) == folded(table)}
        entries = {name: self._entry_of(name) for name in alike | {table}}
        return {name: entry for name, entry in entries.items() if entry}

    def of_dataset(self, dataset_id: str) -> list[LogEntry]:
        """See `LoadLog.of_dataset`."""
        rows = self._read()
        mine = rows.filter(pc.equal(rows["dataset_id"], dataset_id))
        entries = [self._entry_of(name) for name in pc.unique(mine["table"]).to_pylist()]
        return [entry for entry in entries if entry and entry.dataset_id == dataset_id]

    def loaded(self) -> Mapping[str, LoadedTable]:
        """See `LoadLog.loaded`."""
        self._tables.forget()
        newest = {row["table"]: row for row in self._ordered() if row["action"] != _QUARANTINED}
        existing = self._tables.names(self._schema, fresh=True) if newest else frozenset()
        return {
            name: LoadedTable(row["content_hash"] or "", row["rows"] or 0, row["version"] or "")
            for name, row in newest.items()
            if name in existing
        }

    def loaded_at(self, table: str) -> datetime | None:
        """See `LoadLog.loaded_at`."""
        loads = [row for row in self._ordered() if row["table"] == table]
        return max((row[_AT] for row in loads if row["action"] == "loaded"), default=None)

    def make(self) -> None:
        """See `LoadLog.make`."""
        self._made()

    def make_schema(self) -> None:
        """See `LoadLog.make_schema`."""
        self._tables.make_schema(self._schema)

    def record(self, entry: LogEntry) -> None:
        """See `LoadLog.record`."""
        self.record_at(entry, datetime.now(UTC))

    def record_at(self, entry: LogEntry, at: datetime) -> None:
        """Add an entry that was made at a certain moment."""
        self._change(lambda rows: rows, entry, at)

    def record_once(self, entry: LogEntry) -> None:
        """See `LoadLog.record_once`."""
        last = [row for row in self._ordered() if row["table"] == entry.table][-1:]
        if [(row["action"], row["version"]) for row in last] != [(entry.action, entry.version)]:
            self.record(entry)

    def note_version(self, entry: LogEntry) -> None:
        """See `LoadLog.note_version`."""
        found = self._said_by(entry.table)
        if found is None:
            return
        table, at, before = found
        uid = entry.dataset_uid or before.dataset_uid
        noted = replace(before, version=entry.version, dataset_uid=uid)
        self._tables.commit(table, Change(properties={LOAD: as_property(noted, at)}))

        def changed(rows: pa.Table) -> pa.Table:
            own = _is(rows, entry.table, at)
            for name, value in (("version", noted.version), ("dataset_uid", uid or None)):
                place = rows.schema.get_field_index(name)
                column = pc.if_else(own, pa.scalar(value, pa.string()), rows[name])
                rows = rows.set_column(place, rows.schema.field(name), column)
            return rows

        self._change(changed)

    def move(self, old: str, current: LogEntry, dataset_id: str) -> None:
        """See `LoadLog.move`; can be done again where it was broken off."""
        change = f"renamed from {old}"
        entry = replace(current, dataset_id=dataset_id, action="renamed", change=change)
        at = datetime.now(UTC)

        def moved(rows: pa.Table) -> pa.Table:
            place = rows.schema.get_field_index("table")
            own = pc.fill_null(pc.equal(rows["table"], old), False)
            column = pc.if_else(own, pa.scalar(current.table, pa.string()), rows["table"])
            return rows.set_column(place, rows.schema.field("table"), column)

        last = [row for row in self._ordered() if row["table"] == current.table][-1:]
        if old == current.table or not last or last[0]["change"] != change:
            self._change(moved, entry, at)
        table = self._tables.table(self._schema, current.table)
        if table is not None:
            properties = {LOAD: as_property(entry, at), MOVING: ""}
            self._tables.commit(table, Change(properties=properties))

    def complete(self, name: str) -> None:
        """Add the newest entry of a table, where a killed process left it out."""
        found = self._said_by(name)
        if found is None:
            return
        _, at, entry = found
        rows = self._read()
        if not pc.any(_is(rows, name, at)).as_py():
            self.record_at(entry, at)

    def _entry_of(self, name: str) -> LogEntry | None:
        found = self._said_by(name)
        return found[2] if found else None

    def _said_by(self, name: str) -> tuple[Table, datetime, LogEntry] | None:
        """What a table says of itself; None where it was not loaded from here, or is not there."""
        table = self._tables.table(self._schema, name)
        known = from_property(name, table.properties.get(LOAD, "")) if table else None
        return (table, *known) if table and known else None

    def _made(self) -> Table:
        found = self._tables.table(self._schema, LOADS)
        if found is None:
            comment = f"Loads of {self._portal}"
            return self._tables.create(self._schema, LOADS, _log_schema(), comment)
        return found

    def _read(self) -> pa.Table:
        table = self._tables.table(self._schema, LOADS)
        snapshot = table.current_snapshot() if table else None
        if table is None or snapshot is None:
            return _ARROW.empty_table()
        if snapshot.snapshot_id != self._as_of:
            self._rows = table.scan().to_arrow().select(_ARROW.names).cast(_ARROW)
            self._as_of = snapshot.snapshot_id
        return self._rows

    def _ordered(self) -> list[dict[str, Any]]:
        order = [(_ENTRY, "ascending"), (_AT, "ascending")]
        rows: list[dict[str, Any]] = self._read().sort_by(order).to_pylist()
        return rows

    def _change(
        self,
        change: Callable[[pa.Table], pa.Table],
        entry: LogEntry | None = None,
        at: datetime | None = None,
    ) -> None:
        """Change the entries that there are, and add one."""
        for attempt in range(_ATTEMPTS):
            self._tables.made(self._schema, LOADS)
            table, before = self._made(), self._read()
            after = change(before)
            added = [_row(entry, at, before)] if entry and at else []
            new = pa.Table.from_pylist(added, _ARROW)
            try:
                self._write(table, before, after, new)
            except NOT_COMMITTED:
                if attempt + 1 == _ATTEMPTS:
                    raise
                continue
            return

    def _write(self, table: Table, before: pa.Table, after: pa.Table, new: pa.Table) -> None:
        whole = pa.concat_tables([after, new])
        base = table.current_snapshot()
        known = base.summary.additional_properties if base and base.summary else {}
        many = int(known.get("total-data-files", 0)) >= _MOST_FILES
        if len(before) and (many or after is not before):
            table.overwrite(whole)
            keep_newest(table, _MOST_SNAPSHOTS)
        else:
            table.append(new)
            head = table.current_snapshot()
            if head and head.parent_snapshot_id == (base.snapshot_id if base else None):
                # What is read next is known already.
                self._rows, self._as_of = whole, head.snapshot_id
        self._tables.made(self._schema, LOADS)


def as_property(entry: LogEntry, at: datetime) -> str:
    """An entry and its moment as the property of a table."""
    return json.dumps({_AT: at.isoformat(), **asdict(entry)}, ensure_ascii=False)


def from_property(name: str, text: str) -> tuple[datetime, LogEntry] | None:
    """The moment and the entry that a table's property says; None where it is none."""
    try:
        known = json.loads(text or "null")
        at = datetime.fromisoformat(known.pop(_AT))
        return at, LogEntry(**{**known, "table": name})
    except (ValueError, TypeError, AttributeError, KeyError):
        return None


def _row(entry: LogEntry, at: datetime, rows: pa.Table) -> dict[str, object]:
    empty = ("dataset_id", "verdict", "data_processed", "change", "dataset_uid")
    known = asdict(entry)
    known.update({name: known[name] or None for name in empty})
    number = (pc.max(rows[_ENTRY]).as_py() or 0) + 1
    return {**known, _AT: at, _ENTRY: number}


def _is(rows: pa.Table, table: str, at: datetime) -> pa.ChunkedArray:
    moment = pa.scalar(at, pa.timestamp("us", "UTC"))
    return pc.and_(pc.equal(rows["table"], table), pc.equal(rows[_AT], moment))


def _log_schema() -> Schema:
    return evolved(None, 0, [Wanted(f.name, iceberg_type(f.type, f.name)) for f in _ARROW])
