"""The tables of an Iceberg catalog: looking at them, and changing one in one commit.

Partitions, and the meaning of what tables say of themselves, do not belong here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

import pyarrow as pa
from pyiceberg.exceptions import (
    NoSuchNamespaceError,
    NoSuchTableError,
    TableAlreadyExistsError,
)
from pyiceberg.manifest import DataFile
from pyiceberg.schema import Schema
from pyiceberg.table import Table, Transaction
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.refs import MAIN_BRANCH
from pyiceberg.table.snapshots import Operation
from pyiceberg.table.update import (
    AddSchemaUpdate,
    AssertCurrentSchemaId,
    AssertRefSnapshotId,
    SetCurrentSchemaUpdate,
    SetPropertiesUpdate,
)

from ods_pipeline.errors import OdsPipelineError, WarehouseError
from ods_pipeline.warehouse.iceberg.address import Address, open_catalog
from ods_pipeline.warehouse.iceberg.columns import types_of
from ods_pipeline.warehouse.iceberg.failures import failure
from ods_pipeline.warehouse.iceberg.files import NOT_COMMITTED
from ods_pipeline.warehouse.names import RESERVED, short
from ods_pipeline.warehouse.protocol import LoadedTable

COMMENT = "comment"
#: Of a table that is being renamed: the name that it had.
MOVING = "ods-pipeline.moving-from"
#: How the entries of the receipt begin in the summary of a snapshot.
RECEIPT = "ods-pipeline."
# Old descriptions of a table go by themselves; those of its snapshots are another matter.
_NEW = {
    "format-version": "2",
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "20",
}
# So many tables are looked at in a run, and so many of them at the same time.
_LOOKS, _AT_ONCE = 500, 8
# Libraries whose errors have no common kind.
_LIBRARIES = ("pyiceberg", "sqlalchemy", "requests", "urllib3", "botocore", "pydantic_core")


class LostRace(WarehouseError):
    """Another process changed a table first, so that nothing was changed here."""


@dataclass(frozen=True)
class Change:
    """What one commit changes of a table.

    Attributes:
        schema: The columns that it is to have; None for those that it has.
        properties: Properties to set; an empty one is removed.
        summary: What its new snapshot says of itself.
        replaces: Whether its rows are replaced, by those of a file or by none.
    """

    schema: Schema | None = None
    properties: Mapping[str, str] = field(default_factory=dict)
    summary: Mapping[str, str] = field(default_factory=dict)
    replaces: bool = False


class IcebergTables:
    """The tables of a catalog; see `session.Tables`. What was looked at is kept until `forget`.

    Attributes:
        where: The catalog, for messages.
    """

    shared = True

    def __init__(self, address: Address) -> None:
        self.where, self._plain = address.where, address.plain
        self._seen: dict[tuple[str, str], Table | None] = {}
        self._names: dict[str, set[str]] = {}
        with self.failures():
            self.catalog = open_catalog(address)

    def __repr__(self) -> str:
        """The place alone."""
        return f"IcebergTables({self.where!r})"

    def key(self, schema: str, table: str) -> tuple[str, str]:
        """What the catalog calls a table."""
        return (schema, f"ods{table}" if self._plain and table in RESERVED else table)

    def _ours(self, name: str) -> str:
        ours = name.removeprefix("ods")
        return ours if self._plain and ours in RESERVED else name

    def forget(self) -> None:
        """Look at all tables again."""
        self._seen.clear()

    def table(self, schema: str, table: str) -> Table | None:
        """A table; None if there is none."""
        key = (schema, table)
        if key not in self._seen:
            try:
                self._seen[key] = self.catalog.load_table(self.key(schema, table))
            except (NoSuchTableError, NoSuchNamespaceError):
                self._seen[key] = None
        return self._seen[key]

    def names(self, schema: str, *, fresh: bool = False) -> frozenset[str]:
        """The names of a schema's tables, as they were when they were first asked for."""
        if fresh or schema not in self._names:
            try:
                found = self.catalog.list_tables((schema,))
            except NoSuchNamespaceError:
                found = []
            self._names[schema] = {self._ours(name) for *_, name in found}
        return frozenset(self._names[schema])

    def exists(self, schema: str, table: str) -> bool:
        """Whether there is such a table."""
        return self.table(schema, table) is not None

    def count(self, schema: str, table: str) -> int:
        """How many rows a table has."""
        found = self.table(schema, table)
        return found.scan().count() if found and found.current_snapshot() else 0

    def altered(self, schema: str, tables: Mapping[str, LoadedTable]) -> frozenset[str]:
        """The tables whose rows are not those that a load of this content left.

        Among many, those whose turn it is today are looked at: each costs a request.
        """
        due = due_today([*tables], datetime.now(UTC).date())

        def is_altered(name: str) -> bool:
            known = self._seen.get((schema, name))
            try:
                # Thousands of descriptions are not kept in memory.
                found = known or self.catalog.load_table(self.key(schema, name))
            except (NoSuchTableError, NoSuchNamespaceError):
                return True
            return not has_rows_of(found.metadata, tables[name])

        if len(due) < 2:
            return frozenset(filter(is_altered, due))
        with ThreadPoolExecutor(_AT_ONCE, "look") as pool:
            looked_at = pool.map(is_altered, due)
            return frozenset(n for n, altered in zip(due, looked_at, strict=True) if altered)

    def types(self, schema: str, table: str) -> dict[str, str] | None:
        """Type of each column of a table, in order; None if there is no such table."""
        found = self.table(schema, table)
        return None if found is None else types_of(found.schema())

    def table_comment(self, schema: str, table: str) -> str | None:
        """The comment of a table, empty if it has none; None if there is no such table."""
        found = self.table(schema, table)
        return None if found is None else found.properties.get(COMMENT, "")

    def column_comments(self, schema: str, table: str) -> dict[str, str]:
        """The comments of a table's columns that have one."""
        found = self.table(schema, table)
        return {f.name: f.doc for f in found.schema().fields if f.doc} if found else {}

    def rename(self, schema: str, table: str, name: str) -> None:
        """Give a table another name; it remembers the old one until its history has followed."""
        found = self.table(schema, table)
        if found is None:
            raise LostRace(f"the table {short(table)} is gone")
        self.commit(found, Change(properties={MOVING: table}))
        self._seen.clear()
        self.catalog.rename_table(self.key(schema, table), self.key(schema, name))
        self._names.get(schema, set()).discard(table)
        self._names.get(schema, set()).add(name)

    def drop(self, schema: str, table: str) -> None:
        """Drop a table with its files."""
        self.catalog.purge_table(self.key(schema, table))
        self._seen.clear()
        self._names.get(schema, set()).discard(table)

    def make_schema(self, schema: str) -> None:
        """Make a schema if there is none."""
        try:
            self.catalog.create_namespace_if_not_exists((schema,))
        # Catalogs differ in what they raise where another process made it in between.
        except Exception:
            if not self.catalog.namespace_exists((schema,)):
                raise

    def creation(self, schema: str, table: str, wanted: Schema) -> Transaction:
        """A transaction that makes a table."""
        self.make_schema(schema)
        key = self.key(schema, table)
        return self.catalog.create_table_transaction(key, wanted, properties=_NEW)

    def create(self, schema: str, table: str, wanted: Schema, comment: str) -> Table:
        """Make a table without rows, unless another process does."""
        self.make_schema(schema)
        properties = {**_NEW, COMMENT: comment}
        made = self.catalog.create_table_if_not_exists(
            self.key(schema, table), wanted, properties=properties
        )
        self.made(schema, table)
        return made

    def made(self, schema: str, table: str) -> None:
        """Know of a table that was made or changed."""
        self._seen.pop((schema, table), None)
        self._names.get(schema, set()).add(table)

    def commit(self, table: Table, change: Change, file: DataFile | None = None) -> Table:
        """Change a table in one commit, or not at all where another process was first."""
        transaction = table.transaction()
        stage(transaction, table, change, file)
        transaction.commit_transaction()
        *_, schema, name = table.name()
        self.made(schema, self._ours(name))
        return table

    @contextmanager
    def failures(self, portal: str = "", dataset: str = "") -> Iterator[None]:
        """Turn errors of catalog and store into one sentence about a portal's dataset."""
        try:
            yield
        except OdsPipelineError:
            raise
        except (*NOT_COMMITTED, TableAlreadyExistsError, NoSuchTableError):
            raise LostRace(
                f"other processes changed the same table of {self.where} again and again: it is "
                "whole, and the next run loads what is missing",
                portal=portal,
                dataset=dataset,
            ) from None
        # These have no kind in common; what is not of a library below is a bug of ours.
        except Exception as error:
            kinds = (OSError, ValueError, NotImplementedError, pa.ArrowException)
            library = type(error).__module__.partition(".")[0]
            if not isinstance(error, kinds) and library not in _LIBRARIES:
                raise
            raise failure(error, self.where, portal=portal, dataset=dataset) from None

    def transaction(self) -> nullcontext[None]:
        """Nothing: each table is changed in a commit of its own."""
        return nullcontext()

    def close(self) -> None:
        """Give connections back."""
        self._seen.clear()
        self.catalog.close()


