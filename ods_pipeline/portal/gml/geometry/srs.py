"""Reads an `srsName`: which CRS it means, and whether latitude or northing comes first.

Forms that leave the order open are marked as ambiguous. Nothing here decides those.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache

import pyproj

from ods_pipeline.errors import GmlRefused
from ods_pipeline.redaction import excerpt

CRS84 = "OGC:CRS84"

# Coordinates in these are used as WGS 84, as is common practice: the systems differ by a metre at
# most, and PROJ does not change coordinates between them.
SAME_AS_CRS84 = frozenset({CRS84, "EPSG:4326", "EPSG:4979", "EPSG:4258", "EPSG:4171"})

_ONE = r"(?P<authority>[A-Za-z]\w*):(?:[^:,]*:)?(?P<code>[\w.-]+)"
_DEFINED = [
    re.compile(rf"urn:(?:x-)?(?:ogc|opengis):(?:def:)?crs:{_ONE}", re.IGNORECASE),
    re.compile(
        r"https?://www\.opengis\.net/def/crs/(?P<authority>[A-Za-z]\w*)/[^/]+/(?P<code>[\w.-]+)/?",
        re.IGNORECASE,
    ),
]
_COMPOUND = re.compile(r"urn:(?:x-)?ogc:def:crs((?:,crs:[A-Za-z]\w*:[^:,]*:\w+){2})", re.IGNORECASE)
_SHORT = [
    re.compile(r"https?://www\.opengis\.net/gml/srs/(?P<authority>epsg)(?:\.xml)?#(?P<code>\d+)"),
    re.compile(r"(?P<authority>[A-Za-z]\w*):(?P<code>\w+)"),
]
_LON_LAT = re.compile(r"(CRS|OGC):(CRS)?(?P<code>84|83|27)", re.IGNORECASE)
# The number that web maps used before theirs was official.
_ALIASES = {"EPSG:900913": "EPSG:3857"}


@dataclass(frozen=True)
class Srs:
    """A reference system as a geometry names it.

    Attributes:
        name: The `srsName`; empty without one.
        crs: Its CRS, such as `EPSG:2154`; empty if unknown.
        north_first: Whether latitude or northing comes first; for an ambiguous form, whether it
            does by the CRS's definition.
        ambiguous: Whether the form leaves the order open, because servers use both.
        dimension: Number of axes of the CRS.
        degrees: Whether its coordinates are longitudes and latitudes; true if unknown.
        metres: Whether its coordinates are metres.
        area: West, south, east and north of where it is used, in degrees; None if unknown.
        pole: The largest latitude, in the CRS's unit; None without latitudes.
    """

    name: str
    crs: str
    north_first: bool
    ambiguous: bool
    dimension: int
    degrees: bool
    metres: bool = False
    area: tuple[float, float, float, float] | None = None
    pole: float | None = None


NONE = Srs("", "", north_first=True, ambiguous=True, dimension=2, degrees=True)


@lru_cache(maxsize=256)
def srs(name: str) -> Srs:
    """Read an `srsName`.

    Raises:
        GmlRefused: No CRS of this name is known.
    """
    name = name.strip()
    if not name:
        return NONE
    crs, short = _named(name)
    known = _definition(crs, name)
    if known.is_geocentric:
        raise GmlRefused(
            f"the srsName {excerpt(name, 200)!r} is geocentric, which maps cannot show"
        )
    axes = known.axis_info
    north = len(axes) > 1 and _north_first(known)
    return Srs(
        name=name,
        crs=crs,
        north_first=north,
        # Also for metres: MapServer follows the definition, QGIS Server begins with x.
        ambiguous=north and short,
        dimension=len(axes),
        degrees=known.is_geographic,
        metres=all(axis.unit_name == "metre" for axis in axes),
        area=known.area_of_use.bounds if known.area_of_use else None,
        pole=math.pi / 2 / axes[0].unit_conversion_factor if known.is_geographic else None,
    )


def _named(name: str) -> tuple[str, bool]:
    """The CRS that a name means, and whether the form is short."""
    for form in _DEFINED:
        match = form.fullmatch(name)
        if match:
            return _crs(match["authority"], match["code"]), False
    compound = _COMPOUND.fullmatch(name)
    if compound:
        (first, code), (_, height) = re.findall(r"crs:([^:,]+):[^:,]*:([^:,]+)", compound[1])
        return f"{_crs(first, code)}+{height}", False
    for form in [_LON_LAT, *_SHORT]:
        match = form.fullmatch(name)
        if match:
            return _crs(match.groupdict().get("authority", "CRS"), match["code"]), True
    raise GmlRefused(f"the srsName {excerpt(name, 200)!r} has no known form")


def _crs(authority: str, code: str) -> str:
    authority = authority.upper()
    if authority in {"OGC", "CRS"}:
        digits = code.upper().removeprefix("CRS")
        return f"OGC:CRS{digits}"
    crs = f"{authority}:{code}"
    return _ALIASES.get(crs, crs)


def _definition(crs: str, name: str) -> pyproj.CRS:
    try:
        return pyproj.CRS.from_user_input(crs)
    except pyproj.exceptions.CRSError as error:
        raise GmlRefused(
            f"the srsName {excerpt(name, 200)!r} names a CRS that PROJ does not know"
        ) from error


def _north_first(crs: pyproj.CRS) -> bool:
    """Whether the first axis points north, by PROJ's rule for maps."""
    first, second = crs.axis_info[:2]
    directions = (first.direction.lower(), second.direction.lower())
    if directions == ("north", "east"):
        return True
    # Around a pole all directions are north or south: only the names differ.
    return first.name.lower().startswith("northing") and second.name.lower().startswith("easting")


@lru_cache(maxsize=64)
def to_crs84(crs: str) -> pyproj.Transformer:
    """The transformation from a CRS, x first, to longitude and latitude."""
    return pyproj.Transformer.from_crs(crs, CRS84, always_xy=True)
