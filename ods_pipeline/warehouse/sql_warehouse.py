"""What every SQL warehouse does in the same statements: comments, marks and the load log.

What is decided for every warehouse, in SQL or not, is in `table_warehouse`; the statements that
make a table, and how a connection is had, belong to each engine.
"""

from __future__ import annotations

from collections.abc import Mapping

from ods_pipeline.warehouse import comments
from ods_pipeline.warehouse.landed import Partition
from ods_pipeline.warehouse.load_log import LoadLog, LogEntry, SqlLoadLog
from ods_pipeline.warehouse.names import AS_IS, TableNames
from ods_pipeline.warehouse.session import Session
from ods_pipeline.warehouse.table_state import TableState
from ods_pipeline.warehouse.table_warehouse import TableWarehouse


class SqlWarehouse(TableWarehouse):
    """A warehouse of tables that SQL makes and renames; see `Warehouse`.

    Args:
        session: The connection.
        names: What the schema and tables of the portal that is loaded are called.
    """

    _session: Session

    def __init__(self, session: Session, names: TableNames = AS_IS) -> None:
        super().__init__(session, names)

    def _describe(
        self,
        log: LoadLog,
        partition: Partition,
        current: TableState,
        wanted: TableState,
        entry: LogEntry,
    ) -> None:
        with self._session.transaction():
            comments.write_comments(
                self._session, partition.schema, partition.table, current, wanted
            )
            log.record(entry)

    def _open_log(self, portal: str) -> LoadLog:
        return SqlLoadLog(self._session, self._names.schema_of(portal), portal)

    def _remove_rows(self, log: LoadLog, schema: str, table: str) -> None:
        with self._session.transaction():
            self._session.run(f"DELETE FROM {self._session.named(schema, table)}")
            log.record(LogEntry(table))

    def _read_marks(self, schema: str) -> Mapping[str, str]:
        return comments.read_marks(self._session, schema, self._names)

    def _write_marks(self, schema: str, marks: Mapping[str, str]) -> None:
        comments.write_marks(self._session, schema, marks)
