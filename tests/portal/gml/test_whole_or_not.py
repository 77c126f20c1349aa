"""A document is read whole or not at all, however its bytes arrive and wherever they stop."""

import random

import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from ods_pipeline.errors import GmlRefused, OdsPipelineError, ServiceException, Unproven
from ods_pipeline.portal.gml import Collection, Declared, hits_in, read_gml
from tests.portal.gml.documents import Feature, Style, around, chunked, document, read
from tests.portal.gml.test_fast import in_blocks_of

SMALL = document(
    [
        Feature("x.1", {"name": "é & <b>"}, {"geo_shape": shapely.Point(7.5, 48.5)}),
        Feature("x.2", {"tag": ["a", "b"]}, {"geo_shape": shapely.box(1, 2, 3, 4)}),
    ],
    Style(gap="\n "),
)
AWKWARD = around(
    "<!-- a > b <2 --><ods:2024-x>1</ods:2024-x><ods:n@me><![CDATA[<3x>]]></ods:n@me>"
    "<?pi <4>?><ods:name>&#233;\U0001d11e</ods:name>"
)
LARGE = document(
    [
        Feature(f"x.{n}", {"name": f"n{n}"}, {"geo_shape": shapely.box(0, 0, n + 1, 1)})
        for n in range(500)
    ]
)
REPORT = (
    '<ows:ExceptionReport xmlns:ows="http://www.opengis.net/ows"><ows:Exception '
    'exceptionCode="NoApplicableCode" locator="trees"><ows:ExceptionText>disk full'
    "</ows:ExceptionText></ows:Exception></ows:ExceptionReport>"
)


@pytest.mark.parametrize("body", [SMALL, AWKWARD], ids=["small", "awkward"])
def test_a_document_cut_at_any_byte_is_an_error(body: bytes) -> None:
    for end in range(len(body)):
        with pytest.raises(Unproven):
            read(body[:end])


def test_a_large_document_cut_at_a_thousand_places_is_an_error_every_time() -> None:
    chance = random.Random(1)
    with in_blocks_of(1 << 13):
        for end in (chance.randrange(len(LARGE)) for _ in range(1000)):
            with pytest.raises(Unproven):
                read(LARGE[:end])


@pytest.mark.parametrize("body", [SMALL, AWKWARD], ids=["small", "awkward"])
def test_it_does_not_matter_where_chunks_begin(body: bytes) -> None:
    whole = read(body)
    for size in (1, 2, 3, 7, 50):
        with in_blocks_of(size):
            assert read(body, size) == whole


@given(st.lists(st.integers(1, 90), min_size=1, max_size=40))
@settings(max_examples=60)
def test_it_does_not_matter_how_uneven_chunks_are(sizes: list[int]) -> None:
    chunks, start = [], 0
    for size in sizes:
        chunks.append(AWKWARD[start : start + size])
        start += size
    with in_blocks_of(1):
        found = list(Collection([*chunks, AWKWARD[start:]]))
    assert found[0].texts["2024-x"].to_pylist() == ["1"]
    assert found[0].texts["n@me"].to_pylist() == ["<3x>"]
    assert found[0].texts["name"].to_pylist() == ["é\U0001d11e"]


@pytest.mark.parametrize("after", ["x", "<a/>", "\0", REPORT, "<wfs:FeatureCollection"])
def test_what_follows_the_end_is_an_error(after: str) -> None:
    with pytest.raises((Unproven, ServiceException)):
        read(SMALL + after.encode())


def test_white_space_and_comments_may_follow_the_end() -> None:
    assert read(SMALL + b"\n<!-- done -->\n") == read(SMALL)


@pytest.mark.parametrize(
    "place", ["</gml:featureMembers>", "<ods:trees", "</wfs:FeatureCollection>"]
)
@pytest.mark.parametrize("prolog", ["", '<?xml version="1.0"?>\n'])
def test_an_exception_report_between_features_says_what_the_server_said(
    place: str, prolog: str
) -> None:
    body = SMALL.decode().replace(place, prolog + REPORT + place, 1)
    with pytest.raises(ServiceException, match="NoApplicableCode about trees: disk full") as error:
        read(body.encode())
    assert (error.value.code, error.value.locator) == ("NoApplicableCode", "trees")


