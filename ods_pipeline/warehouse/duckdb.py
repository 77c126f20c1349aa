"""The embedded warehouse: one DuckDB file that landed partitions are loaded into.

What a load should do is decided in `shape`, what a file says in `partition`, how SQL puts it in
`statements`. Rows go from file to table inside DuckDB and never through Python.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from ods_pipeline.errors import WarehouseError
from ods_pipeline.warehouse import statements
from ods_pipeline.warehouse.base import Held, Load
from ods_pipeline.warehouse.names import CATALOG, LOADS, quoted, schema_name
from ods_pipeline.warehouse.partition import Partition, read_partition
from ods_pipeline.warehouse.session import Session
from ods_pipeline.warehouse.shape import Shape, action, schema_change

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

    def load(self, partition: Path, *, verdict: str) -> Load:
        """Make the table what the landed partition says, in one transaction or not at all.

        Args:
            partition: A landed file of records or features.
            verdict: Why it was landed, for the record of loads.

        Raises:
            WarehouseError: The table stays as it was.
        """
        landed = read_partition(partition)
        if landed.receipt.kind == "catalog":
            raise _refused(landed, f"{partition} is a portal's catalog and no dataset")
        return self._load(landed, verdict)

    def load_catalog(self, catalog: Path) -> Load:
        """Make the table `_catalog` what the portal's landed catalog says.

        Raises:
            WarehouseError: The table stays as it was.
        """
        landed = read_partition(catalog)
        if landed.receipt.kind != "catalog":
            raise _refused(landed, f"{catalog} is no portal's catalog")
        return self._load(landed, "")

    def held(self, portal: str) -> Mapping[str, Held]:
        """What is loaded of a portal: table name to what the table holds.

        A table that somebody dropped is not held, whatever the record of loads says.
        """
        schema = schema_name(portal)
        with self._session.failures(portal):
            if not self._session.exists(schema, LOADS):
                return {}
            newest = self._session.run(
                statements.newest_loads(self._session.named(schema, LOADS)), schema
            )
        return {table: Held(*told) for table, _, *told in newest}

    def _load(self, partition: Partition, verdict: str) -> Load:
        started = time.monotonic()
        told = partition.receipt
        with self._session.failures(told.portal, told.dataset_id):
            self._refuse_if_taken(partition)
            standing, wanted = self._standing(partition), self._wanted(partition)
            load = Load(
                schema=partition.schema,
                table=partition.table,
                action=action(standing, wanted),
                rows=told.rows,
                change=schema_change(standing, wanted),
                seconds=0.0,
                content_hash=told.content_hash,
            )
            if load.action == "loaded":
                self._replace(partition, wanted, load, verdict)
                self._written += 1
                if self._written % _LOADS_PER_CHECKPOINT == 0:
                    self._session.checkpoint()
            elif load.action == "commented":
                with self._session.transaction():
                    self._comment(partition, standing, wanted)
                    self._record(partition, load, verdict, started)
            elif standing and standing.version != told.version:
                note = statements.note_version(self._session.named(partition.schema, LOADS))
                self._session.run(note, told.version, partition.table)
        return dataclasses.replace(load, seconds=time.monotonic() - started)

    def _refuse_if_taken(self, partition: Partition) -> None:
        """Two datasets must not overwrite each other: DuckDB's names have no case."""
        schema, table, told = partition.schema, partition.table, partition.receipt
        if table.lower() in (CATALOG, LOADS) and told.kind != "catalog":
            raise _refused(partition, f"the table {table} is kept for the warehouse's own use")
        for other, dataset, *_ in self._recorded(schema, table):
            same = (other, dataset or "") == (table, told.dataset_id)
            if not same and self._session.exists(schema, other):
                raise _refused(
                    partition,
                    f"the table {schema}.{other} holds the dataset {dataset!r}, and the names "
                    "clash: drop that table if its dataset is gone",
                )

    def _recorded(self, schema: str, table: str) -> list[tuple[Any, ...]]:
        """The newest recorded loads of the tables of a name, in any case."""
        if not self._session.exists(schema, LOADS):
            return []
        return self._session.run(
            statements.newest_loads_of(self._session.named(schema, LOADS)), table
        )

    def _wanted(self, partition: Partition) -> Shape:
        types = self._session.run(f"DESCRIBE {statements.rows_of(partition)}")
        return Shape(
            types={name: kind for name, kind, *_ in types},
            comment=partition.comment,
            comments={told.name: told.comment for told in partition.columns if told.comment},
            content_hash=partition.receipt.content_hash,
            version=partition.receipt.version,
        )

    def _standing(self, partition: Partition) -> Shape | None:
        schema, table = partition.schema, partition.table
        if not self._session.exists(schema, table):
            return None
        columns = self._session.columns(schema, table)
        held = {name: told for name, _, *told in self._recorded(schema, table)}
        content_hash, _, version = held.get(table, ("", 0, ""))
        return Shape(
            types={name: kind for name, kind, _ in columns},
            comment=self._session.table_comment(schema, table) or "",
            comments={name: told for name, _, told in columns if told},
            content_hash=content_hash or "",
            version=version or "",
        )

    def _replace(self, partition: Partition, wanted: Shape, load: Load, verdict: str) -> None:
        started = time.monotonic()
        for attempt in self._session.rooms():
            with attempt, self._session.transaction():
                self._swap_in(partition)
                self._comment(partition, None, wanted)
                self._record(partition, load, verdict, started)
                return

    def _swap_in(self, partition: Partition) -> None:
        run, schema, told = self._session.run, partition.schema, partition.receipt
        # No dataset's identifier has a space.
        staging = self._session.named(schema, f"{partition.table} loading")
        run(f"CREATE SCHEMA IF NOT EXISTS {self._session.named(schema)}")
        run(f"CREATE TABLE {staging} AS {statements.rows_of(partition)}")
        ((count,),) = run(f"SELECT count(*) FROM {staging}")
        if count != told.rows:
            says = f"{count} rows came out of {partition.path}, whose receipt says {told.rows}"
            raise _refused(partition, f"{says}: fetch the dataset again")
        run(f"DROP TABLE IF EXISTS {self._session.named(schema, partition.table)}")
        run(f"ALTER TABLE {staging} RENAME TO {quoted(partition.table)}")

    def _comment(self, partition: Partition, before: Shape | None, wanted: Shape) -> None:
        table = self._session.named(partition.schema, partition.table)
        for statement in statements.comments(table, before, wanted):
            self._session.run(statement)

    def _record(self, partition: Partition, load: Load, verdict: str, started: float) -> None:
        told, loads = partition.receipt, self._session.named(load.schema, LOADS)
        self._session.run(statements.create_loads(loads))
        self._session.run(
            statements.record_load(loads),
            *(load.table, told.dataset_id or None, load.rows, verdict or None, load.action),
            *(load.content_hash, told.data_processed or None, str(load.change) or None),
            *(time.monotonic() - started, told.version),
        )


def _refused(partition: Partition, message: str) -> WarehouseError:
    told = partition.receipt
    return WarehouseError(message, portal=told.portal, dataset=told.dataset_id)
