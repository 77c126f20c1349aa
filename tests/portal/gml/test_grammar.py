"""Every kind of geometry, and every way of writing coordinates; GDAL judges where it can."""

from typing import Any

import pytest
import shapely

from ods_pipeline.errors import GmlRefused
from tests.portal.gml.documents import around, read, shape

XY = ' srsName="EPSG:2154"'
SQUARE = "0 0 4 0 4 4 0 4 0 0"


def ring(numbers: str) -> str:
    return f"<gml:LinearRing><gml:posList>{numbers}</gml:posList></gml:LinearRing>"


def polygon(numbers: str = SQUARE, name: str = "Polygon") -> str:
    return f"<gml:{name}><gml:exterior>{ring(numbers)}</gml:exterior></gml:{name}>"


def line(numbers: str, name: str = "LineString") -> str:
    return f"<gml:{name}><gml:posList>{numbers}</gml:posList></gml:{name}>"


def curve(*segments: str) -> str:
    return f"<gml:Curve><gml:segments>{''.join(segments)}</gml:segments></gml:Curve>"


def member(name: str, *parts: str) -> str:
    return "".join(f"<gml:{name}>{part}</gml:{name}>" for part in parts)


def drawn(inner: str) -> Any:
    """The geometry, with an srsName for x and y on its outermost element."""
    end = min(place for place in (inner.find(">"), inner.find("/>")) if place >= 0)
    return shape(inner[:end] + XY + inner[end:])


