"""The record of loads is read once and still never believed against what stands in the file."""

from pathlib import Path

import pytest

from ods_pipeline.errors import WarehouseError
from ods_pipeline.warehouse import Warehouse, open_warehouse
from ods_pipeline.warehouse.duckdb import DuckDBWarehouse
from ods_pipeline.warehouse.load_log import LogEntry, SqlLoadLog
from tests.warehouse.partitions import PORTAL, Column, land


@pytest.fixture
def partition(tmp_path: Path) -> Path:
    return tmp_path / "lake" / "velos.parquet"


_RECORD = SqlLoadLog.record


def _broken_off_after_it(log: SqlLoadLog, entry: LogEntry) -> None:
    _RECORD(log, entry)
    raise WarehouseError("broken off")


def _statements(warehouse: DuckDBWarehouse, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    seen: list[str] = []
    run = warehouse._session.run

    def told(statement: str, *values: object) -> list[tuple[object, ...]]:
        seen.append(statement)
        return run(statement, *values)

    monkeypatch.setattr(warehouse._session, "run", told)
    return seen


def test_a_first_load_of_a_table_takes_few_statements(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with DuckDBWarehouse(database) as warehouse:
        warehouse.loaded(PORTAL)
        warehouse.load(
            land(tmp_path / "one.parquet", {"n": Column(["a"])}, dataset_id="one"), verdict="new"
        )
        seen = _statements(warehouse, monkeypatch)
        two = land(
            tmp_path / "two.parquet", {"n": Column(["a"], told={"label": "N"})}, dataset_id="two"
        )
        warehouse.load(two, verdict="new")
    # Is there such a table; make it; its column's comment; the line.
    assert len(seen) == 4


def test_what_was_rolled_back_is_not_taken_for_loaded(
    database: Path, partition: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with DuckDBWarehouse(database) as warehouse:
        warehouse.load(land(partition, {"nom": Column(["old"])}), verdict="new")
        land(partition, {"nom": Column(["new"])})
        with monkeypatch.context() as patch:
            patch.setattr(SqlLoadLog, "record", _broken_off_after_it)
            with pytest.raises(WarehouseError):
                warehouse.load(partition, verdict="data")
        assert warehouse.load(partition, verdict="data").action == "loaded"
        assert warehouse.load(partition, verdict="data").action == "unchanged"


def test_what_another_connection_of_this_process_loaded_is_seen(
    warehouse: Warehouse, database: Path, partition: Path
) -> None:
    old, new = {"nom": Column(["old"])}, {"nom": Column(["new"])}
    warehouse.load(land(partition, old), verdict="new")
    warehouse.loaded(PORTAL)
    with open_warehouse(f"duckdb:///{database}") as other:
        other.load(land(partition, new), verdict="data")
    assert warehouse.load(partition, verdict="data").action == "unchanged"
    assert warehouse.load(land(partition, old), verdict="data").action == "loaded"
