"""Runs one program once, in processes that do nothing else, for its wall time, CPU and peak memory.

Which programs run, and how often, is decided elsewhere.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from threading import Timer
from typing import Any

from benchmarks.figures import Run
from benchmarks.parts import told
from benchmarks.tasks import Program

# For thousands of datasets Dagster needs most of an hour.
_LIMIT_S = 3600
# The telemetry of a peer is not to be measured.
_ENVIRONMENT = {"RUNTIME__DLTHUB_TELEMETRY": "false", "DO_NOT_TRACK": "1"}


def run(program: Program, interpreter: str, url: str, folder: Path) -> tuple[Run, str]:
    """Run a program; give what it cost, and the path of what it made."""
    command = [interpreter, "-m", "benchmarks.child", program.function, url, str(folder)]
    if program.command:
        first, *rest = program.command
        command = [str(Path(sys.executable).with_name(first)), *rest]
    # No run is to find the state of another.
    kept = {name: str(folder / "state") for name in ("XDG_STATE_HOME", "DLT_DATA_DIR")}
    wall, cpu, status, output, last = _timed(command, kept)
    report: dict[str, Any] = {}
    if status:
        how = f"exit status {status}" if status > 0 else signal.Signals(-status).name
        report = {"problem": f"failed: {how} {last}".strip()}
    elif not program.command:
        report = json.loads(output.splitlines()[-1])
    peak = round(report.get("peak_mb", 0), 1)
    problem = report.get("problem", "")
    cost = Run(round(wall, 3), round(cpu, 3), peak, problem=problem, parts=told(folder))
    return cost, report.get("made", "")


def _timed(command: list[str], kept: dict[str, str]) -> tuple[float, float, int, str, str]:
    """Wall and CPU seconds with all children, then status, output and last line of errors."""
    environment = os.environ | _ENVIRONMENT | kept
    # Without it, each process of a deployment compiles all modules of Dagster again.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryFile("w+") as errors, tempfile.TemporaryFile("w+") as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            command, stdout=output, stderr=errors, start_new_session=True, env=environment
        )
        limit = Timer(_LIMIT_S, lambda: os.killpg(process.pid, signal.SIGKILL))
        limit.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except KeyboardInterrupt:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        finally:
            limit.cancel()
        wall = time.perf_counter() - started
        # So that it does not wait for a process that has ended.
        process.returncode = os.waitstatus_to_exitcode(status)
        errors.seek(0)
        output.seek(0)
        last = (errors.read().strip().splitlines() or [""])[-1][:200]
        return wall, usage.ru_utime + usage.ru_stime, process.returncode, output.read(), last
