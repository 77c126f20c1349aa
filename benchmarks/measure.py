"""Measures the tasks: every program in turn, on one portal, in fresh folders.

A round goes through all programs before the next begins, so that a machine that becomes slower does
so for all of them. A single run, and tables of the figures, are elsewhere.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import data_checks, environments, portal
from benchmarks.environments import Unavailable
from benchmarks.figures import Measured, Result, Run
from benchmarks.portal import Portal
from benchmarks.running import run
from benchmarks.tasks import Program, Task

# Sizes of the portal whose replies are cut: small, since no time is measured.
_CUT = {"many": 3}
_CUT_ROWS = 4_000
# A run whose replies were not recorded yet is repeated, at most so many times.
_MAX_REPEATS = 3


@dataclass
class Bench:
    """How and where the tasks are measured.

    Attributes:
        root: A folder of its own.
        rounds: How often, where a task is not done once.
        report: Called with a line of text when something begins.
        install: Whether environments of peers are made.
        profile: How slow every portal is; empty for the profile of each task.
    """

    root: Path
    rounds: int
    report: Callable[[str], object]
    install: bool = True
    profile: str = ""
    cuts: dict[tuple[str, str], str] = field(default_factory=dict)

    def measure(self, tasks: list[Task]) -> Iterator[Measured]:
        """Measure the tasks, in order."""
        for (kind, size), some in groupby(tasks, lambda task: (task.portal, task.size)):
            folder = self.root / f"{kind}-{size}"
            with portal.opened(kind, size, folder) as served:
                for task in some:
                    yield self._measure_task(task, served)
            shutil.rmtree(folder)

    def _measure_task(self, task: Task, served: Portal) -> Measured:
        folder = self.root / "task"
        served.configure(profile="loopback")
        given, unprepared = self._prepared(task, served, folder / "given")
        own = self._prepared_apart(task, served, folder)
        if task.changes:
            served.change()
        served.configure(profile=self.profile or task.profile)
        runs: dict[Program, list[Run]] = {program: [] for program in task.programs}
        rounds = 1 if task.once else self.rounds
        for number in range(1, rounds + 1):
            for program in task.programs:
                self.report(f"{task.title_with_size} {number}/{rounds}: {program.name}")
                start, problem = own.get(program, (given, unprepared))
                if problem:
                    runs[program] = [Run(problem=problem)]
                elif not runs[program] or not runs[program][-1].problem:
                    runs[program].append(self._run(task, program, served, folder / "own", start))
        found = [self._result(task, program, some) for program, some in runs.items()]
        shutil.rmtree(folder)
        if task.cut:
            found = self._with_cuts(task, found)
        return Measured(task, tuple(found))

    def _prepared(self, task: Task, served: Portal, folder: Path) -> tuple[str, str]:
        """What every program of a task starts from, and the problem if there is none."""
        folder.mkdir(parents=True)
        if not task.prepare:
            return "", ""
        self.report(f"{task.title_with_size}: preparing")
        return self._made(Program("", task.prepare), served, folder)

    def _prepared_apart(
        self, task: Task, served: Portal, folder: Path
    ) -> dict[Program, tuple[str, str]]:
        """The same of each program that starts from something else."""
        found = {}
        for number, program in enumerate(task.programs):
            if program.prepare:
                self.report(f"{task.title_with_size}: preparing for {program.name}")
                own = folder / f"given-{number}"
                own.mkdir()
                found[program] = self._made(replace(program, function=program.prepare), served, own)
        return found

    def _made(self, program: Program, served: Portal, folder: Path) -> tuple[str, str]:
        """What a program has made, and the problem if it has made nothing."""
        try:
            interpreter = environments.python(
                program.environment, self.report, install=self.install
            )
        except Unavailable as error:
            return "", str(error)
        done, made = run(program, interpreter, served.url, folder)
        return made, f"not prepared: {done.problem}" if done.problem else ""

    def _run(
        self,
        task: Task,
        program: Program,
        served: Portal,
        folder: Path,
        given: str = "",
        repeats: int = _MAX_REPEATS,
    ) -> Run:
        try:
            interpreter = environments.python(
                program.environment, self.report, install=self.install
            )
        except Unavailable as error:
            return Run(problem=str(error))
        for _ in range(1 + repeats):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            if given and task.takes:
                shutil.copytree(given, folder / "given")
            elif given:
                (folder / "given").symlink_to(given)
            served.configure()
            cost, made = run(program, interpreter, served.url, folder)
            counts = served.configure()
            if not counts.recorded:
                break
        checked = data_checks.check(Path(made), task.portal) if made else None
        return replace(cost, requests=counts.requests, made=checked)

    def _result(self, task: Task, program: Program, runs: list[Run]) -> Result:
        try:
            interpreter = environments.python(program.environment, self.report, install=False)
            versions = environments.versions(interpreter, program.uses)
        except Unavailable:
            versions = {}
        return Result(program.name, tuple(runs), task.size // program.part, versions)

    def _with_cuts(self, task: Task, results: list[Result]) -> list[Result]:
        """The results, with how each program took replies that end half-way."""
        todo = [r for r in results if not r.problem and (task.name, r.program) not in self.cuts]
        if todo:
            size = _CUT.get(task.portal, _CUT_ROWS)
            small = replace(task, size=size)
            with portal.opened(task.portal, size, self.root / "cut") as served:
                served.configure(cut=True)
                for result in todo:
                    self.report(f"{task.title_with_size}, cut replies: {result.program}")
                    program = next(p for p in task.programs if p.name == result.program)
                    cost = self._run(small, program, served, self.root / "own", repeats=0)
                    self.cuts[task.name, program.name] = "noticed" if cost.problem else "silent"
                    shutil.rmtree(self.root / "own")
            shutil.rmtree(self.root / "cut")
        return [replace(r, cut=self.cuts.get((task.name, r.program), "")) for r in results]


@contextmanager
def bench(
    rounds: int, report: Callable[[str], object], *, install: bool, profile: str
) -> Iterator[Bench]:
    """A bench in a folder that is removed afterwards."""
    with TemporaryDirectory() as root:
        yield Bench(Path(root), rounds, report, install, profile)
