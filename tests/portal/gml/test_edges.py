"""What a document or a caller may do at the edges: reports in features, links, boxes, arguments."""

import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import shapely

from ods_pipeline.dataset import Field
from ods_pipeline.errors import ConfigurationError, GmlRefused, ServiceException, Unproven
from ods_pipeline.portal.gml import Collection, read_gml
from tests.portal.gml.documents import Feature, Style, around, chunked, document, read
from tests.portal.gml.test_whole_or_not import REPORT

POINT = "<gml:Point><gml:pos>{}</gml:pos></gml:Point>"
BOX = '<gml:boundedBy><gml:Envelope srsName="{}"{}/></gml:boundedBy>'


@pytest.mark.parametrize(
    "inner",
    [
        "{}",
        "<ods:name>{}</ods:name>",
        "<ods:name>a{}</ods:name>",
        "<ods:s><gml:Point>{}</gml:Point></ods:s>",
        "<ods:s><gml:Point><gml:pos>1 2{}</gml:pos></gml:Point></ods:s>",
        "<ods:day><gml:TimeInstant>{}</gml:TimeInstant></ods:day>",
        "<gml:boundedBy>{}</gml:boundedBy>",
        '<ods:s xlink:href="#p"/>{}',
    ],
)
@pytest.mark.parametrize("cut", [False, True], ids=["whole", "cut"])
def test_an_exception_report_inside_a_feature_says_what_the_server_said(
    inner: str, cut: bool
) -> None:
    body = around(inner.format(REPORT))
    if cut:
        body = body.partition(b"ExceptionReport>")[0] + b"ExceptionReport>"
    with pytest.raises(ServiceException, match="NoApplicableCode about trees: disk full"):
        read_gml(body)


def test_a_property_may_be_called_like_an_exception_report() -> None:
    found = read(around("<ods:ExceptionReport>none</ods:ExceptionReport>"))
    assert found["ExceptionReport"] == ["none"]


def test_links_that_multiply_are_refused_at_once() -> None:
    levels = "".join(
        f'<ods:g{n}><gml:MultiGeometry gml:id="g{n}">'
        + f'<gml:geometryMember xlink:href="#g{n + 1}"/>' * 8
        + f"</gml:MultiGeometry></ods:g{n}>"
        for n in range(9)
    )
    last = '<ods:g9><gml:Point gml:id="g9"><gml:pos>1 2</gml:pos></gml:Point></ods:g9>'
    begun = time.monotonic()
    with pytest.raises(GmlRefused, match="links stand for more geometry than is allowed"):
        read_gml(around(levels + last))
    assert time.monotonic() - begun < 20


@pytest.mark.slow
def test_many_links_to_one_large_geometry_are_refused() -> None:
    held = '<ods:l><gml:LineString gml:id="l">' + "<gml:pos>1 2</gml:pos>" * 5000
    links = "".join(f'<ods:a{n} xlink:href="#l"/>' for n in range(100))
    with pytest.raises(GmlRefused, match="links stand for more geometry"):
        read_gml(around(f"{held}</gml:LineString></ods:l>{links}"))


@pytest.mark.parametrize("place", ["feature", "collection"])
def test_geometry_behind_a_link_keeps_the_system_of_its_own_box(place: str) -> None:
    box = BOX.format("EPSG:2154", ' srsDimension="2"')
    held = '<gml:Point gml:id="p"><gml:pos>700000 6600000</gml:pos></gml:Point>'
    other = (
        f'<gml:featureMember><ods:trees gml:id="x.2">{BOX.format("CRS:84", "")}'
        '<ods:s xlink:href="#p"/></ods:trees></gml:featureMember></wfs:FeatureCollection>'
    )
    inner, head = (box, "") if place == "feature" else ("", box)
    body = around(f"{inner}<ods:s>{held}</ods:s>", head).decode()
    frame = read_gml(body.replace("</wfs:FeatureCollection>", other).encode())
    assert [point.wkt for point in frame["s"]] == ["POINT (700000 6600000)"] * 2
    assert frame["s"].crs == "EPSG:2154"


def test_a_number_that_is_no_longitude_either_proves_nothing() -> None:
    frame = read_gml(around(f"<ods:s>{POINT.format('10 1000')}</ods:s>"))
    assert frame["s"].iloc[0].wkt == "POINT (10 1000)"
    named = '<gml:Point srsName="EPSG:4326"><gml:pos>10 1000</gml:pos></gml:Point>'
    with pytest.raises(GmlRefused, match="the latitude 1000, which is beyond the pole"):
        read_gml(around(f"<ods:s>{named}</ods:s>"))


@pytest.mark.parametrize("crs", ["EPSG:4326", "OGC:CRS83", None])
def test_a_crs_that_nothing_is_brought_to_is_one_sentence(crs: Any) -> None:
    with pytest.raises(ConfigurationError, match="crs is 'OGC:CRS84' or empty, not"):
        Collection([], crs=crs)


