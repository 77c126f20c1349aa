"""A load that ends in the middle leaves the table as it was, and the next one repairs it."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import shapely

from ods_pipeline.errors import WarehouseError
from ods_pipeline.warehouse import Warehouse, open_warehouse
from ods_pipeline.warehouse.postgres import copying
from tests.servers.postgres.server import Server
from tests.warehouse.every_engine.stores import PostgreSQL
from tests.warehouse.partitions import PORTAL, SCHEMA, Column, geometry, land
from tests.warehouse.postgres.person import connected, said

pytestmark = [pytest.mark.servers, pytest.mark.slow]

# Kills itself before a statement, in a process of its own for each statement that there is.
KILLED = """
import os, signal, sys
from pathlib import Path
import psycopg
from ods_pipeline.warehouse import open_warehouse

url, partition = sys.argv[1], Path(sys.argv[2])

def attempt(deadly):
    done = 0
    def counted(function):
        def called(*args, **kwargs):
            nonlocal done
            done += 1
            if done == deadly:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **kwargs)
        return called
    with open_warehouse(url) as warehouse:
        psycopg.Connection.execute = counted(psycopg.Connection.execute)
        psycopg.Copy.write = counted(psycopg.Copy.write)
        warehouse.load(partition, verdict="data")

deadly, status = 0, 1
while status:
    deadly += 1
    child = os.fork()
    if not child:
        attempt(deadly)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    print(deadly, status, flush=True)
    sys.stdin.readline()
"""
OLD = {"nom": Column(["old"]), "g": geometry([shapely.Point(1, 2).wkb])}
NEW = {"nom": Column(["new"]), "g": geometry([shapely.Point(3, 4).wkb])}
OTHER = {"ville": Column(["new"]), "g": geometry([shapely.Point(3, 4).wkb])}
PARTS = f"""
    SELECT count(*) FROM pg_class WHERE relname LIKE '\\_rows%' AND relkind = 'r'
    AND relnamespace = '"{SCHEMA}"'::regnamespace
"""


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A partition that takes a while to send."""
    columns = {"nom": Column([f"{n:0400d}" for n in range(200_000)])}
    return land(tmp_path / "large.parquet", columns)


def _interrupt(monkeypatch: pytest.MonkeyPatch, during: Callable[[], object]) -> None:
    """Have something done once, when the first rows have been encoded."""
    encode, left = copying.encode, [during]

    def then(*args: Any) -> Any:
        if left:
            left.pop()()
        return encode(*args)

    monkeypatch.setattr(copying, "encode", then)


@pytest.mark.parametrize("columns", [NEW, OTHER], ids=["other rows", "other columns"])
def test_a_load_that_is_killed_at_any_statement_leaves_the_old_table_or_the_new_one(
    store: PostgreSQL, tmp_path: Path, columns: dict[str, Column]
) -> None:
    path = tmp_path / "velos.parquet"
    with store.open() as warehouse:
        warehouse.load(land(path, OLD), verdict="new")
    landed = land(path, columns)
    command = [sys.executable, "-W", "ignore", "-c", KILLED, store.url, str(landed)]
    deaths = 0
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as killed:
        assert killed.stdin is not None
        assert killed.stdout is not None
        for line in killed.stdout:
            _, status = line.split()
            rows, loads = store.rows("velos"), store.history("action")
            # What is committed is logged, and nothing else is.
            assert rows[0][0] == ("old" if len(loads) == 1 else "new")
            assert len(rows) == 1
            deaths += status != "0"
            if len(loads) > 1:  # Killed after the commit: as it was, for the next attempt.
                with store.open() as warehouse:
                    warehouse.load(land(path, OLD), verdict="new")
                    store.ask(f'DELETE FROM "{SCHEMA}"._loads WHERE entry > 1')
                land(path, columns)
            killed.stdin.write("\n")
            killed.stdin.flush()
    assert deaths > 20
    with store.open() as warehouse:
        warehouse.load(landed, verdict="data")
        assert warehouse.load(landed, verdict="data").action == "unchanged"
    assert store.rows("velos")[0][0] == "new"
    assert store.ask(PARTS) == [(1,)]


