"""The service: versions that come back, numbers of features, pages, and where requests go."""

import pytest

from ods_pipeline.errors import GmlRefused, PortalFailure, RequestRefused
from ods_pipeline.portal.auth import ApiKey
from ods_pipeline.portal.http.client import Client
from ods_pipeline.portal.portal import Portal
from ods_pipeline.portal.wfs import Version, Wfs
from tests.portal.wfs.serving import Reply, Request, recorded, service

ONE = "http://www.opengis.net/wfs"
TWO = "http://www.opengis.net/wfs/2.0"


def collection(namespace: str, attributes: str = "", inside: str = "") -> bytes:
    start = f'<w:FeatureCollection xmlns:w="{namespace}" {attributes}>'
    return f"{start}{inside}</w:FeatureCollection>".encode()


def hits_of(body: bytes, version: Version = "1.1.0") -> int | None:
    with service(lambda _: Reply(body)) as served:
        return Wfs(Client(served.url), version).hits("d")


def test_a_portal_gives_its_wfs_in_either_version() -> None:
    portal = Portal("portal.invalid")
    assert repr(portal.wfs()) == "Wfs('https://portal.invalid', '1.1.0', method='GET')"
    assert portal.wfs("2.0.0").version == "2.0.0"
    assert portal.wfs(method="POST").client is portal.client


@pytest.mark.parametrize(
    ("version", "came", "namespace"), [("1.1.0", "2.0.0", TWO), ("2.0.0", "1.1.0", ONE)]
)
def test_another_version_than_the_one_asked_for_is_an_error_that_names_both(
    version: Version, came: str, namespace: str
) -> None:
    said = rf"answers in WFS {came} where {version} was asked for; .* version='{came}'"
    body = recorded("mapserver_wfs11_cap.xml").replace(
        b'version="1.1.0" update', b'version="%s" update' % came.encode()
    )
    with service(lambda _: Reply(body)) as served, pytest.raises(RequestRefused, match=said):
        Wfs(Client(served.url), version).capabilities()
    with service(lambda _: Reply(collection(namespace))) as served:
        wfs = Wfs(Client(served.url), version)
        with pytest.raises(RequestRefused, match=said):
            wfs.hits("d")
        with pytest.raises(RequestRefused, match=said), wfs.features("d"):
            pass
        assert len(served.requests) == 2


@pytest.mark.parametrize(
    ("came", "said"),
    [
        ("1.0.0", "answers in WFS 1.0.0 where 1.1.0 was asked for ("),
        ("", "answers without saying in which version of WFS where 1.1.0 was asked for ("),
        ("2.0.2", "answers in WFS 2.0.2 where 1.1.0 was asked for; .* version='2.0.0' ("),
    ],
)
def test_only_a_version_that_can_be_asked_for_is_advised(came: str, said: str) -> None:
    body = f'<WFS_Capabilities version="{came}"/>'.encode()
    pattern = said.replace("(", r"\(")
    with service(lambda _: Reply(body)) as served, pytest.raises(RequestRefused, match=pattern):
        Wfs(Client(served.url)).capabilities()


@pytest.mark.parametrize(
    ("body", "version", "count"),
    [
        (recorded("mapserver_wfs11_get_feature_hits.xml"), "1.1.0", 21),
        (recorded("ogcclient_getfeature-hits-pigma-1-1-0.xml"), "1.1.0", 364237),
        (recorded("ogcclient_getfeature-hits-pigma-2-0-0.xml"), "2.0.0", 364237),
        (collection(TWO, 'numberMatched="7" numberReturned="0"'), "2.0.0", 7),
        (collection(ONE, 'numberOfFeatures="0"'), "1.1.0", 0),
        (collection(TWO, 'numberMatched="unknown" numberReturned="0"'), "2.0.0", None),
        (collection(ONE), "1.1.0", None),
        (collection(ONE, 'numberOfFeatures="-1"'), "1.1.0", None),
        (
            collection(ONE, 'numberOfFeatures="1"', "<featureMember><a/></featureMember>"),
            "1.1.0",
            None,
        ),
        (collection(ONE, 'numberOfFeatures="2"', "<a/>" * 600_000), "1.1.0", None),
        (b'<w:FeatureCollection numberOfFeatures="5">', "1.1.0", None),
        (b"<other/>", "1.1.0", None),
        (b"no xml", "1.1.0", None),
    ],
    ids=range(13),
)
def test_hits_are_a_number_or_not_to_be_had(
    body: bytes, version: Version, count: int | None
) -> None:
    assert hits_of(body, version) == count


def test_features_come_as_they_are_sent() -> None:
    body = collection(ONE, "", "<a/>" * 100_000)
    with service(lambda _: Reply(body)) as served:
        wfs = Wfs(Client(served.url))
        with wfs.features("d") as chunks:
            assert b"".join(chunks) == body
        assert wfs.client.requests_made == 1


def test_a_broken_stream_is_not_requested_again() -> None:
    def answer(request: Request) -> Reply:
        return Reply(collection(ONE, "", "<a/>" * 500_000), headers={"Content-Length": "9999999"})

    with service(answer) as served:
        body = Wfs(Client(served.url)).features("d")
        with pytest.raises(PortalFailure, match="broke off"), body as chunks:
            list(chunks)
        assert len(served.requests) == 1


def test_the_next_page_is_asked_for_with_the_credential_on_the_portals_own_host() -> None:
    with service(lambda _: Reply(collection(TWO))) as served:
        wfs = Wfs(Client(served.url, ApiKey("a-key")), "2.0.0")
        for link in (
            f"{served.url}/api/wfs?startIndex=5",
            "?startIndex=5",
            "/api/wfs?startIndex=5",
        ):
            with wfs.page(link) as chunks:
                assert b"".join(chunks) == collection(TWO)
        assert [request.query for request in served.requests] == [{"startIndex": "5"}] * 3
        assert all("authorization" in request.headers for request in served.requests)


@pytest.mark.parametrize(
    "link",
    [
        "https://{host}/api/wfs?startIndex=5",
        "http://evil.test/api/wfs?startIndex=5",
        "//evil.test/api/wfs",
        "http://{host}.evil.test/",
        "http://{host}@evil.test/",
        "http://localhost/x",
        "ftp://{host}/x",
        "http://[bad/",
        "http://{host}:x/",
        "javascript:alert(1)",
    ],
)
def test_a_next_page_on_another_host_is_refused_and_gets_no_credential(link: str) -> None:
    with service(lambda _: Reply(collection(TWO))) as served:
        wfs = Wfs(Client(served.url, ApiKey("a-key")), "2.0.0")
        host = served.url.removeprefix("http://")
        with pytest.raises(GmlRefused, match="another host"):
            wfs.page(link.format(host=host)).__enter__()
        assert served.requests == []
        assert wfs.client.requests_made == 0


def test_addresses_printed_in_capabilities_are_never_asked() -> None:
    with service(lambda _: Reply(recorded("mapserver_wfs11_cap.xml"))) as served:
        read = Wfs(Client(served.url)).capabilities()
        assert "localhost" not in repr(read)
        assert len(served.requests) == 1
