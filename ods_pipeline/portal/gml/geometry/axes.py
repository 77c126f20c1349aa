"""Which of two numbers is the latitude, where the srsName does not say.

`EPSG:4326` is written by GeoServer and QGIS with the longitude first and by MapServer with the
latitude first, so the coordinates themselves are asked: do they lie in the layer's extent, or
where their reference system is used, are they beyond a pole? Unambiguous forms never come here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from ods_pipeline.errors import ConfigurationError, Unproven
from ods_pipeline.portal.gml.geometry.srs import Srs, to_crs84

AxisOrder = Literal["auto", "latlon", "lonlat"]
Extent = tuple[float, float, float, float]
Whereabouts = Extent | Callable[[], Extent | None] | None
Numbers = np.ndarray[Any, np.dtype[np.float64]]

_POLE = 90.0
_NEAR = 0.01  # degrees by which an extent may be rounded
_READ_AS: dict[tuple[AxisOrder, bool], str] = {
    ("latlon", True): "latitude, longitude",
    ("lonlat", True): "longitude, latitude",
    ("latlon", False): "northing, easting",
    ("lonlat", False): "easting, northing",
}


@dataclass
class _Tally:
    """What the coordinates of one form have shown so far."""

    degrees: bool
    place: str
    inside_lonlat: int = 0
    inside_latlon: int = 0
    first_beyond: int = 0
    second_beyond: int = 0

    def verdict(self) -> tuple[AxisOrder, str] | None:
        """The order that the coordinates prove, with the proof."""
        if self.inside_lonlat != self.inside_latlon:
            more = self.inside_lonlat > self.inside_latlon
            return ("lonlat" if more else "latlon"), f"because it then lies in {self.place}"
        if bool(self.first_beyond) != bool(self.second_beyond):
            order: AxisOrder = "lonlat" if self.first_beyond else "latlon"
            return order, "because the other number goes beyond ±90"
        return None


class Judge:
    """Decides each ambiguous form once, and notices when later coordinates contradict it.

    Attributes:
        notes: One sentence for each decision.
        mapserver: Whether MapServer wrote the document, which puts the latitude first where others
            that write the short form put the longitude; of weight where nothing proves anything.
    """

    def __init__(
        self, option: AxisOrder = "auto", extent: Whereabouts = None, *, whole: bool = False
    ) -> None:
        """Make a judge.

        Args:
            option: The order to take; `auto` looks at the coordinates.
            extent: West, south, east and north of the layer in degrees, where known; or what finds
                them out, which is asked only if an order is open.
            whole: Gather all coordinates before the verdict; until then the order is provisional.

        Raises:
            ConfigurationError: There is no such order, or the extent is none.
        """
        if option not in get_args(AxisOrder):
            known = ", ".join(map(repr, get_args(AxisOrder)))
            raise ConfigurationError(f"axis_order is one of {known}, not {option!r}")
        self._option = option
        self._extent = extent if callable(extent) else _checked(extent)
        self._whole = whole
        self._provisional = whole
        self._doubted = False
        self._tallies: dict[str, _Tally] = {}
        self._decided: dict[str, AxisOrder] = {}
        self.notes: list[str] = []
        self.mapserver = False

    def observe(self, srs: Srs, first: Numbers, second: Numbers) -> None:
        """Take in coordinates of an ambiguous form, in the document's order."""
        if callable(self._extent):
            self._extent = _checked(self._extent())
        place = "the layer's extent" if self._extent else f"the area that {srs.crs} is made for"
        tally = self._tallies.setdefault(srs.name, _Tally(srs.degrees, place))
        if self._option != "auto" or not len(first):
            return
        if srs.degrees:
            tally.first_beyond += _beyond(srs, first)
            tally.second_beyond += _beyond(srs, second)
        # In degrees nearly anything lies somewhere in the area of a whole continent's system.
        extent = self._extent or (None if srs.degrees else srs.area)
        if extent is not None:
            tally.inside_lonlat += _inside(srs, first, second, extent)
            tally.inside_latlon += _inside(srs, second, first, extent)

    def settle(self) -> None:
        """Decide the forms of a batch, or hold its coordinates against what is decided.

        Raises:
            Unproven: They contradict it.
        """
        for name, tally in self._tallies.items():
            if name not in self._decided:
                self._decide(name, tally)
            elif not self._whole:
                self._confirm(name, tally)
        if not self._whole:
            self._tallies.clear()

    def revise(self) -> bool:
        """With the whole document seen, decide anew; whether it has to be read again."""
        before = dict(self._decided)
        self.notes.clear()
        for name, tally in self._tallies.items():
            self._decide(name, tally)
        self._tallies.clear()
        self._provisional = False
        return self._doubted or before != self._decided

    def doubts(self, srs: Srs) -> bool:
        """Whether what does not fit may fit yet: the order is provisional, and will be revised."""
        self._doubted = self._doubted or (self._provisional and srs.ambiguous)
        return self._provisional and srs.ambiguous

    def swaps(self, srs: Srs) -> bool:
        """Whether coordinates have to be turned round to begin with x or longitude."""
        if srs.ambiguous:
            return self._decided.get(srs.name) == "latlon"
        return srs.north_first

    def _decide(self, name: str, tally: _Tally) -> None:
        shown = f"the srsName {name!r}" if name else "geometry without srsName"
        order, reason = self._verdict(tally) or self._usual(name)
        self._decided[name] = order
        read_as = _READ_AS[order, tally.degrees]
        self.notes.append(f"{shown} leaves the order of its axes open: read as {read_as} {reason}")

    def _verdict(self, tally: _Tally) -> tuple[AxisOrder, str] | None:
        return tally.verdict() if self._option == "auto" else (self._option, "as asked")

    def _usual(self, name: str) -> tuple[AxisOrder, str]:
        if name and self.mapserver:
            return "latlon", "as MapServer means it"
        return "lonlat", "by default"

    def _confirm(self, name: str, tally: _Tally) -> None:
        order, verdict = self._decided[name], self._verdict(tally)
        if verdict is not None and verdict[0] != order:
            now = verdict[0]
            raise Unproven(
                f"the srsName {name!r} leaves the order of its axes open, and the layer was begun "
                f"as {_READ_AS[order, tally.degrees]}, but later coordinates prove "
                f"{_READ_AS[now, tally.degrees]}: "
                f"read it with axis_order={now!r}"
            )


def _checked(extent: Extent | None) -> Extent | None:
    """An extent, or what is wrong with it."""
    if extent is None:
        return None
    try:
        west, south, east, north = map(float, extent)
    except (TypeError, ValueError) as error:
        said = f"an extent is west, south, east and north in degrees, not {extent!r}"
        raise ConfigurationError(said) from error
    return west, south, east, north


def _beyond(srs: Srs, numbers: Numbers) -> int:
    """How many numbers are a longitude and cannot be a latitude."""
    pole, size = srs.pole or _POLE, np.abs(numbers)
    return int(np.count_nonzero((size > pole) & (size <= 2 * pole)))


def _inside(srs: Srs, x: Numbers, y: Numbers, extent: Extent) -> int:
    """How many points would lie in an extent if these were their coordinates."""
    west, south, east, north = extent
    lon, lat = (x, y) if srs.degrees else to_crs84(srs.crs).transform(x, y)
    within = (lat >= south - _NEAR) & (lat <= north + _NEAR)
    within &= (lon >= west - _NEAR) & (lon <= east + _NEAR)
    return int(np.count_nonzero(within))
