"""The last look at a DuckDB file: it counts while nobody has changed the file, and no longer."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from ods_pipeline.lake.bucket import ObjectPath
from ods_pipeline.lake.data_folder import data_folder
from ods_pipeline.lake.lake import Lake
from ods_pipeline.warehouse import last_look, open_warehouse
from ods_pipeline.warehouse.last_look import LastLook
from ods_pipeline.warehouse.names import AS_IS, TableNames
from ods_pipeline.warehouse.opening import last_look as last_look_of
from tests.warehouse.partitions import PORTAL, SCHEMA, land_named

TABLE = f'"{SCHEMA}"."velos"'
# What another process does with the file, and what it says when it has done so.
OPEN = """
import os, sys, duckdb
connection = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "reads")
if sys.argv[2] == "dies":
    connection.execute(sys.argv[3])
    os._exit(0)
print("open", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def look(database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LastLook:
    """A file with one loaded table, that was just looked at."""
    # Else a test would wait for two seconds before each look.
    monkeypatch.setattr(last_look, "_SETTLED", 0)
    lake = Lake.of(tmp_path, PORTAL)
    with open_warehouse(f"duckdb:///{database}") as warehouse:
        warehouse.load(land_named(tmp_path / "lake", "velos", "1"), verdict="new")
    found = LastLook(database, lake, AS_IS)
    lake.staging_dir()
    look_at(found)
    assert found.tables() is not None
    return found


def look_at(look: LastLook) -> None:
    before = look.evidence()
    with open_warehouse(f"duckdb:///{look.file}", names=look.names) as warehouse:
        tables = warehouse.loaded(PORTAL)
    look.keep(before, tables)


@contextmanager
def open_elsewhere(file: Path, how: str) -> Iterator[None]:
    command = [sys.executable, "-c", OPEN, str(file), how]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        holder.stdout.readline()
        yield
        holder.stdin.close()


def test_a_look_at_an_unchanged_file_says_what_opening_it_says(look: LastLook) -> None:
    with open_warehouse(f"duckdb:///{look.file}") as warehouse:
        loaded = warehouse.loaded(PORTAL)
    assert look.tables() == loaded
    assert set(loaded) == {"velos"}


@pytest.mark.parametrize(
    "statement",
    [
        f"INSERT INTO {TABLE} SELECT * FROM {TABLE} LIMIT 1",
        f"DELETE FROM {TABLE}",
        f"DROP TABLE {TABLE}",
        f"COMMENT ON TABLE {TABLE} IS 'mine'",
        "CREATE TABLE mine (a INT)",
        "CREATE VIEW mine AS SELECT 1",
        "CREATE TABLE mine AS SELECT 1; DROP TABLE mine",
    ],
)
def test_after_any_change_the_file_is_opened_again(look: LastLook, statement: str) -> None:
    with duckdb.connect(look.file) as connection:
        connection.execute(statement)
    assert look.tables() is None


def test_a_file_that_was_only_read_meanwhile_is_not_opened_again(look: LastLook) -> None:
    with duckdb.connect(look.file, read_only=True) as connection:
        connection.execute(f"SELECT count(*) FROM {TABLE}").fetchall()
    assert look.tables() is not None


def test_changes_that_a_killed_process_left_beside_the_file_are_seen(look: LastLook) -> None:
    command = [sys.executable, "-c", OPEN, str(look.file), "dies", f"DELETE FROM {TABLE}"]
    subprocess.run(command, check=True)
    assert look.file.with_name(f"{look.file.name}.wal").exists()
    assert look.tables() is None


@pytest.mark.parametrize("how", ["writes", "reads"])
def test_a_file_that_another_process_has_open_is_asked_itself(look: LastLook, how: str) -> None:
    with open_elsewhere(look.file, how):
        assert look.tables() is None
    assert look.tables() is not None


def test_a_look_right_after_a_change_is_not_kept(
    look: LastLook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    os.utime(look.file)
    assert look.evidence() is None
    look_at(look)
    monkeypatch.setattr(last_look, "_SETTLED", 0)
    assert look.tables() is None


def test_a_look_during_which_the_file_changed_is_not_kept(look: LastLook) -> None:
    before, tables = look.evidence(), look.tables()
    assert tables is not None
    with duckdb.connect(look.file) as connection:
        connection.execute(f"DELETE FROM {TABLE}")
    look.keep(before, tables)
    assert look.tables() is None


def _other_file(look: LastLook) -> LastLook:
    look.file.rename(look.file.with_name("old.duckdb"))
    look.file.write_bytes(look.file.with_name("old.duckdb").read_bytes())
    return look


def _no_file(look: LastLook) -> LastLook:
    look.file.unlink()
    return look


def _other_names(look: LastLook) -> LastLook:
    return LastLook(look.file, look.lake, TableNames(style="snake"))


def _something_held(look: LastLook) -> LastLook:
    (look.lake.root / "held.parquet").write_bytes(b"a list")
    return look


def _damaged(look: LastLook) -> LastLook:
    kept = look.lake.root / ".loaded.json"
    kept.write_bytes(kept.read_bytes()[:-9])
    return look


def _of_another_kind(look: LastLook) -> LastLook:
    (look.lake.root / ".loaded.json").write_bytes(b"[]")
    return look


@pytest.mark.parametrize(
    "changed",
    [_other_file, _no_file, _other_names, _something_held, _damaged, _of_another_kind],
)
def test_a_look_at_something_else_does_not_count(
    look: LastLook, changed: Callable[[LastLook], LastLook]
) -> None:
    assert changed(look).tables() is None


def test_nothing_is_kept_of_servers_nor_in_buckets(tmp_path: Path) -> None:
    lake = Lake.of(tmp_path, PORTAL)
    assert last_look_of("postgresql://host/db", lake) is None
    assert last_look_of("iceberg:prod", lake) is None
    bucket = data_folder("s3://bucket/data")
    assert isinstance(bucket, ObjectPath)
    assert last_look_of("duckdb:///w.duckdb", Lake.of(bucket, PORTAL)) is None
    assert last_look_of("duckdb:///w.duckdb", lake) is not None
