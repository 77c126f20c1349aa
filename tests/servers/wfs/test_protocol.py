"""Our client against servers that others wrote: what they offer, count, refuse and hold back."""

from __future__ import annotations

from typing import Any

import pytest

from ods_pipeline.errors import RequestRefused, ServiceException
from ods_pipeline.portal.wfs import Method, Version, Wfs
from tests.servers.wfs.layers import FIELDS, LAYERS, ROWS
from tests.servers.wfs.reading import Read, read, read_layer, service

pytestmark = pytest.mark.servers

POINTS, POLYGONS = LAYERS[0], LAYERS[4]
WITH_GEOMETRY = ROWS - 1
GET_FEATURE_BY_ID = "urn:ogc:def:query:OGC-WFS::GetFeatureById"
both_versions = pytest.mark.parametrize("version", ["1.1.0", "2.0.0"])


@pytest.fixture
def qgis_service(qgis_url: str) -> Wfs:
    return service(qgis_url, method="POST")


def taken(wfs: Wfs, **query: Any) -> Read:
    with wfs.features(POINTS.name, **query) as chunks:
        return read(chunks)


@both_versions
def test_mapserver_offers_every_layer_with_its_extent(mapserver_url: str, version: Version) -> None:
    offered = service(mapserver_url, version).capabilities()

    assert offered.version == version
    assert offered.title == "The city’s layers"
    assert [layer.name for layer in offered.feature_types] == [f"ods:{la.name}" for la in LAYERS]
    points = offered.feature_types[0]
    assert points.title == "The layer all-point"
    assert points.crs == "urn:ogc:def:crs:EPSG::4326"
    assert points.bounds == pytest.approx((-1.5, 40.3, 8, 49))
    assert offered.most is None
    assert {"GetCapabilities", "DescribeFeatureType", "GetFeature"} <= {*offered.operations}


def test_qgis_server_offers_every_layer_with_its_extent(qgis_service: Wfs) -> None:
    offered = qgis_service.capabilities()

    assert offered.version == "1.1.0"
    assert {layer.name for layer in offered.feature_types} == {layer.name for layer in LAYERS}
    points = offered.feature_type(POINTS.name)
    assert points is not None
    assert points.crs.endswith("4326")
    assert points.bounds == pytest.approx((-1.5, 40.3, 8, 49))


@both_versions
def test_mapserver_describes_a_layer(mapserver_url: str, version: Version) -> None:
    described = service(mapserver_url, version).describe(POINTS.name)

    geometry, *fields = described[POINTS.name]
    assert (geometry.name, geometry.type, geometry.geometry) == ("geom", "PointPropertyType", True)
    assert [field.name for field in fields] == [field.name for field in FIELDS]
    types = {field.name: field.type for field in fields}
    assert (types["big"], types["ratio"], types["name"]) == ("long", "double", "string")


def test_qgis_server_describes_a_layer_with_the_types_of_its_columns(qgis_service: Wfs) -> None:
    geometry, *fields = qgis_service.describe(POINTS.name)[POINTS.name]

    assert geometry.geometry
    assert [(field.name, field.type) for field in fields] == [
        ("fid", "long"),
        ("ref", "long"),
        ("name", "string"),
        ("code", "string"),
        ("big", "long"),
        ("ratio", "decimal"),
        ("day", "date"),
        ("at", "dateTime"),
        ("open", "boolean"),
    ]


@both_versions
def test_mapserver_counts_what_it_gives(mapserver_url: str, version: Version) -> None:
    wfs = service(mapserver_url, version)

    assert [wfs.hits(layer.name) for layer in LAYERS] == [WITH_GEOMETRY] * len(LAYERS)


def test_qgis_server_counts_what_has_no_geometry_too(qgis_service: Wfs) -> None:
    assert qgis_service.hits(POINTS.name) == ROWS


@both_versions
def test_mapservers_exception_is_ours_with_code_locator_and_text(
    mapserver_url: str, version: Version
) -> None:
    wfs = service(mapserver_url, version)

    with pytest.raises(ServiceException) as caught, wfs.features("no-such-layer"):
        pass

    assert (caught.value.code, caught.value.locator) == ("InvalidParameterValue", "typename")
    assert "no-such-layer' doesn't exist" in caught.value.text


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_qgis_servers_exception_is_ours_too(qgis_url: str, method: Method) -> None:
    wfs = service(qgis_url, method=method)

    with pytest.raises(ServiceException) as caught, wfs.features("no-such-layer"):
        pass

    assert caught.value.code == "RequestNotWellFormed"
    assert "no-such-layer' could not be found" in caught.value.text


