"""Decides which of two numbers is the latitude, for srsNames that leave it open.

With `EPSG:4326`, GeoServer and QGIS write the longitude first and MapServer the latitude. So the
coordinates decide: whether they lie in the layer's extent, or where their reference system is used,
and whether they go beyond a pole. Nothing here parses coordinates or srsNames.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from ods_pipeline.errors import ConfigurationError, Unproven
from ods_pipeline.portal.gml.geometry.srs import Srs, to_crs84
from ods_pipeline.tables.curves import Numbers

AxisOrder = Literal["auto", "latlon", "lonlat"]
Extent = tuple[float, float, float, float]
ExtentSource = Extent | Callable[[], Extent | None] | None

_POLE = 90.0
_TOLERANCE = 0.01  # degrees by which an extent may be rounded
_READ_AS: dict[tuple[AxisOrder, bool], str] = {
    ("latlon", True): "latitude, longitude",
    ("lonlat", True): "longitude, latitude",
    ("latlon", False): "northing, easting",
    ("lonlat", False): "easting, northing",
}


@dataclass
class _AxisEvidence:
    """What the coordinates of one srsName have shown so far."""

    degrees: bool
    area: str
    inside_lonlat: int = 0
    inside_latlon: int = 0
    first_beyond: int = 0
    second_beyond: int = 0

    def proven_order(self) -> tuple[AxisOrder, str] | None:
        """The order that the coordinates prove, and the reason."""
        if self.inside_lonlat != self.inside_latlon:
            more = self.inside_lonlat > self.inside_latlon
            return ("lonlat" if more else "latlon"), f"because it then lies in {self.area}"
        if bool(self.first_beyond) != bool(self.second_beyond):
            order: AxisOrder = "lonlat" if self.first_beyond else "latlon"
            return order, "because the other number goes beyond ±90"
        return None


class AxisOrderResolver:
    """Decides the order of each ambiguous srsName once, and checks later coordinates against it.

    Attributes:
        notes: One sentence for each decision.
        mapserver: Whether MapServer wrote the document. It writes the latitude first with short
            srsNames, unlike other servers; this counts if the coordinates prove nothing.
    """

    def __init__(
        self, option: AxisOrder = "auto", extent: ExtentSource = None, *, whole: bool = False
    ) -> None:
        """Prepare to decide.

        Args:
            option: The order to use; `auto` looks at the coordinates.
            extent: West, south, east and north of the layer in degrees, if known; or a function
                that finds them out, called only if an order is open.
            whole: Decide after all coordinates are seen; until then orders are provisional.

        Raises:
            ConfigurationError: There is no such order, or the extent is not valid.
        """
        if option not in get_args(AxisOrder):
            known = ", ".join(map(repr, get_args(AxisOrder)))
            raise ConfigurationError(f"axis_order is one of {known}, not {option!r}")
        self._option = option
        self._extent = extent if callable(extent) else _checked(extent)
        self._whole = whole
        self._provisional = whole
        self._doubted = False
        self._evidence: dict[str, _AxisEvidence] = {}
        self._decided: dict[str, AxisOrder] = {}
        self.notes: list[str] = []
        self.mapserver = False

    def observe(self, srs: Srs, first: Numbers, second: Numbers) -> None:
        """Add coordinates with an ambiguous srsName, in the document's order."""
        if callable(self._extent):
            self._extent = _checked(self._extent())
        area = "the layer's extent" if self._extent else f"the area that {srs.crs} is used in"
        evidence = self._evidence.setdefault(srs.name, _AxisEvidence(srs.degrees, area))
        if self._option != "auto" or not len(first):
            return
        if srs.degrees:
            evidence.first_beyond += _beyond(srs, first)
            evidence.second_beyond += _beyond(srs, second)
        # A system in degrees covers so much that nearly all coordinates lie in its area.
        extent = self._extent or (None if srs.degrees else srs.area)
        if extent is not None:
            evidence.inside_lonlat += _inside(srs, first, second, extent)
            evidence.inside_latlon += _inside(srs, second, first, extent)

    def decide(self) -> None:
        """Decide the orders in a batch, or check its coordinates against earlier decisions.

        Raises:
            Unproven: They contradict one.
        """
        for name, evidence in self._evidence.items():
            if name not in self._decided:
                self._decide(name, evidence)
            elif not self._whole:
                self._confirm(name, evidence)
        if not self._whole:
            self._evidence.clear()

    def revise(self) -> bool:
        """Decide again after the whole document; whether it has to be read again."""
        before = dict(self._decided)
        self.notes.clear()
        for name, evidence in self._evidence.items():
            self._decide(name, evidence)
        self._evidence.clear()
        self._provisional = False
        return self._doubted or before != self._decided

    def is_provisional(self, srs: Srs) -> bool:
        """Whether the order is provisional, so that impossible coordinates may become possible."""
        self._doubted = self._doubted or (self._provisional and srs.ambiguous)
        return self._provisional and srs.ambiguous

    def swaps(self, srs: Srs) -> bool:
        """Whether coordinates must be swapped to have x or longitude first."""
        if srs.ambiguous:
            return self._decided.get(srs.name) == "latlon"
        return srs.north_first

    def _decide(self, name: str, evidence: _AxisEvidence) -> None:
        shown = f"the srsName {name!r}" if name else "geometry without srsName"
        order, reason = self._proven_order(evidence) or self._default(name)
        self._decided[name] = order
        read_as = _READ_AS[order, evidence.degrees]
        self.notes.append(f"{shown} leaves the order of its axes open: read as {read_as} {reason}")

    def _proven_order(self, evidence: _AxisEvidence) -> tuple[AxisOrder, str] | None:
        return evidence.proven_order() if self._option == "auto" else (self._option, "as asked")

    def _default(self, name: str) -> tuple[AxisOrder, str]:
        if name and self.mapserver:
            return "latlon", "as MapServer writes it"
        return "lonlat", "by default"

    def _confirm(self, name: str, evidence: _AxisEvidence) -> None:
        order, proven = self._decided[name], self._proven_order(evidence)
        if proven is not None and proven[0] != order:
            now = proven[0]
            raise Unproven(
                f"the srsName {name!r} leaves the order of its axes open, and the layer was begun "
                f"as {_READ_AS[order, evidence.degrees]}, but later coordinates prove "
                f"{_READ_AS[now, evidence.degrees]}: "
                f"read it with axis_order={now!r}"
            )


def _checked(extent: Extent | None) -> Extent | None:
    if extent is None:
        return None
    try:
        west, south, east, north = map(float, extent)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            f"an extent is west, south, east and north in degrees, not {extent!r}"
        ) from error
    return west, south, east, north


def _beyond(srs: Srs, numbers: Numbers) -> int:
    """How many numbers can be a longitude but not a latitude."""
    pole, size = srs.pole or _POLE, np.abs(numbers)
    return int(np.count_nonzero((size > pole) & (size <= 2 * pole)))


def _inside(srs: Srs, x: Numbers, y: Numbers, extent: Extent) -> int:
    """How many points with these coordinates lie in an extent."""
    west, south, east, north = extent
    lon, lat = (x, y) if srs.degrees else to_crs84(srs.crs).transform(x, y)
    within = (lat >= south - _TOLERANCE) & (lat <= north + _TOLERANCE)
    within &= (lon >= west - _TOLERANCE) & (lon <= east + _TOLERANCE)
    return int(np.count_nonzero(within))
