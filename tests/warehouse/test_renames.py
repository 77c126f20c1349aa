"""A publisher renames a dataset: its table and the table's history follow, and nothing else."""

import json
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from ods_pipeline.errors import WarehouseError
from ods_pipeline.warehouse import Load, Warehouse, open_warehouse
from ods_pipeline.warehouse.landed import read_partition
from tests.warehouse.partitions import PORTAL, SCHEMA, Column, land

Ask = Callable[..., list[tuple[object, ...]]]
LOADS = f'"{SCHEMA}"._loads'
HISTORY = f'SELECT "table", dataset_id, action FROM {LOADS} ORDER BY rowid'


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    return tmp_path / "lake"


@pytest.fixture
def load(warehouse: Warehouse, lake: Path) -> Callable[..., Load]:
    """Land a dataset with one value and load it."""

    def landed_and_loaded(dataset_id: str, value: str = "1", *former: str, **told: str) -> Load:
        partition = _landed(lake, dataset_id, value, *former, **told)
        return warehouse.load(partition, verdict="data")

    return landed_and_loaded


def _landed(
    lake: Path, dataset_id: str, value: str, *former: str, uid: str = "da_1", **told: str
) -> Path:
    return land(
        lake / "partition.parquet",
        {"a": Column([value])},
        dataset_id=dataset_id,
        dataset_uid=uid,
        formerly=json.dumps(former) if former else "",
        **told,
    )


def _tables(ask: Ask) -> list[str]:
    tables = ask("SELECT table_name FROM duckdb_tables() WHERE NOT starts_with(table_name, '_')")
    return sorted(str(name) for (name,) in tables)


def test_a_renamed_dataset_keeps_its_table_and_its_history_under_the_new_name(
    load: Callable[..., Load], warehouse: Warehouse, ask: Ask
) -> None:
    load("old", title="Vélos")
    ask(f"UPDATE \"{SCHEMA}\".old SET a = 'a mark that a reload would wipe out'")
    renamed = load("new", "1", "old", title="Vélos", metadata_hash="of the new name")
    assert (renamed.table, renamed.action, renamed.renamed_from) == ("new", "unchanged", "old")
    assert ask(f'SELECT a FROM "{SCHEMA}".new') == [("a mark that a reload would wipe out",)]
    assert _tables(ask) == ["new"]
    assert ask(HISTORY) == [("new", "old", "loaded"), ("new", "new", "renamed")]
    assert ask(f"SELECT change FROM {LOADS} WHERE action = 'renamed'") == [("renamed from old",)]
    held = warehouse.loaded(PORTAL)
    assert list(held) == ["new"]
    assert (held["new"].rows, held["new"].version.endswith(".of the n")) == (1, True)


def test_a_renamed_dataset_with_new_rows_is_renamed_and_loaded(
    load: Callable[..., Load], ask: Ask
) -> None:
    load("old")
    assert load("new", "2", "old").action == "loaded"
    assert ask(f'SELECT a FROM "{SCHEMA}".new') == [("2",)]
    assert [action for *_, action in ask(HISTORY)] == ["loaded", "renamed", "loaded"]


def test_a_rename_is_followed_once_however_often_the_partition_is_loaded(
    load: Callable[..., Load], ask: Ask
) -> None:
    load("old")
    load("new", "1", "old")
    history = ask(HISTORY)
    again = load("new", "1", "old")
    assert (again.action, again.renamed_from) == ("unchanged", "")
    assert ask(HISTORY) == history


def test_the_newest_of_several_former_names_is_followed_and_the_others_are_leftovers(
    load: Callable[..., Load], ask: Ask
) -> None:
    for number, name in enumerate(("first", "second")):
        load(name, str(number))
    renamed = load("third", "1", "first", "second")
    assert (renamed.renamed_from, renamed.action) == ("second", "unchanged")
    assert _tables(ask) == ["third"]
    assert {table for table, *_ in ask(HISTORY)} == {"third"}
    assert ask(f'SELECT a FROM "{SCHEMA}".third') == [("1",)]


def test_a_dataset_that_gets_an_earlier_name_back_gets_its_table_back(
    load: Callable[..., Load], ask: Ask
) -> None:
    load("one")
    load("two", "1", "one")
    assert load("one", "1", "one", "two").renamed_from == "two"
    assert _tables(ask) == ["one"]
    assert len(ask(HISTORY)) == 3


@pytest.mark.parametrize(("old", "new"), [("Foo", "foo"), ("foo", "FOO"), ("Été", "été")])
def test_a_name_that_differs_by_case_alone_is_followed(
    load: Callable[..., Load], ask: Ask, old: str, new: str
) -> None:
    load(old)
    assert load(new, "1", old).renamed_from == old
    assert _tables(ask) == [new]
    assert load(new, "2", old).action == "loaded"
    assert ask(f'SELECT a FROM "{SCHEMA}"."{new}"') == [("2",)]
    assert _tables(ask) == [new]


