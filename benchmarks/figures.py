"""What was measured, as values: runs, their medians, ratios, and promises that are broken.

How they are shown does not belong here.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field

from benchmarks.parts import WORK
from benchmarks.tasks import Task


@dataclass(frozen=True)
class CheckedData:
    """What a run made, as far as it was checked.

    Attributes:
        rows: Number of rows, or of datasets.
        wrong: What of the published data is not as it was published.
    """

    rows: int
    wrong: tuple[str, ...] = ()


@dataclass(frozen=True)
class Run:
    """What one run cost, or why there was none.

    Attributes:
        peak_mb: 0 where it is not known.
        made: None where nothing was made that can be checked.
        parts: What the program says that parts of it cost, see `parts`.
    """

    wall_s: float = 0
    cpu_s: float = 0
    peak_mb: float = 0
    requests: int = 0
    made: CheckedData | None = None
    problem: str = ""
    parts: Mapping[str, float] = field(default_factory=dict)

    def figure(self, name: str) -> float:
        """One of the figures; the wall time for the part `WORK` of a program that has no parts."""
        if name == WORK:
            return self.parts.get(WORK, self.wall_s)
        return float(getattr(self, name))


@dataclass(frozen=True)
class Result:
    """All runs of one program in one task.

    Attributes:
        rows: How many there should be.
        versions: Versions of what it uses.
        cut: Whether it `noticed` that a reply ended half-way, or was `silent`; empty if not tried.
    """

    program: str
    runs: tuple[Run, ...]
    rows: int = 0
    versions: Mapping[str, str] = field(default_factory=dict)
    cut: str = ""

    @property
    def problem(self) -> str:
        """Why there are no figures; empty when there are."""
        return next((run.problem for run in self.runs if run.problem), "")

    @property
    def made(self) -> CheckedData | None:
        """What the last run made."""
        return self.runs[-1].made

    def median(self, figure: str) -> float:
        """The median of one of the figures of a run."""
        return float(statistics.median(run.figure(figure) for run in self.runs))

    def parts(self) -> dict[str, float]:
        """The medians of the parts, in their order."""
        runs = [run.parts for run in self.runs if run.parts]
        names = dict.fromkeys(name for parts in runs for name in parts)
        return {
            name: statistics.median(parts[name] for parts in runs if name in parts)
            for name in names
        }


@dataclass(frozen=True)
class Measured:
    """A task that was done; the first result is ours."""

    task: Task
    results: tuple[Result, ...]

    @property
    def title(self) -> str:
        """The task with its size."""
        return self.task.title_with_size

    def result(self, program: str) -> Result | None:
        """The result of a program that has one without a problem."""
        return next((r for r in self.results if r.program == program and not r.problem), None)

    def ratio(self, program: str, figure: str, ours_named: str = "") -> float | None:
        """A program's figure divided by ours, per row; None where one is unknown."""
        ours = self.result(ours_named or self.results[0].program)
        other = self.result(program)
        if not ours or not other or not ours.median(figure) or not other.median(figure):
            return None
        rows = 1.0 if figure == "peak_mb" or not other.rows else ours.rows / other.rows
        return rows * other.median(figure) / ours.median(figure)

    def broken(self) -> list[str]:
        """The bounds that our worst run exceeds, or that a failure leaves unproven."""
        ours, bound = self.results[0], self.task.bound
        promised = {"peak_mb": bound.memory_mb, "requests": bound.requests}
        if ours.problem:
            return [f"{self.title}: {ours.problem}"]
        worst = {name: max(getattr(run, name) for run in ours.runs) for name in promised}
        return [
            f"{self.title}: {name} {worst[name]:.4g}, promised {most:.4g}"
            for name, most in promised.items()
            if most is not None and worst[name] > most
        ]
