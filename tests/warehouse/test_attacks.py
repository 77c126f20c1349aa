"""What a portal can choose, and a warehouse must not fall for: names, sizes, two portals in one."""

import os
from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ods_pipeline.errors import WarehouseError
from ods_pipeline.warehouse import Warehouse, open_warehouse
from tests.warehouse.partitions import SCHEMA, Column, land

Ask = Callable[..., list[tuple[object, ...]]]


def test_k1_a_schema_holds_the_portal_that_it_was_filled_from_and_no_other(
    tmp_path: Path, database: Path, ask: Ask
) -> None:
    one = land(tmp_path / "one.parquet", {"a": Column(["one"])}, portal="a.b.test")
    two = land(tmp_path / "two.parquet", {"a": Column(["two"])}, portal="a-b.test")
    url = f"duckdb:///{database}"
    with open_warehouse(url) as warehouse:
        assert warehouse.load(one, verdict="new").action == "loaded"
        said = "the schema a_b_test holds the portal a.b.test, whose name is the same in SQL"
        with pytest.raises(WarehouseError, match=said):
            warehouse.load(two, verdict="new")
    with open_warehouse(url) as warehouse:
        with pytest.raises(WarehouseError, match=said):
            warehouse.loaded("a-b.test")
        assert len(warehouse.loaded("a.b.test")) == 1
    assert ask('SELECT * FROM a_b_test."velos"') == [("one",)]


def test_k1_a_warehouse_of_before_says_by_its_catalog_whose_it_is(
    tmp_path: Path, database: Path
) -> None:
    one = land(tmp_path / "one.parquet", {"a": Column(["one"])}, portal="a.b.test")
    url = f"duckdb:///{database}"
    with open_warehouse(url) as warehouse:
        warehouse.load(one, verdict="new")
    with duckdb.connect(database) as connection:
        connection.execute("COMMENT ON TABLE a_b_test._loads IS NULL")
        connection.execute("CREATE TABLE a_b_test._catalog (a INT)")
        connection.execute("COMMENT ON TABLE a_b_test._catalog IS 'Catalog of a.b.test'")
    with open_warehouse(url) as warehouse:
        assert len(warehouse.loaded("a.b.test")) == 1
        with pytest.raises(WarehouseError, match=r"holds the portal a\.b\.test"):
            warehouse.loaded("a-b.test")


@pytest.mark.slow
def test_k2_a_few_large_values_are_loaded_however_duckdb_words_its_want_of_memory(
    tmp_path: Path, warehouse: Warehouse
) -> None:
    texts = [os.urandom(30_000_000).hex() for _ in range(3)]
    large = land(tmp_path / "large.parquet", {"a": Column(texts)})
    assert warehouse.load(large, verdict="new").rows == 3


NAMES = ["a.parquet", "b.csv", "k.duckdb", "x.xlsx", "https://evil.test/a.csv", "d.json", "*.csv"]


@pytest.mark.parametrize("name", NAMES)
def test_k3_a_dataset_that_is_called_like_a_file_is_a_table_and_opens_none(
    tmp_path: Path,
    warehouse: Warehouse,
    ask: Ask,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lure = tmp_path / "lure"
    lure.mkdir()
    monkeypatch.chdir(lure)
    # The names that DuckDB would look for: the qualified one, its parts joined by dots.
    for file in (f"warehouse.{SCHEMA}.{name}", name):
        if "/" not in file and "*" not in file:
            pq.write_table(pa.table({"secret": ["of another file"]}), file)
    for value in ("1", "2"):
        one = land(tmp_path / "one.parquet", {"a": Column([value])}, dataset_id=name)
        assert warehouse.load(one, verdict="new").action == "loaded"
    warehouse.close()
    assert ask(f'SELECT * FROM "{SCHEMA}"."{name}"') == [("2",)]