def test_a_connection_that_is_cut_is_told_of_and_made_again_for_the_next_table(
    store: PostgreSQL, warehouse: Warehouse, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = land(large.with_name("small.parquet"), OLD)
    warehouse.load(small, verdict="new")

    def cut() -> None:
        store.ask(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'ods-pipeline' AND datname = current_database()"
        )

    _interrupt(monkeypatch, cut)
    with pytest.raises(WarehouseError, match="the next run loads what is missing") as caught:
        warehouse.load(large, verdict="data")
    assert "\n" not in caught.value.message
    assert store.rows("velos", "nom") == [("old",)]
    assert warehouse.load(large, verdict="data").action == "loaded"
    assert store.rows("velos", "count(*)") == [(200_000,)]
    assert store.ask(PARTS) == [(1,)]


def test_a_server_that_is_restarted_during_a_load_has_the_old_table_and_takes_the_next(
    postgres: Server,
    store: PostgreSQL,
    warehouse: Warehouse,
    large: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    warehouse.load(land(large.with_name("small.parquet"), OLD), verdict="new")
    # Its crash loses what no disk has, and these settings leave a lot of that.
    postgres.ask("checkpoint")

    def restart() -> None:
        postgres.stop("immediate")
        postgres.start()

    _interrupt(monkeypatch, restart)
    with pytest.raises(WarehouseError):
        warehouse.load(large, verdict="data")
    assert store.rows("velos", "nom") == [("old",)]
    assert warehouse.load(large, verdict="data").action == "loaded"
    assert warehouse.loaded(PORTAL)["velos"].rows == 200_000


def test_a_full_disk_of_the_server_is_one_sentence_and_the_old_table(
    postgres: Server, store: PostgreSQL, large: Path
) -> None:
    small = land(large.with_name("small.parquet"), OLD)
    with store.open() as warehouse:
        warehouse.load(small, verdict="new")
    with (
        postgres.full_disk(32 << 20),
        store.open() as warehouse,
        pytest.raises(WarehouseError, match=r"is full .*: free some space there") as caught,
    ):
        warehouse.load(large, verdict="data")
    assert "\n" not in caught.value.message
    assert store.rows("velos", "nom") == [("old",)]
    with store.open() as warehouse:
        assert warehouse.load(large, verdict="data").action == "loaded"


def test_a_damaged_file_leaves_the_old_table(
    store: PostgreSQL, warehouse: Warehouse, tmp_path: Path
) -> None:
    path = land(tmp_path / "velos.parquet", OLD)
    warehouse.load(path, verdict="new")
    land(path, {"nom": Column([f"new {n}" for n in range(1000)])})
    content = bytearray(path.read_bytes())
    content[4:200] = b"\xff" * 196
    path.write_bytes(content)
    with pytest.raises(WarehouseError, match="velos") as caught:
        warehouse.load(path, verdict="data")
    assert "\n" not in str(caught.value)
    assert store.rows("velos", "nom") == [("old",)]


def test_two_that_load_one_table_at_once_load_it_one_after_the_other(
    store: PostgreSQL, tmp_path: Path
) -> None:
    paths = [
        land(tmp_path / str(n) / "velos.parquet", {"a": Column([str(n)] * 5000)}) for n in range(4)
    ]
    problems: list[BaseException] = []

    def loads(path: Path) -> None:
        try:
            for _ in range(3):
                with store.open() as warehouse:
                    warehouse.load(path, verdict="data")
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=loads, args=[path]) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    ((value, count),) = store.ask(f'SELECT a, count(*) FROM "{SCHEMA}".velos GROUP BY a')
    assert count == 5000
    newest = store.history("content_hash")[-1][0]
    with store.open() as warehouse:
        assert warehouse.loaded(PORTAL)["velos"].content_hash == newest
        assert warehouse.load(paths[int(value)], verdict="").action == "unchanged"
    assert store.ask(PARTS) == [(1,)]


def test_many_that_load_into_an_empty_database_make_its_schema_and_log_once(
    store: PostgreSQL, tmp_path: Path
) -> None:
    problems: list[BaseException] = []

    def loads(number: int) -> None:
        path = land(tmp_path / f"{number}.parquet", OLD, dataset_id=f"d{number}")
        try:
            with open_warehouse(store.url) as warehouse:
                warehouse.load(path, verdict="new")
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=loads, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert store.tables() == [f"d{number}" for number in range(8)]
    assert len(store.history("action")) == 8


def test_ctrl_c_in_the_middle_of_a_load_is_ctrl_c_and_leaves_the_old_table(
    store: PostgreSQL, warehouse: Warehouse, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse.load(land(large.with_name("small.parquet"), OLD), verdict="new")

    def interrupt() -> None:
        raise KeyboardInterrupt

    _interrupt(monkeypatch, interrupt)
    with pytest.raises(KeyboardInterrupt):
        warehouse.load(large, verdict="data")
    assert store.rows("velos", "nom") == [("old",)]
    assert warehouse.load(large, verdict="data").action == "loaded"


def test_a_dataset_moves_from_one_engine_to_another_from_its_file_alone(
    store: PostgreSQL, warehouse: Warehouse, tmp_path: Path
) -> None:
    path = land(tmp_path / "velos.parquet", {"n": Column([1, None], pa.int64())})
    with open_warehouse(f"duckdb:///{tmp_path / 'warehouse.duckdb'}") as other:
        before = other.load(path, verdict="new")
        loaded = other.loaded(PORTAL)
    assert warehouse.loaded(PORTAL) == {}
    after = warehouse.load(path, verdict="unchanged")
    assert (after.table, after.rows, after.content_hash) == (
        *(before.table, before.rows, before.content_hash),
    )
    assert warehouse.loaded(PORTAL) == loaded
    with connected(store.url) as connection:
        rows = connection.execute(said(f'SELECT n FROM "{SCHEMA}".velos')).fetchall()
    assert rows == [(1,), (None,)]
