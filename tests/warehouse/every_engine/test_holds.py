"""What is held: the table `_held`, and the mark in the comment of every table that is held."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from ods_pipeline.errors import WarehouseError
from ods_pipeline.lake.holds import Hold, update_holds
from ods_pipeline.lake.lake import Lake
from ods_pipeline.warehouse import Warehouse
from tests.warehouse.every_engine.stores import Store
from tests.warehouse.holds import LED, SINCE, WITHDRAWN, held_list
from tests.warehouse.partitions import PORTAL, SCHEMA, Column, land


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.of(tmp_path, PORTAL)


def test_a_table_that_is_held_says_since_when_and_why_until_it_is_not(
    warehouse: Warehouse, lake: Lake, velos: Path, store: Store
) -> None:
    load = warehouse.load_holds(held_list(lake, WITHDRAWN))
    assert (load.table, load.action, load.rows) == ("_held", "loaded", 1)
    assert store.rows("_held", "dataset_id, kind, verdict, reason, since, rows, stamp") == [
        ("velos", "records", "withdrawn", WITHDRAWN.reason, datetime.fromisoformat(SINCE), 1, "s")
    ]
    assert store.comment("velos") == LED
    update_holds(lake, {WITHDRAWN.key: None})
    assert warehouse.load_holds(lake.holds_file).rows == 0
    assert store.comment("velos") == "Vélos"


def test_a_new_reason_takes_the_place_of_the_old_one(
    warehouse: Warehouse, lake: Lake, velos: Path, store: Store
) -> None:
    warehouse.load_holds(held_list(lake, WITHDRAWN))
    emptied = Hold("velos", "records", "emptied", "It lost its rows. All of them.", SINCE)
    warehouse.load_holds(held_list(lake, emptied))
    assert store.comment("velos") == "HELD since 2026-11-22: It lost its rows; All of them. Vélos"


def test_a_missing_list_says_that_nothing_is_held(
    warehouse: Warehouse, lake: Lake, velos: Path, store: Store
) -> None:
    assert warehouse.load_holds(lake.holds_file).action == "unchanged"
    assert "_held" not in warehouse.loaded(PORTAL)
    warehouse.load_holds(held_list(lake, WITHDRAWN))
    content = lake.holds_file.read_bytes()
    lake.holds_file.unlink()
    assert (load := warehouse.load_holds(lake.holds_file)).action == "loaded"
    assert (load.schema, load.rows) == (SCHEMA, 0)
    assert store.comment("velos") == "Vélos"
    assert store.rows("_held") == []
    assert warehouse.load_holds(lake.holds_file).action == "unchanged"
    lake.holds_file.write_bytes(content)
    assert warehouse.load_holds(lake.holds_file).rows == 1
    assert store.comment("velos") == LED


def test_a_load_of_a_held_table_keeps_its_mark(
    warehouse: Warehouse, lake: Lake, velos: Path, store: Store
) -> None:
    warehouse.load_holds(held_list(lake, WITHDRAWN))
    warehouse.close()
    columns = {"a": Column(["1"])}
    with store.open() as again:
        land(velos, columns, title="Vélos", license="ODbL")
        assert again.load(velos, verdict="metadata").action == "commented"
        assert store.comment("velos") == f"{LED} — ODbL"
        land(velos, {"a": Column(["2"])}, title="Vélos")
        assert again.load(velos, verdict="data").action == "loaded"
        assert store.comment("velos") == LED


def test_records_and_features_are_held_each_for_themselves(
    warehouse: Warehouse, lake: Lake, velos: Path, store: Store
) -> None:
    features = land(lake.partition("features", "velos"), {"a": Column(["1"])}, kind="features")
    warehouse.load(features, verdict="new")
    elsewhere = Hold("not loaded", "records", "withdrawn", "it is gone", SINCE)
    alone = Hold("velos", "features", "restricted", "it asks for a login", SINCE)
    warehouse.load_holds(held_list(lake, alone, elsewhere))
    assert store.comment("velos__features") == "HELD since 2026-11-22: it asks for a login."
    assert store.comment("velos") == "Vélos"


def test_marks_that_a_killed_run_left_wrong_are_put_right_by_the_next(
    warehouse: Warehouse, lake: Lake, velos: Path, store: Store
) -> None:
    held = held_list(lake, WITHDRAWN)
    warehouse.load_holds(held)
    store.ask(f"COMMENT ON TABLE \"{SCHEMA}\".velos IS 'Vélos'")
    assert warehouse.load_holds(held).action == "unchanged"
    assert store.comment("velos") == LED
    store.ask(f'DROP TABLE "{SCHEMA}"._held')
    lake.holds_file.unlink()
    warehouse.load_holds(held)
    assert store.comment("velos") == "Vélos"


def test_what_is_no_list_of_what_is_held_is_refused(
    warehouse: Warehouse, lake: Lake, velos: Path
) -> None:
    with pytest.raises(WarehouseError, match="no portal's list"):
        warehouse.load_holds(velos)
    with pytest.raises(WarehouseError, match="list of holds and no dataset"):
        warehouse.load(held_list(lake, WITHDRAWN), verdict="")


def test_days_are_those_of_the_clock_in_greenwich(
    warehouse: Warehouse, lake: Lake, velos: Path, store: Store
) -> None:
    late = datetime(2026, 11, 22, 0, 1, tzinfo=UTC).isoformat()
    warehouse.load_holds(held_list(lake, Hold("velos", "records", "emptied", "empty", late)))
    assert str(store.comment("velos")).startswith("HELD since 2026-11-22: empty. ")
