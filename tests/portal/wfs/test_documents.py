"""Capabilities, schemas and stored queries of real servers, read for what they say."""

import pytest

from ods_pipeline.portal.wfs.capabilities import FeatureType, capabilities_in
from ods_pipeline.portal.wfs.description import Property, feature_types_in, stored_queries_in
from ods_pipeline.portal.wfs.documents import Unreadable, root_of, tree_of
from tests.portal.wfs.serving import recorded

MODERN = b"""<?xml version="1.0"?>
<wfs:WFS_Capabilities xmlns:wfs="http://www.opengis.net/wfs/2.0" version="2.0.0"
    xmlns:ows="http://www.opengis.net/ows/1.1" xmlns:xlink="http://www.w3.org/1999/xlink">
  <ows:ServiceIdentification><ows:Title> Portal </ows:Title></ows:ServiceIdentification>
  <ows:OperationsMetadata>
    <ows:Operation name="GetCapabilities"/><ows:Operation name="GetFeature"/>
    <ows:Constraint name="ImplementsBasicWFS">
      <ows:NoValues/><ows:DefaultValue>TRUE</ows:DefaultValue>
    </ows:Constraint>
    <ows:Constraint name="CountDefault">
      <ows:NoValues/><ows:DefaultValue>1000</ows:DefaultValue>
    </ows:Constraint>
  </ows:OperationsMetadata>
  <wfs:FeatureTypeList><wfs:FeatureType>
    <wfs:Name>ods:arbres</wfs:Name><wfs:Title>Arbres</wfs:Title><wfs:Abstract/>
    <ows:Keywords><ows:Keyword>arbre</ows:Keyword><ows:Keyword/></ows:Keywords>
    <wfs:DefaultCRS>urn:ogc:def:crs:EPSG::4326</wfs:DefaultCRS>
    <wfs:OtherCRS>urn:ogc:def:crs:EPSG::3857</wfs:OtherCRS>
    <ows:WGS84BoundingBox>
      <ows:LowerCorner>2.2 48.8</ows:LowerCorner><ows:UpperCorner>2.5 48.9</ows:UpperCorner>
    </ows:WGS84BoundingBox>
  </wfs:FeatureType></wfs:FeatureTypeList>
</wfs:WFS_Capabilities>"""


def test_capabilities_of_two_are_read_with_extent_in_longitude_and_latitude() -> None:
    read = capabilities_in(MODERN)
    assert (read.version, read.title, read.most) == ("2.0.0", "Portal", 1000)
    assert read.operations == ("GetCapabilities", "GetFeature")
    layer = FeatureType(
        name="ods:arbres",
        title="Arbres",
        keywords=("arbre",),
        crs="urn:ogc:def:crs:EPSG::4326",
        other_crs=("urn:ogc:def:crs:EPSG::3857",),
        bounds=(2.2, 48.8, 2.5, 48.9),
    )
    assert read.feature_types == (layer,)
    assert read.feature_type("arbres") is read.feature_type("ods:arbres") is not None
    assert read.feature_type("ods:roses") is None


@pytest.mark.parametrize(
    ("name", "layers", "first", "bounds", "most"),
    [
        (
            "mapserver_wfs11_cap.xml",
            1,
            ("province", "province", "urn:ogc:def:crs:EPSG::4326"),
            (-66.724329, 41.770508, -57.721680, 48.477314),
            None,
        ),
        (
            "owslib_wfs_HSRS_GetCapabilities_1_1_0.xml",
            None,
            ("nuts1", "NUTS1", "urn:ogc:def:crs:EPSG::4326"),
            (-73.2634725607418, -21.3428428333117, 120.131330581725, 83.6274190882078),
            512,
        ),
        (
            "owslib_wfs_dov_getcapabilities_110.xml",
            1,
            (
                "gw_meetnetten:meetnetten",
                "Grondwatermeetnetten",
                "urn:x-ogc:def:crs:EPSG:31370",
            ),
            (2.5325270625180294, 50.683712231532894, 5.925330775009873, 51.49487740995666),
            None,
        ),
        (
            "ogcclient_capabilities-pigma-1-1-0.xml",
            3,
            ("asp:asp_rpg2010", "ASP - RPG 2010", "urn:x-ogc:def:crs:EPSG:2154"),
            (-1.9540704007796161, 42.73286181824404, 1.496463327812538, 45.717071228823876),
            None,
        ),
    ],
)
def test_recorded_capabilities_are_read(
    name: str,
    layers: int | None,
    first: tuple[str, str, str],
    bounds: tuple[float, ...],
    most: int | None,
) -> None:
    read = capabilities_in(recorded(name))
    assert read.version == "1.1.0"
    assert read.title
    assert {"GetCapabilities", "DescribeFeatureType", "GetFeature"} <= set(read.operations)
    assert layers is None or len(read.feature_types) == layers
    assert all(layer.name and layer.crs for layer in read.feature_types)
    layer = read.feature_types[0]
    assert (layer.name, layer.title, layer.crs) == first
    assert layer.bounds == bounds
    assert read.most == most


