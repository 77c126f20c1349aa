"""A publisher renames a dataset: its table and the table's history follow, and nothing else."""

from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from ods_pipeline.warehouse import Load, open_warehouse
from ods_pipeline.warehouse.landed import read_partition
from tests.warehouse.partitions import PORTAL, SCHEMA, land_named

Ask = Callable[..., list[tuple[object, ...]]]
LOADS = f'"{SCHEMA}"._loads'
HISTORY = f'SELECT "table", dataset_id, action FROM {LOADS} ORDER BY rowid'


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    return tmp_path / "lake"


def _tables(ask: Ask) -> list[str]:
    tables = ask("SELECT table_name FROM duckdb_tables() WHERE NOT starts_with(table_name, '_')")
    return sorted(str(name) for (name,) in tables)


def test_former_names_are_tried_newest_first_and_the_present_one_is_none(lake: Path) -> None:
    partition = read_partition(land_named(lake, "now", "1", "a", "now", "b", "a"))
    assert partition.former_names == ("a", "b")


def test_a_view_follows_its_table_through_a_load_and_not_to_another_name(
    load: Callable[..., Load], ask: Ask
) -> None:
    load("old")
    ask(f'CREATE SCHEMA mine; CREATE VIEW mine.v AS SELECT * FROM "{SCHEMA}".old')
    load("old", "2")
    assert ask("SELECT * FROM mine.v") == [("2",)]
    load("new", "2", "old")
    with pytest.raises(duckdb.CatalogException, match="old does not exist"):
        ask("SELECT * FROM mine.v")
    ask(f'CREATE VIEW "{SCHEMA}".old AS SELECT * FROM "{SCHEMA}".new')
    assert load("new", "3", "old").action == "loaded"
    assert ask("SELECT * FROM mine.v") == [("3",)]


def test_an_index_of_the_users_does_not_keep_a_table_from_its_new_name(
    database: Path, lake: Path, ask: Ask
) -> None:
    with open_warehouse(f"duckdb:///{database}") as warehouse:
        warehouse.load(land_named(lake, "old", "1"), verdict="new")
    ask(f'CREATE INDEX mine ON "{SCHEMA}".old(a)')
    with open_warehouse(f"duckdb:///{database}") as warehouse:
        assert warehouse.load(land_named(lake, "new", "1", "old"), verdict="").renamed_from == "old"
    assert ask(f'SELECT a FROM "{SCHEMA}".new') == [("1",)]


def test_a_record_of_loads_without_identities_gets_them_as_its_tables_are_looked_at(
    database: Path, lake: Path, ask: Ask
) -> None:
    with open_warehouse(f"duckdb:///{database}") as warehouse:
        warehouse.load(land_named(lake, "old", "1"), verdict="new")
    ask(f"ALTER TABLE {LOADS} DROP COLUMN dataset_uid")
    with open_warehouse(f"duckdb:///{database}") as warehouse:
        assert set(warehouse.loaded(PORTAL)) == {"old"}
        warehouse.load(land_named(lake, "old", "1", metadata_hash="another"), verdict="metadata")
        assert warehouse.load(land_named(lake, "new", "1", "old"), verdict="").renamed_from == "old"
