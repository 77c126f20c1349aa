"""Points to where they belong: x or longitude first, and in another CRS where that is asked."""

from __future__ import annotations

import numpy as np

from ods_pipeline.portal.gml.coordinates import Numbers, Unreadable
from ods_pipeline.portal.gml.srs import SAME_AS_CRS84, Srs, to_crs84


def placed(points: Numbers, srs: Srs, swap: bool, crs: str) -> Numbers:
    """Points with x or longitude first.

    Args:
        points: One per row, in the document's order.
        srs: Their reference system.
        swap: Whether the document's order is the other one.
        crs: `OGC:CRS84` to bring them there; empty to leave them in their CRS.

    Raises:
        Unreadable: They have no place there.
    """
    if swap:
        points = points[:, [1, 0, 2][: points.shape[1]]]
    if not crs or not len(points) or srs.crs in SAME_AS_CRS84:
        return points
    lon, lat = points[:, 0], points[:, 1]
    if not srs.crs:
        if (np.abs(lon) > 180).any() or (np.abs(lat) > 90).any():
            raise Unreadable("has no srsName, and coordinates that are no degrees")
        return points
    moved = points.copy()
    moved[:, 0], moved[:, 1] = to_crs84(srs.crs).transform(lon, lat)
    if not np.isfinite(moved).all():
        raise Unreadable(f"has coordinates that lie nowhere in {srs.crs}")
    return moved