SHAPES = {
    "ring of curves": (
        "<gml:Polygon><gml:exterior><gml:Ring>"
        + member(
            "curveMember", line("0 0 4 0 4 4"), curve(line("4 4 0 4 0 0", "LineStringSegment"))
        )
        + "</gml:Ring></gml:exterior></gml:Polygon>",
        "POLYGON ((0 0, 4 0, 4 4, 0 4, 0 0))",
    ),
    "hole": (
        f"<gml:Polygon><gml:exterior>{ring(SQUARE)}</gml:exterior>"
        f"<gml:interior>{ring('1 1 2 1 2 2 1 1')}</gml:interior></gml:Polygon>",
        "POLYGON ((0 0, 4 0, 4 4, 0 4, 0 0), (1 1, 2 1, 2 2, 1 1))",
    ),
    "one patch": (
        f"<gml:Surface><gml:patches>{polygon(name='PolygonPatch')}</gml:patches></gml:Surface>",
        "POLYGON ((0 0, 4 0, 4 4, 0 4, 0 0))",
    ),
    "two patches": (
        f"<gml:Surface><gml:patches>{polygon(name='PolygonPatch')}"
        f"{polygon('9 9 8 9 8 8 9 9', 'Triangle')}</gml:patches></gml:Surface>",
        "MULTIPOLYGON (((0 0, 4 0, 4 4, 0 4, 0 0)), ((9 9, 8 9, 8 8, 9 9)))",
    ),
    "surfaces in a surface": (
        "<gml:MultiSurface>"
        + member(
            "surfaceMember",
            polygon(),
            "<gml:CompositeSurface>"
            + member("surfaceMember", polygon("9 9 8 9 8 8 9 9"), polygon("7 7 6 7 6 6 7 7"))
            + "</gml:CompositeSurface>",
        )
        + "</gml:MultiSurface>",
        "MULTIPOLYGON (((0 0, 4 0, 4 4, 0 4, 0 0)), ((9 9, 8 9, 8 8, 9 9)), "
        "((7 7, 6 7, 6 6, 7 7)))",
    ),
    "oriented curve": (
        "<gml:CompositeCurve>"
        + member(
            "curveMember",
            line("0 0 1 1"),
            f'<gml:OrientableCurve orientation="-"><gml:baseCurve>{line("2 0 1 1")}</gml:baseCurve>'
            "</gml:OrientableCurve>",
        )
        + "</gml:CompositeCurve>",
        "LINESTRING (0 0, 1 1, 2 0)",
    ),
    "oriented surface": (
        f"<gml:OrientableSurface><gml:baseSurface>{polygon()}</gml:baseSurface>"
        "</gml:OrientableSurface>",
        "POLYGON ((0 0, 4 0, 4 4, 0 4, 0 0))",
    ),
    "collection": (
        "<gml:MultiGeometry><gml:geometryMembers><gml:Point><gml:pos>1 2</gml:pos></gml:Point>"
        f"{line('0 0 1 1')}</gml:geometryMembers></gml:MultiGeometry>",
        "GEOMETRYCOLLECTION (POINT (1 2), LINESTRING (0 0, 1 1))",
    ),
    "envelope": (
        "<gml:Envelope><gml:lowerCorner>1 2</gml:lowerCorner><gml:upperCorner>3 4</gml:upperCorner>"
        "</gml:Envelope>",
        "POLYGON ((1 2, 3 2, 3 4, 1 4, 1 2))",
    ),
    "box": (
        "<gml:Box><gml:coordinates>1,2 3,4</gml:coordinates></gml:Box>",
        "POLYGON ((1 2, 3 2, 3 4, 1 4, 1 2))",
    ),
    "open ring": (polygon("0 0 4 0 4 4"), "POLYGON ((0 0, 4 0, 4 4, 0 0))"),
    "named geometry": (
        "<gml:Point><gml:name>1 2</gml:name><gml:description>x</gml:description>"
        "<gml:pos>3 4</gml:pos></gml:Point>",
        "POINT (3 4)",
    ),
    "empty aggregate": ("<gml:MultiGeometry/>", "GEOMETRYCOLLECTION EMPTY"),
    "empty part": (
        "<gml:MultiPolygon><gml:polygonMember/></gml:MultiPolygon>",
        "MULTIPOLYGON EMPTY",
    ),
}
EMPTY = [
    "<gml:Point/>",
    "<gml:Point><gml:pos/></gml:Point>",
    "<gml:LineString><gml:posList> </gml:posList></gml:LineString>",
    "<gml:Polygon/>",
    "<gml:Surface><gml:patches/></gml:Surface>",
]
COORDINATES = {
    '<gml:coordinates decimal="." cs="," ts=" ">1,2 3,4</gml:coordinates>': "1 2, 3 4",
    '<gml:coordinates decimal="," cs=" " ts=";">1,5 2;3,25 4</gml:coordinates>': "1.5 2, 3.25 4",
    "<gml:coordinates> 1 , 2\n3, 4 </gml:coordinates>": "1 2, 3 4",
    '<gml:coordinates cs=" " ts=",">1 2,3 4</gml:coordinates>': "1 2, 3 4",
    "<gml:coordinates>1,2,3 4,5,6</gml:coordinates>": "1 2 3, 4 5 6",
    "<gml:coord><gml:X>1</gml:X><gml:Y>2</gml:Y></gml:coord>"
    "<gml:coord><gml:X>3</gml:X><gml:Y>4</gml:Y></gml:coord>": "1 2, 3 4",
    "<gml:pos>1 2</gml:pos><gml:pos>3 4</gml:pos>": "1 2, 3 4",
    '<gml:pos srsDimension="3">1 2 3</gml:pos><gml:pos>4 5 6</gml:pos>': "1 2 3, 4 5 6",
    "<gml:pointProperty><gml:Point><gml:pos>1 2</gml:pos></gml:Point></gml:pointProperty>"
    "<gml:pos>3 4</gml:pos>": "1 2, 3 4",
    "<gml:pointRep><gml:Point><gml:pos>1 2</gml:pos></gml:Point></gml:pointRep>"
    "<gml:pointRep><gml:Point><gml:pos>3 4</gml:pos></gml:Point></gml:pointRep>": "1 2, 3 4",
    "<gml:posList>\n\t1   2\n  3 4 </gml:posList>": "1 2, 3 4",
    "<gml:posList>1.0E0 +2 3. 4e-0</gml:posList>": "1 2, 3 4",
    '<gml:posList srsDimension="3">1 2 3 4 5 6</gml:posList>': "1 2 3, 4 5 6",
    '<gml:posList dimension="3">1 2 3 4 5 6</gml:posList>': "1 2 3, 4 5 6",
    '<gml:posList count="2">1 2 3 4 5 6</gml:posList>': "1 2 3, 4 5 6",
    '<gml:posList count="2">1 2 3 4</gml:posList>': "1 2, 3 4",
}
WRONG = {
    "<gml:posList>1 2 3</gml:posList>": "3 numbers, which do not make points of 2",
    "<gml:posList>1 2</gml:posList>": "a line of one point",
    "<gml:posList>1 2 NaN 4</gml:posList>": "not numbers: '1 2 NaN 4'",
    "<gml:posList>1 2 INF 4</gml:posList>": "not numbers",
    "<gml:posList>1 2 1e999 4</gml:posList>": "not finite: '1e999'",
    "<gml:posList>1 2 0x10 4</gml:posList>": "not numbers",
    "<gml:posList>1 2 1_0 4</gml:posList>": "not numbers",
    "<gml:posList>1 2 \u0663 4</gml:posList>": "not numbers",
    "<gml:posList>1 2 1-2 4</gml:posList>": "not numbers: '1-2'",
    "<gml:posList>1,2 3,4</gml:posList>": "not numbers",
    '<gml:posList count="3">1 2 3 4</gml:posList>': "declares 3 points and has 2",
    '<gml:posList srsDimension="4">1 2 3 4</gml:posList>': "points of 4 dimensions",
    '<gml:posList srsDimension="x">1 2 3 4</gml:posList>': "dimension of 'x'",
    "<gml:pos>1 2</gml:pos><gml:pos>3 4 5</gml:pos>": "points of 2 and 3 numbers",
    '<gml:pos srsDimension="3">1 2</gml:pos>': "2 numbers in a point that declares 3",
    "<gml:coordinates>1,2 3</gml:coordinates>": "points of 1 and 2 numbers",
    '<gml:coordinates cs="," ts=",">1,2</gml:coordinates>': "separators are the same",
    "<gml:coord><gml:X>1</gml:X></gml:coord>": "not X, Y and at most Z",
    "<gml:posList>1 2 3 4<gml:pos/></gml:posList>": "pos in posList",
    '<gml:pos srsName="EPSG:2154">1 2</gml:pos><gml:pos srsName="EPSG:3857">3 4</gml:pos>': (
        "coordinates in EPSG:2154 and in EPSG:3857"
    ),
    "<gml:coordinates>1,2</gml:coordinates><gml:pos>3 4 5</gml:pos>": "with and without a height",
    "<gml:pointProperty/>": "0 elements in pointProperty instead of one",
    "1 2<gml:posList>1 2 3 4</gml:posList>": "text directly in LineString",
    "<gml:foo/><gml:posList>1 2 3 4</gml:posList>": "foo in LineString",
    "<ods:foo/><gml:posList>1 2 3 4</gml:posList>": "foo in LineString, which is not GML",
}
REFUSED = {
    polygon("0 0 1 1 0 0"): "a ring of 3 points",
    "<gml:name>x</gml:name>": "is a name, which is not supported",
    "<gml:Solid/>": "a Solid, which is not supported",
    "<gml:Tin/>": "a Tin, which is not supported",
    curve("<gml:CubicSpline><gml:posList>0 0 1 1</gml:posList></gml:CubicSpline>"): "CubicSpline",
    curve("<gml:Clothoid/>"): "Clothoid, a type of curve that is not supported",
    curve(line("0 0 1 1 2 0 3 3", "ArcString")): "4 points, which is not an odd number",
    curve(line("0 0 1e300 1 2 1e300", "Arc")): "not finite",
    curve(
        "<gml:ArcByCenterPoint><gml:pos>3 4</gml:pos><gml:radius>2</gml:radius><gml:startAngle>0"
        "</gml:startAngle><gml:endAngle>1e9</gml:endAngle></gml:ArcByCenterPoint>"
    ): "not part of one circle",
    f'<gml:Point srsDimension="{"9" * 5000}"><gml:pos>1 2</gml:pos></gml:Point>': "dimension of '9",
    curve(line("0 0 1 1", "Circle")): "a circle through 2 points instead of three",
    curve(line("0 0 1 0 0 1e-300", "Circle")): "three points that lie on one line",
    curve(
        "<gml:ArcByCenterPoint><gml:pos>3 4</gml:pos><gml:radius>2</gml:radius>"
        "</gml:ArcByCenterPoint>"
    ): "a ArcByCenterPoint without its angles",
    curve(
        "<gml:CircleByCenterPoint><gml:pos>3 4</gml:pos><gml:radius uom='km'>2</gml:radius>"
        "</gml:CircleByCenterPoint>"
    ): "a CircleByCenterPoint whose radius cannot be read",
    curve(
        "<gml:CircleByCenterPoint><gml:pos>1e308 4</gml:pos><gml:radius>1.7e308</gml:radius>"
        "</gml:CircleByCenterPoint>"
    ): "a curve with coordinates that are not finite",
    curve(
        line("0 0 1 1", "LineStringSegment"),
        "<gml:LineStringSegment><gml:posList srsDimension='3'>1 1 5 2 2 5</gml:posList>"
        "</gml:LineStringSegment>",
    ): "points with and without a height",
    "<gml:Envelope><gml:lowerCorner>1 2</gml:lowerCorner></gml:Envelope>": (
        "a box without two corners"
    ),
    f"<gml:Polygon><gml:exterior><gml:LinearRing/></gml:exterior><gml:interior>{ring(SQUARE)}"
    "</gml:interior></gml:Polygon>": "holes in an empty polygon",
    "<gml:OrientableSurface><gml:baseSurface/></gml:OrientableSurface>": (
        "0 elements in OrientableSurface instead of one"
    ),
    curve(line("0 0 1 1 2 2", "Circle")): "three points that lie on one line",
    "<gml:MultiPoint><gml:pointMember><gml:LineString/></gml:pointMember></gml:MultiPoint>": (
        "other geometry in a MultiPoint"
    ),
    "<gml:Point><gml:pos>1 2</gml:pos><gml:pos>3 4</gml:pos></gml:Point>": "2 positions in one",
    "<gml:Polygon><gml:interior/></gml:Polygon>": "0 exteriors",
    f"<gml:Polygon><gml:exterior>{ring(SQUARE)}</gml:exterior><gml:interior/></gml:Polygon>": (
        "a side that is missing"
    ),
    "<gml:Polygon><gml:exterior>"
    + ring("0 0 4 0 4 4 0 4 0 0")
    + "</gml:exterior><gml:interior><gml:LinearRing><gml:posList srsDimension='3'>1 1 0 2 1 0 2 2 0"
    + " 1 1 0</gml:posList></gml:LinearRing></gml:interior></gml:Polygon>": (
        "with and without a height"
    ),
}


