"""What the snapshots of a table tell of others who wrote to it, and which tables are looked at."""

from datetime import date, timedelta
from pathlib import Path

from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.snapshots import Operation, Snapshot, Summary

from ods_pipeline.warehouse import LoadedTable, Warehouse
from ods_pipeline.warehouse.iceberg.tables import due_today, has_rows_of
from tests.warehouse.every_engine.stores import Iceberg
from tests.warehouse.partitions import PORTAL, SCHEMA, Column, land


def test_a_table_that_was_set_back_to_an_older_snapshot_is_loaded_again(
    warehouse: Warehouse, tmp_path: Path, store: Iceberg
) -> None:
    path = tmp_path / "velos.parquet"
    warehouse.load(land(path, {"nom": Column(["a"])}), verdict="new")
    warehouse.load(land(path, {"nom": Column(["b"])}), verdict="data")
    assert set(warehouse.loaded(PORTAL)) == {"velos"}
    table = store.catalog.load_table((SCHEMA, "velos"))
    table.manage_snapshots().rollback_to_snapshot(table.snapshots()[0].snapshot_id).commit()
    assert warehouse.loaded(PORTAL) == {}
    assert warehouse.load(path, verdict="unchanged").action == "loaded"
    assert store.rows("velos") == [("b",)]


def test_a_table_that_somebody_compacted_has_the_rows_that_were_loaded(
    warehouse: Warehouse, tmp_path: Path, store: Iceberg
) -> None:
    warehouse.load(land(tmp_path / "velos.parquet", {"nom": Column(["a"])}), verdict="new")
    loaded = warehouse.loaded(PORTAL)["velos"]
    metadata = store.catalog.load_table((SCHEMA, "velos")).metadata
    assert has_rows_of(_followed_by(metadata, Operation.REPLACE), loaded)
    assert not has_rows_of(_followed_by(metadata, Operation.OVERWRITE), loaded)
    assert not has_rows_of(metadata, LoadedTable("another content", 1))


def test_every_table_of_many_is_looked_at_within_some_days() -> None:
    few = [f"table {number}" for number in range(500)]
    assert due_today(few, date(2026, 11, 30)) == sorted(few)
    many = [f"table {number}" for number in range(1_700)]
    days = [due_today(many, date(2026, 11, 30) + timedelta(days=day)) for day in range(4)]
    assert max(map(len, days)) <= 500
    assert sorted(name for names in days for name in names) == sorted(many)


def _followed_by(metadata: TableMetadata, operation: Operation) -> TableMetadata:
    """The table after another program's snapshot."""
    last = metadata.current_snapshot()
    assert last
    own = Snapshot(
        snapshot_id=last.snapshot_id + 1,
        parent_snapshot_id=last.snapshot_id,
        timestamp_ms=last.timestamp_ms + 1,
        manifest_list=last.manifest_list,
        summary=Summary(operation),
    )
    update = {
        "snapshots": [*metadata.snapshots, own],
        "current_snapshot_id": own.snapshot_id,
    }
    return metadata.model_copy(update=update)
