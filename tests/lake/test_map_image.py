"""The small map of a layer: drawn for every shape, from every part of the partition."""

import io
from pathlib import Path

import matplotlib.image
import numpy as np
import pyarrow as pa
import pytest
import shapely

from ods_pipeline.lake import map_image
from ods_pipeline.lake.lake import Lake
from ods_pipeline.lake.receipt import Receipt
from ods_pipeline.lake.writer import PartitionWriter

SHAPE = pa.field("shape", pa.binary(), metadata={"ods_type": "geo_shape"})


def landed(folder: Path, *shapes: shapely.Geometry | None, title: str = "") -> Path:
    lake = Lake.of(folder, "p")
    target = lake.partition("features", "layer")
    schema = pa.schema([SHAPE])
    with PartitionWriter(lake, target, schema, "shape") as writer:
        wkb = [None if shape is None else shape.wkb for shape in shapes]
        writer.write(pa.record_batch([pa.array(wkb, pa.binary())], schema=schema))
        writer.publish(Receipt("p", "features", "layer", title=title))
    return target


def inked(path: Path) -> np.ndarray:
    """Which pixels of the picture are not white."""
    return matplotlib.image.imread(io.BytesIO(map_image.png(path)))[..., :3].min(axis=2) < 0.99


SQUARE = shapely.box(0, 0, 10, 10)
RING = SQUARE.difference(shapely.box(2, 2, 8, 8))


@pytest.mark.parametrize(
    "shape",
    [
        shapely.Point(1, 2),
        shapely.LineString([(0, 0), (3, 4)]),
        SQUARE,
        shapely.MultiPoint([(0, 0), (1, 1)]),
        shapely.GeometryCollection([shapely.GeometryCollection([shapely.Point(1, 1), SQUARE])]),
        shapely.force_3d(SQUARE),
        shapely.Point(1e300, -1e300),
    ],
    ids=lambda shape: shape.geom_type,
)
def test_every_shape_is_drawn(tmp_path: Path, shape: shapely.Geometry) -> None:
    path = landed(tmp_path, shape, None, shapely.Point())
    assert map_image.braille(path)
    assert inked(path).any()


def test_a_hole_is_left_open(tmp_path: Path) -> None:
    whole, holed = inked(landed(tmp_path / "a", SQUARE)), inked(landed(tmp_path / "b", RING))
    assert whole.sum() > 1.4 * holed.sum()


def test_what_has_no_geometry_has_no_picture(tmp_path: Path) -> None:
    path = landed(tmp_path, None)
    assert map_image.png(path) == b""
    assert map_image.markdown(path) == map_image.braille(path) == ""


def test_a_large_layer_is_drawn_from_all_of_it_and_stays_small(tmp_path: Path) -> None:
    row = [shapely.Point(x / 1000, 0) for x in range(20_000)]
    path = landed(tmp_path, *row)
    drawn = map_image.sample(path)
    assert len(drawn) == 2000
    assert shapely.total_bounds(drawn)[2] > 19.9
    assert len(map_image.markdown(path)) < 20_000


def test_a_map_says_what_it_shows_and_how_large_that_is(tmp_path: Path) -> None:
    corners = shapely.Point(2.2, 48.8), shapely.Point(2.5, 48.9)
    head, *_, foot = map_image.braille(landed(tmp_path, *corners, title="Trees")).splitlines()
    assert head == "Trees: 2 features"
    assert foot.endswith("┤ 5 km  2.20–2.50° E, 48.80–48.90° N")
    # A bar of 5 km is as long as 5 km are on the map of 22.
    assert 72 * 5 / 23 - 2 < foot.index("┤") + 1 < 72 * 5 / 22 + 2


def test_the_lines_of_a_map_fit_the_terminal(tmp_path: Path) -> None:
    path = landed(tmp_path, SQUARE, title="A title that goes on and on " * 9)
    lines = map_image.braille(path, 40).splitlines()
    assert max(map(len, lines)) <= 40
    assert lines[0].endswith("…: 1 feature")


@pytest.mark.parametrize("title", ["a $5 tree, $x^{", "樹木", "\\alpha", "a\nb", "🌳", ""])
def test_any_title_can_be_on_a_map(tmp_path: Path, title: str) -> None:
    path = landed(tmp_path, SQUARE, title=title)
    assert map_image.png(path).startswith(b"\x89PNG")


def test_a_sample_is_called_one(tmp_path: Path) -> None:
    path = landed(tmp_path, *[shapely.Point(x / 1000, 0) for x in range(5_000)])
    assert map_image.Caption.of(path).count == "5,000 features, 1,667 of them drawn"
