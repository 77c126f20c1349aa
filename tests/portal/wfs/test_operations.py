"""The requests: parameters and bodies as the portal documents them, and nothing it does not."""

import re

import pytest

from ods_pipeline.errors import ConfigurationError
from ods_pipeline.portal.http.client import Client
from ods_pipeline.portal.wfs import Version, Wfs
from tests.portal.wfs.serving import Reply, Request, Served, recorded, service

CAPABILITIES = recorded("mapserver_wfs11_cap.xml")
SCHEMA = recorded("mapserver_wfs11_describe.xml")
NONE_1 = b'<wfs:FeatureCollection xmlns:wfs="http://www.opengis.net/wfs" numberOfFeatures="0"/>'
NONE_2 = (
    b'<wfs:FeatureCollection xmlns:wfs="http://www.opengis.net/wfs/2.0" numberMatched="0"'
    b' numberReturned="0"/>'
)
STORED = b"<ListStoredQueriesResponse xmlns='http://www.opengis.net/wfs/2.0'/>"


def answers(request: Request) -> Reply:
    """Give each operation a document of its kind."""
    text = request.body.decode() + request.query.get("request", "")
    if "GetCapabilities" in text:
        body = CAPABILITIES
        if request.query.get("version") == "2.0.0":
            body = body.replace(b'version="1.1.0"', b'version="2.0.0"')
        return Reply(body)
    if "DescribeFeatureType" in text:
        return Reply(SCHEMA)
    if "StoredQueries" in text:
        return Reply(STORED)
    return Reply(NONE_2 if request.query.get("version") == "2.0.0" else NONE_1)


def squeezed(body: bytes) -> bytes:
    """A document without the white space between and inside its tags."""
    text = re.sub(rb"\s+", b" ", body)
    return re.sub(rb" ?([<>]) ?", rb"\1", text).replace(b" ?>", b"?>").strip()


def asked_by(version: Version, use: str, *args: object, **options: object) -> Request:
    """What one call of a service sends by GET."""
    with service(answers) as served:
        call = getattr(Wfs(Client(served.url), version), use)
        consume(call(*args, **options))
    (request,) = served.requests
    return request


def consume(made: object) -> None:
    if hasattr(made, "__enter__"):
        with made as chunks:  # type: ignore[attr-defined]
            b"".join(chunks)


def posted(use: str, *args: object, **options: object) -> tuple[Request, Served]:
    with service(answers) as served:
        consume(getattr(Wfs(Client(served.url), method="POST"), use)(*args, **options))
    (request,) = served.requests
    return request, served


@pytest.mark.parametrize(
    ("document", "use", "args", "options"),
    [
        ("DescribeFeatureType", "describe", ["roman-emperors"], {}),
        ("GetFeature", "features", ["roman-emperors"], {"properties": ["name"]}),
    ],
)
def test_a_posted_body_is_the_documented_one(
    document: str, use: str, args: list[str], options: dict[str, object]
) -> None:
    request, _ = posted(use, *args, **options)
    assert (request.method, request.path, request.query) == ("POST", "/api/wfs", {})
    assert request.headers["content-type"] == "text/xml"
    assert squeezed(request.body) == squeezed(recorded(f"ods_wfs110_POST_{document}.xml"))


def test_posted_capabilities_are_the_documented_body_and_the_version_that_is_wanted() -> None:
    request, _ = posted("capabilities", ["OperationsMetadata", "FeatureTypeList"])
    version = b"<AcceptVersions><Version>1.1.0</Version></AcceptVersions>"
    assert version in request.body
    plain = squeezed(request.body.replace(version, b""))
    assert plain == squeezed(recorded("ods_wfs110_POST_GetCapabilities.xml"))


def test_posted_limits_are_attributes_as_the_schema_has_them() -> None:
    request, _ = posted("features", "a", max_features=3)
    assert b' version="1.1.0" maxFeatures="3" ' in request.body
    request, _ = posted("hits", "a")
    assert b' version="1.1.0" resultType="hits" ' in request.body


def test_several_types_and_identifiers_are_queries_and_filters_of_a_body() -> None:
    request, _ = posted(
        "features", ["a", "b"], properties={"b": ["n"]}, feature_id=["a.1", 'b."2'], max_features=4
    )
    assert request.body.count(b"<wfs:Query ") == 2
    assert request.body.count(b"<wfs:PropertyName>n</wfs:PropertyName>") == 1
    chosen = b'<ogc:Filter><ogc:FeatureId fid="a.1"/><ogc:FeatureId fid=\'b."2\'/></ogc:Filter>'
    assert request.body.count(chosen) == 2


def test_what_is_named_in_a_body_cannot_break_out_of_it() -> None:
    request, _ = posted("features", 'x:a"><b', properties=["c<d&e"])
    assert b"typeName='x:a\"&gt;&lt;b'>" in request.body
    assert b"<wfs:PropertyName>c&lt;d&amp;e</wfs:PropertyName>" in request.body


