"""What PostgreSQL's own catalog tells of a table that somebody else wrote to or replaced."""

from __future__ import annotations

from pathlib import Path

import pytest

from ods_pipeline.warehouse import Warehouse
from tests.warehouse.every_engine.stores import PostgreSQL
from tests.warehouse.partitions import PORTAL, SCHEMA, Column, land

pytestmark = pytest.mark.servers

TABLE = f'"{SCHEMA}".velos'


@pytest.fixture
def partition(store: PostgreSQL, tmp_path: Path) -> Path:
    """A partition that an earlier run loaded."""
    path = land(tmp_path / "velos.parquet", {"nom": Column(["a", "b"])})
    with store.open() as warehouse:
        warehouse.load(path, verdict="new")
    return path


@pytest.mark.parametrize(
    "change",
    [
        f"TRUNCATE {TABLE}",
        f"UPDATE {TABLE} SET nom = 'c'",
        f"DROP TABLE {TABLE}; CREATE TABLE {TABLE} AS VALUES ('a'), ('b')",
    ],
)
def test_a_table_that_was_emptied_edited_or_replaced_is_loaded_again(
    warehouse: Warehouse, partition: Path, store: PostgreSQL, change: str
) -> None:
    store.ask(change)
    assert warehouse.loaded(PORTAL) == {}
    assert warehouse.load(partition, verdict="unchanged").action == "loaded"
    assert store.rows("velos") == [("a",), ("b",)]


@pytest.mark.parametrize(
    "upkeep", ["VACUUM FULL", "VACUUM ANALYZE", "ANALYZE", "CREATE INDEX ON", "REINDEX TABLE"]
)
def test_what_keeps_a_table_in_order_is_no_change(
    warehouse: Warehouse, partition: Path, store: PostgreSQL, upkeep: str
) -> None:
    store.ask(f"{upkeep} {TABLE}{' (nom)' if 'INDEX ON' in upkeep else ''}")
    assert set(warehouse.loaded(PORTAL)) == {"velos"}
    assert warehouse.load(partition, verdict="unchanged").action == "unchanged"