def test_an_exception_report_that_ends_the_reply_says_what_the_server_said() -> None:
    body = LARGE[: len(LARGE) // 2].rpartition(b"<ods:trees")[0] + REPORT.encode()
    with pytest.raises(ServiceException, match="disk full"):
        read(body)


@pytest.mark.parametrize("text", ["Internal Server Error", "&lt;html&gt;", "0"])
def test_text_between_features_is_an_error(text: str) -> None:
    for place in ("<ods:trees", "</gml:featureMembers>", "</wfs:FeatureCollection>"):
        body = SMALL.decode().replace(place, text + place, 1)
        with pytest.raises(Unproven, match="there is text between features"):
            read(body.encode())
    with pytest.raises(Unproven, match=r"between the properties of feature 'x\.1'"):
        read(SMALL.decode().replace("<ods:name>", text + "<ods:name>", 1).encode())


@pytest.mark.parametrize(
    ("body", "error", "says"),
    [
        (b"", Unproven, "empty"),
        (b"  \n", Unproven, "empty"),
        (b'{"error": "Too many requests"}', GmlRefused, "JSON, .*Too many requests"),
        (b"<!DOCTYPE html><html><body>Log in</body></html>", GmlRefused, "HTML page"),
        (b"<html><body>Log in<br></body></html>", GmlRefused, "HTML page"),
        (b"Service unavailable", GmlRefused, "not XML: Service unavailable"),
        (b"\x1f\x8b\x08\x00", GmlRefused, "not XML"),
        (b"<error><message>quota</message></error>", GmlRefused, "root element is error"),
        (b'<?xml version="1.0" encoding="EBCDIC-9"?><a/>', GmlRefused, "encoding EBCDIC-9"),
    ],
)
def test_what_is_no_gml_is_called_what_it_is(
    body: bytes, error: type[OdsPipelineError], says: str
) -> None:
    with pytest.raises(error, match=says):
        read_gml(body)


@pytest.mark.parametrize(
    ("version", "said", "whole"),
    [
        ("1.1.0", {"numberOfFeatures": 2}, True),
        ("1.1.0", {"numberOfFeatures": 3}, False),
        ("1.1.0", {"numberOfFeatures": 1}, False),
        ("1.1.0", {"numberOfFeatures": "unknown"}, True),
        ("2.0.0", {"numberMatched": 2, "numberReturned": 2}, True),
        ("2.0.0", {"numberMatched": "unknown", "numberReturned": 2}, True),
        ("2.0.0", {"numberMatched": 2, "numberReturned": 3}, False),
        ("2.0.0", {"numberMatched": 9, "numberReturned": 2}, True),
        ("2.0.0", {"numberMatched": 1}, False),
        ("2.0.0", {"numberReturned": 1}, False),
    ],
)
def test_features_are_counted_against_what_the_document_says(
    version: str, said: dict[str, object], whole: bool
) -> None:
    body = document([Feature("x.1"), Feature("x.2")], Style(version, "member"), **said)
    if whole:
        assert read(body)["id"] == ["x.1", "x.2"]
    else:
        with pytest.raises(Unproven, match="it is not whole"):
            read(body)


@pytest.mark.parametrize(
    ("instead", "says"),
    [
        (
            '<gml:featureMember xlink:href="#x.2"/>',
            "a member links elsewhere: #x.2",
        ),
        ("<ods:trees/>", "the collection holds trees, which is not a feature"),
        ("<ods:2trees/>", "the collection holds 2trees, which is not a feature"),
    ],
)
def test_a_feature_that_is_not_where_it_belongs_is_refused(instead: str, says: str) -> None:
    body = around("").replace(b"<gml:featureMember>", instead.encode() + b"<gml:featureMember>")
    with pytest.raises(GmlRefused, match=says):
        read(body)


@pytest.mark.parametrize(
    ("encoding", "error", "says"),
    [
        ("ebcdic-cp-be", GmlRefused, "in the encoding ebcdic-cp-be, which is not supported"),
        ("iso-8859-12", GmlRefused, "in the encoding iso-8859-12, which is not known"),
        ("us-ascii", Unproven, "the document is not ascii, as it says, to its end"),
    ],
)
def test_an_encoding_that_is_none_or_does_not_hold_is_an_error(
    encoding: str, error: type[OdsPipelineError], says: str
) -> None:
    head = f'<?xml version="1.0" encoding="{encoding}"?>'.encode()
    with pytest.raises(error, match=says):
        read(head + around("<ods:name>é</ods:name>"))


def test_a_document_that_stops_within_a_character_is_an_error() -> None:
    body = ('<?xml version="1.0"?>' + around("").decode()).encode("utf-16")
    with pytest.raises(Unproven, match="the document is not utf-16-le, as it says, to its end"):
        read(body[:-1])


def test_a_page_that_names_the_next_one_is_read_and_the_caller_told() -> None:
    said = {"numberMatched": 9, "numberReturned": 1, "next": "https://portal.test/wfs?start=1"}
    body = document([Feature("x.1")], Style("2.0.0", "member"), **said)
    collection = Collection(chunked(body))
    assert sum(batch.rows for batch in collection) == collection.rows == 1
    assert collection.declared == Declared(9, 1, said["next"], "2.0.0")
    assert len(read_gml(body)) == 1


def test_part_of_a_layer_without_a_next_page_is_not_taken_for_the_layer() -> None:
    body = document([Feature("x.1")], Style("2.0.0", "member"), numberMatched=9, numberReturned=1)
    with pytest.raises(Unproven, match="9 features match, and holds 1"):
        read_gml(body)


@pytest.mark.parametrize("count", ["-1", "1e3", "many", "9" * 30])
def test_a_count_that_is_none_is_refused(count: str) -> None:
    with pytest.raises(GmlRefused, match="counts its features as"):
        read(document([Feature("x.1")], numberOfFeatures=count))


def test_counts_of_nested_collections_are_compared_with_their_own_features() -> None:
    inner = document([Feature("x.1")], Style("2.0.0", "member"), numberReturned=2).decode()
    inner = inner.partition("?>")[2]
    body = document([], Style("2.0.0", "member"), numberReturned=1).decode()
    nested = f"<wfs:member>{inner}</wfs:member></wfs:FeatureCollection>"
    with pytest.raises(Unproven, match="holds 2 features and holds 1"):
        read(body.replace("</wfs:FeatureCollection>", nested).encode())


def test_a_reply_to_hits_is_read_for_its_count_alone() -> None:
    body = document([], Style("2.0.0", "member"), numberMatched=7, numberReturned=0)
    assert hits_in(chunked(body)) == 7
    assert hits_in(chunked(document([], Style("2.0.0", "member"), numberMatched="unknown"))) is None
    with pytest.raises(Unproven):
        hits_in(chunked(body[:-9]))