def due_today(names: Sequence[str], today: date) -> list[str]:
    """The tables to look at today: all, or of many a part that is another one every day."""
    parts = -(-len(names) // _LOOKS)
    return [n for i, n in enumerate(sorted(names)) if i % parts == today.toordinal() % parts]


def has_rows_of(metadata: TableMetadata, loaded: LoadedTable) -> bool:
    """Whether the rows of a table are those that a load left, by what its snapshots say."""
    snapshot = metadata.current_snapshot()
    while snapshot and snapshot.summary and snapshot.summary.operation is Operation.REPLACE:
        # The same rows in other files, as those make it who compact tables.
        before = snapshot.parent_snapshot_id
        snapshot = metadata.snapshot_by_id(before) if before is not None else None
        if snapshot is None:
            return True  # It was forgotten, and with it what these rows were.
    if snapshot is None or snapshot.summary is None:
        return not loaded.rows
    said = snapshot.summary.additional_properties
    if not loaded.rows and said.get("total-records") == "0":
        return True
    return said.get(f"{RECEIPT}content_hash") == loaded.content_hash


def stage(
    transaction: Transaction, table: Table | None, change: Change, file: DataFile | None
) -> None:
    """Put a change into a transaction.

    Args:
        transaction: Of the table, or one that makes it.
        table: The table; None where it is made.
        change: What is to change.
        file: The rows, where they are replaced; None for no rows.
    """
    metadata = transaction.table_metadata
    if table is not None:
        # Else a commit that has no snapshot would go over another process' newer one.
        head = metadata.current_snapshot_id
        transaction._apply(
            (), (AssertRefSnapshotId.model_validate({"ref": MAIN_BRANCH, "snapshot-id": head}),)
        )
    if change.schema is not None and change.schema != metadata.schema():
        _stage_schema(transaction, metadata, change.schema)
    values = {name: text for name, text in change.properties.items() if text}
    if values:
        transaction._apply((SetPropertiesUpdate(updates=values),))
    gone = [n for n, text in change.properties.items() if not text and n in metadata.properties]
    if gone:
        transaction.remove_properties(*gone)
    if change.replaces:
        _stage_rows(transaction, table, dict(change.summary), file)


def _stage_schema(transaction: Transaction, metadata: TableMetadata, wanted: Schema) -> None:
    same = next((s.schema_id for s in metadata.schemas if s == wanted), None)
    required = (
        AssertCurrentSchemaId.model_validate({"current-schema-id": metadata.current_schema_id}),
    )
    if same is not None:
        transaction._apply((_current(same),), required)
        return
    numbered = Schema(*wanted.fields, schema_id=1 + max(s.schema_id for s in metadata.schemas))
    transaction._apply((AddSchemaUpdate(schema=numbered), _current(-1)), required)


def _current(schema: int) -> SetCurrentSchemaUpdate:
    return SetCurrentSchemaUpdate.model_validate({"schema-id": schema})


def _stage_rows(
    transaction: Transaction, table: Table | None, summary: dict[str, str], file: DataFile | None
) -> None:
    """One snapshot, so that none of the table's history is without rows that it had."""
    old = [task.file for task in table.scan().plan_files()] if table else []
    update = transaction.update_snapshot(snapshot_properties=summary)
    with update.overwrite() if old else update.fast_append() as snapshot:
        for item in old:
            snapshot.delete_data_file(item)
        if file is not None:
            snapshot.append_data_file(file)
