"""Which coordinate comes first, where servers write the same CRS's name and mean different things.

The layers lie where either order would do, so that only what a server declares settles it.
"""

from __future__ import annotations

import pyarrow as pa
import pytest
import shapely

from ods_pipeline.errors import GmlRefused
from ods_pipeline.portal.gml import AxisOrder
from tests.servers.wfs.layers import EVERY_SHAPE, IN_METRES, Layer
from tests.servers.wfs.reading import (
    asked,
    read,
    read_layer,
    service,
    told_by_mapserver,
    told_by_qgis,
)

pytestmark = pytest.mark.servers

POINTS = EVERY_SHAPE[0]
*EAST_FIRST, NORTH_FIRST = IN_METRES
in_metres = pytest.mark.parametrize("layer", IN_METRES, ids=lambda layer: layer.name)


def mirrored(column: pa.ChunkedArray) -> list[bytes]:
    flipped = shapely.transform(shapely.from_wkb(column.to_pylist()), lambda xy: xy[:, ::-1])
    return list(shapely.to_wkb(flipped, byte_order=1, flavor="iso"))


def test_a_short_name_of_mapserver_means_latitude_first_and_its_extent_says_so(
    mapserver_url: str,
) -> None:
    assert b'srsName="EPSG:4326"' in asked(
        mapserver_url, version="1.1.0", typename=f"ods:{POINTS.name}"
    )
    got = read_layer(service(mapserver_url), POINTS)

    assert got.rows["geom"].equals(told_by_mapserver(POINTS)["geom"])
    assert len(got.notes) == 1


def test_the_same_short_name_of_qgis_server_means_longitude_first(qgis_url: str) -> None:
    document = asked(qgis_url, version="1.1.0", typename=POINTS.name, srsname="EPSG:4326")
    offered = service(qgis_url).capabilities().feature_type(POINTS.name)
    assert offered is not None

    got = read([document], extent=offered.bounds)
    shapes = got.rows["geom"].to_pylist()

    assert b'srsName="EPSG:4326"' in document
    read_points, points = (shapely.from_wkb(some[:-1]) for some in (shapes, POINTS.geometries))
    # Asked for a CRS by name, it gives 6 decimals, whatever the project says.
    assert shapely.equals_exact(read_points, points, 1e-6).all()
    assert len(got.notes) == 1


@pytest.mark.parametrize("order", ["latlon", "lonlat"])
def test_whoever_knows_the_order_of_short_names_is_believed(
    mapserver_url: str, order: AxisOrder
) -> None:
    document = asked(mapserver_url, version="1.1.0", typename=f"ods:{POINTS.name}")

    got = read([document], axis_order=order).rows["geom"]

    expected = told_by_mapserver(POINTS)["geom"]
    assert got.to_pylist() == (expected.to_pylist() if order == "latlon" else mirrored(expected))


@in_metres
def test_a_urn_means_the_order_of_the_crs_whether_north_or_east_is_first(
    mapserver_url: str, layer: Layer
) -> None:
    got = read_layer(service(mapserver_url, "2.0.0"), layer)

    assert got.rows.equals(told_by_mapserver(layer))
    assert got.crs == {f"EPSG:{layer.epsg}"}
    assert not got.notes


@pytest.mark.parametrize("layer", EAST_FIRST, ids=lambda layer: layer.name)
def test_short_names_of_crss_that_begin_with_x_leave_no_doubt(
    mapserver_url: str, layer: Layer
) -> None:
    got = read_layer(service(mapserver_url), layer)

    assert got.rows.equals(told_by_mapserver(layer))
    assert got.crs == {f"EPSG:{layer.epsg}"}


@pytest.mark.parametrize("form", ["EPSG:31468", "urn:ogc:def:crs:EPSG::31468"])
def test_qgis_server_in_metres_is_read_as_it_means_it(qgis_url: str, form: str) -> None:
    document = asked(qgis_url, version="1.1.0", typename=NORTH_FIRST.name, srsname=form)

    got = read([document])

    assert got.rows.equals(told_by_qgis(NORTH_FIRST))
    assert got.crs == {"EPSG:31468"}


@in_metres
def test_metres_become_longitude_and_latitude_where_those_are_asked_for(
    mapserver_url: str, layer: Layer
) -> None:
    got = read_layer(service(mapserver_url, "2.0.0"), layer, crs="OGC:CRS84")

    degrees = shapely.from_wkb(Layer("", layer.shape).geometries[:-1])
    assert got.crs == {"OGC:CRS84"}
    # Between two datums lies a grid or a formula; they differ by a few metres.
    assert shapely.equals_exact(shapely.from_wkb(got.rows["geom"]), degrees, 1e-4).all()


def test_metres_without_the_name_of_a_crs_are_refused_and_not_taken_for_degrees(
    qgis_url: str,
) -> None:
    # QGIS Server names no CRS unless the request does, which a portal's has no way to.
    with pytest.raises(GmlRefused, match="srsName"):
        read_layer(service(qgis_url, method="POST"), NORTH_FIRST, crs="OGC:CRS84")
