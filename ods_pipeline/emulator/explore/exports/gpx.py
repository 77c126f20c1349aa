"""GPX: points as waypoints, everything else as tracks, with the fields as GDAL writes them.

Which rows an export has does not belong here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import shapely

from ods_pipeline.emulator.explore.exports.rows import Rows
from ods_pipeline.emulator.http.request import Request

HEAD = (
    '<?xml version="1.0"?>\n<gpx version="1.1" creator="GDAL"'
    ' xmlns="http://www.topografix.com/GPX/1/1" xmlns:ogr="http://osgeo.org/gdal">\n'
)
TAIL = "</gpx>\n"
_NO_NAME = re.compile(r"^(?=[^A-Za-z_])|[^A-Za-z0-9_.-]")
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def stream(rows: Rows, request: Request) -> Iterator[bytes]:
    """The document; GPX has waypoints before tracks, and no place for a row without one.

    UNCERTAIN: no GPX of a portal was recorded. The OpenAPI says that fields are extensions "as GDAL
    does", or a description; lines, rings and several points are taken for segments of a track.
    """
    written = _Fields(rows, request)
    placed = [i for i, shape in enumerate(rows.shapes) if shape is not None and not shape.is_empty]
    points = [i for i in placed if shapely.get_num_coordinates(rows.shapes[i]) == 1]
    yield HEAD.encode()
    for i in points:
        yield f"<wpt {_place(rows.shapes[i].centroid.coords[0])}>{written.of(i)}</wpt>\n".encode()
    for i in sorted({*placed} - {*points}):
        segments = "".join(map(_segment, _lines(rows.shapes[i])))
        yield f"<trk>{written.of(i)}{segments}</trk>\n".encode()
    yield TAIL.encode()


class _Fields:
    """What stands beside the place of a row: name, description and extensions, in this order."""

    def __init__(self, rows: Rows, request: Request) -> None:
        self.values = [array.to_pylist() for array in rows.values]
        self.names = [column.name for column in rows.columns]
        self.title = request.one("name_field") or ""
        self.described = (request.one("description_field_list") or "").split(",")
        self.extended = request.flag("use_extension", True)

    def of(self, row: int) -> str:
        fields = {
            name: str(values[row])
            for name, values in zip(self.names, self.values, strict=True)
            if values[row] is not None
        }
        text = f"<name>{_text(fields[self.title])}</name>" if self.title in fields else ""
        chosen = {name: fields[name] for name in self.described if name in fields}
        if not self.extended:
            chosen = chosen or fields
        if chosen:
            lines = "\n".join(f"{name}: {value}" for name, value in chosen.items())
            text += f"<desc>{_text(lines)}</desc>"
        if self.extended and fields:
            inner = "".join(_element(_NO_NAME.sub("_", n), v) for n, v in fields.items())
            text += f"<extensions>{inner}</extensions>"
        return text


def _element(name: str, value: str) -> str:
    return f"<ogr:{name}>{_text(value)}</ogr:{name}>"


def _text(value: str) -> str:
    """A value as XML can hold it."""
    return escape(_NO_XML.sub("", value))


def _place(position: Any) -> str:
    return f"lat={quoteattr(repr(position[1]))} lon={quoteattr(repr(position[0]))}"


def _segment(line: Any) -> str:
    points = "".join(f"<trkpt {_place(position)}/>" for position in line)
    return f"<trkseg>{points}</trkseg>"


def _lines(shape: Any) -> Iterator[Any]:
    """The positions of every line and ring of a shape, and of several points together."""
    if shape.geom_type == "MultiPoint":
        yield [point.coords[0] for point in shape.geoms]
    elif shape.geom_type == "Polygon":
        yield from (ring.coords for ring in (shape.exterior, *shape.interiors))
    elif shape.geom_type == "LineString":
        yield shape.coords
    elif hasattr(shape, "geoms"):
        for part in shape.geoms:
            yield from _lines(part)
