"""What a small map says of its place: the extent in degrees, and how long a kilometre is on it.

Pure: nothing is read or drawn here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

# Metres in a degree of latitude, as good as everywhere.
_DEGREE = 111_320
# Where the top of a map is so much larger than its bottom, one bar would be wrong for most of it.
_UNEVEN = 1.25
_SHARE = 0.3


@dataclass(frozen=True)
class Bar:
    """A distance to be drawn on a map.

    Attributes:
        degrees: Its length in degrees of longitude, in the map's middle.
        label: Its length for people.
    """

    degrees: float
    label: str


def bar(bounds: Sequence[float], width: float) -> Bar | None:
    """A round distance of at most a third of a map's width.

    Args:
        bounds: West, south, east and north of what is drawn, in degrees.
        width: Degrees of longitude that the map shows.

    Returns:
        None where the map has no one scale, or is of no place on Earth.
    """
    _, south, _, north = bounds
    if not _on_earth(bounds) or not width > 0:
        return None
    least, most = sorted(math.cos(math.radians(latitude)) for latitude in (south, north))
    if south < 0 < north:
        most = 1.0
    if most > _UNEVEN * least:
        return None
    degree = _DEGREE * math.cos(math.radians((south + north) / 2))
    metres = _round(_SHARE * width * degree)
    label = f"{metres / 1000:,.0f} km" if metres >= 1000 else f"{metres:g} m"
    return Bar(metres / degree, label)


def _round(most: float) -> float:
    """The largest 1, 2 or 5 of any power of ten that is not more."""
    power = 10.0 ** math.floor(math.log10(most))
    return max(step * power for step in (1, 2, 5) if step * power <= most)


def extent(bounds: Sequence[float]) -> str:
    """Bounds for people, such as `2.22–2.47° E, 48.81–48.91° N`; empty for no place on Earth.

    Args:
        bounds: West, south, east and north in degrees.
    """
    if not _on_earth(bounds):
        return ""
    west, south, east, north = bounds
    span = max(east - west, north - south)
    digits = min(max(1 - math.floor(math.log10(span)), 0), 6) if span > 0 else 4
    return f"{_between(west, east, 'EW', digits)}, {_between(south, north, 'NS', digits)}"


def _between(low: float, high: float, sides: str, digits: int) -> str:
    one, other = (f"{abs(value):.{digits}f}" for value in (low, high))
    side, another = (sides[value < 0] for value in (low, high))
    if side != another:
        return f"{one}° {side} – {other}° {another}"
    return f"{one}° {side}" if one == other else f"{one}–{other}° {side}"


def _on_earth(bounds: Sequence[float]) -> bool:
    west, south, east, north = bounds
    return -90 <= south <= north <= 90 and -360 <= west <= east <= 360
