"""The features that a request asks for, as SQL over a dataset; their XML is written elsewhere."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ods_pipeline.emulator.datasets.dataset import Dataset
from ods_pipeline.emulator.datasets.formatting import quoted
from ods_pipeline.emulator.explore.records import record_id
from ods_pipeline.emulator.quirks import WfsQuirks
from ods_pipeline.emulator.wfs.exception_report import invalid
from ods_pipeline.emulator.wfs.feature_types import Layer

LONGITUDE_FIRST = ("EPSG:4326", "urn:ogc:def:crs:OGC:1.3:CRS84", "urn:ogc:def:crs:OGC::CRS84")
LATITUDE_FIRST = (
    "urn:ogc:def:crs:EPSG::4326",
    "urn:x-ogc:def:crs:EPSG:4326",
    "http://www.opengis.net/def/crs/EPSG/0/4326",
)


@dataclass(frozen=True)
class Box:
    """A rectangle in degrees."""

    west: float
    south: float
    east: float
    north: float

    def over(self, dataset: Dataset) -> str:
        """SQL for the features that touch it by their first shape, else by their point."""
        columns = dataset.columns()
        for column in columns:
            if column.type == "geo_shape":
                return f"geo_intersects({column.sql}, {quoted(self._shape())})"
        point = next(c.sql for c in columns if c.type == "geo_point_2d")
        return (
            f"({point}).lon BETWEEN {self.west!r} AND {self.east!r}"
            f" AND ({point}).lat BETWEEN {self.south!r} AND {self.north!r}"
        )

    def _shape(self) -> str:
        w, s, e, n = self.west, self.south, self.east, self.north
        ring = [[w, s], [e, s], [e, n], [w, n], [w, s]]
        return f'{{"type": "Polygon", "coordinates": [{ring}]}}'


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def box(text: str) -> Box:
    """A ``bbox`` parameter; without a reference system the axes are those of the default one."""
    parts = text.split(",", 4)
    crs = parts[4] if len(parts) == 5 else LATITUDE_FIRST[0]
    if crs not in LATITUDE_FIRST + LONGITUDE_FIRST:
        raise invalid("bbox", f"Coordinate reference system {crs} is not supported.")
    try:
        a, b, c, d = (_finite(part) for part in parts[:4])
    except ValueError:
        raise invalid("bbox", "bbox must be four numbers and a reference system.") from None
    return Box(b, a, d, c) if crs in LATITUDE_FIRST else Box(a, b, c, d)


@dataclass(frozen=True)
class Selection:
    """The features of one layer that match, and how they are called."""

    layer: Layer
    quirks: WfsQuirks
    ids: tuple[str, ...] = ()
    box: Box | None = None

    def identifier(self) -> str:
        """SQL for what follows the type in an id."""
        if self.quirks.ids == "record":
            return record_id(self.layer.dataset)
        return "row_number() OVER ()"

    def rows(self) -> str:
        """SQL for the rows with their identifier ``n``: known before anything is left out."""
        relation = self.layer.dataset.relation
        if self.quirks.ids == "absent" and not self.ids:
            return f"SELECT r.* FROM {relation} AS r WHERE {self._inside()}"
        named = f"SELECT r.*, ({self.identifier()})::VARCHAR AS n FROM {relation} AS r"
        return f"SELECT r.* FROM ({named}) AS r WHERE {self._inside()} AND {self._chosen()}"

    def count(self) -> str:
        """SQL for how many there are."""
        if self.ids or self.box:
            return f"SELECT count(*) FROM ({self.rows()})"
        return f"SELECT count(*) FROM {self.layer.dataset.relation}"

    def _inside(self) -> str:
        return f"coalesce({self.box.over(self.layer.dataset)}, false)" if self.box else "true"

    def _chosen(self) -> str:
        if not self.ids:
            return "true"
        start = self.layer.dataset.dataset_id + "."
        own = [i.removeprefix("ods:") for i in self.ids]
        wanted = [quoted(i.removeprefix(start)) for i in own if i.startswith(start)]
        return f"r.n IN ({', '.join(wanted)})" if wanted else "false"
