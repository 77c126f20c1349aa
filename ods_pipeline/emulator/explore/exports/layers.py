"""FlatGeobuf, Shapefile and KML, written by GDAL as the portals write them.

Formats that need no GDAL do not belong here, nor which rows an export has.
"""

from __future__ import annotations

import io
import re
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import shapely

from ods_pipeline.emulator.datasets.dataset import Column
from ods_pipeline.emulator.explore.exports.rows import Rows

GEOMETRY = "geometry"
#: A shapefile has names of 10 letters at most, and texts of 254 bytes.
NAME, TEXT = 10, 254
#: The kinds of shapes that a shapefile can hold, each in a file of its own.
KINDS = {
    "Point": ("Point",),
    "MultiPoint": ("MultiPoint",),
    "LineString": ("LineString", "MultiLineString", "LinearRing"),
    "Polygon": ("Polygon", "MultiPolygon"),
}
#: A folder of layers is what GDAL writes where a name has no such end.
_NO_WORD, _NO_FILE = re.compile(r"\W|^(?=\d)", re.ASCII), re.compile(r"[^\w.-]")
_SUFFIXES = {"FlatGeobuf": "fgb", "KML": "kml"}


@dataclass(frozen=True)
class Layer:
    """What GDAL writes as one layer."""

    name: str
    table: pa.Table
    shapes: np.ndarray[Any, Any]
    kind: str = "Unknown"
    epsg: int = 4326


def flatgeobuf(rows: Rows, epsg: int) -> bytes:
    """One layer of any shapes; dates are moments and the layer has no index, as recorded."""
    table = _typed(rows, _moment)
    return _written(
        Layer("Layer1", table, rows.shapes, epsg=epsg), "FlatGeobuf", SPATIAL_INDEX="NO"
    )


def kml(rows: Rows, name: str) -> bytes:
    """One folder of placemarks, always in longitude and latitude. UNCERTAIN: never recorded."""
    # GDAL makes such a name one that XML can have, and warns of it.
    layer = Layer(_NO_WORD.sub("_", name), _typed(rows), rows.shapes)
    return _written(layer, "KML")


def shapefile(rows: Rows, name: str, epsg: int) -> bytes:
    """A packed folder, with a file for each kind of shape.

    UNCERTAIN: never recorded. The documents say that a shapefile has one kind of shape alone; what
    becomes of datasets with several is not known. Rows without a shape are in the first file.
    """
    name = _NO_FILE.sub("_", name).lstrip(".") or "export"
    table = _typed(rows, _date, _short_text).rename_columns(_short_names(rows.columns))
    with tempfile.TemporaryDirectory() as folder:
        for layer in _by_kind(Layer(name, table, rows.shapes, epsg=epsg)):
            path = Path(folder) / f"{layer.name}.shp"
            _write(layer, path, "ESRI Shapefile", ENCODING="UTF-8")
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for part in sorted(Path(folder).iterdir()):
                archive.write(part, part.name)
    return packed.getvalue()


def _by_kind(layer: Layer) -> Iterator[Layer]:
    kinds = np.array([shape.geom_type if shape is not None else "" for shape in layer.shapes])
    there = [kind for kind, members in KINDS.items() if np.isin(kinds, members).any()] or ["Point"]
    placed = np.isin(kinds, [member for kind in there for member in KINDS[kind]])
    for number, kind in enumerate(there):
        mask = np.isin(kinds, KINDS[kind])
        shapes = layer.shapes.copy()
        # A collection has no place in a shapefile.
        shapes[~placed] = None
        if number == 0:
            mask |= ~placed
        yield replace(
            layer,
            name=layer.name if len(there) == 1 else f"{layer.name}-{kind.lower()}",
            table=layer.table.filter(pa.array(mask)),
            shapes=shapes[mask],
            kind=kind,
        )


def _short_names(columns: tuple[Column, ...]) -> list[str]:
    """Names as GDAL shortens them: numbered where they become the same."""
    taken: dict[str, None] = {}
    for column in columns:
        name, number = column.name[:NAME], 0
        while name.lower() in map(str.lower, taken):
            number += 1
            name = f"{column.name[: NAME - 1 - len(str(number))]}_{number}"
        taken[name] = None
    return list(taken)


_Change = Callable[[Column, pa.Array], pa.Array]


def _typed(rows: Rows, *changes: _Change) -> pa.Table:
    arrays = list(rows.values)
    for change in changes:
        arrays = [change(c, array) for c, array in zip(rows.columns, arrays, strict=True)]
    return pa.Table.from_arrays(arrays, [column.name for column in rows.columns])


def _is_date(column: Column) -> bool:
    return column.type == "date" and not column.precision


def _moment(column: Column, array: pa.Array) -> pa.Array:
    if column.type == "datetime":
        return array.cast(pa.timestamp("us", "UTC")).cast(pa.timestamp("ms", "UTC"), safe=False)
    return array.cast(pa.date32()).cast(pa.timestamp("ms")) if _is_date(column) else array


def _date(column: Column, array: pa.Array) -> pa.Array:
    return array.cast(pa.date32()) if _is_date(column) else array


def _short_text(_: Column, array: pa.Array) -> pa.Array:
    if not pa.types.is_string(array.type):
        return array
    return pa.array([None if t is None else _cut(t) for t in array.to_pylist()], pa.string())


def _cut(text: str) -> str:
    return text.encode()[:TEXT].decode(errors="ignore")


def _written(layer: Layer, driver: str, **options: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"export.{_SUFFIXES[driver]}"
        _write(layer, path, driver, **options)
        return path.read_bytes()


def _write(layer: Layer, path: Path, driver: str, **options: str) -> None:
    # Imported late: GDAL takes a second, and few exports need it.
    from pyogrio.raw import write_arrow

    shapes = pa.array(shapely.to_wkb(layer.shapes), pa.binary())
    write_arrow(
        layer.table.append_column(GEOMETRY, shapes),
        str(path),
        layer=layer.name,
        driver=driver,
        geometry_name=GEOMETRY,
        geometry_type=layer.kind,
        crs=f"EPSG:{layer.epsg}",
        **options,
    )
