"""A root is a feature collection by what it holds, and a page is read if a page is wanted."""

from typing import Any

import pytest

from ods_pipeline.errors import GmlRefused, OdsPipelineError, ServiceException, Unproven
from ods_pipeline.portal.gml import Collection, read_gml
from tests.portal.gml.documents import Feature, Style, chunked, document, read
from tests.portal.gml.test_fast import in_blocks_of, outcome, parsed_only

GML = "http://www.opengis.net/gml"
BOX = "<gml:boundedBy><gml:Envelope srsName='EPSG:2154'/></gml:boundedBy>"
NO_BOX = "<gml:boundedBy><gml:null>missing</gml:null></gml:boundedBy>"
#: Root, its namespace, members, what stands before them.
ROOTS = {
    "GDAL": ("ogr:FeatureCollection", "http://ogr.maptools.org/", "gml:featureMember", BOX),
    "GDAL, 3.2": ("ogr:FeatureCollection", "http://ogr.maptools.org/", "ogr:featureMember", NO_BOX),
    "simple": ("sf:SimpleFeatureCollection", "urn:sf", "sf:featureMember", ""),
    "simple, together": ("sf:SimpleFeatureCollection", "urn:sf", "gml:featureMembers", BOX),
    "MapServer": ("ms:msFeatureCollection", "urn:ms", "gml:featureMember", NO_BOX),
    "MapServer, 2": ("ms:msFeatureCollection", "http://mapserver.gis.umn.edu/mapserver",
                     "wfs:member", BOX),
    "INSPIRE": ("base:SpatialDataSet", "http://inspire.ec.europa.eu/schemas/base/3.3",
                "base:member", "<base:identifier><base:Identifier/></base:identifier>"),
    "no FeatureCollection": ("city:Bestand", "urn:city", "gml:featureMember", ""),
    "no namespace": ("Baeume", "", "featureMembers", "<gml:name>oaks</gml:name>" + BOX),
    "described by its own": ("app:LayerCollection", "urn:app", "app:member",
                             "<app:name>a</app:name>"),
    "of the protocol": ("wfs:SimpleFeatureCollection", "http://www.opengis.net/wfs/2.0",
                        "wfs:member", ""),
    "after an empty member": ("app:TreeCollection", "urn:app", "app:member", "<app:member/>"),
    "members by name": ("app:Layer", "urn:app", "app:featureMember", "<app:featureMember/>"),
}  # fmt: skip


def collection(
    root: str, namespace: str, member: str, head: str, features: int = 3, attributes: str = ""
) -> bytes:
    prefix, colon, _ = root.rpartition(":")
    space = f'xmlns:{prefix}="{namespace}" ' if colon and prefix != "wfs" else ""
    each = [
        f'<t:tree gml:id="t.{n}"><t:name>n{n}</t:name><t:place><gml:Point srsName="EPSG:2154">'
        f"<gml:pos>{n} 2</gml:pos></gml:Point></t:place></t:tree>"
        for n in range(features)
    ]
    if member.endswith("s"):
        held = f"<{member}>{''.join(each)}</{member}>"
    else:
        held = "".join(f"<{member}>{one}</{member}>" for one in each)
    return (
        f'<{root} {space}xmlns:gml="{GML}" xmlns:wfs="http://www.opengis.net/wfs/2.0" '
        f'xmlns:t="urn:t" gml:id="c"{attributes}>\n{head}\n{held}</{root}>'
    ).encode()


@pytest.mark.parametrize("kind", ROOTS)
def test_a_collection_by_another_name_is_read_as_one(kind: str) -> None:
    frame = read_gml(collection(*ROOTS[kind]))
    assert frame["gml_id"].tolist() == ["t.0", "t.1", "t.2"]
    assert frame["name"].tolist() == ["n0", "n1", "n2"]
    assert [point.x for point in frame["place"]] == [0, 1, 2]


