"""Opening a warehouse: its URL, and the reasons why it may not open."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ods_pipeline.errors import (
    ConfigurationError,
    OdsPipelineError,
    WarehouseError,
    WarehouseLocked,
)
from ods_pipeline.warehouse import open_warehouse, public_url
from tests.search import Secrets, told
from tests.warehouse.partitions import PORTAL, Column, land

HOLD = """
import sys
from ods_pipeline.warehouse import open_warehouse
with open_warehouse("duckdb:///" + sys.argv[1]):
    print("open", flush=True)
    sys.stdin.read()
"""


@contextmanager
def _held_elsewhere(database: Path) -> Iterator[tuple[int, Callable[[], None]]]:
    """Another process has the warehouse open: its id, and what lets go of it."""
    command = [sys.executable, "-c", HOLD, str(database)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        holder.stdout.readline()
        yield holder.pid, holder.stdin.close


def test_three_slashes_are_relative_and_four_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    open_warehouse("duckdb:///new folder/a@b.duckdb").close()
    open_warehouse(f"duckdb:///{tmp_path}/absolute.duckdb").close()
    assert (tmp_path / "new folder" / "a@b.duckdb").is_file()
    assert (tmp_path / "absolute.duckdb").is_file()


@pytest.mark.parametrize(
    "url",
    ["warehouse.duckdb", "duckdb://host/x", "duckdb:///", "duckdb:///:memory:", "sqlite:///x", ""],
)
def test_what_names_no_warehouse_is_refused_with_the_way_to_write_it(url: str) -> None:
    with pytest.raises(ConfigurationError, match="duckdb:///PATH"):
        open_warehouse(url)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:secret@db.example:port/ods",
        "postgresql://me:sec%zzret@db.example/ods",
        "postgresql://db.example/ods?geometry=text&password=secret",
        "postgresql://me:a/secret@127.0.0.1:1/ods",
        "postgresql://me:a@secret@127.0.0.1:1/ods",
    ],
)
def test_a_url_that_libpq_cannot_read_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(OdsPipelineError) as caught:
        open_warehouse(url)
    assert not any(secret in told(caught.value) for secret in ("secret", "sec%zzret"))


def test_postgresql_without_its_library_is_refused_with_the_extra_that_has_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigurationError, match=r'pip install "ods-pipeline\[postgres\]"'):
        open_warehouse("postgresql://db.example/ods")


def test_a_server_that_is_not_there_is_told_of_in_one_sentence_without_the_password() -> None:
    secret = "-".join(["a", "long", "secret"])
    url = f"postgresql://me:{secret}@127.0.0.1:1/ods"
    with pytest.raises(WarehouseError, match="cannot be opened") as caught:
        open_warehouse(url)
    assert not Secrets([secret]).within(told(caught.value))
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("url", "harmless"),
    [
        ("duckdb:////data/a@b.duckdb", "duckdb:////data/a@b.duckdb"),
        ("postgresql://db.example:5432/ods", "postgresql://db.example:5432/ods"),
        ("postgresql://me@db.example/ods", "postgresql://me@db.example/ods"),
        ("postgresql://me:pw@db.example/ods?sslpassword=pw", "postgresql://me:***@db.example/ods"),
        ("postgresql:///ods?sslmode=require", "postgresql:///ods?sslmode=require"),
        ("postgresql:///ods?sslmode=require&password=pw", "postgresql:///ods"),
        ("postgresql://me:p/w@db.example/ods", "postgresql://***"),
        ("postgresql://db.example/ods?password=p@w", "postgresql://***"),
        ("host=db.example password=pw", "***"),
        ("warehouse.duckdb", "warehouse.duckdb"),
    ],
)
def test_a_url_is_shown_without_its_secrets(url: str, harmless: str) -> None:
    assert public_url(url) == harmless


@given(st.text(min_size=1, max_size=12))
def test_no_password_is_ever_shown_however_badly_escaped(password: str) -> None:
    password = f"<<{password}>>"
    for url in (f"postgresql://me:{password}@host/db", f"mysql://host/db?password={password}"):
        assert ">>" not in public_url(url)
        assert "<<" not in public_url(url)


@pytest.mark.slow
def test_a_warehouse_open_in_another_process_is_reported_with_that_process(database: Path) -> None:
    with (
        _held_elsewhere(database) as (process, _),
        pytest.raises(WarehouseLocked) as caught,
    ):
        open_warehouse(f"duckdb:///{database}")
    assert str(database) in str(caught.value)
    assert f"process {process}" in str(caught.value)
    assert "\n" not in str(caught.value)
    open_warehouse(f"duckdb:///{database}").close()


@pytest.mark.slow
def test_a_warehouse_open_in_another_process_is_waited_for(database: Path) -> None:
    with _held_elsewhere(database) as (_, release):
        threading.Timer(0.1, release).start()
        open_warehouse(f"duckdb:///{database}", max_wait=30).close()


@pytest.mark.slow
def test_patience_with_a_warehouse_ends_after_its_time_or_when_told_to(database: Path) -> None:
    answers = iter([False, True])
    with _held_elsewhere(database):
        started = time.monotonic()
        with pytest.raises(WarehouseLocked):
            open_warehouse(f"duckdb:///{database}", max_wait=0.2)
        assert 0.2 <= time.monotonic() - started < 30
        with pytest.raises(WarehouseLocked):
            open_warehouse(f"duckdb:///{database}", 60, lambda: next(answers))
    assert next(answers, None) is None


def test_nobody_waits_for_a_warehouse_that_cannot_be_opened_at_all(tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(WarehouseError, match="is a folder"):
        open_warehouse(f"duckdb:///{tmp_path}", max_wait=60)
    assert time.monotonic() - started < 30


def test_a_file_that_is_no_database_is_refused_and_left_alone(database: Path) -> None:
    database.write_text("a letter to the editor " * 1000)
    with pytest.raises(WarehouseError, match="not a DuckDB database"):
        open_warehouse(f"duckdb:///{database}")
    assert database.read_text().startswith("a letter")


def test_a_folder_is_no_warehouse(tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match="is a folder"):
        open_warehouse(f"duckdb:///{tmp_path}")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(WarehouseError, match="cannot be written") as caught:
        open_warehouse(f"duckdb:///{tmp_path}/file/warehouse.duckdb")
    assert str(tmp_path / "file") in str(caught.value)


def test_a_warehouse_open_read_only_in_this_process_is_told_apart_from_a_lock(
    database: Path,
) -> None:
    duckdb.connect(database).close()
    with (
        duckdb.connect(database, read_only=True),
        pytest.raises(WarehouseError, match="open in this process already"),
    ):
        open_warehouse(f"duckdb:///{database}")


@pytest.mark.slow
def test_closing_leaves_the_one_file_and_lets_others_in(database: Path, tmp_path: Path) -> None:
    landed = land(tmp_path / "lake" / "velos.parquet", {"a": Column(["1"])})
    with open_warehouse(f"duckdb:///{database}") as warehouse:
        warehouse.load(landed, verdict="new")
    warehouse.close()
    assert sorted(os.listdir(tmp_path)) == ["lake", database.name]
    with _held_elsewhere(database):
        pass
    with open_warehouse(f"duckdb:///{database}") as again:
        assert set(again.loaded(PORTAL)) == {"velos"}


@pytest.mark.parametrize("name", ["x*y", "x[a]y", "x[y", "**", "x{a,b}y", "x'y", 'x"y', "a=b", "ü"])
def test_k12_a_path_that_duckdb_takes_as_it_is_is_opened_and_a_lake_in_it_is_read(
    tmp_path: Path, name: str
) -> None:
    # What a pattern would match instead.
    for other in ("xay", "xzy", "x", "a", "y"):
        land(tmp_path / other / "velos.parquet", {"n": Column([1, 2], pa.int64())})
    path = land(tmp_path / name / "velos.parquet", {"n": Column([7], pa.int64())})
    with open_warehouse(f"duckdb:///{tmp_path / name / (name + '.duckdb')}") as warehouse:
        assert warehouse.load(path, verdict="new").rows == 1
    assert (tmp_path / name / f"{name}.duckdb").is_file()


@pytest.mark.parametrize("name", ["x?y", "?", "x\\y", "\\"])
def test_k12_a_lake_is_read_also_where_the_warehouse_could_not_be(
    tmp_path: Path, name: str
) -> None:
    for other in ("xay", "xzy", "x/y", "a"):
        land(tmp_path / other / "velos.parquet", {"n": Column([1, 2], pa.int64())})
    path = land(tmp_path / name / "velos.parquet", {"n": Column([7], pa.int64())})
    with open_warehouse(f"duckdb:///{tmp_path / 'w.duckdb'}") as warehouse:
        assert warehouse.load(path, verdict="new").rows == 1


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("x?y/w.duckdb", "is in a folder with a question mark"),
        ("?/deep/w.duckdb", "is in a folder with a question mark"),
        ("x\\y/w.duckdb", "has a backslash in it, which DuckDB takes for a slash"),
        ("w\\x.duckdb", "has a backslash in it, which DuckDB takes for a slash"),
        ("caf\udce9/w.duckdb", r"caf\\udce9/w\.duckdb has a name that is not UTF-8"),
        ("w\udcff.duckdb", r"w\\udcff\.duckdb has a name that is not UTF-8"),
        ("w\0x.duckdb", r"w\\0x\.duckdb has a name that is not UTF-8, or a NUL"),
    ],
)
@pytest.mark.parametrize("relative", [False, True])
def test_k12_a_path_that_duckdb_takes_for_another_one_is_refused_and_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, says: str, relative: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    url = f"duckdb:///{path}" if relative else f"duckdb:///{tmp_path}/{path}"
    with pytest.raises(ConfigurationError, match=f"{says}.*; set ODS_WAREHOUSE to duckdb:///PATH"):
        open_warehouse(url)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["x?y", "x\\y", "caf\udce9"])
def test_k12_a_relative_path_counts_with_the_folder_that_it_is_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / name)
    with pytest.raises(ConfigurationError, match="set ODS_WAREHOUSE to"):
        open_warehouse("duckdb:///w.duckdb")


@pytest.mark.parametrize("name", ["w?x.duckdb", "w?access_mode=read_only.duckdb"])
def test_k12_a_question_mark_in_the_file_s_own_name_is_kept(tmp_path: Path, name: str) -> None:
    path = land(tmp_path / "velos.parquet", {"n": Column([7], pa.int64())})
    with open_warehouse(f"duckdb:///{tmp_path / name}") as warehouse:
        warehouse.load(path, verdict="new")
    assert {found.name for found in tmp_path.iterdir()} == {"velos.parquet", name}
