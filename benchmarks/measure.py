"""Running the tasks: every program in a fresh process, in turn, on one portal.

Rounds go through all programs before the next begins, so that a machine that becomes slower does
so for everybody. Figures become text in `show`.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import outcome, portal
from benchmarks.portal import DOCUMENT, LAYERS, Portal
from benchmarks.tasks import Program, Task


@dataclass(frozen=True)
class Run:
    """What one run cost, or why there was none.

    Attributes:
        lost: What of the published data is not in what it made; None where that was not looked at.
    """

    wall_s: float
    cpu_s: float
    peak_mb: float
    requests: int
    lost: tuple[str, ...] | None = None
    problem: str = ""


@dataclass(frozen=True)
class Result:
    """All runs of one program in one task."""

    program: str
    runs: tuple[Run, ...]

    @property
    def problem(self) -> str:
        """Why there are no figures; empty when there are."""
        return next((run.problem for run in self.runs if run.problem), "")

    def median(self, figure: str) -> float:
        """The median of one of the figures of a run."""
        return float(statistics.median(getattr(run, figure) for run in self.runs))


@dataclass(frozen=True)
class Measured:
    """A task that was done; the first result is ours."""

    task: Task
    size: int
    results: tuple[Result, ...]

    def broken(self) -> list[str]:
        """The bounds that our worst run exceeds, or that a failure leaves unproven."""
        ours, bound = self.results[0], self.task.bound
        promised = {
            "peak_mb": bound.memory_mb,
            "cpu_s": bound.cpu_s,
            "requests": bound.requests,
        }
        if ours.problem:
            return [f"{self.task.name}: {ours.problem}"]
        worst = {name: max(getattr(run, name) for run in ours.runs) for name in promised}
        return [
            f"{self.task.name}: {name} {worst[name]:.4g}, promised {most:.4g}"
            for name, most in promised.items()
            if most is not None and worst[name] > most
        ]


def measured(
    tasks: tuple[Task, ...],
    sizes: Mapping[str, int],
    rounds: int,
    told: Callable[[str], object],
) -> Iterator[Measured]:
    """Do the tasks, in order.

    Args:
        tasks: Which.
        sizes: Rows or datasets, by the name that a task gives to its size.
        rounds: How often, where a task is not done once.
        told: Told what begins.
    """
    with TemporaryDirectory() as root:
        for (kind, size), some in groupby(tasks, lambda task: (task.portal, sizes[task.size])):
            with portal.opened(kind, size, Path(root)) as opened:
                for task in some:
                    folder = Path(root, task.folder or task.name)
                    yield _done(task, size, opened, folder, 1 if task.once else rounds, told)


def _done(
    task: Task,
    size: int,
    opened: Portal,
    folder: Path,
    rounds: int,
    told: Callable[[str], object],
) -> Measured:
    runs: dict[Program, list[Run]] = {program: [] for program in task.programs}
    for number in range(1, rounds + 1):
        for program in task.programs:
            told(f"{task.name} {number}/{rounds}: {program.name}")
            own = folder / program.name
            if not task.folder:
                shutil.rmtree(own, ignore_errors=True)
            own.mkdir(parents=True, exist_ok=True)
            if opened.document:
                # Everybody's own, or GDAL finds the schema that it wrote beside it the last time.
                (own / DOCUMENT).symlink_to(opened.document)
            runs[program].append(_run(program, opened, own, task, size))
    if not task.folder:
        shutil.rmtree(folder)
    return Measured(task, size, tuple(Result(p.name, tuple(some)) for p, some in runs.items()))


def _run(program: Program, opened: Portal, folder: Path, task: Task, size: int) -> Run:
    opened.requests()
    command = [sys.executable, "-m", "benchmarks.child", program.function, opened.url, str(folder)]
    started = time.perf_counter()
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    wall = time.perf_counter() - started
    if ended.returncode:
        return Run(wall, 0, 0, 0, problem=f"failed: exit status {ended.returncode}")
    told = json.loads(ended.stdout.splitlines()[-1])
    made = told.get("made")
    return Run(
        wall_s=round(wall, 3),
        cpu_s=round(told["cpu_s"], 3),
        peak_mb=round(told["peak_mb"], 1),
        requests=opened.requests(),
        lost=_lost(Path(made), task, size) if made else None,
        problem=told.get("problem", ""),
    )


def _lost(made: Path, task: Task, size: int) -> tuple[str, ...] | None:
    if task.portal == "many":
        return None
    return tuple(outcome.lost(made, size, len(LAYERS.get(task.portal, ("location",)))))