def nested(**said: object) -> bytes:
    inner = document([Feature("x.1")], Style("2.0.0", "member"), **said).decode()
    body = document([], Style("2.0.0", "member"), numberMatched="unknown").decode()
    tag = "</wfs:FeatureCollection>"
    return body.replace(tag, f"<wfs:member>{inner.partition('?>')[2]}</wfs:member>{tag}").encode()


def test_a_nested_collection_that_matched_more_than_it_holds_is_not_whole() -> None:
    with pytest.raises(Unproven, match="says that 100 features match, and holds 1"):
        read(nested(numberMatched=100, numberReturned=1))
    said = {"numberMatched": 100, "numberReturned": 1, "next": "https://portal.test/2"}
    assert read(nested(**said))["id"] == ["x.1"]
    assert read(nested(numberMatched=100, numberReturned=1), counted=False)["id"] == ["x.1"]


def test_a_type_whose_name_ends_like_a_collections_is_a_feature() -> None:
    inner = "<gml:name>a</gml:name><gml:description>b</gml:description>"
    found = read(around(inner).replace(b"ods:trees", b"ods:MyFeatureCollection"))
    assert (found["id"], found["gml_name"]) == (["x.1"], ["a"])


def test_gmls_own_location_is_a_column_where_it_is_geometry() -> None:
    described = "<gml:location><gml:LocationString>here</gml:LocationString></gml:location>"
    elsewhere = '<gml:location xlink:href="https://gazetteer.test/1"/>'
    for inner in (described, elsewhere, "<gml:location>here</gml:location>", "<gml:location/>"):
        assert set(read(around(inner))) == {"id"}
    placed = f"<gml:location>{POINT.format('1 2')}</gml:location>"
    (wkb,) = read(around(placed))["gml_location"]
    assert shapely.from_wkb(wkb).wkt == "POINT (1 2)"
    member = around(described).decode().partition("<gml:featureMember>")[2]
    member = "<gml:featureMember>" + member.partition("</wfs:")[0]
    body = around(placed).decode().replace("</wfs:", member * 50 + "</wfs:")
    assert [value is None for value in read(body.encode())["gml_location"]] == [False] + [True] * 50


def test_a_pipe_is_read_as_often_as_need_be(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    held = '<gml:Point gml:id="p"><gml:pos>1 2</gml:pos></gml:Point>'
    body = around(f'<ods:a xlink:href="#p"/><ods:b>{held}</ods:b><ods:c>{"x" * 3_000_000}</ods:c>')
    writer = threading.Thread(target=path.write_bytes, args=(body,))
    writer.start()
    frame = read_gml(path)
    writer.join()
    assert [frame[name].iloc[0].wkt for name in "ab"] == ["POINT (1 2)"] * 2


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"feature_type": None}, "feature_type is a name, or empty, not None"),
        ({"schema": 5}, "schema is a dataset's fields or an Arrow schema, and 5 is neither"),
        ({"schema": "name"}, "and 'n' is neither"),
        ({"schema": [Field("name", "text"), "x"]}, "and 'x' is neither"),
        ({"source": "a\0b"}, "a path cannot contain NUL"),
    ],
)
def test_an_argument_that_cannot_be_meant_is_one_sentence(
    options: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigurationError, match=says):
        read_gml(**{"source": around(""), **options})


@pytest.mark.parametrize("extent", [(1, 2, 3), (1, 2, 3, 4, 5), "here", 7, ("a", 1, 2, 3)])
@pytest.mark.parametrize("asked", [False, True], ids=["given", "asked"])
def test_an_extent_that_is_none_is_one_sentence(extent: Any, asked: bool) -> None:
    body = around(f"<ods:s>{POINT.format('1 2')}</ods:s>")
    with pytest.raises(ConfigurationError, match="an extent is west, south, east and north"):
        list(Collection(chunked(body), extent=(lambda: extent) if asked else extent))


@pytest.mark.slow
def test_many_properties_make_small_batches() -> None:
    names = [f"n{number}" for number in range(3000)]
    features = [Feature("x.0", dict.fromkeys(names, "a")), *([Feature("x", {"n7": "b"})] * 5000)]
    batches = list(Collection(chunked(document(features))))
    assert sum(batch.rows for batch in batches) == 5001
    assert max(batch.rows * len(batch.texts) for batch in batches) <= 2_000_000
    assert sum(batch.texts["n7"].to_pylist().count("b") for batch in batches) == 5000


def test_small_features_amid_many_properties_are_refused_before_they_fill_the_memory() -> None:
    names = "".join(f"<ods:n{number}/>" for number in range(9_000))
    small = b"<ods:trees/>" * 9_000
    body = around(names).replace(b"featureMember>", b"featureMembers>")
    body = body.replace(b"<gml:featureMembers>", b"<gml:featureMembers>" + small)
    with pytest.raises(GmlRefused, match="many small features and too many properties"):
        read(body)
