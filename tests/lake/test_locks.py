"""One at a time, threads and processes alike, and nobody waits for the dead."""

import errno
import fcntl
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from ods_pipeline.errors import LakeError, LakeUnwritable
from ods_pipeline.lake import locks
from ods_pipeline.lake.lake import Lake

pytestmark = pytest.mark.slow

HOLDER = """
    import sys, time
    from pathlib import Path
    from ods_pipeline.lake.lake import Lake
    with Lake(Path(sys.argv[1])).lock("records", "towns"):
        print("mine", flush=True)
        time.sleep(60)
"""
COUNTER = """
    import sys
    from pathlib import Path
    from ods_pipeline.lake.lake import Lake
    lake, count = Lake(Path(sys.argv[1])), Path(sys.argv[1]) / "count"
    for _ in range(40):
        with lake.lock("records", "towns"):
            count.write_text(str(int(count.read_text()) + 1))
"""
FORKER = """
    import os, sys, time
    from pathlib import Path
    from ods_pipeline.lake.lake import Lake
    lake = Lake(Path(sys.argv[1]))
    with lake.lock("records", "towns"):
        child = os.fork()
        if not child:
            time.sleep(60)
            os._exit(0)
    with lake.lock("records", "towns", stop=lambda: True):
        print("again")
    os.kill(child, 9)
"""


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake" / "portal.test")


def program(source: str, lake: Lake) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", textwrap.dedent(source), str(lake.root)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@contextmanager
def holder(lake: Lake) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the turn of towns until it is killed."""
    with program(HOLDER, lake) as process:
        assert process.stdout
        assert process.stdout.readline() == "mine\n"
        try:
            yield process
        finally:
            process.kill()


def is_free(lake: Lake, kind: str = "records", dataset_id: str = "towns") -> bool:
    try:
        with lake.lock(kind, dataset_id, stop=lambda: True):
            return True
    except LakeError:
        return False


def test_threads_take_turns(lake: Lake) -> None:
    inside, most = list[int](), list[int]()

    def land(number: int) -> None:
        with lake.lock("records", "towns"):
            inside.append(number)
            most.append(len(inside))
            time.sleep(0.001)
            inside.remove(number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(land, range(24)))
    assert most == [1] * 24


def test_processes_take_turns(lake: Lake) -> None:
    lake.root.mkdir(parents=True)
    (lake.root / "count").write_text("0")
    processes = [program(COUNTER, lake) for _ in range(3)]
    assert [process.communicate()[0] for process in processes] == [""] * 3
    assert (lake.root / "count").read_text() == "120"


def test_who_is_killed_gives_the_turn_back(lake: Lake) -> None:
    with holder(lake) as process:
        assert not is_free(lake)
        assert is_free(lake, "features")
        assert is_free(lake, dataset_id="roads")
        process.kill()
        with lake.lock("records", "towns"):
            assert not is_free(lake)
    assert is_free(lake)


def test_waiting_ends_when_it_is_told_to(lake: Lake) -> None:
    stop, told = threading.Event(), list[str]()

    def wait() -> None:
        try:
            with lake.lock("records", "towns", stop.is_set):
                told.append("got it")
        except LakeError as error:
            told.append(str(error))

    with lake.lock("records", "towns"):
        thread = threading.Thread(target=wait)
        thread.start()
        time.sleep(0.05)
        assert not told
        stop.set()
        thread.join(5)
    assert told == ["another run is working on towns; stopped waiting for it"]


def test_a_turn_is_given_back_by_whatever_ends_it(lake: Lake) -> None:
    with pytest.raises(ZeroDivisionError), lake.lock("lake"):
        raise ZeroDivisionError
    with pytest.raises(FileNotFoundError), lake.lock("lake"):
        raise FileNotFoundError(errno.ENOENT, "of the one whose turn it is, and not the lake's")
    assert is_free(lake, "lake", "")


def test_turns_of_many_datasets_leave_one_empty_file(lake: Lake) -> None:
    names = ["towns", "../../x", "é" * 300, "", "\ud83d", "a\0b", *map(str, range(300))]
    with ExitStack() as stack:
        for name in names:
            stack.enter_context(lake.lock("records", name))
        assert not is_free(lake, dataset_id="299")
    assert [(path.name, path.stat().st_size) for path in lake.root.iterdir()] == [(".turns", 0)]


def test_who_opens_and_closes_the_file_gives_no_turn_away(lake: Lake) -> None:
    with lake.lock("records", "towns"):
        (lake.root / ".turns").read_bytes()
        assert not is_free(lake)


def test_a_process_that_was_forked_meanwhile_keeps_no_turn(lake: Lake) -> None:
    assert program(FORKER, lake).communicate(timeout=20)[0] == "again\n"


def test_a_system_with_locks_of_whole_files_alone_has_one_turn_at_a_time(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "_SET_LOCK", None)
    with lake.lock("records", "towns"):
        assert not is_free(lake)
    assert is_free(lake)


def test_a_file_system_without_locks_keeps_nobody_from_working(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "fcntl", refuse)
    with lake.lock("records", "towns"):
        assert is_free(lake)


def test_a_lake_that_cannot_be_written_has_no_turns(tmp_path: Path) -> None:
    (tmp_path / "lake").write_text("a file")
    with pytest.raises(LakeUnwritable, match="cannot be used"), Lake.of(tmp_path, "p").lock("lake"):
        pass
