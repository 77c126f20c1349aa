"""Results as a table in the terminal, as JSON, and as the table of a page. Measures nothing."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from importlib import metadata
from typing import Any

import pyogrio
from rich.console import Console
from rich.table import Table

from benchmarks.measure import Measured, Result

_COLUMNS = (
    "wall s",
    "CPU s",
    "peak MB",
    "requests",
    "wall ×",
    "CPU ×",
    "peak ×",
    "lost on the way",
)
_LIBRARIES = ("ods-pipeline", "pyarrow", "pandas", "geopandas", "pyogrio", "duckdb", "requests")


def cells(measured: Measured, result: Result) -> tuple[str, ...]:
    """A result's cells: medians, then how many times ours they are."""
    if result.problem:
        return ("-",) * (len(_COLUMNS) - 1) + (result.problem,)
    ours = measured.results[0]
    figures = [result.median(name) for name in ("wall_s", "cpu_s", "peak_mb")]
    return (
        *(f"{value:.{digits}f}" for value, digits in zip(figures, (1, 1, 0), strict=True)),
        f"{result.median('requests'):.0f}",
        *(_ratio(ours, result, name) for name in ("wall_s", "cpu_s", "peak_mb")),
        _losses(result),
    )


def _losses(result: Result) -> str:
    found = result.runs[0].lost
    return "" if found is None else ", ".join(found) or "nothing"


def _ratio(ours: Result, other: Result, figure: str) -> str:
    if other is ours or ours.problem:
        return ""
    return f"{other.median(figure) / ours.median(figure):.2f}"


def title(measured: Measured) -> str:
    """The task in words."""
    return measured.task.title.format(size=f"{measured.size:,}")


def table(measured: Measured) -> Table:
    """One task as a table for people."""
    shown = Table(title=title(measured), title_justify="left", box=None, pad_edge=False)
    shown.add_column("")
    for name in _COLUMNS:
        shown.add_column(name, justify="left" if name == _COLUMNS[-1] else "right")
    for result in measured.results:
        shown.add_row(result.program, *cells(measured, result))
    return shown


def markdown(done: Sequence[Measured]) -> str:
    """All tasks as tables of a page."""
    parts = []
    for measured in done:
        lines = [
            f"### {title(measured)}",
            "",
            f"| | {' | '.join(_COLUMNS)} |",
            f"|---|{'--:|' * (len(_COLUMNS) - 1)}---|",
            *(f"| {r.program} | {' | '.join(cells(measured, r))} |" for r in measured.results),
        ]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def document(done: Sequence[Measured]) -> dict[str, Any]:
    """Everything as JSON: each run, versions, and the machine without its name."""
    return {
        "machine": {
            "cores": os.cpu_count(),
            "system": platform.system(),
            "architecture": platform.machine(),
            "python": platform.python_version(),
        },
        "versions": _versions(),
        "broken": [text for measured in done for text in measured.broken()],
        "tasks": [
            {
                "task": measured.task.name,
                "title": title(measured),
                "size": measured.size,
                "results": [asdict(result) for result in measured.results],
            }
            for measured in done
        ],
    }


def _versions() -> dict[str, str]:
    found = {name: metadata.version(name) for name in _LIBRARIES}
    return {**found, "GDAL": pyogrio.__gdal_version_string__}


def console() -> Console:
    """Where tables go: as wide as they need where there is no terminal."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=200)
