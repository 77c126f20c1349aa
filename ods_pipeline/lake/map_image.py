"""A small map of a landed partition, drawn by matplotlib, to check where its geometries are.

It makes a PNG or text, with title, count and scale. Showing it does not belong here.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import shapely

from ods_pipeline.lake import map_scale
from ods_pipeline.lake.bucket import LakePath
from ods_pipeline.lake.geoparquet import extent
from ods_pipeline.lake.receipt import Receipt
from ods_pipeline.markup import plain
from ods_pipeline.tables.batches import read_batches
from ods_pipeline.tables.geometry import geometry_columns

_MOST_SHAPES = 2000
_INCHES, _DOTS = (3.4, 2.2), 100
_INK = "#1f6f8b"
_DARK = 150  # of 255 in red: the outlines, not the areas
_BRAILLE = 0x2800
_BITS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
_COLOURS = 32
# Rows of dots that are left above and below what is drawn; and what counts as white.
_EDGE, _WHITE = 6, 255
# A map reads the whole column of geometries: of more records it would take seconds.
_MAPPED = 1_000_000
# Characters of a title in an inch.
_PER_INCH = 17


@dataclass(frozen=True)
class Caption:
    """What a map says of itself.

    Attributes:
        title: The dataset's title.
        dataset_id: Its identifier.
        count: How many rows there are, and how many of them are drawn.
        extent: Where they are, in degrees; empty where that is no place on Earth.
    """

    title: str
    dataset_id: str
    count: str
    extent: str

    @classmethod
    def of(cls, path: LakePath) -> Caption:
        """The caption of a landed partition's map."""
        with pq.ParquetFile(path) as file:
            schema, rows = file.schema_arrow, file.metadata.num_rows
            receipt = Receipt.from_metadata(file.metadata.metadata or {})
        dataset_id = plain(receipt.dataset_id) if receipt else path.stem
        noun = "features" if receipt and receipt.kind == "features" else "records"
        drawn = -(-rows // _every(rows))
        some = f", {drawn:,} of them drawn" if drawn < rows else ""
        bounds = extent(schema)
        return cls(
            (plain(receipt.title) if receipt else "") or dataset_id,
            dataset_id,
            f"{rows:,} {noun if rows != 1 else noun[:-1]}{some}",
            map_scale.extent(bounds) if bounds else "",
        )


def is_drawn(path: LakePath) -> bool:
    """Whether a landed partition has geometries, and not so many that a map takes long."""
    with pq.ParquetFile(path) as file:
        geographic = bool(geometry_columns(file.schema_arrow))
        return geographic and 0 < file.metadata.num_rows <= _MAPPED


#: What is said where there would be a picture.
NOT_DRAWABLE = 'there would be a picture: run `pip install "ods-pipeline[map]"`'


def drawable() -> bool:
    """Whether the libraries are there that draw maps and shrink pictures."""
    return all(find_spec(name) for name in ("matplotlib", "PIL"))


def markdown(path: LakePath) -> str:
    """The map of a landed partition as an image in Markdown; empty where there is none."""
    image = png(path)
    return f"![map](data:image/png;base64,{base64.b64encode(image).decode()})" if image else ""


def png(path: LakePath, inches: tuple[float, float] = _INCHES) -> bytes:
    """The map of a partition's primary geometry as a PNG; empty where there is none to draw.

    Args:
        path: A landed partition.
        inches: Width and the most height, at 100 dots each.

    Returns:
        A picture in longitude and latitude of at most 2,000 features, evenly taken from all.
    """
    shapes = sample(path)
    if not len(shapes):
        return b""
    figure = _figure(inches, "constrained")
    axes = figure.add_subplot()
    draw(axes, shapes)
    axes.tick_params(labelsize=6)
    _label(figure, axes, Caption.of(path), shapes)
    return _packed(figure)


def _packed(figure: Any) -> bytes:
    """A figure as a small PNG: few colours are enough, and Dagster keeps each in its database."""
    from PIL import Image

    figure.canvas.draw()
    dots = np.asarray(figure.canvas.buffer_rgba())[..., :3]
    # Of a wide layer's picture most would be empty.
    used = np.flatnonzero((dots < _WHITE).any(axis=(1, 2)))
    first, last = max(used[0] - _EDGE, 0), used[-1] + _EDGE + 1
    drawn = Image.fromarray(np.ascontiguousarray(dots[first:last]))
    picture = io.BytesIO()
    drawn.quantize(_COLOURS).save(picture, format="png", optimize=True)
    return picture.getvalue()


def braille(path: LakePath, width: int = 72) -> str:
    """The same map in characters of two by four dots, for a terminal, with lines about it.

    Args:
        path: A landed partition.
        width: Characters in a line; there are a third as many lines.
    """
    shapes = sample(path)
    if not len(shapes):
        return ""
    rows = width // 3
    figure = _figure((2 * width / _DOTS, 4 * rows / _DOTS))
    axes = figure.add_axes((0, 0, 1, 1))
    draw(axes, shapes, dot=1)
    axes.set_axis_off()
    figure.canvas.draw()
    dark = np.asarray(figure.canvas.buffer_rgba())[..., 0] < _DARK
    cells = dark.reshape(rows, 4, width, 2).transpose(0, 2, 1, 3)
    codes = _BRAILLE + (cells * _BITS).sum(axis=(2, 3))
    lines = ["".join(map(chr, line)).rstrip(chr(_BRAILLE)) for line in codes]
    caption = Caption.of(path)
    head = f"{plain(caption.title, width - len(caption.count) - 3)}: {caption.count}"
    foot = "  ".join(filter(None, (_bar_of_characters(axes, shapes), caption.extent)))
    return "\n".join(filter(None, (head, "\n".join(lines).strip("\n"), foot)))


def _bar_of_characters(axes: Any, shapes: np.ndarray[Any, Any]) -> str:
    """The bar of a map of characters, as long as it is on that map."""
    west, east = axes.get_xlim()
    found = map_scale.bar(shapely.total_bounds(shapes), east - west)
    if found is None:
        return ""
    (first, _), (last, _) = axes.transData.transform([(west, 0), (west + found.degrees, 0)])
    return f"├{'─' * max(round((last - first) / 2) - 2, 0)}┤ {found.label}"


def _label(figure: Any, axes: Any, caption: Caption, shapes: np.ndarray[Any, Any]) -> None:
    """Write title, count and extent on a picture, and draw its scale."""
    most = int(figure.get_figwidth() * _PER_INCH)
    # Titles with characters that the font lacks would be boxes; identifiers are plain.
    title = caption.title if _in_font(caption.title) else caption.dataset_id
    below = ", ".join(filter(None, (caption.count, caption.extent)))
    shown = [plain(text, most) for text in (title, below) if _in_font(text)]
    # Portals write dollars, which matplotlib would read as formulas.
    axes.set_title("\n".join(shown), fontsize=7, parse_math=False)
    west, east = axes.get_xlim()
    found = map_scale.bar(shapely.total_bounds(shapes), east - west)
    if found is None:
        return
    from matplotlib.transforms import blended_transform_factory

    left = west + 0.03 * (east - west)
    # Longitudes as on the map, heights by the picture.
    place = blended_transform_factory(axes.transData, axes.transAxes)
    axes.plot([left, left + found.degrees], [0.05, 0.05], color="black", lw=2, transform=place)
    axes.text(left, 0.08, found.label, fontsize=6, transform=place)


def _in_font(text: str) -> bool:
    from matplotlib import font_manager

    font = font_manager.get_font(font_manager.findfont(font_manager.FontProperties()))
    return {ord(character) for character in text} <= font.get_charmap().keys()


def _every(rows: int) -> int:
    """Which of so many shapes are drawn: each, or each second, and so on."""
    return max(1, -(-rows // _MOST_SHAPES))


def _figure(inches: tuple[float, float], layout: Any = None) -> Any:
    # Not pyplot, which never releases a figure.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=inches, dpi=_DOTS, layout=layout)
    FigureCanvasAgg(figure)
    return figure


def sample(path: LakePath) -> np.ndarray[Any, Any]:
    """At most 2,000 shapes of a partition's primary geometry, at even distances."""
    with pq.ParquetFile(path) as file:
        columns = geometry_columns(file.schema_arrow)
        if not columns:
            return np.empty(0, object)
        every = _every(file.metadata.num_rows)
        return np.concatenate([np.empty(0, object), *_every_nth(file, columns[0], every)])


def _every_nth(file: pq.ParquetFile, column: str, every: int) -> Iterator[np.ndarray[Any, Any]]:
    first = 0
    for batch in read_batches(file, [column]):
        wanted = np.arange(-first % every, batch.num_rows, every)
        shapes = shapely.from_wkb(batch.column(0).take(wanted).to_numpy(zero_copy_only=False))
        yield shapes[~(shapely.is_missing(shapes) | shapely.is_empty(shapes))]
        first += batch.num_rows


def draw(axes: Any, shapes: np.ndarray[Any, Any], dot: float = 4) -> None:
    """Draw shapes of any type on axes, thinned to what the picture can show.

    Args:
        axes: Matplotlib's.
        shapes: Geometries in degrees, none of them missing or empty.
        dot: Area of a point in square points.
    """
    from matplotlib.collections import LineCollection, PathCollection

    west, south, east, north = shapely.total_bounds(shapes)
    parts = shapely.simplify(shapely.force_2d(shapes), max(east - west, north - south) / 800)
    while (shapely.get_type_id(parts) >= shapely.GeometryType.MULTIPOINT).any():
        parts = shapely.get_parts(parts)
    kinds = shapely.get_type_id(parts)
    points = shapely.get_coordinates(parts[kinds == shapely.GeometryType.POINT])
    lines = [shapely.get_coordinates(line) for line in parts[np.isin(kinds, (1, 2))]]
    # Matplotlib does not close rings of the other orientation.
    areas = shapely.orient_polygons(parts[kinds == shapely.GeometryType.POLYGON])
    axes.add_collection(
        PathCollection(
            [_outline(area) for area in areas],
            facecolors=_INK + "30",
            edgecolors=_INK,
            linewidths=0.5,
        )
    )
    axes.add_collection(LineCollection(lines, colors=_INK, linewidths=0.7))
    axes.scatter(points[:, 0], points[:, 1], s=dot, c=_INK, linewidths=0)
    # Numbers far from degrees need a margin that floats can still add to them.
    farthest = max(abs(west), abs(south), abs(east), abs(north))
    margin = 0.02 * max(east - west, north - south, 0.01, farthest * 1e-9)
    axes.set_xlim(west - margin, east + margin)
    axes.set_ylim(south - margin, north + margin)
    # A degree of longitude is shorter than one of latitude, but not to nothing at the poles.
    axes.set_aspect(1 / max(np.cos(np.radians((south + north) / 2)), 0.2))


def _outline(area: Any) -> Any:
    from matplotlib.path import Path as Outline

    rings = shapely.get_rings(area)
    return Outline.make_compound_path(*(Outline(shapely.get_coordinates(ring)) for ring in rings))