def test_every_request_by_get_names_service_and_version_and_nothing_of_the_explore_api() -> None:
    versions: tuple[Version, ...] = ("1.1.0", "2.0.0")
    for version in versions:
        for use, args in [
            ("capabilities", []),
            ("describe", []),
            ("features", ["a"]),
            ("hits", ["a"]),
        ]:
            request = asked_by(version, use, *args)
            assert (request.method, request.path) == ("GET", "/api/wfs")
            assert request.query["service"] == "WFS"
            assert request.query["version"] == version
            assert not {"lang", "timezone"} & set(request.query)


@pytest.mark.parametrize(
    ("version", "use", "args", "options", "expected"),
    [
        ("1.1.0", "capabilities", [], {}, {"AcceptVersions": "1.1.0"}),
        (
            "2.0.0",
            "capabilities",
            [["OperationsMetadata", "FeatureTypeList"]],
            {},
            {"AcceptVersions": "2.0.0", "sections": "OperationsMetadata,FeatureTypeList"},
        ),
        ("1.1.0", "describe", ["a", "x:b"], {}, {"typeName": "ods:a,x:b"}),
        ("2.0.0", "describe", ["a"], {}, {"typeNames": "ods:a", "typeName": "ods:a"}),
        ("1.1.0", "features", ["a"], {}, {"typeName": "ods:a"}),
        (
            "1.1.0",
            "features",
            ["a"],
            {"properties": ["b", "c"], "max_features": 5},
            {"typeName": "ods:a", "propertyName": "ods:a/b,ods:a/c", "maxFeatures": "5"},
        ),
        (
            "2.0.0",
            "features",
            ["a"],
            {"properties": ["b", "c"], "max_features": 5, "bbox": (2.0, 48.0, 3.5, 49.0)},
            {
                "typeNames": "ods:a",
                "propertyName": "b,c",
                "count": "5",
                "bbox": "48.0,2.0,49.0,3.5,urn:ogc:def:crs:EPSG::4326",
            },
        ),
        (
            "1.1.0",
            "features",
            ["a"],
            {"feature_id": ["a.1", "a.2"]},
            {"typeName": "ods:a", "featureId": "a.1,a.2"},
        ),
        ("1.1.0", "hits", ["a"], {}, {"typeName": "ods:a", "resultType": "hits"}),
        ("2.0.0", "hits", [["a", "b"]], {}, {"typeNames": "ods:a,ods:b", "resultType": "hits"}),
        (
            "1.1.0",
            "capabilities",
            [],
            {"accept_versions": ["2.0.0", "1.1.0"]},
            {"AcceptVersions": "2.0.0,1.1.0"},
        ),
        ("1.1.0", "features", [["a", "x:b"]], {}, {"typeName": "ods:a,x:b"}),
        (
            "1.1.0",
            "features",
            [["a", "b"]],
            {"properties": {"a": ["n", "m"]}},
            {"typeName": "ods:a,ods:b", "propertyName": "(ods:a/n,ods:a/m)(*)"},
        ),
        (
            "2.0.0",
            "features",
            ["a"],
            {"feature_id": ["a.1"]},
            {"typeNames": "ods:a", "featureId": "a.1", "resourceId": "a.1"},
        ),
        ("2.0.0", "stored_queries", [], {}, {}),
    ],
)
def test_parameters_are_those_that_the_version_documents(
    version: Version,
    use: str,
    args: list[object],
    options: dict[str, object],
    expected: dict[str, str],
) -> None:
    request = asked_by(version, use, *args, **options)
    sent = {k: v for k, v in request.query.items() if k not in {"service", "version", "request"}}
    assert sent == expected


def test_a_federated_or_accented_name_survives_the_url() -> None:
    request = asked_by("1.1.0", "features", "arbres@autre-portail", properties=["année"])
    assert request.query["typeName"] == "ods:arbres@autre-portail"
    assert request.query["propertyName"] == "ods:arbres@autre-portail/année"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda c: Wfs(c, "2.0.0", method="POST"), r"WFS 2\.0\.0 .* by GET, not by POST"),
        (lambda c: Wfs(c, "1.0.0"), "'1.0.0' is not a version"),
        (lambda c: Wfs(c, method="PUT"), "not by PUT"),
        (lambda c: Wfs(c).features("a", bbox=(0, 0, 1, 1)).__enter__(), "use version 2.0.0"),
        (lambda c: Wfs(c).stored_queries(), "1.1.0 has no stored queries"),
        (lambda c: Wfs(c).describe_stored_queries(), "needs WFS 2.0.0"),
        (
            lambda c: Wfs(c, method="POST").features("a", bbox=(0, 0, 1, 1)).__enter__(),
            "use version 2.0.0",
        ),
        (lambda c: Wfs(c).features([]).__enter__(), "name at least one feature type"),
        (
            lambda c: Wfs(c).features(["a", "b"], properties=["x"]).__enter__(),
            r"give properties by type, such as \{'ods:a': \['x'\]\}",
        ),
        (
            lambda c: Wfs(c).features("a", properties={"b": ["x"]}).__enter__(),
            "named of 'ods:b', which is not asked",
        ),
    ],
)
def test_what_a_version_cannot_do_is_said_before_anything_is_sent(make, said) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    client = Client("portal.invalid")
    with pytest.raises(ConfigurationError, match=said):
        make(client)
    assert client.requests_made == 0
