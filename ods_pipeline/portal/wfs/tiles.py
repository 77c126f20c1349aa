"""Bounding boxes in degrees: quartered, and what lies around them. Arithmetic alone."""

from __future__ import annotations

from ods_pipeline.portal.wfs.operations import Bounds

WORLD: Bounds = (-180.0, -90.0, 180.0, 90.0)


def quarters(box: Bounds) -> list[Bounds]:
    """The four quarters of a box, which share their borders; none of a box without an inside."""
    west, south, east, north = box
    across, up = (west + east) / 2, (south + north) / 2
    if not (west < across < east or south < up < north):
        return []
    parts = [
        (west, south, across, up),
        (across, south, east, up),
        (west, up, across, north),
        (across, up, east, north),
    ]
    return list(dict.fromkeys(parts))


def around(box: Bounds) -> list[Bounds]:
    """The rest of the world, in at most four boxes that share their borders with this one."""
    west, south, east, north = box
    parts = [
        (WORLD[0], WORLD[1], west, WORLD[3]),
        (east, WORLD[1], WORLD[2], WORLD[3]),
        (west, WORLD[1], east, south),
        (west, north, east, WORLD[3]),
    ]
    return [part for part in parts if part[0] < part[2] and part[1] < part[3]]