@pytest.mark.parametrize("kind", SHAPES)
def test_a_geometry_is_what_gml_means_by_it(kind: str) -> None:
    inner, wkt = SHAPES[kind]
    assert drawn(inner).wkt == wkt


@pytest.mark.parametrize("inner", EMPTY)
def test_one_geometry_without_coordinates_is_none(inner: str) -> None:
    assert shape(inner) is None


@pytest.mark.parametrize("text", COORDINATES)
def test_coordinates_are_read_in_every_form(text: str) -> None:
    found = drawn(f"<gml:LineString>{text}</gml:LineString>")
    high = " Z" if COORDINATES[text].count(" ") > 3 else ""
    assert found.wkt == f"LINESTRING{high} ({COORDINATES[text]})"


@pytest.mark.parametrize("text", WRONG)
def test_coordinates_that_make_no_sense_name_the_feature_and_the_property(text: str) -> None:
    with pytest.raises(GmlRefused, match=r"'x\.1', property 'geo_shape', ") as error:
        drawn(f"<gml:LineString>{text}</gml:LineString>")
    assert WRONG[text] in str(error.value)


@pytest.mark.parametrize("inner", REFUSED)
def test_a_geometry_that_cannot_be_read_correctly_is_refused_by_name(inner: str) -> None:
    with pytest.raises(GmlRefused, match=r"'x\.1', property 'geo_shape', ") as error:
        drawn(inner)
    assert REFUSED[inner] in str(error.value)


def test_one_odd_geometry_does_not_change_its_neighbours() -> None:
    square = polygon().replace("<gml:Polygon>", f"<gml:Polygon{XY}>")
    good = f"<ods:trees><ods:s>{square}</ods:s></ods:trees>"
    odd = good.replace(SQUARE, "0 0 +4 0 4 4")
    high = good.replace(SQUARE, "0 0 1 4 0 1 4 4 1 0 0 1").replace(
        "posList>", 'posList srsDimension="3">', 1
    )
    none = "<ods:trees/>"
    body = around("").decode().replace('<ods:trees gml:id="x.1"></ods:trees>', "{}")
    order = [good, odd, none, high, good, none, odd]
    members = "</gml:featureMember><gml:featureMember>".join(order)
    found = read(body.format(members).encode())["s"]
    wkts = {
        good: "POLYGON ((0 0, 4 0, 4 4, 0 4, 0 0))",
        odd: "POLYGON ((0 0, 4 0, 4 4, 0 0))",
        high: "POLYGON Z ((0 0 1, 4 0 1, 4 4 1, 0 0 1))",
        none: None,
    }
    assert [wkb and shapely.from_wkb(wkb).wkt for wkb in found] == [wkts[one] for one in order]
