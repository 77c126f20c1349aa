"""Results as tables, for the terminal or in Markdown.

Nothing is measured or judged here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from benchmarks.figures import Measured, Result
from benchmarks.slopes import slopes
from benchmarks.targets import checks
from benchmarks.tasks import SLOPES

_FIGURES = ("wall_s", "cpu_s", "peak_mb")
_COLUMNS = (
    "", "wall s", "CPU s", "peak MB", "requests", "wall ×", "CPU ×", "peak ×",
    "rows", "types", "cut replies", "version",
)  # fmt: skip
_TEXT = {"", "rows", "types", "cut replies", "version", "task", "target", "of"}


@dataclass(frozen=True)
class Grid:
    """A table, before it is formatted."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def grid(measured: Measured) -> Grid:
    """The table of one task."""
    rows = tuple((result.program, *_cells(measured, result)) for result in measured.results)
    return Grid(measured.title, _COLUMNS, rows)


def _cells(measured: Measured, result: Result) -> tuple[str, ...]:
    """A result's cells: medians, their ratio to ours, and whether its data is right."""
    versions = ", ".join(f"{name} {version}" for name, version in result.versions.items())
    if result.problem:
        return (*["–"] * 7, "", result.problem[:100], "", versions)
    wall, cpu, peak = (result.median(name) for name in _FIGURES)
    return (
        f"{wall:.2f}",
        f"{cpu:.2f}",
        f"{peak:.0f}" if peak else "–",
        f"{result.median('requests'):.0f}",
        *(_ratio(measured, result, name) for name in _FIGURES),
        *_right(result),
        result.cut,
        versions,
    )


def _ratio(measured: Measured, result: Result, figure: str) -> str:
    if result is measured.results[0]:
        return ""
    ratio = measured.ratio(result.program, figure)
    return "–" if ratio is None else f"{ratio:.2f}"


def _right(result: Result) -> tuple[str, str]:
    """Whether rows and types are as published."""
    if not result.made:
        return "", ""
    made, size = result.made, result.rows
    rows = "all" if made.rows == size else f"{made.rows:,} of {size:,}"
    return rows, "right" if not made.wrong else "lost: " + ", ".join(made.wrong)


def summary(done: Sequence[Measured]) -> list[Grid]:
    """The tables of our slopes and of the targets."""
    found = []
    lines = [
        (s.name, f"{p.size:,}", f"{p.wall_s:.2f}", f"{p.cpu_s:.2f}", f"{p.peak_mb:.0f}")
        for s in slopes(done)
        for p in s.points
    ]
    if lines:
        columns = ("of", "size", "wall s", "CPU s", "peak MB")
        found.append(Grid("Our cost against size", columns, tuple(lines)))
        fits = tuple(
            (
                s.name,
                f"{s.each_us:.2f}",
                f"{s.exponent:.2f}" if s.exponent else "–",
                f"{s.memory:.2f}",
            )
            for s in slopes(done)
        )
        fitted = (
            "of",
            "CPU µs for each more",
            "exponent (1 is linear)",
            "peak, largest ÷ smallest",
        )
        found.append(Grid("Is time linear and memory flat?", fitted, fits))
    reached = tuple(
        (
            check.target.job,
            check.task.title_with_size,
            check.target.text,
            f"{check.figure:.2f}" + (f" (CPU {check.cpu:.2f})" if check.cpu else ""),
            check.verdict,
        )
        for check in checks(done)
    )
    if reached:
        found.append(Grid("Targets", ("of", "task", "target", "measured", ""), reached))
    return found


def grids(done: Sequence[Measured]) -> list[Grid]:
    """Every table: the tasks, the slopes, the targets."""
    shown = (m for m in done if m.task.name != SLOPES)
    return [*(one for m in shown for one in (grid(m), *parts(m))), *summary(done)]


def parts(measured: Measured) -> list[Grid]:
    """A table of what the programs of a task tell of their parts; none where none does."""
    told = {result.program: result.parts() for result in measured.results if not result.problem}
    names = list(dict.fromkeys(name for found in told.values() for name in found))
    programs = [name for name, found in told.items() if found]
    rows = tuple(
        (name, *(f"{told[one][name]:.2f}" if name in told[one] else "–" for one in programs))
        for name in names
    )
    title = f"Parts of `{measured.task.name}`, {measured.task.size:,}"
    return [Grid(title, ("of", *programs), rows)] if rows else []


def table(grid: Grid) -> Table:
    """A table for the terminal."""
    shown = Table(title=grid.title, title_justify="left", box=None, pad_edge=False)
    for name in grid.columns:
        shown.add_column(_head(name), justify="left" if name in _TEXT else "right")
    for row in grid.rows:
        shown.add_row(*row)
    return shown


def markdown(grids: Sequence[Grid]) -> str:
    """Tables in Markdown."""
    parts = []
    for one in grids:
        rule = "|".join("---" if name in _TEXT else "--:" for name in one.columns)
        lines = [f"| {' | '.join(row)} |" for row in one.rows]
        head = f"| {' | '.join(map(_head, one.columns))} |"
        parts.append("\n".join([f"### {one.title}", "", head, f"|{rule}|", *lines]))
    return "\n\n".join(parts) + "\n"


def _head(name: str) -> str:
    return "" if name == "of" else name


def console() -> Console:
    """The console for tables, wide enough for them where there is no terminal."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=220)