@both_versions
def test_an_exception_in_the_place_of_a_count_is_no_count(
    mapserver_url: str, version: Version
) -> None:
    with pytest.raises(ServiceException):
        service(mapserver_url, version).hits("no-such-layer")


def test_a_server_that_answers_in_an_older_version_is_noticed(qgis_url: str) -> None:
    wfs = service(qgis_url, "2.0.0")

    with pytest.raises(RequestRefused, match=r"1\.1\.0 where 2\.0\.0 was asked for"):
        wfs.capabilities()


@both_versions
def test_no_more_features_come_than_are_asked_for(mapserver_url: str, version: Version) -> None:
    got = taken(service(mapserver_url, version), max_features=2)

    assert got.rows["gml_id"].to_pylist() == ["all-point.1", "all-point.2"]


def test_a_post_takes_a_number_too(qgis_service: Wfs, mapserver_url: str) -> None:
    for wfs in (qgis_service, service(mapserver_url, method="POST")):
        assert taken(wfs, max_features=3).rows.num_rows == 3


@both_versions
def test_a_feature_is_had_by_its_identifier(mapserver_url: str, version: Version) -> None:
    got = taken(service(mapserver_url, version), feature_id=["all-point.5"])

    assert got.rows["code"].to_pylist() == ["1e5"]


def test_a_bounding_box_is_understood_as_it_was_meant(mapserver_url: str) -> None:
    got = taken(service(mapserver_url, "2.0.0"), bbox=(0, 40, 3, 49))

    assert got.rows["ref"].to_pylist() == [2, 3]


def test_single_properties_are_had_where_the_server_takes_bare_names(
    mapserver_url: str, qgis_service: Wfs
) -> None:
    services = (
        service(mapserver_url, method="POST"),
        service(mapserver_url, "2.0.0"),
        qgis_service,
    )
    for wfs in services:
        with wfs.features(POINTS.name, properties=["code"]) as chunks:
            assert b"</ods:code>" in (body := b"".join(chunks)) or b"</qgs:code>" in body
            assert b":name>" not in body


def test_mapserver_refuses_the_portals_qualified_names_and_says_so(mapserver_url: str) -> None:
    wfs = service(mapserver_url)

    with (
        pytest.raises(ServiceException, match="ods:all-point/code"),
        wfs.features(POINTS.name, properties=["code"]),
    ):
        pass


def test_stored_queries_are_listed_and_described(mapserver_url: str) -> None:
    wfs = service(mapserver_url, "2.0.0")

    (listed,), (described,) = wfs.stored_queries(), wfs.describe_stored_queries()

    assert listed.id == described.id == GET_FEATURE_BY_ID
    assert listed.title == described.title == "Get feature by identifier"
    assert described.parameters == ("ID",)
    assert [*listed.returns] == [f"ods:{layer.name}" for layer in LAYERS]


def test_the_pages_of_a_server_that_holds_back_are_followed_to_the_end(capped_url: str) -> None:
    wfs = service(capped_url, "2.0.0")
    whole = service(capped_url, "2.0.0").capabilities().most
    pages, link = [read_layer(wfs, POLYGONS)], ""
    while link := pages[-1].declared.next:
        with wfs.page(link) as chunks:
            pages.append(read(chunks))

    assert whole == 2
    assert [page.rows.num_rows for page in pages] == [2, 2, 1]
    assert [page.declared.matched for page in pages] == [None, None, WITH_GEOMETRY]
    refs = [ref for page in pages for ref in page.rows["ref"].to_pylist()]
    assert refs == [1, 2, 3, 4, 5]


@both_versions
def test_a_server_that_holds_back_counts_as_if_there_were_no_more(
    capped_url: str, version: Version
) -> None:
    # Such a count proves nothing; that there is a limit stands in the capabilities alone.
    wfs = service(capped_url, version)

    assert wfs.hits(POLYGONS.name) == wfs.capabilities().most == 2
