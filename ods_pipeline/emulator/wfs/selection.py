"""Which features match a request, by ids and bounding box, as SQL over a dataset.

Their XML is written elsewhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ods_pipeline.emulator.datasets.dataset import Dataset
from ods_pipeline.emulator.datasets.formatting import sql_text
from ods_pipeline.emulator.explore.records import record_id
from ods_pipeline.emulator.quirks import WfsQuirks
from ods_pipeline.emulator.wfs.exception_report import invalid_parameter
from ods_pipeline.emulator.wfs.feature_types import Layer

LONGITUDE_FIRST = ("EPSG:4326", "urn:ogc:def:crs:OGC:1.3:CRS84", "urn:ogc:def:crs:OGC::CRS84")
LATITUDE_FIRST = (
    "urn:ogc:def:crs:EPSG::4326",
    "urn:x-ogc:def:crs:EPSG:4326",
    "http://www.opengis.net/def/crs/EPSG/0/4326",
)


@dataclass(frozen=True)
class BoundingBox:
    """A rectangle in degrees."""

    west: float
    south: float
    east: float
    north: float

    def over(self, dataset: Dataset) -> str:
        """SQL for whether a feature's first shape, else its point, intersects the box."""
        columns = dataset.columns()
        for column in columns:
            if column.type == "geo_shape":
                return f"geo_intersects({column.sql}, {sql_text(self._shape())})"
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


def parse_bbox(text: str) -> BoundingBox:
    """A ``bbox`` parameter; without a reference system the axes are those of the default one."""
    parts = text.split(",", 4)
    crs = parts[4] if len(parts) == 5 else LATITUDE_FIRST[0]
    if crs not in LATITUDE_FIRST + LONGITUDE_FIRST:
        raise invalid_parameter("bbox", f"Coordinate reference system {crs} is not supported.")
    try:
        a, b, c, d = (_finite(part) for part in parts[:4])
    except ValueError:
        raise invalid_parameter(
            "bbox", "bbox must be four numbers and a reference system."
        ) from None
    return BoundingBox(b, a, d, c) if crs in LATITUDE_FIRST else BoundingBox(a, b, c, d)


@dataclass(frozen=True)
class Selection:
    """The matching features of one layer, with their identifiers."""

    layer: Layer
    quirks: WfsQuirks
    ids: tuple[str, ...] = ()
    box: BoundingBox | None = None

    def identifier(self) -> str:
        """SQL for what follows the type in an id."""
        if self.quirks.ids == "record":
            return record_id(self.layer.dataset)
        return "row_number() OVER ()"

    def rows(self) -> str:
        """SQL for the rows with their identifier ``n``: numbered before rows are left out."""
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
        wanted = [sql_text(i.removeprefix(start)) for i in own if i.startswith(start)]
        return f"r.n IN ({', '.join(wanted)})" if wanted else "false"
