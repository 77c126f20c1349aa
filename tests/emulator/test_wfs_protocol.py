"""The WFS answers documented requests as documented, and refuses as documented."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

import pytest
import requests

from ods_pipeline.emulator import Emulator, Quirks, WfsQuirks
from tests.emulator.asking import EMPTY, EVERY_TYPE, FULL, get
from tests.emulator.wfs_asking import (
    DOCUMENTED,
    GML,
    VERSIONS,
    WFS,
    features,
    ids,
    local,
    members,
    post,
    refusal,
    values,
    wfs,
)

POINT = {"lon": 12.5, "lat": 41.9}
EMPERORS = [
    {"name": "name", "type": "text"},
    {"name": "birth_cty", "type": "text"},
    {"name": "geo", "type": "geo_point_2d"},
]


@pytest.fixture
def rome() -> Any:
    with Emulator(sample=False) as portal:
        records = [{"name": n, "birth_cty": "Rome", "geo": POINT} for n in ("Nero", "Titus")]
        portal.publish("roman-emperors", fields=EMPERORS, records=records)
        portal.publish("no-map", fields=EMPERORS[:1], records=[{"name": "x"}])
        yield portal


def documented(name: str) -> bytes:
    return (DOCUMENTED / f"ods_{name}.xml").read_bytes()


def test_the_documented_bodies_are_answered(rome: Emulator) -> None:
    root = ET.fromstring(post(rome, documented("wfs110_POST_GetCapabilities")).content)
    assert (local(root), root.get("version")) == ("WFS_Capabilities", "1.1.0")
    assert [local(part) for part in root] == ["OperationsMetadata", "FeatureTypeList"]
    schema = ET.fromstring(post(rome, documented("wfs110_POST_DescribeFeatureType")).content)
    assert [e.get("name") for e in schema.iter() if e.get("type") == "xsd:string"] == [
        "name",
        "birth_cty",
    ]
    found = members(post(rome, documented("wfs110_POST_GetFeature")).content)
    assert [values(feature) for feature in found] == [{"name": ["Nero"]}, {"name": ["Titus"]}]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_documented_exception_is_told_byte_for_byte(rome: Emulator, version: str) -> None:
    query = {"service": "WMS", "version": version, "request": "GetCapabilities"}
    reply = requests.get(rome.url + "/api/wfs", params=query, timeout=60)
    assert reply.status_code == 400
    assert reply.headers["content-type"].startswith("text/xml")
    assert reply.content.strip() == documented(f"wfs{version.replace('.', '')}_exception").strip()


def test_a_posted_request_for_another_service_is_told_the_same(rome: Emulator) -> None:
    body = documented("wfs110_POST_GetFeature").replace(b'service="WFS"', b'service="WMS"')
    assert post(rome, body).content.strip() == documented("wfs110_exception").strip()


@pytest.mark.parametrize(
    "url",
    [
        "?service=WFS&version=1.1.0&request=GetFeature&typename=ods:roman-emperors"
        "&propertyname=ods:roman-emperors/name",
        "?SERVICE=wfs&Version=1.1.0&REQUEST=getfeature&TYPENAME=ods%3Aroman-emperors"
        "&PropertyName=name&VESRION=1.1&OUTPUTFORMAT=text/xml;%20suntype=gml/3.1.1"
        "&srsName=urn:ogc:def:crs:EPSG::4326&startIndex=1&count=1&bbox=0,0,1,1",
        "?service=WFS&version=2.0.0&request=GetFeature&typeNames=roman-emperors&propertyname=name",
    ],
)
def test_names_come_in_any_case_and_what_is_not_documented_is_ignored(
    rome: Emulator, url: str
) -> None:
    reply = requests.get(rome.url + "/api/wfs" + url, timeout=60)
    assert [values(f) for f in members(reply.content)] == [{"name": ["Nero"]}, {"name": ["Titus"]}]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_collection_has_the_names_of_its_version(rome: Emulator, version: str) -> None:
    reply = features(rome, "roman-emperors", version)
    root = ET.fromstring(reply.content)
    assert root.tag == f"{{{WFS[version]}}}FeatureCollection"
    counts = {name: root.get(name) for name in ("numberOfFeatures", "numberMatched")}
    assert list(counts.values()) == (["2", None] if version == "1.1.0" else [None, "2"])
    feature = members(reply.content)[0]
    namespace = f"{rome.url}/api/wfs/featuretype"
    assert feature.tag == f"{{{namespace}}}roman-emperors"
    assert feature.get(f"{{{GML[version]}}}id") == "roman-emperors.1"
    assert {part.tag.rpartition("}")[0][1:] for part in feature} == {namespace}
    assert feature[2][0].tag == f"{{{GML[version]}}}Point"


@pytest.mark.parametrize("version", VERSIONS)
def test_hits_hold_the_number_alone(rome: Emulator, version: str) -> None:
    root = ET.fromstring(features(rome, "roman-emperors", version, resultType="hits").content)
    assert len(root) == 0
    names = ("numberOfFeatures",) if version == "1.1.0" else ("numberMatched", "numberReturned")
    assert [root.get(name) for name in names] == (["2"] if version == "1.1.0" else ["2", "0"])


@pytest.mark.parametrize(("version", "name"), [("1.1.0", "maxFeatures"), ("2.0.0", "count")])
def test_fewer_features_are_given_when_asked(rome: Emulator, version: str, name: str) -> None:
    assert ids(features(rome, "roman-emperors", version, **{name: 1}).content) == [
        "roman-emperors.1"
    ]
    assert refusal(features(rome, "roman-emperors", version, **{name: "no"}))[1] == name.lower()


def test_features_are_had_by_their_ids(rome: Emulator) -> None:
    for version in VERSIONS:
        found = features(rome, "roman-emperors", version, featureId="roman-emperors.2,x.1")
        assert ids(found.content) == ["roman-emperors.2"]
        alone = wfs(rome, "GetFeature", version, featureId="roman-emperors.2")
        assert ids(alone.content) == ["roman-emperors.2"]


@pytest.mark.parametrize("bbox", ["1,2,3", "1,2,3,x", "nan,2,3,4", "1,2,3,4,EPSG:2154"])
def test_a_box_that_is_none_is_refused(rome: Emulator, bbox: str) -> None:
    assert refusal(features(rome, "roman-emperors", "2.0.0", bbox=bbox))[1] == "bbox"


def test_a_stored_query_gives_the_feature_itself(rome: Emulator) -> None:
    name = "urn:ogc:def:query:OGC-WFS::GetFeatureById"
    listed = ET.fromstring(wfs(rome, "ListStoredQueries", "2.0.0").content)
    assert [query.get("id") for query in listed] == [name]
    told = ET.fromstring(wfs(rome, "DescribeStoredQueries", "2.0.0").content)
    assert [p.get("name") for p in told.iter() if local(p) == "Parameter"] == ["id"]
    asked = {"storedQuery_Id": name, "id": "roman-emperors.2"}
    root = ET.fromstring(wfs(rome, "GetFeature", "2.0.0", **asked).content)
    assert (local(root), values(root)["name"]) == ("roman-emperors", ["Titus"])
    missing = {**asked, "id": "roman-emperors.9"}
    assert refusal(wfs(rome, "GetFeature", "2.0.0", **missing))[1] == "id"
    assert refusal(wfs(rome, "ListStoredQueries", "1.1.0"))[1] == "request"


@pytest.mark.parametrize(
    ("bbox", "found"),
    [
        ("41,12,42,13", 2),
        ("41,12,42,13,urn:ogc:def:crs:EPSG::4326", 2),
        ("12,41,13,42,EPSG:4326", 2),
        ("12,41,13,42,urn:ogc:def:crs:OGC:1.3:CRS84", 2),
        ("12,41,13,42", 0),
    ],
)
def test_a_box_has_the_axes_of_its_reference_system(rome: Emulator, bbox: str, found: int) -> None:
    assert len(ids(features(rome, "roman-emperors", "2.0.0", bbox=bbox).content)) == found


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"typeName": "ods:nobody"}, ("InvalidParameterValue", "typeName")),
        ({"typeName": "ods:no-map"}, ("InvalidParameterValue", "typeName")),
        ({"typeName": "roman-emperors", "propertyName": "x"}, (None, "propertyName")),
        ({"typeName": "roman-emperors", "resultType": "x"}, (None, "resultType")),
        ({"request": "Transaction"}, (None, "request")),
        ({"service": ""}, ("InvalidParameterValue", "service")),
        ({"request": ""}, ("MissingParameterValue", "request")),
        ({"version": "1.0.0"}, ("InvalidParameterValue", "version")),
        ({"request": "GetCapabilities", "AcceptVersions": "3.0"}, (None, "AcceptVersions")),
        ({"request": "GetCapabilities", "sections": "X"}, (None, "Sections")),
    ],
    ids=lambda asked: str(next(iter(asked.items()))) if isinstance(asked, dict) else "",
)
def test_what_cannot_be_answered_is_refused_with_its_parameter(
    rome: Emulator, version: str, asked: dict[str, str], expected: tuple[str | None, str]
) -> None:
    query = {"service": "WFS", "version": version, "request": "GetFeature", **asked}
    reply = requests.get(rome.url + "/api/wfs", params=query, timeout=60)
    assert reply.status_code == 400
    code, locator, _ = refusal(reply)
    assert locator == expected[1]
    assert expected[0] in (None, code)


def test_a_post_must_be_xml_of_1_1_0(rome: Emulator) -> None:
    body = documented("wfs110_POST_GetFeature")
    assert refusal(post(rome, body, "application/json"))[1] == "Content-Type"
    newer = body.replace(b'version="1.1.0"', b'version="2.0.0"')
    assert refusal(post(rome, newer))[1] == "version"
    assert refusal(post(rome, body[:100]))[0] == "NoApplicableCode"
    assert post(rome, body, "text/xml; charset=utf-8").status_code == 200


def test_the_status_of_an_exception_is_a_quirk() -> None:
    quirks = Quirks(wfs=WfsQuirks(exception_status=200))
    with Emulator(sample=False, quirks=quirks) as portal:
        reply = features(portal, "nobody")
        assert (reply.status_code, refusal(reply)[0]) == (200, "InvalidParameterValue")


@pytest.mark.parametrize(
    ("asked", "version"),
    [
        ({}, "2.0.0"),
        ({"acceptVersions": "1.1.0"}, "1.1.0"),
        ({"acceptVersions": "3.0.0,1.1.0,2.0.0"}, "1.1.0"),
        ({"version": "1.1.0"}, "1.1.0"),
    ],
)
def test_the_latest_version_answers_when_none_is_asked(
    rome: Emulator, asked: dict[str, str], version: str
) -> None:
    query = {"service": "WFS", "request": "GetCapabilities", **asked}
    reply = requests.get(rome.url + "/api/wfs", params=query, timeout=60)
    assert ET.fromstring(reply.content).get("version") == version


@pytest.mark.parametrize("version", VERSIONS)
def test_capabilities_list_the_geographic_datasets_with_their_bounds(
    sample: Emulator, version: str
) -> None:
    root = ET.fromstring(wfs(sample, "GetCapabilities", version).content)
    types = [e for e in root.iter() if local(e) == "FeatureType"]
    found = {values(t)["Name"][0]: values(t)["WGS84BoundingBox"][0] for t in types}
    datasets = get(sample, "/catalog/exports/json").json()
    geographic = {
        f"ods:{d['dataset_id']}" for d in datasets for f in d["fields"] if "geo_" in f["type"]
    }
    assert set(found) == geographic
    assert found["ods:public-art"] == (
        "-123.2336460147053 49.19449998065829-123.03100101649761 49.31332795880735"
    )
    part = wfs(sample, "GetCapabilities", version, sections="ServiceProvider")
    assert [local(e) for e in ET.fromstring(part.content)] == ["ServiceProvider"]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_schema_gives_every_field_its_type(portal: Emulator, version: str) -> None:
    reply = wfs(portal, "DescribeFeatureType", version, typeName="ods:every-type")
    schema = ET.fromstring(reply.content)
    assert schema.get("targetNamespace") == f"{portal.url}/api/wfs/featuretype"
    fields = [e for e in schema.iter() if e.get("minOccurs")]
    assert [e.get("name") for e in fields] == [field["name"] for field in EVERY_TYPE]
    types = {e.get("name"): e.get("type") for e in fields}
    assert types["amount"] == "xsd:long"
    assert types["seen_at"] == "xsd:dateTime"
    assert types["built"] == "xsd:string"
    assert types["point"] == "gml:PointPropertyType"
    assert types["shape"] == "gml:GeometryPropertyType"
    assert {e.get("maxOccurs") for e in fields if e.get("name") == "tags"} == {"unbounded"}


def test_restricted_features_are_forbidden_as_on_the_api(portal: Emulator) -> None:
    portal.restrict("every-type")
    for asked in ({}, {"resultType": "hits"}):
        reply = features(portal, "every-type", **asked)
        assert (reply.status_code, reply.json()["error_code"]) == (403, "ForbiddenAccess")


def test_several_types_come_one_after_the_other(portal: Emulator) -> None:
    portal.publish("other", fields=EVERY_TYPE, records=[EMPTY, FULL, FULL])
    reply = wfs(portal, "GetFeature", typeName="ods:every-type,ods:other", maxFeatures=4)
    expected = ["every-type.1", "every-type.2", "other.1", "other.2"]
    assert ids(reply.content) == expected


def test_requests_are_counted_and_kept_as_everywhere() -> None:
    with Emulator(sample=False, quota=2) as portal:
        portal.publish("d", fields=EMPERORS, records=[])
        assert features(portal, "d").headers["x-ratelimit-remaining"] == "1"
        body = documented("wfs110_POST_DescribeFeatureType")
        assert refusal(post(portal, body))[1] == "typeName"
        assert (portal.requests[-1].method, portal.requests[-1].body) == ("POST", body)
        reply = features(portal, "d")
        assert (reply.status_code, reply.json()["errorcode"]) == (429, 10002)
