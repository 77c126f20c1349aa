"""GeoParquet's description of geometries: types, bounds and CRS, collected batch by batch.

Conversion to WKB and the writing of files do not belong here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from ods_pipeline.tables.geometry import LITTLE_ENDIAN, objects, packed_points

# WKB whose bounds are read without making geometries of it: a line, a polygon of one ring.
_PATHS = {2: ("LineString", 9), 3: ("Polygon", 13)}

#: OGC:CRS84 as GeoParquet's specification writes it, in PROJJSON. From PROJ it would take 40 ms,
#: and be another text with each of its versions.
CRS84: dict[str, Any] = {
    "$schema": "https://proj.org/schemas/v0.7/projjson.schema.json",
    "type": "GeographicCRS",
    "name": "WGS 84 longitude-latitude",
    "datum": {
        "type": "GeodeticReferenceFrame",
        "name": "World Geodetic System 1984",
        "ellipsoid": {
            "name": "WGS 84",
            "semi_major_axis": 6378137,
            "inverse_flattening": 298.257223563,
        },
    },
    "coordinate_system": {
        "subtype": "ellipsoidal",
        "axis": [
            {
                "name": "Geodetic longitude",
                "abbreviation": "Lon",
                "direction": "east",
                "unit": "degree",
            },
            {
                "name": "Geodetic latitude",
                "abbreviation": "Lat",
                "direction": "north",
                "unit": "degree",
            },
        ],
    },
    "id": {"authority": "OGC", "code": "CRS84"},
}


class GeoSummary:
    """Geometry types and bounds of one column, collected batch by batch."""

    def __init__(self) -> None:
        self._types: set[str] = set()
        self._bounds = np.array([np.inf, np.inf, -np.inf, -np.inf])

    def update(self, column: pa.Array) -> None:
        """Add geometries, as WKB."""
        present = column.drop_null()
        if not len(present):
            return
        points = packed_points(present)
        if points is not None:
            self._types.add("Point")
            self._widen([points["lon"], points["lat"]] * 2)
            return
        for kind, (name, head) in _PATHS.items():
            if not len(present):
                return
            paths, others = _paths(present, kind, head)
            if len(others) < len(present):
                self._types.add(name)
                lon, lat = paths.T
                self._widen([lon, lat] * 2)
            present = others
        if not len(present):
            return
        geometries = shapely.from_wkb(objects(present))
        measured = shapely.has_m(geometries)
        kinds = shapely.get_type_id(geometries) * 4 + shapely.has_z(geometries) * 2 + measured
        for first in np.unique(kinds, return_index=True)[1]:
            geometry = geometries[first]
            # With measures as GDAL writes it: GeoParquet 1.1 itself has no name for them.
            further = f"{'Z' if geometry.has_z else ''}{'M' if measured[first] else ''}"
            self._types.add(f"{geometry.geom_type} {further}".rstrip())
        self._widen(shapely.bounds(geometries).T)

    def _widen(self, bounds: Sequence[np.ndarray[Any, Any]]) -> None:
        """Add west, south, east and north of some geometries; NaN for empty ones."""
        edges = zip((np.fmin, np.fmin, np.fmax, np.fmax), bounds, self._bounds, strict=True)
        self._bounds = np.array([edge.reduce(new, initial=known) for edge, new, known in edges])

    def describe(self) -> dict[str, Any]:
        """The column's entry in GeoParquet's metadata, CRS and bounds (degrees) included."""
        described: dict[str, Any] = {
            "encoding": "WKB",
            "geometry_types": sorted(self._types),
            "crs": CRS84,
        }
        if np.isfinite(self._bounds).all():
            described["bbox"] = self._bounds.tolist()
        return described


def _paths(column: pa.Array, kind: int, head: int) -> tuple[np.ndarray[Any, Any], pa.Array]:
    """The positions of all plain paths of a column, and its other geometries.

    Args:
        column: Geometries as WKB, none of them null.
        kind: WKB's number of the type: a line, or a polygon with a single ring.
        head: Number of bytes before the positions; the last four count the positions.
    """
    _, offsets, data = column.buffers()
    ends = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1]
    sizes, text = np.diff(ends), np.frombuffer(data, np.uint8)
    long = np.flatnonzero(sizes >= head)
    heads = text[ends[long][:, np.newaxis] + np.arange(head)]
    numbers = np.ascontiguousarray(heads[:, 1:]).view("<u4")
    plain = (heads[:, 0] == LITTLE_ENDIAN) & (numbers[:, 0] == kind)
    plain &= (numbers[:, 1:-1] == 1).all(axis=1)
    plain &= sizes[long] == head + 16 * numbers[:, -1].astype(np.int64)
    chosen = np.zeros(len(column), bool)
    chosen[long[plain]] = True
    if not chosen.any():
        return np.empty((0, 2)), column
    mask = pa.Array.from_buffers(
        pa.bool_(), len(chosen), [None, pa.py_buffer(np.packbits(chosen, bitorder="little"))]
    )
    bare = pc.binary_slice(column.filter(mask), head, 2**31 - 1)
    _, offsets, data = bare.buffers()
    last = np.frombuffer(offsets, np.int32)[bare.offset + len(bare)]
    first = np.frombuffer(offsets, np.int32)[bare.offset]
    count = (last - first) // 8
    paths = np.frombuffer(data, "<f8", count, first) if count else np.empty(0)
    return paths.reshape(-1, 2), column.filter(pc.invert(mask))


def extent(schema: pa.Schema) -> tuple[float, float, float, float] | None:
    """West, south, east and north of a file's primary geometry, as its description says.

    Args:
        schema: The file's columns, with its metadata.

    Returns:
        None where it has no geometry, or nothing but empty ones.
    """
    try:
        geo = json.loads((schema.metadata or {}).get(b"geo", b"{}"))
        west, south, east, north = map(float, geo["columns"][geo["primary_column"]]["bbox"])
    except (ValueError, TypeError, KeyError):
        return None
    return west, south, east, north


def geo_metadata(summaries: dict[str, GeoSummary], primary_column: str) -> str:
    """GeoParquet 1.1's `geo` entry.

    Args:
        summaries: One per geometry column.
        primary_column: Name of the one that readers show by default.
    """
    return json.dumps(
        {
            "version": "1.1.0",
            "primary_column": primary_column,
            "columns": {name: summary.describe() for name, summary in summaries.items()},
        }
    )
