"""Leftovers go at the next run, and nothing goes that anybody is writing."""

import errno
import fcntl
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ods_pipeline.lake import files as module
from ods_pipeline.lake.files import discard_unfinished, sweep, unfinished

DAYS = 86_400
HERE, ELSEWHERE = module._HOST, "another-host"
NOW, BEFORE = module._KERNEL, "0badcafe"
WRITER = """
import sys, time
from pathlib import Path
from ods_pipeline.lake import files as module
module._HOST = sys.argv[2]
with module.unfinished(Path(sys.argv[1]), "d.parquet") as path:
    path.write_bytes(b"PAR1")
    print(path, flush=True)
    time.sleep(60)
"""


@contextmanager
def writer(folder: Path, host: str = HERE) -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    """A process that is writing a file, until it is killed."""
    command = [sys.executable, "-c", WRITER, str(folder), host]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield Path(process.stdout.readline().strip()), process
        finally:
            process.kill()


def leftover(folder: Path, kernel: str, host: str, pid: int = 1, days: float = 0) -> Path:
    path = folder / f"{kernel}~{host}~{pid}.0123abcd.d.parquet"
    path.write_bytes(b"PAR1")
    old = path.stat().st_mtime - days * DAYS
    os.utime(path, (old, old))
    return path


@contextmanager
def locked(path: Path) -> Iterator[None]:
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.mark.slow
def test_a_killed_process_leaves_what_the_next_sweep_takes_and_a_living_one_keeps_its_file(
    tmp_path: Path,
) -> None:
    with writer(tmp_path) as (path, process):
        sweep(tmp_path)
        assert path.read_bytes() == b"PAR1"
        process.kill()
        process.wait()
        assert path.exists()
        sweep(tmp_path)
        assert not path.exists()


@pytest.mark.slow
def test_a_container_that_shares_the_folder_keeps_its_file_until_it_is_killed(
    tmp_path: Path,
) -> None:
    with writer(tmp_path, host="f00dcafe1234") as (path, process):
        sweep(tmp_path)
        assert path.exists()
        process.kill()
        process.wait()
        sweep(tmp_path)
        assert not path.exists()


def test_a_leftover_whose_number_is_another_processs_now_is_taken(tmp_path: Path) -> None:
    for pid in (1, os.getpid(), os.getppid(), 2**22 + 1):
        path = leftover(tmp_path, NOW, HERE, pid)
        sweep(tmp_path)
        assert not path.exists()


@pytest.mark.parametrize(
    ("kernel", "host", "days", "kept"),
    [
        (NOW, ELSEWHERE, 0, False),
        (BEFORE, HERE, 0, False),
        (BEFORE, ELSEWHERE, 0.9, True),
        (BEFORE, ELSEWHERE, 1.1, False),
    ],
    ids=["another container", "before a restart", "another machine", "yesterday's"],
)
def test_whose_leftovers_are_taken_and_when(
    tmp_path: Path, kernel: str, host: str, days: float, kept: bool
) -> None:
    path = leftover(tmp_path, kernel, host, days=days)
    with locked(path):
        sweep(tmp_path)
        assert path.exists()
    sweep(tmp_path)
    assert path.exists() == kept


def test_what_is_not_ours_stays_whatever_its_age(tmp_path: Path) -> None:
    strange = [tmp_path / name for name in ("notes.txt", "a~b", "export", f"{NOW}~{HERE}~x.y")]
    for path in strange:
        path.touch()
        os.utime(path, (0, 0))
    folder, link = tmp_path / f"{NOW}~{HERE}~1.folder", tmp_path / f"{NOW}~{HERE}~1.link"
    folder.mkdir()
    link.symlink_to(strange[0])
    sweep(tmp_path)
    assert {*tmp_path.iterdir()} == {*strange, folder, link}


def test_a_spooled_export_that_kept_its_name_is_taken_after_a_day(tmp_path: Path) -> None:
    old, new = tmp_path / "export.a1b2c3d4", tmp_path / "export.e5f6g7h8"
    for path, days in ((old, 1.1), (new, 0.9)):
        path.touch()
        seen = tmp_path.stat().st_mtime - days * DAYS
        os.utime(path, (seen, seen))
    sweep(tmp_path)
    assert [*tmp_path.iterdir()] == [new]


def test_in_a_folder_of_others_only_names_that_nobody_else_gives_are_taken(tmp_path: Path) -> None:
    mine = leftover(tmp_path, BEFORE, ELSEWHERE, days=3)
    theirs = ["export.csv", "export.xlsx", "export.a1b2c3d4", "notes~2024~1.old.txt", "~~1.a.csv"]
    for name in theirs:
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (0, 0))
    sweep(tmp_path, shared=True)
    assert not mine.exists()
    assert {path.name for path in tmp_path.iterdir()} == {*theirs}


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL])
def test_where_the_file_system_has_no_locks_everything_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    left = leftover(tmp_path, NOW, HERE, days=9)
    with unfinished(tmp_path, "d.parquet") as path:
        sweep(tmp_path)
        assert {*tmp_path.iterdir()} == {left, path}
    sweep(tmp_path)
    assert [*tmp_path.iterdir()] == [left]


def test_a_file_that_becomes_a_partition_is_not_locked_and_not_removed(tmp_path: Path) -> None:
    with unfinished(tmp_path, "d.parquet") as path:
        path.write_bytes(b"PAR1")
        path.rename(tmp_path / "d.parquet")
    with locked(tmp_path / "d.parquet"):
        sweep(tmp_path)
    assert [*tmp_path.iterdir()] == [tmp_path / "d.parquet"]


def test_a_sudden_end_discards_what_this_process_has_begun_and_nothing_else(
    tmp_path: Path,
) -> None:
    other = leftover(tmp_path, NOW, HERE)
    with unfinished(tmp_path, "d.parquet") as path:
        discard_unfinished()
        assert [*tmp_path.iterdir()] == [other]
    discard_unfinished()
    assert not path.exists()


def test_nobody_who_sweeps_without_pause_takes_a_file_from_under_its_writer(
    tmp_path: Path,
) -> None:
    """The lock comes a moment after the file: that moment must not be enough."""
    ended, lost = threading.Event(), list[Path]()

    def sweep_without_pause() -> None:
        while not ended.is_set():
            sweep(tmp_path)

    def write() -> None:
        while not ended.is_set():
            with unfinished(tmp_path, "d.parquet") as path, path.open("r+b") as file:
                file.write(b"PAR1")
                lost.extend([] if path.exists() else [path])

    threads = [threading.Thread(target=work) for work in [sweep_without_pause, write] * 2]
    for thread in threads:
        thread.start()
    time.sleep(0.4)
    ended.set()
    for thread in threads:
        thread.join()
    assert not lost
    assert not [*tmp_path.iterdir()]
