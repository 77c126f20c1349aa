"""The embedded warehouse: one DuckDB file that landed partitions are loaded into.

Rows go from file to table inside DuckDB and never through Python. Which partitions are loaded, and
when, is decided in `sync`.

DuckDB keeps the views of users, in any schema, as text. After a load they show the new rows, and
`SELECT *` the new columns; a view that names a removed column fails until the column is back. When
a table is renamed with its dataset, views over the old name fail until users make them again over
the new name, or make a view of the old name. Each load and each renaming drops the indexes of a
table. A view that has the name of a table to load is never replaced.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ods_pipeline.warehouse import fill
from ods_pipeline.warehouse.connection import Session
from ods_pipeline.warehouse.landed import Partition
from ods_pipeline.warehouse.load_log import LoadLog, LogEntry
from ods_pipeline.warehouse.names import AS_IS, TableNames
from ods_pipeline.warehouse.sql_warehouse import SqlWarehouse
from ods_pipeline.warehouse.table_state import TableState

_LOADS_PER_CHECKPOINT = 200


class DuckDBWarehouse(SqlWarehouse):
    """A DuckDB file; no other process can open it until `close`.

    Args:
        path: The file; it and the folders above it are made if they do not exist.
        names: What the schema and tables of the portal that is loaded are called.

    Raises:
        WarehouseLocked: Another process has it open.
        WarehouseError: It cannot be opened or made.
    """

    _session: Session

    def __init__(self, path: Path, names: TableNames = AS_IS) -> None:
        super().__init__(Session(path), names)
        self._written = 0

    def check(self, portal: str) -> str:
        """See `Warehouse.check`: it could be opened, which is all that it needs."""
        return "can be opened"

    def _column_types(self, partition: Partition) -> Mapping[str, str]:
        described = self._session.run(f"DESCRIBE {fill.rows_query(partition)}")
        return {name: kind for name, kind, *_ in described}

    def _fill(
        self,
        log: LoadLog,
        partition: Partition,
        current: TableState | None,
        wanted: TableState,
        entry: LogEntry,
    ) -> str:
        fill.fill(self._session, log, partition, wanted, entry, fresh=current is None)
        self._written += 1
        if self._written % _LOADS_PER_CHECKPOINT == 0:
            # Until then each small table takes some 30 kB of memory.
            self._session.run("CHECKPOINT")
        return ""
