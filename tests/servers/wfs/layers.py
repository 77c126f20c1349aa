"""What the servers are given to serve: every kind of geometry, and values that are easily lost.

The truth that replies are held against is here, as plain Python values; no server is known here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyogrio
import pyproj
import shapely

from ods_pipeline.dataset import Field

FIELDS = (
    Field("ref", "int"),
    Field("name", "text"),
    Field("code", "text"),
    Field("big", "int"),
    Field("ratio", "double"),
    Field("day", "date"),
    Field("at", "datetime"),
    Field("open", "boolean"),
)
# The fourth row knows nothing, the sixth has no geometry.
VALUES: dict[str, list[Any]] = {
    "ref": [1, 2, 3, 4, 5, 6],
    "name": ["Été & <hiver>", "  spaces around ", ']]> "it\'s" 東京 🌍', None, "&amp;", "nowhere"],
    "code": ["01001", "007 ", "", None, "1e5", "-0"],
    "big": [2**53 + 1, -(2**63), 2**63 - 1, None, 0, -1],
    "ratio": [0.1, -1e-07, 1.7976931348623157e308, None, 123456789.125, 5e-324],
    "day": [date(2024, 2, 29), date(1900, 1, 1), date(1, 1, 1), None, date(9999, 12, 31), None],
    "at": [
        datetime(2024, 5, 1, 10, 30, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC),
        datetime(2024, 5, 1, 10, 30, 0, 125_000, tzinfo=UTC),
        None,
        datetime(1900, 1, 1, tzinfo=UTC),
        datetime(2037, 6, 30, 12, tzinfo=UTC),
    ],
    "open": [True, False, True, None, False, True],
}
ROWS = len(VALUES["ref"])
_TYPES = (
    pa.int64(),
    pa.string(),
    pa.string(),
    pa.int64(),
    pa.float64(),
    pa.date32(),
    pa.timestamp("ms", "UTC"),
    pa.bool_(),
)

# All of it lies where latitudes would do as longitudes, and the other way round: nothing but the
# declared CRS and extent tells the order.
_HOLED = "((2 48, 8 48, 8 49.5, 2 49.5, 2 48), (3 48.25, 3 48.5, 4 48.5, 3 48.25))"
_CLOCKWISE = "((2.1 40.3, 2.1 41.7, 3.3 41.7, 2.1 40.3))"
_FAR = "((10.000000000000002 50, 11 50, 11 51.123456789012345, 10.000000000000002 50))"
_SLIVER = "((5 45, 5.0000001 45, 5.0000001 45.0000001, 5 45))"
SHAPES = {
    "Point": (
        # MapServer counts no point that is on the layer's edge when that is rounded to 6 decimals.
        "POINT (8 49)",
        "POINT (2.3333333333333335 48.85341000000001)",
        "POINT (0.1 40.30000000000001)",
        "POINT (5 45)",
        "POINT (-1.5 47.2)",
    ),
    "LineString": (
        "LINESTRING (7.75 48.5, 7.8 48.6)",
        "LINESTRING (2 48, 3.3000000000000003 48.1, 2.5 47)",
        "LINESTRING (0.1 40.3, 0.2 40.4, 0.3 40.5, 0.1 40.3)",
        "LINESTRING (5 45, 5.0000001 45)",
        "LINESTRING (-1.5 47.2, 1.5 47.2)",
    ),
    "Polygon": tuple(
        f"POLYGON {rings}" for rings in (_HOLED, _CLOCKWISE, _FAR, _SLIVER, _CLOCKWISE)
    ),
    "MultiPoint": (
        "MULTIPOINT ((7.75 48.5), (2.35 48.85))",
        "MULTIPOINT ((0.1 40.3))",
        "MULTIPOINT ((5 45), (5 45), (6 46))",
        "MULTIPOINT ((-1.5 47.2))",
        "MULTIPOINT ((1 41), (2 42), (3 43), (4 44))",
    ),
    "MultiLineString": (
        "MULTILINESTRING ((7.75 48.5, 7.8 48.6), (2 48, 3 48, 3 49))",
        "MULTILINESTRING ((0.1 40.3, 0.2 40.4))",
        "MULTILINESTRING ((5 45, 6 46), (6 46, 7 47))",
        "MULTILINESTRING ((-1.5 47.2, 1.5 47.2))",
        "MULTILINESTRING ((1 41, 2 42), (3 43, 4 44), (5 45, 6 46))",
    ),
    "MultiPolygon": (
        f"MULTIPOLYGON ({_HOLED}, {_FAR})",
        f"MULTIPOLYGON ({_CLOCKWISE})",
        f"MULTIPOLYGON ({_CLOCKWISE}, {_SLIVER}, {_FAR})",
        f"MULTIPOLYGON ({_HOLED})",
        f"MULTIPOLYGON ({_SLIVER})",
    ),
}


@dataclass(frozen=True)
class Layer:
    """One layer of the GeoPackage, and one feature type of a server.

    Attributes:
        name: Identifier, as a portal would give one.
        shape: The geometry type of all its features.
        heights: Whether they have a third coordinate.
        epsg: Its CRS.
        plain: Whether servers are left to themselves in how they write it.
    """

    name: str
    shape: str
    heights: bool = False
    epsg: int = 4326
    plain: bool = False

    @property
    def geometries(self) -> list[bytes | None]:
        """WKB of each row, x first whatever its CRS says; the last row has none."""
        shapes = shapely.from_wkt(SHAPES[self.shape])
        if self.epsg != 4326:
            there = pyproj.Transformer.from_crs(4326, self.epsg, always_xy=True)
            shapes = shapely.transform(shapes, there.transform, interleaved=False)
        if self.heights:
            shapes = shapely.transform(shapely.force_3d(shapes), _raised, include_z=True)
        return [*shapely.to_wkb(shapes, byte_order=1, flavor="iso"), None]

    @property
    def table(self) -> pa.Table:
        """The layer as it is written: the fields, then the geometry."""
        columns = [pa.array(VALUES[f.name], kind) for f, kind in zip(FIELDS, _TYPES, strict=True)]
        return pa.table([*columns, pa.array(self.geometries, pa.binary())], [*VALUES, "geom"])


def _raised(coordinates: np.ndarray) -> np.ndarray:
    """Give each position a height of its own, so that none can take another's place."""
    x, y, _ = coordinates.T
    return np.column_stack([x, y, np.round(1000 * x + y, 3)])


EVERY_SHAPE = tuple(
    Layer(f"all-{shape.lower()}{'-z' if heights else ''}", shape, heights)
    for shape in SHAPES
    for heights in (False, True)
)
# 31468 (Gauß–Krüger) has the northing first; the other two have x first.
IN_METRES = tuple(Layer(f"in-{epsg}", "Polygon", epsg=epsg) for epsg in (2154, 3857, 31468))
PLAIN = Layer("left-alone", "MultiPolygon", plain=True)
LAYERS = (*EVERY_SHAPE, *IN_METRES, PLAIN)


def write(path: Path, layers: Sequence[Layer] = LAYERS) -> None:
    """Write a GeoPackage, with the library that most programs read it with."""
    for layer in layers:
        pyogrio.write_arrow(
            layer.table,
            path,
            layer=layer.name,
            driver="GPKG",
            geometry_name="geom",
            geometry_type=f"{layer.shape}{' Z' if layer.heights else ''}",
            crs=f"EPSG:{layer.epsg}",
            append=path.exists(),
        )
