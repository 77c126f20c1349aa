"""A process that has imported everything, and forks one that runs the command line, to be killed.

Starting Python and its libraries takes most of the time of a small run: here it happens once. The
forked process is one like any other: it runs `main` and dies of a real SIGKILL or a full disk.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import json
import os
import resource
import selectors
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NoReturn

# What a run says of files to whoever watches it from inside Python.
_TOUCHES = {"open", "os.mkdir", "os.remove", "os.rename", "os.listdir", "os.scandir"}
_LOCKS = {"fcntl.fcntl", "fcntl.flock"}


@dataclass(frozen=True)
class Task:
    """A command to run.

    Attributes:
        words: As typed after `ods-pipeline`.
        settings: The environment, in addition.
        touch: Number of the touch of a file before which it kills itself.
        seconds: After how long it is killed from outside.
        largest: Size that no file may exceed.
    """

    words: tuple[str, ...]
    settings: dict[str, str] = field(default_factory=dict)
    touch: int | None = None
    seconds: float | None = None
    largest: int | None = None


@dataclass(frozen=True)
class Done:
    """What became of it.

    Attributes:
        status: Exit status; negative for the signal that killed it.
        said: All that it printed.
        touches: How often it touched a file of the data folder.
        seconds: Wall time.
    """

    status: int
    said: str
    touches: int
    seconds: float

    @property
    def killed(self) -> bool:
        return self.status == -signal.SIGKILL


class Nursery:
    """Runs tasks, one after the other."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    @property
    def root(self) -> Path:
        """Its files as others see them: it may have a disk of its own."""
        return Path(f"/proc/{self._process.pid}/root")

    def run(self, task: Task) -> Done:
        return Done(**self._asked(asdict(task)))

    def mount(self, folder: Path, size: int) -> None:
        """Give it a disk of its own, or another size to the one that it has."""
        assert self._asked({"mount": str(folder), "size": size}) == {}

    def _asked(self, question: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


@contextlib.contextmanager
def nursery() -> Iterator[Nursery]:
    """Start one, until the end of the block; with a right to disks of its own, where there is."""
    command = [*OWN_DISK, sys.executable, "-m", "tests.crashes.nursery"]
    folder = Path(__file__).parents[2]
    with subprocess.Popen(
        command, cwd=folder, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        yield Nursery(process)
        assert process.stdin
        process.stdin.close()


def _own_disk() -> tuple[str, ...]:
    command = ("unshare", "--map-root-user", "--mount")
    with contextlib.suppress(OSError), tempfile.TemporaryDirectory() as folder:
        mount = [*command, "mount", "-t", "tmpfs", "none", folder]
        if subprocess.run(mount, capture_output=True, check=False).returncode == 0:
            return command
    return ()


#: The command that lets a process mount a disk of its own; empty where none may, as in containers.
OWN_DISK = _own_disk() if __name__ != "__main__" else ()


def _serve() -> None:
    from ods_pipeline.cli import process

    process.prepare()
    _import_all()
    gc.freeze()
    # The threads that libraries start for themselves know what to do when their process forks.
    warnings.simplefilter("ignore", DeprecationWarning)
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        question = json.loads(line)
        answer = _mounted(**question) if "mount" in question else _run(Task(**question))
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    os._exit(0)


def _import_all() -> None:
    import ods_pipeline.cli.report
    import ods_pipeline.lake.verify
    import ods_pipeline.portal.files.record_files
    import ods_pipeline.sync.file_keeping
    import ods_pipeline.sync.run
    import ods_pipeline.warehouse.duckdb  # noqa: F401


def _mounted(mount: str, size: int) -> dict[str, Any]:
    options = f"size={size}"
    if os.path.ismount(mount):
        options += ",remount"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", mount], check=True)
    return {}


def _run(task: Task) -> dict[str, Any]:
    started = time.monotonic()
    said, saying = os.pipe()
    touched, touching = os.pipe()
    pid = os.fork()
    if not pid:
        _become(task, saying, touching)
    os.close(saying)
    os.close(touching)
    output = _heard(said, pid, None if task.seconds is None else started + task.seconds)
    _, status = os.waitpid(pid, 0)
    with os.fdopen(touched, "rb") as file:
        touches = len(file.read())
    code = os.waitstatus_to_exitcode(status)
    return asdict(Done(code, output, touches, time.monotonic() - started))


def _heard(said: int, pid: int, ends: float | None) -> str:
    parts = []
    with os.fdopen(said, "rb", buffering=0) as file, selectors.DefaultSelector() as selector:
        selector.register(file, selectors.EVENT_READ)
        while True:
            left = None if ends is None else max(ends - time.monotonic(), 0)
            if not selector.select(left):
                os.kill(pid, signal.SIGKILL)
                ends = None
            elif part := file.read(1 << 16):
                parts.append(part)
            else:
                return b"".join(parts).decode()


def _become(task: Task, saying: int, touching: int) -> NoReturn:
    from ods_pipeline.cli.main import main

    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(saying, 1)
    os.dup2(saying, 2)
    os.environ.update(task.settings)
    sys.argv = ["ods-pipeline", *task.words]
    _watch_touches(task, touching)
    if task.largest is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (task.largest, task.largest))
    status = 1
    try:
        main()
    except SystemExit as end:
        status = int(end.code or 0)
    finally:
        # Taking down an interpreter that was forked takes longer than all the rest.
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _watch_touches(task: Task, touching: int) -> None:
    folder, count = task.settings["ODS_DATA_DIR"], 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        if event in _LOCKS or (event in _TOUCHES and str(arguments[0]).startswith(folder)):
            count += 1
            os.write(touching, b".")
            if count == task.touch:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    real = os.fsync

    def fsync(descriptor: Any) -> None:
        hook("fcntl.fcntl", ())
        real(descriptor)

    os.fsync = fsync  # type: ignore[assignment]


if __name__ == "__main__":
    _serve()
