"""A portal's record of loads, the table `_loads`: what was loaded when, and what stands where.

The record is added to and never shortened; a table that gets another name takes its entries along.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ods_pipeline.warehouse import statements
from ods_pipeline.warehouse.base import Held
from ods_pipeline.warehouse.names import LOADS, folded
from ods_pipeline.warehouse.session import Session


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

    Args:
        session: The open warehouse.
        schema: The portal's schema.
    """

    def __init__(self, session: Session, schema: str) -> None:
        self._session = session
        self._schema = schema
        self._loads = session.named(schema, LOADS)
        session.run(statements.complete_loads(self._loads))

    def newest(self, table: str) -> dict[str, Entry]:
        """What was last loaded into the tables of a name in any case, by their exact names."""
        if not self._session.exists(self._schema, LOADS):
            return {}
        found = self._session.run(statements.newest_loads_of(self._loads), table)
        entries = (
            Entry(
                table=name,
                dataset_id=dataset or "",
                rows=rows or 0,
                content_hash=content or "",
                version=version or "",
                dataset_uid=uid or "",
            )
            for name, dataset, content, rows, version, uid in found
        )
        # SQL's `lower` knows more letters than DuckDB does when it compares names.
        return {entry.table: entry for entry in entries if folded(entry.table) == folded(table)}

    def held(self) -> Mapping[str, Held]:
        """What stands in the tables that still exist."""
        if not self._session.exists(self._schema, LOADS):
            return {}
        found = self._session.run(statements.newest_loads(self._loads), self._schema)
        return {table: Held(content, rows, version) for table, content, rows, version in found}

    def record(self, entry: Entry) -> None:
        """Add a line."""
        self._session.run(statements.create_loads(self._loads))
        self._session.run(
            statements.record_load(self._loads),
            *(entry.table, entry.dataset_id or None, entry.rows, entry.verdict or None),
            *(entry.action, entry.content_hash, entry.data_processed or None),
            *(entry.change or None, entry.seconds, entry.version, entry.dataset_uid or None),
        )

    def record_once(self, entry: Entry) -> None:
        """Add a line unless the table's newest one says the same of the same version."""
        self._session.run(statements.create_loads(self._loads))
        last = self._session.run(statements.last_line(self._loads), entry.table)
        if last != [(entry.action, entry.version)]:
            self.record(entry)

    def note_version(self, entry: Entry) -> None:
        """Say of what stands in a table that it is of this version too."""
        note = statements.note_version(self._loads)
        self._session.run(note, entry.version, entry.dataset_uid or None, entry.table)

    def move(self, old: str, standing: Entry, dataset_id: str) -> None:
        """Let a table's lines name another one, and say in a new line that they do.

        Args:
            old: The name that the table had.
            standing: What now stands under its new name.
            dataset_id: The dataset's new identifier.
        """
        self._session.run(statements.move_loads(self._loads), standing.table, old)
        change = f"renamed from {old}"
        self.record(replace(standing, dataset_id=dataset_id, action="renamed", change=change))
