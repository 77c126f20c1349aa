"""What a load does to the tables, step by step in the life of a dataset."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from ods_pipeline.warehouse import Warehouse, open_warehouse
from tests.warehouse.partitions import SCHEMA, Column, land

TABLE = f'"{SCHEMA}".velos'
NAMES = Column(["a", None, ""], told={"label": "Nom", "description": "Nom de la station"})
COUNTS = Column([1, 2**63 - 1, None], pa.int64(), {"label": "Nombre", "unit": "vélos"})
Ask = Callable[..., list[tuple[object, ...]]]


@pytest.fixture
def partition(tmp_path: Path) -> Path:
    return tmp_path / "lake" / "velos.parquet"


def test_hundreds_of_small_tables_leave_nothing_that_no_room_could_be_made_of(
    database: Path, tmp_path: Path
) -> None:
    partition = tmp_path / "one.parquet"
    kept = []
    with open_warehouse(f"duckdb:///{database}") as warehouse:
        for number in range(210):
            land(partition, {"nom": Column(["a"])}, dataset_id=f"d{number}")
            warehouse.load(partition, verdict="new")
            kept.append(_kept_in_memory(warehouse))
    assert max(kept) < 4_000_000
    assert kept[-1] < kept[150]


def _kept_in_memory(warehouse: Warehouse) -> int:
    session = warehouse._session  # type: ignore[attr-defined]
    query = "SELECT memory_usage_bytes FROM duckdb_memory() WHERE tag = 'IN_MEMORY_TABLE'"
    ((size,),) = session.run(query)
    return int(size)