@pytest.mark.parametrize("kind", ROOTS)
def test_the_fast_way_reads_it_like_the_parser_wherever_chunks_begin(kind: str) -> None:
    body = collection(*ROOTS[kind], features=60)
    with parsed_only():
        slow = read(body)
    assert len(slow["id"]) == 60
    for size in (1, 64, 1 << 10):
        with in_blocks_of(size):
            assert read(body, size) == slow


@pytest.mark.parametrize("kind", ROOTS)
def test_cut_at_any_byte_it_is_an_error(kind: str) -> None:
    body = collection(*ROOTS[kind], features=1)
    for end in range(len(body)):
        with pytest.raises(Unproven):
            read(body[:end])


@pytest.mark.parametrize("said", [2, 4])
@pytest.mark.parametrize("kind", ROOTS)
def test_its_counts_are_compared_with_its_features(kind: str, said: int) -> None:
    attributes = f' numberMatched="{said}" numberReturned="{said}"'
    with pytest.raises(Unproven, match=f"says that it holds {said} features and holds 3"):
        read(collection(*ROOTS[kind], attributes=attributes))


@pytest.mark.parametrize(
    "body",
    [
        f'<ms:msFeatureCollection xmlns:ms="urn:ms" xmlns:gml="{GML}">{NO_BOX}'
        "</ms:msFeatureCollection>",
        '<sf:SimpleFeatureCollection xmlns:sf="urn:sf"/>',
        f'<Bestandsammlung.Collection xmlns:gml="{GML}" gml:id="b" numberOfFeatures="0">{BOX}'
        "</Bestandsammlung.Collection>",
        '<app:LayerCollection xmlns:app="urn:app" numberMatched="0" numberReturned="0"/>',
    ],
)
def test_without_members_its_name_tells_an_empty_collection(body: str) -> None:
    assert len(read_gml(body.encode())) == 0


@pytest.mark.parametrize(
    ("inside", "found"),
    [
        ("<c:member>Ann</c:member><c:member>Bob</c:member>", {"member": [["Ann", "Bob"]]}),
        ("<c:member/><c:name>a</c:name>", {"member": [""], "name": ["a"]}),
        (f"{BOX}<gml:name>a</gml:name><c:n>1</c:n>", {"gml_name": ["a"], "n": ["1"]}),
        ("<c:name>a</c:name>", {"name": ["a"]}),
        ("", {}),
    ],
)
def test_a_feature_of_its_own_stays_a_feature(inside: str, found: dict[str, Any]) -> None:
    body = f'<c:club xmlns:c="urn:c" xmlns:gml="{GML}" gml:id="c.1">{inside}</c:club>'
    assert read(body.encode()) == {"id": ["c.1"], **found}


def test_a_geometry_called_member_stays_a_property() -> None:
    point = '<gml:Point srsName="EPSG:2154"><gml:pos>1 2</gml:pos></gml:Point>'
    body = (
        f'<c:club xmlns:c="urn:c" xmlns:gml="{GML}" gml:id="c.1">'
        f"<c:member>{point}</c:member></c:club>"
    )
    assert read(body.encode())["member:crs"] == ["EPSG:2154"]


@pytest.mark.parametrize(
    ("body", "error", "says"),
    [
        ("<error><message>quota</message></error>", GmlRefused, "root element is error"),
        ("<error>quota</error>", GmlRefused, "root element is error"),
        ("<error><member>a</member></error>", GmlRefused, "root element is error"),
        ("<e/>", GmlRefused, "root element is e"),
        ('<e xmlns:b="urn:b"><b:member><b:x/></b:member></e>', GmlRefused, "root element is e"),
        ("<a><name>" + "<b/>" * 20_000, GmlRefused, "root element is a"),
        ("<a><name>" + "b\n" * 2_000_000 + "<b>", GmlRefused, "root element is a"),
        (
            '<q:Thing xmlns:q="urn:q" numberMatched="0" numberReturned="0"/>',
            GmlRefused,
            "root element is Thing",
        ),
        ('<q:Thing xmlns:q="urn:q" fid="a" numberOfFeatures="0"/>', GmlRefused, "is Thing"),
        (
            '<q:Thing xmlns:q="urn:q"><q:member><q:a fid="x"/></q:member></q:Thing>',
            GmlRefused,
            "root element is Thing",
        ),
        (
            '<q:Thing xmlns:q="urn:q" fid="t"><q:member><q:a fid="x"/></q:member></q:Thing>',
            GmlRefused,
            "property 'member', holds a, which is neither text nor geometry",
        ),
        ('<q:Hoard.Collection xmlns:q="urn:q"/>', GmlRefused, "root element is Hoard.Collection"),
        (
            '<a><member><ows:ExceptionReport xmlns:ows="http://www.opengis.net/ows"><ows:Exception'
            ' exceptionCode="Full"/></ows:ExceptionReport></member></a>',
            ServiceException,
            "Full",
        ),
    ],
)
def test_what_is_neither_is_refused_at_its_beginning(
    body: str, error: type[OdsPipelineError], says: str
) -> None:
    with pytest.raises(error, match=says):
        read(body.encode())


