"""Whole layers of other people's servers, read and proven as those of a portal are."""

from __future__ import annotations

import pyarrow as pa
import pytest
import shapely

from ods_pipeline.dataset import Dataset, Field
from ods_pipeline.errors import Unproven
from ods_pipeline.portal.features.features import opened, prove
from ods_pipeline.portal.http.client import Client
from ods_pipeline.portal.wfs import Version
from tests.servers.wfs.layers import EVERY_SHAPE, FIELDS, IN_METRES, Layer
from tests.servers.wfs.reading import told_by_mapserver

pytestmark = pytest.mark.servers

WEST, SOUTH, EAST, NORTH = -2, 40, 12, 52
both_versions = pytest.mark.parametrize("version", ["1.1.0", "2.0.0"])


def dataset_of(layer: Layer) -> Dataset:
    """The dataset that a portal's catalog would have of a layer."""
    ring = [[WEST, SOUTH], [EAST, SOUTH], [EAST, NORTH], [WEST, NORTH], [WEST, SOUTH]]
    box = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}}
    return Dataset(
        "127.0.0.1",
        layer.name,
        fields=(*FIELDS, Field("geom", "geo_shape")),
        metas={"default": {"bbox": box}},
    )


def features(url: str, layer: Layer, version: Version) -> pa.Table:
    with opened(Client(url), dataset_of(layer), version=version) as export:
        return pa.Table.from_batches(export.batches, export.schema)


@both_versions
@pytest.mark.parametrize("layer", EVERY_SHAPE[::2], ids=lambda layer: layer.name)
def test_a_layer_has_the_columns_and_values_that_its_records_would(
    mapserver_url: str, layer: Layer, version: Version
) -> None:
    rows = features(mapserver_url, layer, version)

    expected = told_by_mapserver(layer)
    assert rows.schema.names == expected.schema.names
    assert rows.cast(expected.schema).equals(expected)
    proof = prove(Client(mapserver_url), dataset_of(layer), rows.num_rows, version)
    assert str(proof) == "5 features = hits 5 = the 5 of 6 records that have a geometry"


def test_a_layer_that_comes_in_pages_is_whole(capped_url: str) -> None:
    layer = EVERY_SHAPE[0]

    assert (
        features(capped_url, layer, "2.0.0")
        .cast(told_by_mapserver(layer).schema)
        .equals(told_by_mapserver(layer))
    )


def test_a_count_that_is_capped_itself_proves_nothing(capped_url: str) -> None:
    layer = EVERY_SHAPE[0]
    some = features(capped_url, layer, "1.1.0").num_rows
    with pytest.raises(Unproven, match="2 features came where the portal counts 6 records, 5 with"):
        prove(Client(capped_url), dataset_of(layer), some, "1.1.0")

    whole = features(capped_url, layer, "2.0.0").num_rows
    with pytest.raises(Unproven, match="5 features came where the WFS counts 2"):
        prove(Client(capped_url), dataset_of(layer), whole, "2.0.0")


@both_versions
@pytest.mark.parametrize("layer", IN_METRES, ids=lambda layer: layer.name)
def test_a_layer_in_metres_is_landed_in_degrees_where_it_belongs(
    mapserver_url: str, layer: Layer, version: Version
) -> None:
    rows = features(mapserver_url, layer, version)

    assert rows.num_rows == 5
    shapes = shapely.from_wkb(rows["geom"].to_numpy())
    assert shapely.within(shapes, shapely.box(WEST, SOUTH, EAST, NORTH)).all()
