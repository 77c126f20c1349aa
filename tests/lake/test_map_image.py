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


def landed(folder: Path, *shapes: shapely.Geometry | None) -> Path:
    lake = Lake.of(folder, "p")
    target = lake.partition("features", "layer")
    schema = pa.schema([SHAPE])
    with PartitionWriter(lake, target, schema, "shape") as writer:
        wkb = [None if shape is None else shape.wkb for shape in shapes]
        writer.write(pa.record_batch([pa.array(wkb, pa.binary())], schema=schema))
        writer.publish(Receipt("p", "features", "layer"))
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
    assert len(map_image.markdown(path)) < 40_000
