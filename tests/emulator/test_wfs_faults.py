"""What goes wrong with features on the way, and what a portal says of them that is not so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from xml.etree import ElementTree as ET

import pytest
import requests

from ods_pipeline.emulator import Emulator, Fault, Quirks, WfsQuirks
from tests.emulator.wfs_asking import (
    DOCUMENTED,
    VERSIONS,
    by_gdal,
    features,
    ids,
    local,
    members,
    post,
    publish_shapes,
    refusal,
    values,
)

POINTS = [{"type": "Point", "coordinates": [2 + n / 10, 48]} for n in range(10)]
EVERY = [f"shapes.{n + 1}" for n in range(10)]


def portal_with(**quirks: Any) -> Emulator:
    portal = Emulator(sample=False, quirks=Quirks(wfs=WfsQuirks(**quirks)))
    publish_shapes(portal, POINTS)
    return portal


@pytest.fixture
def points() -> Iterator[Emulator]:
    with portal_with() as portal:
        yield portal


def counts(portal: Emulator, version: str = "1.1.0", **params: Any) -> dict[str, str]:
    """What a collection says of itself, and how many features it really holds."""
    body = features(portal, "shapes", version, **params).content
    told = {n: v for n, v in ET.fromstring(body).attrib.items() if n.startswith("number")}
    return told | {"held": str(len(ids(body)))}


@pytest.mark.parametrize("version", VERSIONS)
def test_features_are_kept_back_while_the_count_stays(points: Emulator, version: str) -> None:
    named = (
        {"numberOfFeatures": "10"}
        if version == "1.1.0"
        else {"numberMatched": "10", "numberReturned": "10"}
    )
    points.fail("api/wfs", Fault.short_rows(3))
    assert counts(points, version) == {**named, "held": "7"}
    points.fail("api/wfs", Fault.header_only())
    assert counts(points, version) == {**named, "held": "0"}
    assert counts(points, version) == {**named, "held": "10"}


@pytest.mark.parametrize("version", VERSIONS)
def test_features_are_kept_back_and_the_count_is_of_those_that_came(
    points: Emulator, version: str
) -> None:
    points.fail("api/wfs", Fault.short_rows(3, honest=True))
    told = counts(points, version)
    assert set(told.values()) == {"7"}
    assert len(told) == (2 if version == "1.1.0" else 3)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_feature_comes_twice_beside_or_instead_of_another(points: Emulator, version: str) -> None:
    points.fail("api/wfs", Fault.doubled())
    points.fail("api/wfs", Fault.doubled(instead=True))
    assert ids(features(points, "shapes", version).content) == [*EVERY, EVERY[0]]
    assert ids(features(points, "shapes", version).content) == [*EVERY[:-1], EVERY[0]]


def test_counts_are_off_by_a_fault(points: Emulator) -> None:
    points.fail("api/wfs", Fault.miscount(-3))
    assert counts(points, resultType="hits") == {"numberOfFeatures": "7", "held": "0"}


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ("duplicate", ["n", "shape", "n"]),
        ("missing", ["shape"]),
        ("extra", ["n", "shape", "surplus"]),
        ("renamed", ["n_2", "shape"]),
        ("wrong", ["n", "shape"]),
    ],
)
def test_properties_are_others(points: Emulator, change: str, names: list[str]) -> None:
    points.fail("api/wfs", Fault.column(change))
    first = members(features(points, "shapes").content)[0]
    assert [local(part) for part in first] == names
    assert (first[0].text == "n/a") == (change == "wrong")


def test_features_are_of_two_versions(points: Emulator) -> None:
    newer = [{"n": n + 100, "shape": shape} for n, shape in enumerate(POINTS)]
    step = {"verb": "publish", "dataset_id": "shapes", "records": newer}
    points.fail("api/wfs", Fault.torn([step], after_rows=4))
    found = members(features(points, "shapes").content)
    numbers = [int(values(feature)["n"][0] or "") for feature in found]
    assert numbers == [0, 1, 2, 3, 104, 105, 106, 107, 108, 109]


@pytest.mark.parametrize("told", [False, True])
def test_a_document_comes_in_another_charset(points: Emulator, told: bool) -> None:
    whole = features(points, "shapes").content
    points.fail("api/wfs", Fault.charset("utf-16", told))
    body = features(points, "shapes").content.decode("utf-16")
    assert body.startswith(f'<?xml version="1.0" encoding="{"utf-16" if told else "UTF-8"}"?>')
    assert len(body.splitlines()) == len(whole.splitlines())


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("members", ["one", "all"])
def test_a_report_comes_amid_the_features(version: str, members: str) -> None:
    with portal_with(members=members) as portal:
        portal.fail("api/wfs", Fault.exception_report(after_features=4))
        reply = features(portal, "shapes", version)
        assert reply.status_code == 200
        names = [local(part) for part in ET.fromstring(reply.content).iter()]
        assert names.count("shapes") == 10
        assert names[: names.index("ExceptionReport")].count("shapes") == 4


@pytest.mark.parametrize("version", VERSIONS)
def test_a_report_may_be_the_last_that_comes(points: Emulator, version: str) -> None:
    points.fail("api/wfs", Fault.exception_report(after_features=4, ends=False))
    text = features(points, "shapes", version).text
    assert text.count("</ods:shapes>") == 4
    assert text.endswith("</ExceptionReport>\n")
    assert "</wfs:FeatureCollection>" not in text


def test_a_report_may_follow_the_end(points: Emulator) -> None:
    points.fail("api/wfs", Fault.appended_error())
    _, _, after = features(points, "shapes").text.partition("</wfs:FeatureCollection>\n")
    assert after.startswith("<?xml")
    assert after.endswith("</ExceptionReport>\n")


@pytest.mark.parametrize("after", [0, 100, 2000])
def test_a_cut_stream_is_no_document(points: Emulator, after: int) -> None:
    points.fail("api/wfs", Fault.cut(after))
    url = f"{points.url}/api/wfs?service=WFS&version=1.1.0&request=GetFeature&typeName=shapes"
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        requests.get(url, headers={"Accept-Encoding": "identity"}, timeout=60)
    points.fail("api/wfs", Fault.reset())
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.get(url, timeout=60)


@pytest.mark.parametrize(
    ("fault", "status", "kind"),
    [
        (Fault.status(503), 503, "text/html"),
        (Fault.quota(), 429, "application/json"),
        (Fault.html(), 200, "text/html; charset=utf-8"),
        (Fault.stall(0.01), 200, "text/xml; charset=utf-8"),
        (Fault.slow(1_000_000), 200, "text/xml; charset=utf-8"),
        (Fault.redirect("http://127.0.0.1:9/"), 302, "text/html; charset=utf-8"),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else "",
)
def test_every_other_fault_does_what_it_does_elsewhere(
    points: Emulator, fault: Fault, status: int, kind: str
) -> None:
    points.fail("api/wfs", fault)
    url = f"{points.url}/api/wfs?service=WFS&version=2.0.0&request=GetFeature&typeNames=shapes"
    reply = requests.get(url, timeout=60, allow_redirects=False)
    assert (reply.status_code, reply.headers["content-type"]) == (status, kind)


def test_an_empty_body_is_empty(points: Emulator) -> None:
    points.fail("api/wfs", Fault.empty_body())
    assert features(points, "shapes").content == b""


def test_a_fault_waits_for_what_a_posted_body_asks(points: Emulator) -> None:
    points.fail("api/wfs.*(?s:.*)GetFeature", Fault.status(500))
    assert post(points, _documented("GetCapabilities")).status_code == 200
    assert post(points, _documented("GetFeature")).status_code == 500


def _documented(name: str) -> bytes:
    return (DOCUMENTED / f"ods_wfs110_POST_{name}.xml").read_bytes()


def test_hits_may_lie() -> None:
    with portal_with(hits_off=-3) as portal:
        assert counts(portal, resultType="hits") == {"numberOfFeatures": "7", "held": "0"}
        assert counts(portal)["numberOfFeatures"] == "10"


@pytest.mark.parametrize("version", VERSIONS)
def test_hits_may_be_refused(version: str) -> None:
    with portal_with(hits="refused") as portal:
        reply = features(portal, "shapes", version, resultType="hits")
        assert refusal(reply)[:2] == ("OperationNotSupported", "resultType")


def test_counts_may_be_unknown_or_absent() -> None:
    with portal_with(hits="unknown", counts="unknown") as portal:
        expected = {"numberMatched": "unknown", "numberReturned": "0", "held": "0"}
        assert counts(portal, "2.0.0", resultType="hits") == expected
        assert counts(portal, "2.0.0")["numberMatched"] == "unknown"
        assert counts(portal, "1.1.0", resultType="hits") == {"held": "0"}
    with portal_with(counts="absent") as portal:
        assert counts(portal, "1.1.0") == counts(portal, "2.0.0") == {"held": "10"}


@pytest.mark.parametrize(
    ("honesty", "version", "told"),
    [
        ("honest", "1.1.0", {"numberOfFeatures": "4"}),
        ("lying", "1.1.0", {"numberOfFeatures": "10"}),
        ("honest", "2.0.0", {"numberMatched": "10", "numberReturned": "4"}),
        ("lying", "2.0.0", {"numberMatched": "10", "numberReturned": "10"}),
    ],
)
def test_a_cap_holds_silently(honesty: str, version: str, told: dict[str, str]) -> None:
    with portal_with(cap=4, cap_count=honesty) as portal:
        assert counts(portal, version) == {**told, "held": "4"}
        limit = {"maxFeatures": 2, "count": 2}
        assert counts(portal, version, **limit)["held"] == "2"


@pytest.mark.parametrize("limit", [{}, {"count": 8}, {"count": 3}])
def test_pages_follow_each_other(limit: dict[str, int]) -> None:
    with portal_with(page=3) as portal:
        reply = features(portal, "shapes", "2.0.0", **limit)
        found = ids(reply.content)
        while following := ET.fromstring(reply.content).get("next"):
            assert following.startswith(portal.url)
            reply = requests.get(following, timeout=60)
            found += ids(reply.content)
        assert found == EVERY[: limit.get("count", 10)]
        assert counts(portal, "1.1.0")["held"] == "10"


def test_the_next_page_may_be_this_one_or_elsewhere_or_not_told() -> None:
    found = {}
    for form in ("loop", "elsewhere", "missing"):
        with portal_with(page=3, next_link=form) as portal:
            root = ET.fromstring(features(portal, "shapes", "2.0.0").content)
            found[form] = root.get("next")
    assert dict(parse_qsl(urlsplit(found["loop"] or "").query))["startIndex"] == "0"
    assert urlsplit(found["elsewhere"] or "").hostname == "elsewhere.invalid"
    assert found["missing"] is None


def test_pages_may_overlap_and_have_the_right_numbers_all_the_same() -> None:
    with portal_with(page=5, next_link="overlap") as portal:
        reply = features(portal, "shapes", "2.0.0")
        following = requests.get(str(ET.fromstring(reply.content).get("next")), timeout=60)
        root = ET.fromstring(following.content)
        assert (root.get("numberMatched"), root.get("numberReturned")) == ("10", "5")
        assert root.get("next") is None
        assert ids(reply.content) + ids(following.content) == EVERY[:5] + EVERY[4:9]


def test_a_stubborn_portal_answers_in_its_own_version() -> None:
    with portal_with(version="2.0.0") as portal:
        root = ET.fromstring(features(portal, "shapes", "1.1.0").content)
        assert root.tag == "{http://www.opengis.net/wfs/2.0}FeatureCollection"
        reply = post(portal, _documented("GetCapabilities"))
        assert ET.fromstring(reply.content).get("version") == "2.0.0"


def test_a_big_dataset_has_points_and_polygons_of_as_many_vertices() -> None:
    with Emulator(sample=False) as portal:
        portal.make_big("big", rows=5000, vertices=20)
        body = features(portal, "big").content
        assert len(ids(body)) == 5000
        # GDAL keeps the last geometry of a feature alone.
        frame = by_gdal(body)
        assert set(frame.geometry.count_coordinates()) == {21, 42}
        assert frame.geometry.is_valid.all()
        assert len(frame) == 5000
