"""The fast reader and the XML parser must give the same result, whatever the document."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import shapely
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ods_pipeline.errors import OdsPipelineError, Unproven
from ods_pipeline.portal.gml import collection
from ods_pipeline.portal.gml import decoding as blocks
from ods_pipeline.portal.gml.fast.block import Block
from ods_pipeline.portal.gml.fast.fast_reader import FastReader
from ods_pipeline.portal.gml.parsing import DocumentParser
from tests.portal.gml.documents import Feature, Style, document, read
from tests.portal.gml.shapes import EMPTY, SHAPES

STYLES = [
    Style(),
    Style(gap="\n    ", ids=True),
    Style(members="featureMember", bounded=True, gap="\n"),
    Style("2.0.0", "member", ids=True, bounded=True),
    Style("2.0.0", "member", form="coordinates", srs="EPSG:4326", gap=" "),
    Style(form="pos", srs=""),
]
TEXT = st.sampled_from(["", " ", "a", "Élysée & fils", "<b>", "]]>", "𝄞", "x" * 40, "\n"])
NAMES = ["name", "code", "2nd", "geo_shape2"]
FEATURES = st.builds(
    Feature,
    id=st.none() | st.sampled_from(["x.1", "x.2", "é", "a b", "a&b"]),
    texts=st.fixed_dictionaries({name: st.none() | TEXT for name in NAMES}),
    shapes=st.fixed_dictionaries(
        {
            "geo_point_2d": st.none()
            | st.tuples(st.integers(-9, 9), st.integers(-9, 9)).map(shapely.Point),
            "geo_shape": st.none() | SHAPES | EMPTY,
        }
    ),
)
# What may happen to a document on its way, and what hides in one.
PIECES = st.sampled_from(
    [b"", b"<", b">", b"&", b"&amp;", b"&#65;", b"&#0;", b"&nope;", b"]]>", b"\xff", b"\x00", b"\r",
     b"\x0b", b"<!--x-->", b"<![CDATA[x]]>", b"<?x y?>", b"'", b'"', b"</ods:trees>", b"<ods:name>",
     b"<gml:pos>1 2</gml:pos>", b"\xef\xbf\xbf", b"\xc2\xa0", b" ", b"\n", b"/", b"7", b"=", b":",
     b' gml:id="z"', b' xsi:nil="true"', b' xlink:href="#x.1"', b"<2x>", b"<!DOCTYPE x>",
     b"<ExceptionReport/>", b"</gml:featureMembers><gml:featureMembers>", b'xmlns:ods="u" ']
)  # fmt: skip


class Parsed:
    """Takes the place of the fast reader, and gives everything to the parser."""

    def __init__(self, parser: DocumentParser) -> None:
        self.feed, self.finish = parser.feed, parser.finish


@contextmanager
def parsed_only() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(collection, "FastReader", Parsed)
        yield


@contextmanager
def in_blocks_of(size: int) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK", size)
        patch.setattr(blocks, "_PROLOG", size)
        yield


def outcome(body: bytes, **options: Any) -> Any:
    try:
        return read(body, **options)
    except OdsPipelineError as error:
        return type(error), str(error)


def assert_same(body: bytes, block: int, **options: Any) -> Any:
    with in_blocks_of(block):
        fast = outcome(body, **options)
        with parsed_only():
            exact = outcome(body, **options)
    assert fast == exact
    return exact


@pytest.mark.slow
@settings(max_examples=100)
@given(
    st.lists(FEATURES, min_size=2, max_size=4),
    st.lists(st.integers(0, 3), min_size=8, max_size=20),
    st.sampled_from(STYLES),
    st.integers(200, 2000),
)
def test_the_fast_reader_reads_what_the_parser_reads(
    kinds: list[Feature], order: list[int], style: Style, block: int
) -> None:
    features = [kinds[number % len(kinds)] for number in order]
    assert_same(document(features, style), block)


@pytest.mark.slow
@settings(max_examples=150)
@given(
    st.lists(FEATURES, min_size=1, max_size=3),
    st.sampled_from(STYLES),
    st.floats(0, 1),
    st.integers(0, 12),
    PIECES,
    st.integers(300, 1500),
)
@example([Feature("x", {"name": "a"})], STYLES[0], 0.8, 0, b"\xff", 400)
def test_the_fast_reader_notices_all_that_the_parser_notices(
    kinds: list[Feature], style: Style, place: float, gone: int, piece: bytes, block: int
) -> None:
    body = document(kinds * 5, style)
    start = int(place * len(body))
    assert_same(body[:start] + piece + body[start + gone :], block)


@pytest.mark.slow
@settings(max_examples=100)
@given(st.lists(FEATURES, min_size=1, max_size=3), st.sampled_from(STYLES), st.data())
def test_a_thing_that_hides_between_tags_is_found_by_both(
    kinds: list[Feature], style: Style, data: st.DataObject
) -> None:
    body = document(kinds * 5, style)
    places = [place for place in range(len(body)) if body[place : place + 1] in b"<>"]
    place = data.draw(st.sampled_from(places)) + data.draw(st.integers(0, 1))
    piece = data.draw(PIECES)
    assert_same(body[:place] + piece + body[place:], data.draw(st.integers(300, 1500)))


def read_fast(body: bytes, monkeypatch: pytest.MonkeyPatch) -> int:
    """Count the features that went past the parser."""
    count = 0
    plain = Block.read

    def counting(self: Block, start: int, reader: Any) -> int:
        nonlocal count
        number = plain(self, start, reader)
        count += number
        return number

    monkeypatch.setattr(Block, "read", counting)
    with in_blocks_of(2000):
        read(body)
    return count


@pytest.mark.parametrize("style", STYLES, ids=str)
def test_nearly_all_features_of_an_ordinary_layer_are_read_past_the_parser(
    style: Style, monkeypatch: pytest.MonkeyPatch
) -> None:
    features = [
        Feature(
            f"x.{n}",
            {"name": f"é{n}", "code": None if n % 3 else "a & b"},
            {"geo_point_2d": shapely.Point(n, 1), "geo_shape": shapely.box(0, 0, n + 1, n % 7 + 1)},
        )
        for n in range(300)
    ]
    assert read_fast(document(features, style), monkeypatch) > 250


def test_a_property_whose_tag_varies_loses_no_geometry() -> None:
    body = document(
        [Feature(f"x.{n}", {}, {"s": shapely.box(0, 0, n + 1, n % 5 + 1)}) for n in range(60)]
    )
    marked = body.split(b"<ods:s>")
    varied = b"".join(
        part + (b"<ods:s>" if n % 3 else b'<ods:s note="1">') for n, part in enumerate(marked[:-1])
    )
    assert_same(varied + marked[-1], 500)
    with in_blocks_of(500):
        assert None not in read(varied + marked[-1])["s"]


MEMBERS = Style(members="featureMember")


def test_features_of_another_type_are_not_learned_for_those_that_are_asked_for() -> None:
    # Without ids, and with the same properties, they differ by their type's name alone.
    body = document([Feature(None, {"name": f"n{n}"}) for n in range(60)], MEMBERS)
    parts = body.replace(b"ods:trees", b"ods:roads").split(b"</gml:featureMember>")
    for n in (0, 1, 20):
        parts[n] = parts[n].replace(b"ods:roads", b"ods:trees")
    mixed = b"</gml:featureMember>".join(parts)
    for block in (500, 700, 3000):
        assert assert_same(mixed, block, feature_type="trees")["name"] == ["n0", "n1", "n20"]
        assert len(assert_same(mixed, block, feature_type="roads")["name"]) == 57


def test_dates_in_elements_of_gml_are_read_past_the_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    days = [Feature(f"x.{n}", {"day": f"2026-01-{n % 28 + 1:02}"}) for n in range(300)]
    body = document(days, MEMBERS)
    for opening, closing in [
        (b"<gml:timePosition>", b"</gml:timePosition>"),
        (b"<gml:TimeInstant>\n<gml:timePosition>", b"</gml:timePosition> </gml:TimeInstant>"),
    ]:
        dated = body.replace(b"<ods:day>", b"<ods:day>" + opening)
        dated = dated.replace(b"</ods:day>", closing + b"</ods:day>")
        assert assert_same(dated, 2000)["day"] == [day.texts["day"] for day in days]
        assert_same(dated.replace(b"2026-01-05", b"<!-- -->"), 2000)
        with monkeypatch.context() as patch:
            assert read_fast(dated, patch) > 250


def test_a_layer_whose_features_are_all_different_is_left_to_the_parser(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    features = [Feature(f"x.{n}", {f"name{n % 700}": f"n{n}"}) for n in range(1500)]
    body = document(features, Style(gap="<!-- -->"))
    assert len(assert_same(body, 4000)["id"]) == 1500
    closed = []
    plain = FastReader.finish

    def watched(self: FastReader) -> None:
        closed.append(not self._enabled)
        plain(self)

    monkeypatch.setattr(FastReader, "finish", watched)
    assert read_fast(body, monkeypatch) == 0
    assert closed == [True]


def test_a_feature_of_megabytes_is_read_amid_small_ones() -> None:
    features = [Feature(f"x.{n}", {"name": "é" * (5 << 19 if n == 40 else 9)}) for n in range(80)]
    body = document(features)
    assert len(body) > 5 << 20
    assert [len(name) for name in assert_same(body, 1 << 16)["name"]][39:42] == [9, 5 << 19, 9]
    end = body.index(b"</ods:name>", 1 << 20)
    assert assert_same(body[:end], 1 << 16)[0] is Unproven


@pytest.mark.parametrize("block", [500, 20_000])
@pytest.mark.parametrize("odd", [b"a>b", b">", b"a>", b"'>'"])
def test_an_id_may_hold_what_ends_a_tag_elsewhere(odd: bytes, block: int) -> None:
    body = document([Feature(f"x.{n}", {"name": "a" * (n % 9)}) for n in range(300)])
    assert b'"x.200"' in body
    for name in (b'"x.0"', b'"x.200"', b'"x.201"'):
        body = body.replace(name, b'"' + odd + b'"')
    found = assert_same(body, block)
    assert odd.decode() in str(found)
