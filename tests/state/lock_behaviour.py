"""What locks of partitions do wherever they are kept, and programs that take them."""

from __future__ import annotations

import errno
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from ods_pipeline.errors import ConfigurationError, LakeError
from ods_pipeline.lake.holds import read_holds
from ods_pipeline.lake.kept_files import opened
from ods_pipeline.lake.lake import Lake
from ods_pipeline.state.database import shared

_BEGINNING = """
    import os, sys, time
    from pathlib import Path
    from ods_pipeline.lake.lake import Lake
    from ods_pipeline.state.database import shared
    lake = Lake(Path(sys.argv[1]), shared(sys.argv[2]))
"""
HOLDER = """
    with lake.lock("records", "towns"):
        print("mine", flush=True)
        time.sleep(60)
"""
COUNTER = """
    count = lake.root / "count"
    for _ in range(40):
        with lake.lock("records", "towns"):
            count.write_text(str(int(count.read_text()) + 1))
"""
HOLDING = """
    from ods_pipeline.lake.holds import Hold, update_holds
    for number in range(10):
        name = f"{os.getpid()}-{number}"
        hold = Hold(name, "records", "shrunk", "it shrank", "2026-01-01T00:00:00+00:00")
        update_holds(lake, {hold.key: hold})
"""
FORKER = """
    with lake.lock("records", "towns"):
        child = os.fork()
        if not child:
            time.sleep(60)
            os._exit(0)
    with lake.lock("records", "towns", stop=lambda: True):
        print("again")
    os.kill(child, 9)
"""
CHILD = """
    with lake.lock("records", "towns"):
        child = os.fork()
        if not child:
            with lake.lock("records", "roads"):
                try:
                    with lake.lock("records", "towns", stop=lambda: True):
                        print("twice", flush=True)
                except Exception as error:
                    print(error, flush=True)
            os._exit(0)
        os.waitpid(child, 0)
"""


def program(source: str, lake: Lake, state: str) -> subprocess.Popen[str]:
    code = textwrap.dedent(_BEGINNING) + textwrap.dedent(source)
    command = [sys.executable, "-c", code, str(lake.root), state]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)


@contextmanager
def holder(lake: Lake, state: str, source: str = HOLDER) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lock of towns until it is killed."""
    with program(source, lake, state) as process:
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


class EveryLock:
    """The tests of all locks; a test file says in `state` where they are."""

    @pytest.fixture
    def lake(self, tmp_path: Path, state: str) -> Lake:
        return Lake(tmp_path / "lake" / "portal.test", shared(state))

    def test_threads_take_turns(self, lake: Lake) -> None:
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

    def test_processes_take_turns(self, lake: Lake, state: str) -> None:
        lake.root.mkdir(parents=True)
        (lake.root / "count").write_text("0")
        processes = [program(COUNTER, lake, state) for _ in range(3)]
        assert [process.communicate()[0] for process in processes] == [""] * 3
        assert (lake.root / "count").read_text() == "120"

    def test_no_hold_is_lost_among_processes(self, lake: Lake, state: str) -> None:
        processes = [program(HOLDING, lake, state) for _ in range(3)]
        assert [process.communicate()[0] for process in processes] == [""] * 3
        assert len(read_holds(lake)) == 30

    def test_a_folder_of_files_is_for_one_at_a_time(self, lake: Lake) -> None:
        folder = lake.files("attachments", "towns")
        busy = f"another process writes files to {folder}: wait until it ends"
        with opened(folder, lake.state):
            with pytest.raises(ConfigurationError) as refused, opened(folder, lake.state):
                raise AssertionError("two were let in")
            assert str(refused.value) == busy
            with opened(lake.files("attachments", "roads"), lake.state):
                pass
        with opened(folder, lake.state):
            pass

    def test_who_is_killed_gives_the_turn_back(self, lake: Lake, state: str) -> None:
        with holder(lake, state) as process:
            assert not is_free(lake)
            assert is_free(lake, "features")
            assert is_free(lake, dataset_id="roads")
            process.kill()
            with lake.lock("records", "towns"):
                assert not is_free(lake)
        assert is_free(lake)

    def test_waiting_ends_when_it_is_told_to(self, lake: Lake) -> None:
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
            thread.join(60)
        assert told == ["another run is working on towns; stopped waiting for it"]

    def test_a_turn_is_given_back_by_whatever_ends_it(self, lake: Lake) -> None:
        with pytest.raises(ZeroDivisionError), lake.lock("lake"):
            raise ZeroDivisionError
        with pytest.raises(FileNotFoundError), lake.lock("lake"):
            raise FileNotFoundError(errno.ENOENT, "of the one whose turn it is, and not the lake's")
        assert is_free(lake, "lake", "")

    def test_a_process_that_was_forked_meanwhile_keeps_no_turn(
        self, lake: Lake, state: str
    ) -> None:
        assert program(FORKER, lake, state).communicate(timeout=120)[0] == "again\n"

    def test_a_forked_child_takes_locks_of_its_own_and_not_those_of_its_parent(
        self, lake: Lake, state: str
    ) -> None:
        said = program(CHILD, lake, state).communicate(timeout=120)[0]
        assert said == "another run is working on towns; stopped waiting for it\n"
