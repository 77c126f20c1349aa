"""Tables that somebody else writes to: what is loaded of a portal is what a load left there."""

from pathlib import Path

import pytest

from ods_pipeline.warehouse import Warehouse
from tests.warehouse.every_engine.stores import Store
from tests.warehouse.partitions import PORTAL, SCHEMA, Column, land

TABLE = f'"{SCHEMA}".velos'
NAMES = {"nom": Column(["a", "b", "c"])}
CHANGES = ("DELETE FROM {}", "DELETE FROM {} WHERE nom = 'b'", "INSERT INTO {} VALUES ('d')")


@pytest.fixture
def partition(store: Store, tmp_path: Path) -> Path:
    """A partition that an earlier run loaded."""
    return loaded(store, land(tmp_path / "lake" / "velos.parquet", NAMES))


def loaded(store: Store, path: Path) -> Path:
    with store.open() as warehouse:
        warehouse.load(path, verdict="new")
    return path


@pytest.mark.parametrize("change", CHANGES)
def test_a_table_whose_rows_somebody_changed_is_not_loaded_and_the_next_load_mends_it(
    warehouse: Warehouse, partition: Path, store: Store, change: str
) -> None:
    assert set(warehouse.loaded(PORTAL)) == {"velos"}
    store.ask(change.format(TABLE))
    assert warehouse.loaded(PORTAL) == {}
    load = warehouse.load(partition, verdict="unchanged")
    assert (load.action, load.rows) == ("loaded", 3)
    assert "somebody else changed" in load.note
    assert store.rows("velos") == [("a",), ("b",), ("c",)]
    assert set(warehouse.loaded(PORTAL)) == {"velos"}
    assert warehouse.load(partition, verdict="unchanged").action == "unchanged"


def test_an_older_lake_fills_a_table_that_somebody_emptied(
    warehouse: Warehouse, partition: Path, store: Store
) -> None:
    before = {"fetched_at": "2026-01-01T00:00:00+00:00"}
    new = land(partition, NAMES, data_processed="2026-03-01T00:00:00+00:00", **before)
    assert warehouse.load(new, verdict="data").action == "unchanged"
    old = land(partition, NAMES, data_processed="2026-02-01T00:00:00+00:00", **before)
    store.ask(f"DELETE FROM {TABLE}")
    assert warehouse.load(old, verdict="data").action == "loaded"


def test_tables_of_no_rows_count_as_loaded_until_there_are_some(
    store: Store, warehouse: Warehouse, tmp_path: Path
) -> None:
    path = loaded(store, land(tmp_path / "velos.parquet", {"nom": Column([])}))
    assert set(warehouse.loaded(PORTAL)) == {"velos"}
    store.ask(f"INSERT INTO {TABLE} VALUES ('d')")
    assert warehouse.loaded(PORTAL) == {}
    assert warehouse.load(path, verdict="unchanged").action == "loaded"
    assert store.rows("velos") == []


def test_a_load_that_is_asked_for_again_writes_the_rows_again(
    warehouse: Warehouse, partition: Path, store: Store
) -> None:
    untouched = store.marked("velos", "nom")
    assert warehouse.load(partition, verdict="full").action == "unchanged"
    assert untouched("velos")
    load = warehouse.load(partition, verdict="full", again=True)
    assert (load.action, load.note) == ("loaded", "")
    assert not untouched("velos")
