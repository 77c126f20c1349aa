"""Several processes that load the same table: one of them wins, the others follow, none is half."""

import logging
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pyiceberg.table import Transaction

from ods_pipeline.errors import WarehouseError
from ods_pipeline.warehouse import Warehouse
from ods_pipeline.warehouse.iceberg import warehouse as engine
from tests.warehouse.every_engine.stores import Iceberg
from tests.warehouse.partitions import SCHEMA, Column, land

Commit = Callable[[Transaction], object]


def _other(store: Iceberg, tmp_path: Path, value: str) -> None:
    with store.open() as other:
        path = land(tmp_path / value / "velos.parquet", {"a": Column([value])})
        other.load(path, verdict="data")


def _files(store: Iceberg) -> set[str]:
    table = store.catalog.load_table((SCHEMA, "velos"))
    folder = Path(table.location().removeprefix("file://")) / "data"
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("before", [["old"], []], ids=["replaced", "made"])
def test_a_load_that_lost_a_race_is_made_again_over_the_other_and_leaves_no_file(
    store: Iceberg,
    warehouse: Warehouse,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    before: list[str],
) -> None:
    for value in before:
        _other(store, tmp_path, value)
    place = engine.placed
    rivals = ["rival"]

    def raced(*arguments: object) -> object:
        while rivals:
            _other(store, tmp_path, rivals.pop())
        return place(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(engine, "placed", raced)
    path = land(tmp_path / "velos.parquet", {"a": Column(["mine"])})
    assert warehouse.load(path, verdict="data").action == "loaded"
    assert store.rows("velos") == [("mine",)]
    assert len(_files(store)) == len(before) + 2
    actions = [action for (action,) in store.history("action")]
    assert actions == ["loaded"] * (len(before) + 2)


def test_a_load_that_loses_again_and_again_says_so_and_the_table_is_whole(
    store: Iceberg, warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _other(store, tmp_path, "old")
    place, rivals = engine.placed, iter(range(99))
    monkeypatch.setattr(engine, "_PAUSE", 0.0)

    def raced(*arguments: object) -> object:
        with monkeypatch.context() as alone:
            alone.setattr(engine, "placed", place)
            _other(store, tmp_path, f"rival {next(rivals)}")
        return place(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(engine, "placed", raced)
    path = land(tmp_path / "velos.parquet", {"a": Column(["mine"])})
    with pytest.raises(WarehouseError, match="changed the same table of iceberg:lake again"):
        warehouse.load(path, verdict="data")
    assert store.rows("velos") == [("rival 4",)]
    assert len(_files(store)) == 6


_STALE = """
import logging, sys
import pyarrow as pa
from pyiceberg.catalog import load_catalog
from ods_pipeline.warehouse import open_warehouse

retries = []
logging.getLogger("pyiceberg.table").addFilter(lambda record: retries.append(record) or True)
open_warehouse("iceberg:lake").close()
key = (sys.argv[1], "velos")
catalog = load_catalog("lake")
late, first = catalog.load_table(key), catalog.load_table(key)
for table in (first, late):
    table.append(pa.table({"a": ["b"]}))
print(len(retries))
"""


def test_what_pyiceberg_says_of_its_own_retries_is_not_on_stderr(
    store: Iceberg, tmp_path: Path
) -> None:
    _other(store, tmp_path, "old")
    program = [sys.executable, "-W", "error", "-c", _STALE, SCHEMA]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("1\n", "")


def test_loads_of_many_tables_at_once_are_all_in_the_log(
    store: Iceberg, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR, "pyiceberg")

    def loaded(worker: int) -> None:
        with store.open() as opened:
            for number in range(3):
                name = f"t{worker}-{number}"
                path = tmp_path / f"{name}.parquet"
                landed = land(path, {"a": Column([name])}, dataset_id=name)
                opened.load(landed, verdict="new")

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(loaded, range(2))) == [None, None]
    names = {f"t{worker}-{number}" for worker in range(2) for number in range(3)}
    assert {table for (table,) in store.history('"table"')} == names
    assert set(store.tables()) == names
