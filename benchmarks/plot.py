"""Draws all measurements as one picture: time and peak memory relative to ours, and our slopes.

Figures are not computed here.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.figures import Measured
from benchmarks.slopes import slopes
from benchmarks.tasks import SLOPES, START

_TIME, _PEAK, _OURS = "#1f6f8b", "#e0a458", "#222222"
_COLUMNS, _WIDTH, _HEIGHT = 3, 15, 3.1
# A bar that is longer ends at the edge; its number says how long it is.
_LONGEST = 6.0


def draw(done: Sequence[Measured], target: Path) -> None:
    """Draw everything into an SVG file."""
    import matplotlib as mpl

    mpl.use("Agg")
    # Letters as letters: a quarter of the size, and a reader can search them.
    mpl.rcParams["svg.fonttype"] = "none"
    import matplotlib.pyplot as plt

    compared = [m for m in done if m.task.programs != START and m.task.name != SLOPES]
    compared = [m for m in compared if not m.results[0].problem]
    lines = slopes(done)
    drawings: list[Any] = [*compared, *([0, 1] if lines else [])]
    if not drawings:
        return
    high = math.ceil(len(drawings) / _COLUMNS)
    figure, axes = plt.subplots(
        high, _COLUMNS, figsize=(_WIDTH, _HEIGHT * high), squeeze=False, layout="constrained"
    )
    for axis, drawing in zip(axes.flat, drawings, strict=False):
        if isinstance(drawing, Measured):
            _bars(axis, drawing)
        else:
            _lines(axis, lines, "peak_mb" if drawing else "cpu_s")
    for axis in axes.flat[len(drawings) :]:
        axis.remove()
    figure.savefig(target, metadata={"Date": None})
    plt.close(figure)


def _bars(axis: Any, measured: Measured) -> None:
    """Wall time and peak memory of each program, divided by ours."""
    names = [result.program for result in measured.results if not result.problem][::-1]
    figures = {
        name: [1 if name == measured.results[0].program else measured.ratio(name, f) or 0
               for f in ("wall_s", "peak_mb")]
        for name in names
    }  # fmt: skip
    for shift, colour, label in ((0.2, _TIME, "wall time"), (-0.2, _PEAK, "peak memory")):
        values = [figures[name][shift < 0] for name in names]
        shown = [min(value, _LONGEST) for value in values]
        places = [number + shift for number in range(len(names))]
        bars = axis.barh(places, shown, 0.38, color=colour, label=label)
        axis.bar_label(bars, [f" {value:.2g}" if value else "" for value in values], fontsize=7)
    axis.axvline(1, color=_OURS, linewidth=0.8)
    axis.set_yticks(range(len(names)), names, fontsize=8)
    axis.set_title(textwrap.fill(measured.title, 48), fontsize=9, loc="left")
    axis.tick_params(axis="x", labelsize=7)
    longest = max(max(pair) for pair in figures.values())
    axis.set_xlim(0, 1.12 * min(longest, _LONGEST))
    axis.set_xlabel("times ours (less is better)", fontsize=7)
    axis.legend(fontsize=7, frameon=False)
    axis.spines[["top", "right"]].set_visible(False)


def _lines(axis: Any, lines: Sequence[Any], figure: str) -> None:
    """Our slopes on logarithmic axes; memory is flat where time is a straight line."""
    for slope in lines:
        sizes = [point.size for point in slope.points]
        values = [getattr(point, figure) for point in slope.points]
        axis.plot(sizes, values, marker="o", markersize=3, linewidth=1.2, label=slope.name)
    axis.set_xscale("log")
    if figure == "cpu_s":
        axis.set_yscale("log")
    else:
        axis.set_ylim(bottom=0)
    title = {"cpu_s": "Our CPU seconds against size", "peak_mb": "Our peak, MB, against size"}
    axis.set_title(title[figure], fontsize=9, loc="left")
    axis.tick_params(labelsize=7)
    axis.legend(fontsize=7, frameon=False)
    axis.spines[["top", "right"]].set_visible(False)
