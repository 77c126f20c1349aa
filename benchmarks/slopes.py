"""How our time and memory grow with the size of a task.

Peers are compared elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.figures import Measured

# CPU seconds by which two runs of the same thing may differ.
_LEAST = 0.3


@dataclass(frozen=True)
class Point:
    """The cost of one size."""

    size: int
    wall_s: float
    cpu_s: float
    peak_mb: float


@dataclass(frozen=True)
class Slope:
    """A series of sizes, smallest first.

    Attributes:
        name: What grows.
    """

    name: str
    points: tuple[Point, ...]

    @property
    def exponent(self) -> float:
        """Of CPU beyond the smallest's, to the largest size from the one before it: 1 is linear.

        The smallest is taken off because what a start costs would flatten the line. 0 where too
        little was done to tell.
        """
        first = self.points[0]
        more = [(p.size - first.size, p.cpu_s - first.cpu_s) for p in self.points[1:]]
        known = [(math.log(size), math.log(cpu)) for size, cpu in more if cpu > _LEAST]
        if len(known) < 2:
            return 0
        (x0, y0), (x1, y1) = known[-2:]
        return (y1 - y0) / (x1 - x0)

    @property
    def each_us(self) -> float:
        """Microseconds of CPU per additional row, between the smallest size and the largest."""
        first, last = self.points[0], self.points[-1]
        return 1e6 * (last.cpu_s - first.cpu_s) / max(1, last.size - first.size)

    @property
    def memory(self) -> float:
        """The peak memory at the largest size, divided by that at the smallest."""
        return self.points[-1].peak_mb / self.points[0].peak_mb


def slopes(done: Sequence[Measured]) -> list[Slope]:
    """The series with at least two sizes measured."""
    found: dict[str, dict[int, Point]] = {}
    for measured in done:
        ours = measured.results[0]
        if measured.task.series and not ours.problem:
            wall, cpu, peak = (ours.median(name) for name in ("wall_s", "cpu_s", "peak_mb"))
            point = Point(measured.task.size, wall, cpu, peak)
            found.setdefault(measured.task.series, {})[point.size] = point
    made = [Slope(name, tuple(p for _, p in sorted(of.items()))) for name, of in found.items()]
    return [slope for slope in made if len(slope.points) > 1]