def page(returned: object, matched: object, held: int = 2, **options: Any) -> bytes:
    said = {"numberMatched": matched, "numberReturned": returned, **options}
    features = [Feature(f"x.{n}", {"name": str(n)}) for n in range(held)]
    return document(features, Style("2.0.0", "member"), **said)


@pytest.mark.parametrize("held", [1, 2, 50])
@pytest.mark.parametrize("matched", [51, 10_000])
def test_a_page_of_a_longer_answer_is_read_if_a_part_is_wanted(held: int, matched: int) -> None:
    body = page(held, matched, held)
    with pytest.raises(Unproven, match=r"it is not whole; read such a page with partial=True"):
        read_gml(body)
    assert read_gml(body, partial=True)["name"].tolist() == [str(n) for n in range(held)]


def test_a_page_of_another_root_is_read_too() -> None:
    for kind in ("simple", "MapServer, 2"):
        body = collection(*ROOTS[kind], attributes=' numberMatched="9" numberReturned="3"')
        with pytest.raises(Unproven, match="it is not whole"):
            read_gml(body)
        assert len(read_gml(body, partial=True)) == 3


@pytest.mark.parametrize(("returned", "held"), [(3, 2), (50, 1), (1, 2), (2, 0)])
def test_a_page_with_other_features_than_it_says_is_refused(returned: int, held: int) -> None:
    with pytest.raises(Unproven, match=f"holds {returned} features and holds {held}"):
        read_gml(page(returned, 99, held), partial=True)


def test_a_page_that_does_not_say_how_many_it_holds_is_refused() -> None:
    body = document([Feature("x.1")], Style("2.0.0", "member"), numberMatched=9)
    with pytest.raises(Unproven, match=r"9 features match, and holds 1: it is not whole$"):
        read_gml(body, partial=True)


def test_a_page_cut_at_any_byte_is_refused() -> None:
    body = page(2, 99)
    for end in range(len(body)):
        with pytest.raises(Unproven):
            read_gml(body[:end], partial=True)


def test_a_page_of_several_types_may_hold_pages_of_each() -> None:
    inner = page(2, 7).decode().partition("?>")[2]
    outer = page(2, 7, 0).decode().replace("</wfs:F", f"<wfs:member>{inner}</wfs:member></wfs:F")
    with pytest.raises(Unproven, match="it is not whole"):
        read_gml(outer.encode())
    assert len(read_gml(outer.encode(), partial=True)) == 2


def test_a_whole_document_is_read_with_partial_as_without() -> None:
    for body in (page(2, 2), page(2, "unknown"), document([Feature("x.1")])):
        assert read_gml(body, partial=True).equals(read_gml(body))


def test_a_large_page_is_read_alike_in_both_ways() -> None:
    body = page(3000, 9000, 3000)
    with parsed_only():
        slow = outcome(body, partial=True)
    with in_blocks_of(1 << 12):
        assert outcome(body, partial=True) == slow
    assert sum(batch.rows for batch in Collection(chunked(body), partial=True)) == 3000
