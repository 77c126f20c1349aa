"""A publisher renames a dataset: its table and the table's history follow, and nothing else."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ods_pipeline.errors import WarehouseError
from ods_pipeline.warehouse import Load, Warehouse
from tests.warehouse.every_engine.stores import Store
from tests.warehouse.partitions import PORTAL, SCHEMA, Column, land, land_named

HISTORY = '"table", dataset_id, action'


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    return tmp_path / "lake"


def test_a_renamed_dataset_keeps_its_table_and_its_history_under_the_new_name(
    load: Callable[..., Load], warehouse: Warehouse, store: Store
) -> None:
    load("old", title="Vélos")
    untouched = store.marked("old", "a")
    renamed = load("new", "1", "old", title="Vélos", metadata_hash="of the new name")
    assert (renamed.table, renamed.action, renamed.renamed_from) == ("new", "unchanged", "old")
    assert untouched("new")
    assert store.tables() == ["new"]
    assert store.history(HISTORY) == [("new", "old", "loaded"), ("new", "new", "renamed")]
    assert store.history("change")[-1:] == [("renamed from old",)]
    held = warehouse.loaded(PORTAL)
    assert list(held) == ["new"]
    assert (held["new"].rows, held["new"].version.endswith(".of the n")) == (1, True)


def test_a_renamed_dataset_with_new_rows_is_renamed_and_loaded(
    load: Callable[..., Load], store: Store
) -> None:
    load("old")
    assert load("new", "2", "old").action == "loaded"
    assert store.rows("new") == [("2",)]
    assert [action for *_, action in store.history(HISTORY)] == ["loaded", "renamed", "loaded"]


def test_a_rename_is_followed_once_however_often_the_partition_is_loaded(
    load: Callable[..., Load], store: Store
) -> None:
    load("old")
    load("new", "1", "old")
    history = store.history(HISTORY)
    again = load("new", "1", "old")
    assert (again.action, again.renamed_from) == ("unchanged", "")
    assert store.history(HISTORY) == history


def test_the_newest_of_several_former_names_is_followed_and_the_others_are_leftovers(
    load: Callable[..., Load], store: Store
) -> None:
    for number, name in enumerate(("first", "second")):
        load(name, str(number))
    renamed = load("third", "1", "first", "second")
    assert (renamed.renamed_from, renamed.action) == ("second", "unchanged")
    assert store.tables() == ["third"]
    assert {table for table, *_ in store.history(HISTORY)} == {"third"}
    assert store.rows("third") == [("1",)]


def test_a_dataset_that_gets_an_earlier_name_back_gets_its_table_back(
    load: Callable[..., Load], store: Store
) -> None:
    load("one")
    load("two", "1", "one")
    assert load("one", "1", "one", "two").renamed_from == "two"
    assert store.tables() == ["one"]
    assert len(store.history(HISTORY)) == 3


@pytest.mark.parametrize(("old", "new"), [("Foo", "foo"), ("foo", "FOO"), ("Été", "été")])
def test_a_name_that_differs_by_case_alone_is_followed(
    load: Callable[..., Load], store: Store, old: str, new: str
) -> None:
    if not store.takes_any_name:  # Small letters alone; the other tests of renames hold here.
        with pytest.raises(WarehouseError):
            load(old if old != old.lower() else new)
        return
    load(old)
    assert load(new, "1", old).renamed_from == old
    assert store.tables() == [new]
    assert load(new, "2", old).action == "loaded"
    assert store.rows(new) == [("2",)]
    assert store.tables() == [new]


def test_features_follow_as_records_do(load: Callable[..., Load], store: Store) -> None:
    load("old")
    load("old", kind="features")
    assert load("new", "1", "old", kind="features").renamed_from == "old__features"
    assert store.tables() == ["new__features", "old"]
    assert load("new", "1", "old").renamed_from == "old"
    assert store.tables() == ["new", "new__features"]


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
    load: Callable[..., Load], store: Store, before: dict[str, str], now: dict[str, str]
) -> None:
    load("old", "theirs", **before)
    other = load("new", "mine", "old", **now)
    assert (other.action, other.renamed_from) == ("loaded", "")
    load("new", "mine", "old", **now)
    assert store.rows("old") == [("theirs",)]


def test_a_former_name_that_another_dataset_has_taken_since_is_left_to_it(
    load: Callable[..., Load], store: Store
) -> None:
    load("velos", "mine")
    load("velos", "theirs", uid="da_2")
    load("bikes", "mine", "velos")
    assert store.rows("velos") == [("theirs",)]
    assert store.rows("bikes") == [("mine",)]


def test_datasets_that_change_places_end_each_with_its_own_rows(
    load: Callable[..., Load], store: Store
) -> None:
    load("a", "first", uid="da_1")
    load("b", "second", uid="da_2")
    load("b", "first", "a", uid="da_1")
    load("a", "second", "b", uid="da_2")
    assert store.ask(f'SELECT (SELECT a FROM "{SCHEMA}".a), a FROM "{SCHEMA}".b') == [
        ("second", "first")
    ]


def test_a_leftover_beside_the_table_of_the_new_name_goes_and_its_history_joins(
    load: Callable[..., Load], warehouse: Warehouse, store: Store
) -> None:
    load("old", "stale")
    load("new", "fresh")
    load("new", "fresh", "old")
    assert store.tables() == ["new"]
    assert store.history(HISTORY) == [
        ("new", "old", "loaded"),
        ("new", "new", "loaded"),
        ("new", "new", "renamed"),
    ]
    assert store.rows("new") == [("fresh",)]
    assert load("new", "fresh", "old").action == "unchanged"


def test_a_leftover_is_dropped_only_when_the_new_table_is_whole(
    load: Callable[..., Load], warehouse: Warehouse, lake: Path, store: Store
) -> None:
    load("old", "good")
    load("new", "of another dataset", uid="da_2")
    damaged = land_named(lake, "new", "x" * 1000, "old")
    content = bytearray(damaged.read_bytes())
    content[4:60] = b"\xff" * 56
    damaged.write_bytes(content)
    with pytest.raises(WarehouseError):
        warehouse.load(damaged, verdict="data")
    assert store.rows("old") == [("good",)]
    load("new", "good", "old")
    assert store.tables() == ["new"]


def test_a_new_name_that_clashes_with_another_datasets_table_is_refused_and_both_stay(
    load: Callable[..., Load], store: Store
) -> None:
    load("old", "mine")
    if not store.takes_any_name:
        with pytest.raises(WarehouseError):
            load("NEW", "theirs", uid="da_2")
        assert store.tables() == ["old"]
        return
    load("NEW", "theirs", uid="da_2")
    with pytest.raises(WarehouseError, match="the names clash"):
        load("new", "mine", "old")
    assert store.tables() == ["NEW", "old"]
    with pytest.raises(WarehouseError, match="own use"):
        load("_held", "mine", "old")
    assert store.tables() == ["NEW", "old"]


@pytest.mark.parametrize("formerly", ["no json", "{}", "[1, null]", '["a\\u0000b", ""]', "[[]]"])
def test_former_names_that_are_none_name_no_table(
    load: Callable[..., Load], warehouse: Warehouse, lake: Path, formerly: str
) -> None:
    columns = {"a": Column(["1"])}
    partition = land(lake / "x.parquet", columns, dataset_uid="da_1", formerly=formerly)
    assert warehouse.load(partition, verdict="data").renamed_from == ""
