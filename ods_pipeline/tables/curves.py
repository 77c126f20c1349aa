"""Turns arcs and circles into lines, with a vertex at least every four degrees.

A chord is then at most 0.06 % of the radius away from its arc, as with GDAL. Other curves are not
handled, because their tolerance would have to be guessed. Nothing here reads a format.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Numbers = np.ndarray[Any, np.dtype[np.float64]]

#: Largest angle between two vertices of an arc.
STEP = math.radians(4)


class Unreadable(ValueError):
    """What is wrong with a geometry; the caller adds where it stands."""


def arc_string(points: Numbers) -> Numbers:
    """Arcs through three points each; each begins where the one before ends."""
    if len(points) < 3 or len(points) % 2 == 0:
        raise Unreadable(f"has arcs through {len(points)} points, which is not an odd number ≥ 3")
    arcs = [_arc(*points[start : start + 3]) for start in range(0, len(points) - 2, 2)]
    return np.concatenate([arcs[0], *(arc[1:] for arc in arcs[1:])])


def circle(points: Numbers) -> Numbers:
    """The whole circle through three points; it begins and ends at the first."""
    if len(points) != 3:
        raise Unreadable(f"has a circle through {len(points)} points instead of three")
    centre = _centre(*points)
    if centre is None:
        raise Unreadable("has a circle through three points that lie on one line")
    start, middle, end = (_bearing(centre, point) for point in points)
    turn = 2 * math.pi if _sweep(start, middle, end) > 0 else -2 * math.pi
    ring = _sweep_points(points[0], centre, start, turn)
    ring[-1] = points[0]
    return ring


def around(centre: Numbers, radius: float, start: float, end: float) -> Numbers:
    """The arc around a centre between two angles, in degrees from the x towards the y axis."""
    turn = math.radians(end - start)
    if len(centre) != 1 or radius <= 0 or abs(turn) > 2 * math.pi + STEP:
        raise Unreadable("has an arc that is not part of one circle")
    angles = _angles(math.radians(start), turn)
    ring = np.repeat(centre, len(angles), axis=0)
    ring[:, 0] += radius * np.cos(angles)
    ring[:, 1] += radius * np.sin(angles)
    if math.isclose(abs(turn), 2 * math.pi):
        ring[-1] = ring[0]
    return ring


def _arc(first: Numbers, middle: Numbers, last: Numbers) -> Numbers:
    if np.array_equal(first[:2], last[:2]):
        raise Unreadable("has an arc that ends where it begins, and is a circle or nothing")
    centre = _centre(first, middle, last)
    if centre is None:
        return np.stack([first, middle, last])
    start, through, end = (_bearing(centre, point) for point in (first, middle, last))
    whole = _sweep(start, through, end)
    half = (through - start) % (2 * math.pi)
    half = half if whole > 0 else half - 2 * math.pi
    # The middle point is exact, so it stays a vertex.
    before = _sweep_points(first, centre, start, half)
    after = _sweep_points(middle, centre, through, whole - half)
    before[-1], after[-1] = middle, last
    return np.concatenate([before, after[1:]])


def _centre(one: Numbers, two: Numbers, three: Numbers) -> tuple[float, float] | None:
    """Centre of the circle through three points; None if they lie on one line."""
    (ax, ay), (bx, by) = two[:2] - one[:2], three[:2] - one[:2]
    area = 2 * (ax * by - ay * bx)
    first, second = ax * ax + ay * ay, bx * bx + by * by
    if not math.isfinite(first + second + area):
        raise Unreadable("has a curve with coordinates that are not finite")
    if abs(area) <= 1e-12 * max(first, second):
        return None
    x, y = (by * first - ay * second) / area, (ax * second - bx * first) / area
    return float(one[0] + x), float(one[1] + y)


def _bearing(centre: tuple[float, float], point: Numbers) -> float:
    return math.atan2(point[1] - centre[1], point[0] - centre[0])


def _sweep(start: float, through: float, end: float) -> float:
    """The turn from start to end that passes through a third angle."""
    whole = (end - start) % (2 * math.pi)
    return whole if (through - start) % (2 * math.pi) <= whole else whole - 2 * math.pi


def _sweep_points(
    first: Numbers, centre: tuple[float, float], start: float, turn: float
) -> Numbers:
    angles = _angles(start, turn)
    radius = math.hypot(first[0] - centre[0], first[1] - centre[1])
    arc = np.repeat(first[None, :], len(angles), axis=0)
    arc[1:, 0] = centre[0] + radius * np.cos(angles[1:])
    arc[1:, 1] = centre[1] + radius * np.sin(angles[1:])
    return arc


def _angles(start: float, turn: float) -> Numbers:
    steps = max(2, math.ceil(abs(turn) / STEP - 1e-9) + 1)
    angles: Numbers = start + turn * np.linspace(0, 1, steps)
    return angles
