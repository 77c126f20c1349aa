"""Doing the tasks: every program in turn, on one portal, in fresh folders.

Rounds go through all programs before the next begins, so that a machine that becomes slower does
so for everybody. A single run is `running`'s work; figures become text in `tables`.
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

# Of the portal whose replies are cut: little, for it is not about time.
_CUT = {"many": 3}
_CUT_ROWS = 4_000
# A run that was the first to ask the portal for something is repeated, as often as this.
_REHEARSALS = 3


@dataclass
class Bench:
    """Where and how the tasks are done.

    Attributes:
        root: A folder of its own.
        rounds: How often, where a task is not done once.
        told: Told what begins.
        install: Whether environments of peers are made.
        profile: How slow every portal is; as each task says where it is empty.
    """

    root: Path
    rounds: int
    told: Callable[[str], object]
    install: bool = True
    profile: str = ""
    cuts: dict[tuple[str, str], str] = field(default_factory=dict)

    def measured(self, tasks: list[Task]) -> Iterator[Measured]:
        """Do the tasks, in order."""
        for (kind, size), some in groupby(tasks, lambda task: (task.portal, task.size)):
            folder = self.root / f"{kind}-{size}"
            with portal.opened(kind, size, folder) as opened:
                for task in some:
                    yield self._done(task, opened)
            shutil.rmtree(folder)

    def _done(self, task: Task, opened: Portal) -> Measured:
        folder = self.root / "task"
        opened.order(profile="loopback")
        given, unprepared = self._prepared(task, opened, folder / "given")
        opened.order(profile=self.profile or task.profile)
        runs: dict[Program, list[Run]] = {program: [] for program in task.programs}
        rounds = 1 if task.once else self.rounds
        for number in range(1, rounds + 1):
            for program in task.programs:
                self.told(f"{task.called} {number}/{rounds}: {program.name}")
                if unprepared:
                    runs[program] = [Run(problem=unprepared)]
                elif not runs[program] or not runs[program][-1].problem:
                    runs[program].append(self._run(task, program, opened, folder / "own", given))
        found = [self._result(task, program, some) for program, some in runs.items()]
        shutil.rmtree(folder)
        if task.cut:
            found = self._with_cuts(task, found)
        return Measured(task, tuple(found))

    def _prepared(self, task: Task, opened: Portal, folder: Path) -> tuple[str, str]:
        """What every program of a task begins with, and why there is none."""
        folder.mkdir(parents=True)
        if not task.prepare:
            return "", ""
        self.told(f"{task.called}: preparing")
        interpreter = environments.python("", self.told)
        done, made = run(Program("", task.prepare), interpreter, opened.url, folder)
        return made, f"not prepared: {done.problem}" if done.problem else ""

    def _run(
        self,
        task: Task,
        program: Program,
        opened: Portal,
        folder: Path,
        given: str = "",
        rehearsals: int = _REHEARSALS,
    ) -> Run:
        try:
            interpreter = environments.python(program.environment, self.told, install=self.install)
        except Unavailable as error:
            return Run(problem=str(error))
        for _ in range(1 + rehearsals):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            if task.prepare:
                (folder / "given").symlink_to(given)
            opened.order()
            cost, made = run(program, interpreter, opened.url, folder)
            tally = opened.order()
            if not tally.recorded:
                break
        seen = data_checks.made(Path(made), task.portal) if made else None
        return replace(cost, requests=tally.requests, made=seen)

    def _result(self, task: Task, program: Program, runs: list[Run]) -> Result:
        try:
            interpreter = environments.python(program.environment, self.told, install=False)
            versions = environments.versions(interpreter, program.uses)
        except Unavailable:
            versions = {}
        return Result(program.name, tuple(runs), task.size // program.part, versions)

    def _with_cuts(self, task: Task, results: list[Result]) -> list[Result]:
        """The same with what each program made of replies that end half-way."""
        todo = [r for r in results if not r.problem and (task.name, r.program) not in self.cuts]
        if todo:
            size = _CUT.get(task.portal, _CUT_ROWS)
            small = replace(task, size=size)
            with portal.opened(task.portal, size, self.root / "cut") as opened:
                opened.order(cut=True)
                for result in todo:
                    self.told(f"{task.called}, cut replies: {result.program}")
                    program = next(p for p in task.programs if p.name == result.program)
                    cost = self._run(small, program, opened, self.root / "own", rehearsals=0)
                    self.cuts[task.name, program.name] = "noticed" if cost.problem else "silent"
                    shutil.rmtree(self.root / "own")
            shutil.rmtree(self.root / "cut")
        return [replace(r, cut=self.cuts.get((task.name, r.program), "")) for r in results]


@contextmanager
def bench(
    rounds: int, told: Callable[[str], object], *, install: bool, profile: str
) -> Iterator[Bench]:
    """A bench in a folder that is gone afterwards."""
    with TemporaryDirectory() as root:
        yield Bench(Path(root), rounds, told, install, profile)
