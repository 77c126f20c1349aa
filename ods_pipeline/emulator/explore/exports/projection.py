"""Shapes in another reference system, for the ``epsg`` parameter of exports."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import shapely
from pyproj import Transformer
from pyproj.exceptions import CRSError

from ods_pipeline.emulator.http.errors import invalid_parameter


@lru_cache
def _transformer(epsg: int) -> Transformer:
    try:
        return Transformer.from_crs(4326, epsg, always_xy=True)
    except CRSError:
        raise invalid_parameter("epsg", epsg, "a known EPSG code is expected") from None


def projected_shapes(shapes: Any, epsg: int) -> Any:
    """An array of shapely geometries, moved."""
    if epsg == 4326:
        return shapes
    return shapely.transform(shapes, _transformer(epsg).transform, interleaved=False)


def projected(geometry: dict[str, Any], epsg: int) -> dict[str, Any]:
    """A GeoJSON geometry, moved."""
    if epsg == 4326:
        return geometry
    return _moved(geometry, _transformer(epsg))


def _moved(geometry: dict[str, Any], transformer: Transformer) -> dict[str, Any]:
    def walk(part: Any) -> Any:
        if isinstance(part[0], (int, float)):
            return [*transformer.transform(part[0], part[1]), *part[2:]]
        return [walk(piece) for piece in part]

    return {**geometry, "coordinates": walk(geometry["coordinates"])}