def test_a_document_without_feature_types_or_with_an_extent_that_is_none_is_legal() -> None:
    read = capabilities_in(b'<WFS_Capabilities version="1.1.0"/>')
    assert (read.feature_types, read.operations, read.most) == ((), (), None)
    for corner in (b"", b"2.2", b"a b", b"9 9"):
        box = MODERN.replace(b"2.2 48.8", corner)
        assert capabilities_in(box).feature_types[0].bounds is None


def names(properties: tuple[Property, ...]) -> list[str]:
    return [item.name for item in properties]


def test_recorded_schemas_are_read_with_types_and_geometries() -> None:
    read = feature_types_in(recorded("mapserver_wfs_autotypes11_postgis.xml"))["autotypes"]
    assert read[0] == Property("msGeometry", "GeometryPropertyType", True, False, True)
    assert [(item.name, item.type) for item in read if item.name in {"id", "mybool"}] == [
        ("id", "integer"),
        ("mybool", "boolean"),
    ]
    assert [item.name for item in read if item.geometry] == ["msGeometry"]
    shapes = feature_types_in(recorded("mapserver_wfs_200_allgeoms_describefeaturetype.xml"))
    assert len(shapes) == 6
    assert all(item.geometry for properties in shapes.values() for item in properties)


@pytest.mark.parametrize(
    ("name", "kind", "geometry", "some"),
    [
        ("mapserver_wfs11_describe.xml", "province", "msGeometry", ("NAME_E", "string")),
        (
            "ogcclient_describefeaturetype-pigma-1-1-0-xsd.xml",
            "hierarchisation_l",
            "geom",
            ("cumuld", "long"),
        ),
        ("owslib_wfs_schema_dov_hhz.xml", "hhz", "geom", ("opp_m2", "long")),
        ("owslib_wfs_schema_dov_boringen.xml", "Boringen", "geom", ("id", "string")),
        (
            "owslib_wfs_koeln_arcgis_describefeaturetype_110.xml",
            "Blumenberg",
            "shape",
            ("Strassenschlüssel", "string"),
        ),
    ],
)
def test_a_schema_of_any_server_names_its_geometry(
    name: str, kind: str, geometry: str, some: tuple[str, str]
) -> None:
    properties = feature_types_in(recorded(name))[kind]
    assert [item.name for item in properties if item.geometry] == [geometry]
    assert some in [(item.name, item.type) for item in properties]


def test_stored_queries_are_listed_and_described() -> None:
    listed = b"""<wfs:ListStoredQueriesResponse xmlns:wfs="http://www.opengis.net/wfs/2.0">
        <wfs:StoredQuery id="urn:ogc:def:query:OGC-WFS::GetFeatureById">
        <wfs:Title>Get feature by identifier</wfs:Title>
        <wfs:ReturnFeatureType>ods:a</wfs:ReturnFeatureType></wfs:StoredQuery>
        </wfs:ListStoredQueriesResponse>"""
    (query,) = stored_queries_in(listed)
    assert query.id.endswith("GetFeatureById")
    assert (query.title, query.returns) == ("Get feature by identifier", ("ods:a",))
    described = b"""<DescribeStoredQueriesResponse><StoredQueryDescription id="q"><Title>t</Title>
        <Parameter name="id" type="xs:string"/>
        <QueryExpressionText returnFeatureTypes="ods:a ods:b" isPrivate="true"/>
        </StoredQueryDescription></DescribeStoredQueriesResponse>"""
    (query,) = stored_queries_in(described)
    assert (query.parameters, query.returns) == (("id",), ("ods:a", "ods:b"))


def test_only_the_document_that_was_asked_for_is_read() -> None:
    for read in (capabilities_in, feature_types_in, stored_queries_in):
        with pytest.raises(Unreadable, match="root element is other"):
            read(b"<other/>")  # type: ignore[operator]


def test_the_root_is_known_as_soon_as_it_has_come() -> None:
    text = b'\n<!-- <x> --><?pi <y>?><w:Root a="1>2" w:b="3" xmlns:w="urn:w"><unfinished'
    root = root_of(b'<?xml version="1.0"?>' + text)
    assert root is not None
    assert (root.namespace, root.name) == ("urn:w", "Root")
    assert root.attributes["a"] == "1>2"
    assert root.attributes["b"] == "3"
    whole = b'<?xml version="1.0"?>' + text[: text.index(b"<unf")]
    assert [n for n in range(len(whole)) if root_of(whole[:n]) is not None] == []
    assert root_of(b"<p:x/>") == root_of(b"<p:x><")
    for bad in (b"plain words", b"{}", b"<!DOCTYPE html>", b"<a b=1>", b"\x00\x00\x00"):
        with pytest.raises(Unreadable):
            root_of(bad)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<a>",
        b"<a/><b/>",
        b"<a>&b;</a>",
        b"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///x'>]><a>&b;</a>",
        b"<a>" * 101 + b"</a>" * 101,
    ],
)
def test_a_document_that_is_hostile_or_not_whole_is_refused(body: bytes) -> None:
    with pytest.raises(Unreadable):
        tree_of(body)