def test_features_follow_as_records_do(load: Callable[..., Load], ask: Ask) -> None:
    load("old")
    load("old", kind="features")
    assert load("new", "1", "old", kind="features").renamed_from == "old__features"
    assert _tables(ask) == ["new__features", "old"]
    assert load("new", "1", "old").renamed_from == "old"
    assert _tables(ask) == ["new", "new__features"]


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ({"uid": "da_1"}, {"uid": "da_2"}),
        ({"uid": ""}, {"uid": "da_1"}),
        ({"uid": "da_1"}, {"uid": ""}),
        ({"uid": ""}, {"uid": ""}),
    ],
)
def test_a_table_that_is_not_provably_the_datasets_stays(
    load: Callable[..., Load], ask: Ask, before: dict[str, str], now: dict[str, str]
) -> None:
    load("old", "theirs", **before)
    other = load("new", "mine", "old", **now)
    assert (other.action, other.renamed_from) == ("loaded", "")
    load("new", "mine", "old", **now)
    assert ask(f'SELECT a FROM "{SCHEMA}".old') == [("theirs",)]


def test_a_former_name_that_another_dataset_has_taken_since_is_left_to_it(
    load: Callable[..., Load], ask: Ask
) -> None:
    load("velos", "mine")
    load("velos", "theirs", uid="da_2")
    load("bikes", "mine", "velos")
    assert ask(f'SELECT a FROM "{SCHEMA}".velos') == [("theirs",)]
    assert ask(f'SELECT a FROM "{SCHEMA}".bikes') == [("mine",)]


def test_datasets_that_change_places_end_each_with_its_own_rows(
    load: Callable[..., Load], ask: Ask
) -> None:
    load("a", "first", uid="da_1")
    load("b", "second", uid="da_2")
    load("b", "first", "a", uid="da_1")
    load("a", "second", "b", uid="da_2")
    assert ask(f'SELECT (SELECT a FROM "{SCHEMA}".a), a FROM "{SCHEMA}".b') == [("second", "first")]


def test_a_leftover_beside_the_table_of_the_new_name_goes_and_its_history_joins(
    load: Callable[..., Load], warehouse: Warehouse, ask: Ask
) -> None:
    load("old", "stale")
    load("new", "fresh")
    load("new", "fresh", "old")
    assert _tables(ask) == ["new"]
    assert ask(HISTORY) == [
        ("new", "old", "loaded"),
        ("new", "new", "loaded"),
        ("new", "new", "renamed"),
    ]
    assert ask(f'SELECT a FROM "{SCHEMA}".new') == [("fresh",)]
    assert load("new", "fresh", "old").action == "unchanged"


def test_a_leftover_is_dropped_only_when_the_new_table_is_whole(
    load: Callable[..., Load], warehouse: Warehouse, lake: Path, ask: Ask
) -> None:
    load("old", "good")
    load("new", "of another dataset", uid="da_2")
    damaged = _landed(lake, "new", "x" * 1000, "old")
    content = bytearray(damaged.read_bytes())
    content[4:60] = b"\xff" * 56
    damaged.write_bytes(content)
    with pytest.raises(WarehouseError):
        warehouse.load(damaged, verdict="data")
    assert ask(f'SELECT a FROM "{SCHEMA}".old') == [("good",)]
    load("new", "good", "old")
    assert _tables(ask) == ["new"]


def test_a_new_name_that_clashes_with_another_datasets_table_is_refused_and_both_stay(
    load: Callable[..., Load], ask: Ask
) -> None:
    load("old", "mine")
    load("NEW", "theirs", uid="da_2")
    with pytest.raises(WarehouseError, match="the names clash"):
        load("new", "mine", "old")
    assert _tables(ask) == ["NEW", "old"]
    with pytest.raises(WarehouseError, match="own use"):
        load("_held", "mine", "old")
    assert _tables(ask) == ["NEW", "old"]


@pytest.mark.parametrize("formerly", ["no json", "{}", "[1, null]", '["a\\u0000b", ""]', "[[]]"])
def test_former_names_that_are_none_name_no_table(
    load: Callable[..., Load], warehouse: Warehouse, lake: Path, formerly: str
) -> None:
    columns = {"a": Column(["1"])}
    partition = land(lake / "x.parquet", columns, dataset_uid="da_1", formerly=formerly)
    assert warehouse.load(partition, verdict="data").renamed_from == ""


def test_former_names_are_tried_newest_first_and_the_present_one_is_none(lake: Path) -> None:
    partition = read_partition(_landed(lake, "now", "1", "a", "now", "b", "a"))
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
        warehouse.load(_landed(lake, "old", "1"), verdict="new")
    ask(f'CREATE INDEX mine ON "{SCHEMA}".old(a)')
    with open_warehouse(f"duckdb:///{database}") as warehouse:
        assert warehouse.load(_landed(lake, "new", "1", "old"), verdict="").renamed_from == "old"
    assert ask(f'SELECT a FROM "{SCHEMA}".new') == [("1",)]


def test_a_record_of_loads_without_identities_gets_them_as_its_tables_are_looked_at(
    database: Path, lake: Path, ask: Ask
) -> None:
    with open_warehouse(f"duckdb:///{database}") as warehouse:
        warehouse.load(_landed(lake, "old", "1"), verdict="new")
    ask(f"ALTER TABLE {LOADS} DROP COLUMN dataset_uid")
    with open_warehouse(f"duckdb:///{database}") as warehouse:
        assert set(warehouse.loaded(PORTAL)) == {"old"}
        warehouse.load(_landed(lake, "old", "1", metadata_hash="another"), verdict="metadata")
        assert warehouse.load(_landed(lake, "new", "1", "old"), verdict="").renamed_from == "old"
