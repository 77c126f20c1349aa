"""A portal's load log, the table `_loads`: what was loaded when, and what each table contains.

Entries are only added. When a table is renamed its entries follow. No decisions about loads.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

from ods_pipeline.errors import WarehouseError
from ods_pipeline.warehouse.names import CATALOG, HELD, LOADS, folded, literal
from ods_pipeline.warehouse.protocol import LoadedTable
from ods_pipeline.warehouse.session import Session

_COLUMNS = """
    loaded_at TIMESTAMP WITH TIME ZONE, "table" VARCHAR, dataset_id VARCHAR, rows BIGINT,
    verdict VARCHAR, action VARCHAR, content_hash VARCHAR, data_processed VARCHAR,
    change VARCHAR, seconds DOUBLE PRECISION, version VARCHAR, dataset_uid VARCHAR, rejected BIGINT
"""
_NAMES = ", ".join(column.split()[0] for column in _COLUMNS.split(","))
# So many questions about single tables cost less than a look at the entries of all.
_QUESTIONS = 8
# A quarantined load leaves the table as it was.
_CHANGED = "action <> 'quarantined'"


@dataclass(frozen=True)
class LogEntry:
    """One entry of the log without its time; empty where something is not known.

    Attributes:
        table: The table, by its present name.
        dataset_id: The dataset's identifier at that time.
        dataset_uid: The dataset's identity, which no renaming changes.
        version: Identity of rows, columns and descriptions.
        rejected: Values that are null since they are not of their field's type; None in entries
            that load no rows.
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
    rejected: int | None = None


def timed(entry: LogEntry, started: float) -> LogEntry:
    """The entry with the seconds since `started`, by the monotonic clock."""
    return replace(entry, seconds=time.monotonic() - started)


class LoadLog(Protocol):
    """The load log of one portal, as loads use it."""

    def newest(self, table: str) -> dict[str, LogEntry]:
        """The newest entries of the tables of a name in any case, by their exact names."""

    def of_dataset(self, dataset_id: str) -> list[LogEntry]:
        """The newest entries of the tables that were last loaded from a dataset."""

    def loaded(self) -> Mapping[str, LoadedTable]:
        """What the tables that still exist contain."""

    def loaded_at(self, table: str) -> datetime | None:
        """When rows were last loaded into a table; None where nobody knows."""

    def make(self) -> None:
        """Make the log if there is none; to be called in a transaction."""

    def make_schema(self) -> None:
        """Make the portal's schema if there is none; to be called in a transaction."""

    def record(self, entry: LogEntry) -> None:
        """Add an entry."""

    def record_once(self, entry: LogEntry) -> None:
        """Add an entry unless the table's newest one has the same action and version."""

    def note_version(self, entry: LogEntry) -> None:
        """Give a table's newest entry another version, where no table or comment differs by it."""

    def move(self, old: str, current: LogEntry, dataset_id: str) -> None:
        """Give the entries of a table its new name, and add one that says so."""


def require_own(portal: str, schema: str, comments: Mapping[str, str]) -> None:
    """Refuse a schema that was filled from another portal: `a.b` and `a-b` are both `a_b`.

    Args:
        portal: The portal to load.
        schema: Its schema.
        comments: The comments of that schema's own tables, by table.

    Raises:
        WarehouseError: The schema is another portal's, whose name is the same in SQL.
    """
    # Tables of before the log had a comment say in theirs whose they are.
    said = (comments.get(table, "").partition(" — ")[0] for table in (LOADS, CATALOG, HELD))
    owners = {text.rpartition(" of ")[2] for text in said if " of " in text}
    if owners and portal not in owners:
        raise WarehouseError(
            f"the schema {schema} holds the portal {min(owners)}, whose name is the same "
            "in SQL or in the configuration: give this one another `schema` there, or another "
            "warehouse (ODS_WAREHOUSE)",
            portal=portal,
        )


