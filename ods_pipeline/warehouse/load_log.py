"""A portal's record of loads, the table `_loads`: what was loaded when, and what stands where.

The record is added to and never shortened; a table that gets another name takes its entries along.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ods_pipeline.warehouse import sql
from ods_pipeline.warehouse.connection import Session
from ods_pipeline.warehouse.names import LOADS, folded
from ods_pipeline.warehouse.protocol import LoadedTable


@dataclass(frozen=True)
class Entry:
    """One line of the record, all but its time; empty where something is not known.

    Attributes:
        table: The table, by the name that it has now.
        dataset_id: The dataset's identifier at that time.
        dataset_uid: The dataset's identity, which no renaming changes.
        version: Identity of rows, columns and descriptions.
    """

    table: str
    dataset_id: str = ""
    rows: int = 0
    verdict: str = ""
    action: str = "loaded"
    content_hash: str = ""
    data_processed: str = ""
    change: str = ""
    seconds: float = 0.0
    version: str = ""
    dataset_uid: str = ""


class History:
    """The record of loads of one portal.

    What was read of it is not read again: a first run would go through all of it for each table.

    Args:
        session: The open warehouse.
        schema: The portal's schema.
    """

    # Lines written by this process, which may have the file open more than once.
    _written = 0

    def __init__(self, session: Session, schema: str) -> None:
        self._session = session
        self._schema = schema
        self._loads = session.named(schema, LOADS)
        self._forget()
        session.run(sql.complete_loads(self._loads))

    def newest(self, table: str) -> dict[str, Entry]:
        """What was last loaded into the tables of a name in any case, by their exact names."""
        name = folded(table)
        if self._exists() and name not in self._known and not self._complete:
            # SQL's `lower` knows more letters than DuckDB does when it compares names.
            found = self._read(sql.loads_of(self._loads), table)
            self._known[name] = {e.table: e for e in found if folded(e.table) == name}
        return self._known.get(name, {})

    def loaded(self) -> Mapping[str, LoadedTable]:
        """What stands in the tables that still exist."""
        self._forget()
        self._complete = True
        if not self._exists():
            return {}
        found = self._read(sql.newest_loads(self._loads))
        for entry in found:
            self._known.setdefault(folded(entry.table), {})[entry.table] = entry
        standing = self._session.tables(self._schema)
        return {
            entry.table: LoadedTable(entry.content_hash, entry.rows, entry.version)
            for entry in found
            if entry.table in standing
        }

    def _read(self, query: str, *values: str) -> list[Entry]:
        return [
            Entry(
                table=name,
                dataset_id=dataset or "",
                rows=rows or 0,
                content_hash=content or "",
                version=version or "",
                dataset_uid=uid or "",
            )
            for name, dataset, content, rows, version, uid in self._session.run(query, *values)
        ]

    def _valid(self) -> tuple[int, int]:
        return History._written, self._session.undone

    def _forget(self) -> None:
        self._known: dict[str, dict[str, Entry]] = {}
        self._complete = self._there = False
        self._as_of = self._valid()

    def _wrote(self) -> None:
        """Keep what is known through a change of ours that `_known` tells as well."""
        if self._valid() != self._as_of:
            self._forget()
        History._written += 1
        self._as_of = self._valid()

    def _known_there(self) -> bool:
        # Not by asking: what is not there would break off a transaction.
        if self._valid() != self._as_of:
            self._forget()
        return self._there

    def _exists(self) -> bool:
        self._there = self._known_there() or self._session.exists(self._schema, LOADS)
        return self._there

    def _make(self) -> None:
        if not self._known_there():
            self._session.run(sql.create_loads(self._loads))

    def make_schema(self) -> None:
        """Make the portal's schema, if there is none; to be called in a transaction."""
        if not self._known_there():
            self._session.run(f"CREATE SCHEMA IF NOT EXISTS {self._session.named(self._schema)}")

    def record(self, entry: Entry) -> None:
        """Add a line."""
        self._make()
        self._session.run(
            sql.record_load(self._loads),
            *(entry.table, entry.dataset_id or None, entry.rows, entry.verdict or None),
            *(entry.action, entry.content_hash, entry.data_processed or None),
            *(entry.change or None, entry.seconds, entry.version, entry.dataset_uid or None),
        )
        self._wrote()
        self._there = True
        name = folded(entry.table)
        if entry.action != "quarantined" and (self._complete or name in self._known):
            self._known.setdefault(name, {})[entry.table] = entry

    def record_once(self, entry: Entry) -> None:
        """Add a line unless the table's newest one says the same of the same version."""
        self._make()
        last = self._session.run(sql.last_line(self._loads), entry.table)
        if last != [(entry.action, entry.version)]:
            self.record(entry)

    def note_version(self, entry: Entry) -> None:
        """Say of what stands in a table that it is of this version too."""
        note = sql.note_version(self._loads)
        self._session.run(note, entry.version, entry.dataset_uid or None, entry.table)
        self._wrote()
        known = self._known.get(folded(entry.table), {})
        if before := known.get(entry.table):
            uid = entry.dataset_uid or before.dataset_uid
            known[entry.table] = replace(before, version=entry.version, dataset_uid=uid)

    def move(self, old: str, standing: Entry, dataset_id: str) -> None:
        """Let a table's lines name another one, and say in a new line that they do.

        Args:
            old: The name that the table had.
            standing: What now stands under its new name.
            dataset_id: The dataset's new identifier.
        """
        self._session.run(sql.move_loads(self._loads), standing.table, old)
        self._forget()
        change = f"renamed from {old}"
        self.record(replace(standing, dataset_id=dataset_id, action="renamed", change=change))
