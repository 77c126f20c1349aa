"""The targets of the project, and whether the measurements reach them.

A missed target is shown and fails nothing, since times depend on the machine. What is promised, and
fails, are the bounds of the tasks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.figures import Measured
from benchmarks.parts import WORK
from benchmarks.tasks import BY_JOB, COMMAND_LINE, DLT, FLOOR, OURS, Task


@dataclass(frozen=True)
class Target:
    """A figure to be reached.

    Attributes:
        job: What is done.
        task: The task that measures it.
        figure: `peak_mb`, `wall_s`, `cpu_s`, `requests` or the part `WORK`.
        limit: How many times longer a peer takes, or the figure, to be reached.
        peer: The program that we are compared with; empty for the figure itself.
        most: Whether the limit is an upper one: for our time divided by the peer's, or our figure.
        ours: Our name in the task.
        beyond: Tasks and programs whose cost we cannot reduce, and which is subtracted.
        beyond_text: What these are, for people.
        size: The smallest size at which the start of a program does not dominate.
        only: The size that it is for, where other sizes have another target.
    """

    job: str
    task: str
    figure: str
    limit: float
    peer: str = ""
    most: bool = False
    ours: str = OURS
    beyond: tuple[tuple[str, str], ...] = ()
    beyond_text: str = "the interpreter’s"
    size: int = 0
    only: int = 0

    @property
    def text(self) -> str:
        """The target as a short text."""
        unit = {"peak_mb": " MB", "wall_s": " s", "cpu_s": " s of CPU", "requests": " request"}
        unit[WORK] = " s of work"
        sign = "≤" if self.most else "≥"
        if self.peer:
            return f"{sign} {self.limit:g} × {self.peer}{'’s wall time' if self.most else ''}"
        more = f" beyond {self.beyond_text}" if self.beyond else ""
        return f"{sign} {self.limit:g}{unit[self.figure]}{more}"


@dataclass(frozen=True)
class Check:
    """A target compared with a measured task."""

    target: Target
    task: Task
    figure: float
    cpu: float | None

    @property
    def reached(self) -> bool:
        """Whether the target is reached."""
        limit = self.target.limit
        return self.figure <= limit if self.target.most else self.figure >= limit

    @property
    def verdict(self) -> str:
        """The same as a word."""
        if self.task.size < self.target.size:
            return "too small to tell"
        return "reached" if self.reached else "MISSED"


_PARQUET, _CSV = "Parquet → proven partition", "CSV → proven partition"
_GML, _TABLE = "GML → GeoParquet", "partition → DuckDB"
_AGAIN, _FIRST, _START = "unchanged sync", "first sync, 200 ms latency", "start"
_SYNC = f"{OURS} sync"
_PARTITIONS = "Dagster’s partitions"
_ROWS, _MANY_ROWS, _FEATURES, _DATASETS = 1_000_000, 10_000_000, 100_000, 300

TARGETS = (
    Target(_PARQUET, "parquet", "wall_s", 1.0, "pyarrow, streaming", size=_ROWS),
    Target(_PARQUET, "parquet", "wall_s", 0.8, "DuckDB COPY", only=_ROWS),
    Target(_PARQUET, "parquet", "wall_s", 1.0, "DuckDB COPY", only=_MANY_ROWS),
    Target(_PARQUET, "slow", "wall_s", 1.1, "curl", most=True, size=_ROWS),
    Target(_PARQUET, "parquet", "peak_mb", 250, most=True),
    Target(_CSV, "csv", "wall_s", 1.0, "DuckDB COPY", only=_ROWS),
    Target(_CSV, "csv", "wall_s", 1.2, "DuckDB COPY", only=_MANY_ROWS),
    Target(_CSV, "csv", "wall_s", 1.0, "pandas", size=_ROWS),
    Target(_CSV, "csv", "wall_s", 1.0, "polars", size=_ROWS),
    Target(_CSV, "csv", "peak_mb", 250, most=True),
    Target(f"{_GML}, points", "points", "wall_s", 1.5, "pyogrio read_arrow", size=_FEATURES),
    Target(f"{_GML}, points", "points", "peak_mb", 300, most=True),
    Target(f"{_GML}, polygons", "polygons", "wall_s", 1.5, "pyogrio read_arrow", size=_FEATURES),
    Target(f"{_GML}, polygons", "polygons", "wall_s", 1.2, "GDAL's WFS driver", size=_FEATURES),
    Target(f"{_GML}, polygons", "polygons", "peak_mb", 300, most=True),
    Target(_TABLE, "table", "wall_s", 0.9, "DuckDB INSERT", size=_ROWS),
    Target(_TABLE, "table", "wall_s", 3.0, "dlt, Arrow", size=_ROWS),
    Target("export → DuckDB", "whole", "peak_mb", 300, most=True, ours=_SYNC),
    Target(_AGAIN, "again", "requests", 1, most=True, ours=_SYNC),
    Target(_AGAIN, "again", "cpu_s", 2, most=True, ours=_SYNC, beyond=(("start", "python alone"),)),
    Target(
        _FIRST, "first", "wall_s", 1.2, "curl, 8 at a time", most=True, ours=_SYNC, size=_DATASETS
    ),
    Target(_START, "start", "wall_s", 0.3, most=True, ours="import ods_pipeline"),
    Target(_START, "start", "wall_s", 0.3, most=True, ours="ods-pipeline --help"),
    *(
        Target(
            "Dagster’s way",
            task,
            figure,
            limit,
            most=True,
            beyond=((task, FLOOR), (task, COMMAND_LINE)),
            beyond_text="Dagster alone and the command line",
        )
        for task in ("launch", "launch-again")
        for figure, limit in (("wall_s", 1), ("cpu_s", 1), ("peak_mb", 100))
    ),
    *(
        Target(job, "dagster-first", WORK, 1.2, COMMAND_LINE, most=True, ours=ours, size=_DATASETS)
        for job, ours in ((_PARTITIONS, OURS), ("Dagster’s job", BY_JOB))
    ),
    Target(_PARTITIONS, "dagster-again", WORK, 5.0, DLT, size=_DATASETS),
    Target(_PARTITIONS, "dagster-again", "requests", 1, most=True),
    Target(_PARTITIONS, "dagster-change", WORK, 10, most=True),
)


def checks(done: Sequence[Measured]) -> Iterator[Check]:
    """Every target that was measured."""
    for target in TARGETS:
        for measured in done:
            fits = target.only in {0, measured.task.size}
            if fits and measured.task.name == target.task:
                found = _checked(target, measured, done)
                yield from [found] if found else []


def _checked(target: Target, measured: Measured, done: Sequence[Measured]) -> Check | None:
    ours = measured.result(target.ours)
    if not ours:
        return None
    if not target.peer:
        figure = ours.median(target.figure) - _beyond(target, done)
        return Check(target, measured.task, figure, None)
    clock = WORK if target.figure == WORK else "wall_s"
    wall, cpu = (measured.ratio(target.peer, name, target.ours) for name in (clock, "cpu_s"))
    if not wall or not cpu:
        return None
    return Check(
        target, measured.task, 1 / wall if target.most else wall, 1 / cpu if target.most else cpu
    )


def _beyond(target: Target, done: Sequence[Measured]) -> float:
    return sum(
        found.median(target.figure)
        for task, program in target.beyond
        for measured in done
        if measured.task.name == task and (found := measured.result(program))
    )