class SqlLoadLog:
    """The load log of one portal, cached: a first run would else read all of it for each table."""

    # Entries written by this process, which may have the file open more than once.
    _written = 0

    def __init__(self, session: Session, schema: str, portal: str) -> None:
        """Read whose log it is.

        Raises:
            WarehouseError: The schema is another portal's, whose name is the same in SQL.
        """
        self._session = session
        self._schema, self._portal = schema, portal
        self._loads, self._order = session.named(schema, LOADS), session.log_order
        # Not by loaded_at: a clock can be set back.
        self._newest = (
            f"{self._order} IN (SELECT max({self._order}) FROM {self._loads} "
            f'WHERE {_CHANGED} GROUP BY "table")'
        )
        self._forget()
        require_own(portal, schema, session.table_comments(schema))
        self._complete_columns = False
        # For logs of before there was such a column.
        session.add_columns(schema, LOADS, ["dataset_uid VARCHAR"])

    def newest(self, table: str) -> dict[str, LogEntry]:
        """The newest entries of the tables of a name in any case, by their exact names."""
        name = folded(table)
        if self._exists() and name not in self._cache and not self._knows_all():
            # SQL's `lower` knows more letters than DuckDB does when it compares names.
            entries = self._read(
                f'WHERE lower("table") = lower(?) AND {_CHANGED} ORDER BY {self._order}', table
            )
            self._cache[name] = {e.table: e for e in entries if folded(e.table) == name}
        return self._cache.get(name, {})

    def of_dataset(self, dataset_id: str) -> list[LogEntry]:
        """The newest entries of the tables that were last loaded from a dataset."""
        if not self._exists():
            return []
        if self._knows_all():
            tables = self._by_dataset.get(dataset_id, [])
            entries = [self._cache[folded(table)][table] for table in tables]
            return [entry for entry in entries if entry.dataset_id == dataset_id]
        own = f'SELECT "table" FROM {self._loads} WHERE dataset_id = ?'
        entries = self._read(f'WHERE "table" IN ({own}) AND {self._newest}', dataset_id)
        return [entry for entry in entries if entry.dataset_id == dataset_id]

    def loaded(self) -> Mapping[str, LoadedTable]:
        """What the tables that still exist contain."""
        self._forget()
        entries = self._read_all() if self._exists() else []
        self._complete = True
        if not entries:
            return {}
        existing = self._session.table_comments(self._schema)
        return {
            entry.table: LoadedTable(entry.content_hash, entry.rows, entry.version)
            for entry in entries
            if entry.table in existing
        }

    def loaded_at(self, table: str) -> datetime | None:
        """When rows were last loaded into a table; None where nobody knows."""
        ((seconds,),) = self._session.run(
            "SELECT CAST(extract(epoch FROM max(loaded_at)) AS DOUBLE PRECISION) "
            f"FROM {self._loads} WHERE \"table\" = ? AND action = 'loaded'",
            table,
        )
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)

    def _knows_all(self) -> bool:
        """Whether all newest entries are known, which they are after some questions."""
        self._questions += 1
        if not self._complete and self._questions > _QUESTIONS:
            self._read_all()
        return self._complete

    def _read_all(self) -> list[LogEntry]:
        entries = self._read(f"WHERE {self._newest}")
        self._cache.clear()
        self._by_dataset.clear()
        self._complete = True
        for entry in entries:
            self._cache.setdefault(folded(entry.table), {})[entry.table] = entry
            self._by_dataset.setdefault(entry.dataset_id, []).append(entry.table)
        return entries

    def _read(self, condition: str, *values: str) -> list[LogEntry]:
        found = self._session.run(
            "SELECT \"table\", coalesce(dataset_id, ''), coalesce(content_hash, ''), "
            "coalesce(rows, 0), coalesce(version, ''), coalesce(dataset_uid, ''), "
            "coalesce(data_processed, '') "
            f"FROM {self._loads} {condition}",
            *values,
        )
        return [
            LogEntry(
                name,
                dataset,
                rows,
                content_hash=content,
                version=version,
                dataset_uid=uid,
                data_processed=processed,
            )
            for name, dataset, content, rows, version, uid, processed in found
        ]

    def _valid(self) -> object:
        # Where others write as well, nothing stays true: an object is equal to itself alone.
        shared = self._session.shared
        return object() if shared else (SqlLoadLog._written, self._session.rollbacks)

    def _forget(self) -> None:
        self._cache: dict[str, dict[str, LogEntry]] = {}
        # As of the look at all of the log: what is loaded later has its present name.
        self._by_dataset: dict[str, list[str]] = {}
        self._complete = self._there = False
        self._questions = 0
        self._as_of = self._valid()

    def _wrote(self) -> None:
        """Keep the cache through a change of ours that is also made in the cache."""
        if self._valid() != self._as_of:
            self._forget()
        SqlLoadLog._written += 1
        self._as_of = self._valid()

    def _known_to_exist(self) -> bool:
        # Not a query: inside a transaction one that fails would abort it.
        if self._valid() != self._as_of:
            self._forget()
        return self._there

    def _exists(self) -> bool:
        self._there = self._known_to_exist() or self._session.exists(self._schema, LOADS)
        return self._there

    def make(self) -> None:
        """Make the log if there is none; to be called in a transaction."""
        there = self._exists() if self._session.shared else self._known_to_exist()
        if not there:
            columns = ", ".join([_COLUMNS, *self._session.log_columns])
            self._session.run(f"CREATE TABLE IF NOT EXISTS {self._loads} ({columns})")
            whose = literal(f"Loads of {self._portal}")
            self._session.run(f"COMMENT ON TABLE {self._loads} IS {whose}")
        if not self._complete_columns:
            # Only where something is written: a log that is read stays as it is.
            self._session.add_columns(self._schema, LOADS, ["rejected BIGINT"])
            self._complete_columns = True

    def make_schema(self) -> None:
        """Make the portal's schema if there is none; to be called in a transaction."""
        if not self._known_to_exist():
            self._session.make_schema(self._schema)

    def record(self, entry: LogEntry) -> None:
        """Add an entry."""
        self.make()
        self._session.run(
            f"INSERT INTO {self._loads} ({_NAMES}) VALUES "
            "(now(), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            *(entry.table, entry.dataset_id or None, entry.rows, entry.verdict or None),
            *(entry.action, entry.content_hash, entry.data_processed or None),
            *(entry.change or None, entry.seconds, entry.version, entry.dataset_uid or None),
            entry.rejected,
        )
        self._wrote()
        self._there = True
        name = folded(entry.table)
        if entry.action != "quarantined" and (self._complete or name in self._cache):
            self._cache.setdefault(name, {})[entry.table] = entry

    def record_once(self, entry: LogEntry) -> None:
        """Add an entry unless the table's newest one has the same action and version."""
        self.make()
        last = self._session.run(
            f'SELECT action, version FROM {self._loads} WHERE "table" = ? '
            f"ORDER BY {self._order} DESC LIMIT 1",
            entry.table,
        )
        if last != [(entry.action, entry.version)]:
            self.record(entry)

    def note_version(self, entry: LogEntry) -> None:
        """Give a table's newest entry another version, where no table or comment differs by it."""
        newest = f'SELECT max({self._order}) FROM {self._loads} WHERE "table" = ? AND {_CHANGED}'
        self._session.run(
            f"UPDATE {self._loads} SET version = ?, dataset_uid = coalesce(?, dataset_uid) "
            f"WHERE {self._order} = ({newest})",
            *(entry.version, entry.dataset_uid or None, entry.table),
        )
        self._wrote()
        cached = self._cache.get(folded(entry.table), {})
        if before := cached.get(entry.table):
            uid = entry.dataset_uid or before.dataset_uid
            cached[entry.table] = replace(before, version=entry.version, dataset_uid=uid)

    def move(self, old: str, current: LogEntry, dataset_id: str) -> None:
        """Give the entries of a table its new name, and add one that says so."""
        self._session.run(
            f'UPDATE {self._loads} SET "table" = ? WHERE "table" = ?', current.table, old
        )
        self._forget()
        change = f"renamed from {old}"
        self.record(replace(current, dataset_id=dataset_id, action="renamed", change=change))
