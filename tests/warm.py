"""Runs `ods-pipeline` in processes that are forked from one which has imported everything.

Starting Python and its libraries takes most of the time of a command that does little. What depends
on how a process starts or is taken down is tested with `subprocess` instead.
"""

from __future__ import annotations

import atexit
import gc
import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).parents[1]


class Warm:
    """A process that has imported everything; it runs one command after the other."""

    def __init__(self) -> None:
        """Start it; it ends with the tests."""
        self._process = self._begun()
        self._lock = threading.Lock()
        atexit.register(self._end)

    def _begun(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.warm"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def _end(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _status_of(self, task: Mapping[str, object]) -> int:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(task) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def _ended(self, task: Mapping[str, object]) -> int:
        with self._lock:
            try:
                return self._status_of(task)
            except BaseException:  # A test that is given up leaves no answer for the next one.
                self._end()
                self._process = self._begun()
                raise

    def show(
        self, words: tuple[str, ...], folder: Path, environment: Mapping[str, str], terminal: str
    ) -> int:
        """Run a command on a terminal, which becomes its own, and return how it ended."""
        task = {"words": words, "folder": str(folder), "environment": dict(environment)}
        return self._ended(task | {"out": terminal, "err": terminal, "log": "", "terminal": True})

    def run(
        self, words: tuple[str, ...], folder: Path, environment: Mapping[str, str], log: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end.

        Args:
            words: As typed after `ods-pipeline`.
            folder: The folder in which it is typed.
            environment: All of its environment.
            log: A file that every logger writes into, at DEBUG.
        """
        with tempfile.TemporaryDirectory(prefix="ods-pipeline-typed-") as streams:
            out, err = Path(streams, "out"), Path(streams, "err")
            task = {"words": words, "folder": str(folder), "environment": dict(environment)}
            status = self._ended(task | {"out": str(out), "err": str(err), "log": log})
            said = [path.read_text(encoding="utf-8") for path in (out, err)]
        return subprocess.CompletedProcess(["ods-pipeline", *words], status, *said)


def _serve() -> None:
    from ods_pipeline.cli import process

    process.prepare()
    import ods_pipeline.cli.doctor
    import ods_pipeline.cli.main
    import ods_pipeline.cli.report
    import ods_pipeline.emulator
    import ods_pipeline.lake.verify
    import ods_pipeline.portal.auth
    import ods_pipeline.portal.features.features
    import ods_pipeline.sync.run
    import ods_pipeline.warehouse.duckdb  # noqa: F401
    from tests import retries

    retries.shorten()
    gc.freeze()
    # The threads that libraries start for themselves know what to do when their process forks.
    warnings.simplefilter("ignore", DeprecationWarning)
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            _become(**json.loads(line))
        _, status = os.waitpid(pid, 0)
        answers.write(f"{os.waitstatus_to_exitcode(status)}\n")
        answers.flush()
    os._exit(0)


def _become(
    words: list[str],
    folder: str,
    environment: dict[str, str],
    out: str,
    err: str,
    log: str,
    terminal: bool = False,
) -> NoReturn:
    if terminal:
        # The first terminal that the leader of a new group opens is its own.
        os.setsid()
    given = out if terminal else os.devnull
    for descriptor, path, mode in ((0, given, "r"), (1, out, "a"), (2, err, "a")):
        with open(path, mode) as stream:
            os.dup2(stream.fileno(), descriptor)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["ods-pipeline", *words]
    if log:
        logging.basicConfig(level=logging.DEBUG, filename=log)
    status: Any = 1
    try:
        from ods_pipeline.cli.main import main

        main()
    except SystemExit as end:
        status = int(end.code or 0)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        # Taking down an interpreter that was forked takes longer than all the rest.
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    _serve()
