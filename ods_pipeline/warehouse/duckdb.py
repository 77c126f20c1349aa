"""The embedded warehouse: one DuckDB file that landed partitions are loaded into.

What a load should do is decided in `shape`, what a file says in `partition`, how SQL puts it in
`statements`. Rows go from file to table inside DuckDB and never through Python.

Views of the user's own, in any schema, are kept by DuckDB as text: after a load they show the new
rows, and `SELECT *` the new columns; a view that names a column that is gone fails until the column
is back. When a table follows its dataset to a new name, views over the old name fail until they
are made anew over the new one, or a view of the old name is put in the table's place. Indexes on a
table go with every load and with every new name. What stands in a view's place is never replaced.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from ods_pipeline.tables.schema_diff import Difference
from ods_pipeline.warehouse import fill, hold_comments, renames, sql
from ods_pipeline.warehouse.connection import Session
from ods_pipeline.warehouse.fill import refused
from ods_pipeline.warehouse.landed import Partition, read_partition
from ods_pipeline.warehouse.load_log import Entry, History
from ods_pipeline.warehouse.names import HELD, RESERVED, schema_name, short
from ods_pipeline.warehouse.protocol import Contract, Load, LoadedTable
from ods_pipeline.warehouse.table_state import Shape, action, schema_change

_LISTS = {"catalog": "catalog", "held": "list of what is held"}
_LOADS_PER_CHECKPOINT = 200


class DuckDBWarehouse:
    """A DuckDB file, held open, and closed to all other processes, until `close`.

    Args:
        path: The file; it and the folders above it are made if they do not exist.

    Raises:
        WarehouseLocked: Another process has it open.
        WarehouseError: It cannot be opened or made.
    """

    def __init__(self, path: Path) -> None:
        self._session = Session(path)
        self._written = 0
        self._histories: dict[str, History] = {}
        self._marks: dict[str, Mapping[str, str]] = {}

    def __enter__(self) -> Self:
        """The warehouse, open."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close it, whatever happened."""
        self.close()

    def close(self) -> None:
        """Bring everything into the one file and let other processes in."""
        with self._session.failures():
            self._session.close()

    def load(self, partition: Path, *, verdict: str, contract: Contract = "evolve") -> Load:
        """Make the table what the landed partition says, in one transaction or not at all.

        A dataset that has another identifier than before keeps its table, which is renamed first,
        with its history, in a transaction of its own. Columns that the contract keeps out are no
        failure: the table stays, and the load says `quarantined`.

        Args:
            partition: A landed file of records or features.
            verdict: Why it was landed, for the record of loads.
            contract: Whether a table that stands may get other columns: with `evolve` alone.

        Raises:
            WarehouseError: The table's rows stay as they were.
        """
        landed = read_partition(partition)
        if landed.receipt.kind in _LISTS:
            told = _LISTS[landed.receipt.kind]
            raise refused(landed, f"{partition} is a portal's {told} and no dataset")
        return self._load(landed, verdict, contract)

    def load_catalog(self, catalog: Path) -> Load:
        """Make the table `_catalog` what the portal's landed catalog says.

        Raises:
            WarehouseError: The table stays as it was.
        """
        return self._load_list(catalog, "catalog")

    def load_holds(self, held: Path) -> Load:
        """Make the table `_held` what the portal's list of held partitions says, and mark them.

        The comment of a table that is held is led by the day and the reason, until it no longer is.

        Args:
            held: The list, in the portal's folder of the lake; a missing one says that nothing is
                held.

        Raises:
            WarehouseError: The table stays as it was.
        """
        load = self._load_list(held, "held") if held.exists() else self._empty(held.parent.name)
        with self._session.failures(held.parent.name):
            self._marks[load.schema] = hold_comments.marks(self._session, load.schema)
            hold_comments.apply(self._session, load.schema, self._marks[load.schema])
        return load

    def loaded(self, portal: str) -> Mapping[str, LoadedTable]:
        """The loaded tables of a portal by name.

        A table that somebody dropped is not among them, even if the record of loads has it.
        """
        with self._session.failures(portal):
            return self._history(schema_name(portal)).loaded()

    def _history(self, schema: str) -> History:
        if schema not in self._histories:
            self._histories[schema] = History(self._session, schema)
        return self._histories[schema]

    def _load_list(self, path: Path, kind: str) -> Load:
        landed = read_partition(path)
        if landed.receipt.kind != kind:
            raise refused(landed, f"{path} is no portal's {_LISTS[kind]}")
        return self._load(landed, "", "evolve")

    def _empty(self, portal: str) -> Load:
        """Let nothing be held, where there is a table that says otherwise."""
        started, schema = time.monotonic(), schema_name(portal)
        table, done = self._session.named(schema, HELD), "unchanged"
        with self._session.failures(portal):
            if self._session.exists(schema, HELD) and self._session.count(schema, HELD):
                done = "loaded"
                with self._session.transaction():
                    self._session.run(f"DELETE FROM {table}")
                    self._history(schema).record(Entry(HELD))
        return Load(schema, HELD, done, 0, Difference(), time.monotonic() - started, "")

    def _load(self, partition: Partition, verdict: str, contract: Contract) -> Load:
        started = time.monotonic()
        told = partition.receipt
        with self._session.failures(told.portal, told.dataset_id):
            history = self._history(partition.schema)
            former = renames.formers(self._session, history, partition)
            self._refuse_if_taken(partition, former)
            renamed = renames.follow(self._session, history, partition, former)
            load = self._follow_content(partition, verdict, contract, started)
            if load.action != "quarantined":
                left = [entry for entry in former if entry is not renamed]
                renames.drop_leftovers(self._session, history, partition, left)
        return dataclasses.replace(
            load,
            seconds=time.monotonic() - started,
            note=partition.note,
            renamed_from=renamed.table if renamed else "",
        )

    def _follow_content(
        self, partition: Partition, verdict: str, contract: Contract, started: float
    ) -> Load:
        told = partition.receipt
        standing = self._standing(partition)
        wanted = self._wanted(partition, standing)
        done = action(standing, wanted, contract)
        if standing and done == "commented":
            standing = self._described(partition, standing)
            done = action(standing, wanted, contract)
        load = Load(
            schema=partition.schema,
            table=partition.table,
            action=done,
            rows=told.rows,
            change=schema_change(standing, wanted),
            seconds=0.0,
            content_hash=told.content_hash,
        )
        history, entry = self._history(partition.schema), _entry(partition, load, verdict)
        if load.action == "loaded":
            fresh = standing is None
            fill.fill(self._session, history, partition, wanted, entry, fresh=fresh)
            self._written += 1
            if self._written % _LOADS_PER_CHECKPOINT == 0:
                self._session.checkpoint()
        elif load.action == "commented":
            with self._session.transaction():
                fill.describe(self._session, partition, standing, wanted)
                history.record(fill.timed(entry, started))
        elif standing and load.action == "quarantined":
            with self._session.transaction():
                history.record_once(fill.timed(entry, started))
            rows = self._session.count(partition.schema, partition.table)
            return dataclasses.replace(load, rows=rows, content_hash=standing.content_hash)
        elif standing and standing.version != told.version:
            history.note_version(entry)
        return load

    def _refuse_if_taken(self, partition: Partition, former: list[Entry]) -> None:
        """Two datasets must not overwrite each other: DuckDB's names have no case."""
        schema, table, told = partition.schema, partition.table, partition.receipt
        if table.lower() in RESERVED and told.kind not in _LISTS:
            raise refused(partition, f"the table {table} is kept for the warehouse's own use")
        its_own = {entry.table for entry in former}
        for other, entry in self._history(schema).newest(table).items():
            same = (other, entry.dataset_id) == (table, told.dataset_id) or other in its_own
            if not same and self._session.exists(schema, other):
                raise refused(
                    partition,
                    f"the table {schema}.{short(other)} holds the dataset "
                    f"{short(entry.dataset_id)!r}, and the names clash: drop that table if its "
                    "dataset is gone",
                )

    def _wanted(self, partition: Partition, standing: Shape | None) -> Shape:
        # Types are for comparing: nobody asks for them where there is nothing to compare with.
        told = f"DESCRIBE {sql.rows_of(partition)}"
        types = self._session.run(told) if standing else []
        names = {column.name: "" for column in partition.columns}
        if partition.schema not in self._marks:
            self._marks[partition.schema] = hold_comments.marks(self._session, partition.schema)
        mark = self._marks[partition.schema].get(partition.table, "")
        return Shape(
            types={name: kind for name, kind, *_ in types} or names,
            comment=hold_comments.marked(partition.comment, mark),
            comments={told.name: told.comment for told in partition.columns if told.comment},
            content_hash=partition.receipt.content_hash,
            version=partition.receipt.version,
        )

    def _standing(self, partition: Partition) -> Shape | None:
        """The table as it is, but for its comments, which are costly to ask for."""
        types = self._session.types(partition.schema, partition.table)
        if types is None:
            return None
        newest = self._history(partition.schema).newest(partition.table)
        entry = newest.get(partition.table, Entry(partition.table))
        return Shape(types, "", {}, entry.content_hash, entry.version)

    def _described(self, partition: Partition, standing: Shape) -> Shape:
        schema, table = partition.schema, partition.table
        comment = self._session.table_comment(schema, table) or ""
        comments = self._session.column_comments(schema, table)
        return dataclasses.replace(standing, comment=comment, comments=comments)


def _entry(partition: Partition, load: Load, verdict: str) -> Entry:
    told = partition.receipt
    return Entry(
        table=load.table,
        dataset_id=told.dataset_id,
        rows=load.rows,
        verdict=verdict,
        action=load.action,
        content_hash=load.content_hash,
        data_processed=told.data_processed,
        change=str(load.change),
        version=told.version,
        dataset_uid=told.dataset_uid,
    )
