"""Every kind of geometry and value, from servers that others wrote, feature for feature."""

from __future__ import annotations

import pytest
import shapely

from ods_pipeline.portal.gml import read_gml
from ods_pipeline.portal.wfs import Method, Version
from tests.servers.wfs.layers import EVERY_SHAPE, FIELDS, PLAIN, Layer
from tests.servers.wfs.reading import (
    asked,
    read,
    read_layer,
    service,
    told_by_mapserver,
    told_by_qgis,
)

pytestmark = pytest.mark.servers

every_shape = pytest.mark.parametrize("layer", EVERY_SHAPE, ids=lambda layer: layer.name)
FLAT = tuple(layer for layer in EVERY_SHAPE if not layer.heights)


@every_shape
@pytest.mark.parametrize(
    ("version", "method"), [("1.1.0", "GET"), ("1.1.0", "POST"), ("2.0.0", "GET")]
)
def test_mapserver_is_read_to_the_last_bit(
    mapserver_url: str, layer: Layer, version: Version, method: Method
) -> None:
    got = read_layer(service(mapserver_url, version, method), layer)

    assert got.rows.equals(told_by_mapserver(layer))
    assert got.crs == {"EPSG:4326"}
    assert got.declared.version == version


@every_shape
def test_qgis_server_is_read_to_the_last_bit(qgis_url: str, layer: Layer) -> None:
    # By GET it takes names without a prefix alone; our client sends the portal's.
    got = read_layer(service(qgis_url, method="POST"), layer)

    assert got.rows.equals(told_by_qgis(layer))
    assert got.declared.version == "1.1.0"


@pytest.mark.parametrize("layer", FLAT, ids=lambda layer: layer.name)
def test_the_gml_2_of_wfs_1_0_is_read_to_the_last_bit(qgis_url: str, layer: Layer) -> None:
    document = asked(qgis_url, version="1.0.0", typename=layer.name)

    assert b"gml:coordinates" in document
    assert read([document]).rows.equals(told_by_qgis(layer))


@every_shape
def test_a_document_makes_the_geodataframe_that_its_table_would(
    mapserver_url: str, layer: Layer
) -> None:
    document = asked(mapserver_url, version="2.0.0", typenames=f"ods:{layer.name}")

    frame = read_gml(document, schema=FIELDS)

    expected = told_by_mapserver(layer)
    assert frame.crs == "EPSG:4326"
    assert frame.active_geometry_name == "geom"
    assert frame.geometry.to_wkb(flavor="iso").to_list() == expected["geom"].to_pylist()
    for name in ("gml_id", "name", "code", "ratio"):
        assert frame[name].dropna().to_list() == expected[name].drop_null().to_pylist()


def test_qgis_server_tells_an_empty_text_from_none(qgis_url: str) -> None:
    texts = read_layer(service(qgis_url, method="POST"), FLAT[0]).texts

    assert texts["code"] == ["01001", "007 ", "", None, "1e5", "-0"]
    assert texts["open"] == ["true", "false", "true", None, "false", "true"]


def test_mapserver_does_not_tell_an_empty_text_from_none(mapserver_url: str) -> None:
    texts = read_layer(service(mapserver_url), FLAT[0]).texts

    assert texts["code"] == ["01001", "007 ", "", "", "1e5"]
    assert texts["open"] == ["1", "0", "1", "", "0"]


def test_a_mapserver_left_to_itself_gives_six_decimals_no_ids_and_single_parts_bare(
    mapserver_url: str,
) -> None:
    got = read_layer(service(mapserver_url), PLAIN).rows

    expected = told_by_mapserver(PLAIN)
    assert got["gml_id"].null_count == expected.num_rows
    assert got.drop_columns(["gml_id", "geom"]).equals(expected.drop_columns(["gml_id", "geom"]))
    shapes, truth = (shapely.from_wkb(rows["geom"].to_pylist()) for rows in (got, expected))
    # To it, a hole is a part.
    kinds = [shape.geom_type for shape in shapes]
    assert kinds == ["MultiPolygon", "Polygon", "MultiPolygon", "MultiPolygon", "Polygon"]
    assert shapely.hausdorff_distance(shapes, truth).max() < 1e-6


def test_a_date_in_an_element_of_gml_is_read(mapserver_url: str) -> None:
    # Left to itself, MapServer 2.0.0 wraps each date into a gml:timePosition.
    got = read_layer(service(mapserver_url, "2.0.0"), PLAIN).rows

    assert got["day"].equals(told_by_mapserver(PLAIN)["day"])
