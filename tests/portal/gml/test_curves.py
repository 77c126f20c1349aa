"""Arcs and circles as lines: within the stated tolerance, and where GDAL has them."""

import math

import pyogrio
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from ods_pipeline.errors import GmlRefused
from tests.portal.gml.documents import around, shape
from tests.portal.gml.test_grammar import XY, curve, drawn, line


@pytest.mark.parametrize(
    "inner",
    [
        curve(line("0 0 1 1 2 0", "Arc")),
        curve(line("0 0 1 1 2 0 3 -1 4 0", "ArcString")),
        curve(line("0 0 1 1 2 0", "Circle")),
        curve(line("5 5 0 0", "LineStringSegment"), line("0 0 1 1 2 0", "Arc")),
        curve(line("0 0 1 1 2 2", "Arc")),
        curve(
            "<gml:CircleByCenterPoint><gml:pos>3 4</gml:pos><gml:radius>2</gml:radius>"
            "</gml:CircleByCenterPoint>"
        ),
        curve(
            '<gml:ArcByCenterPoint><gml:pos>3 4</gml:pos><gml:radius uom="m">2</gml:radius>'
            '<gml:startAngle uom="deg">10</gml:startAngle><gml:endAngle>130</gml:endAngle>'
            "</gml:ArcByCenterPoint>"
        ),
    ],
)
def test_curves_are_made_linear_as_gdal_does_it(inner: str) -> None:
    mine = drawn(inner)
    body = around(f"<ods:s>{inner.replace('<gml:Curve>', f'<gml:Curve{XY}>')}</ods:s>")
    (theirs,) = pyogrio.read_dataframe(body).geometry
    assert shapely.hausdorff_distance(mine, theirs, densify=0.05) < 0.003
    assert mine.is_closed == theirs.is_closed
    for end in () if mine.is_closed else (0, -1):
        assert mine.coords[end] == pytest.approx(theirs.coords[end], abs=1e-9)


@given(
    st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)),
    st.floats(0.1, 1e5),
    st.lists(st.floats(0, 6.28), min_size=3, max_size=3, unique_by=lambda angle: round(angle, 1)),
)
def test_an_arc_stays_within_its_tolerance(
    centre: tuple[float, float], radius: float, angles: list[float]
) -> None:
    places = [
        (centre[0] + radius * math.cos(angle), centre[1] + radius * math.sin(angle))
        for angle in angles
    ]
    numbers = " ".join(f"{x!r} {y!r}" for x, y in places)
    arc = drawn(curve(line(numbers, "Arc")))
    assert [arc.coords[0], arc.coords[-1]] == [places[0], places[2]]
    assert places[1] in arc.coords
    room = radius * (1 - math.cos(math.radians(2))) + 1e-6 * (1 + abs(centre[0]) + abs(centre[1]))
    steps = list(zip(arc.coords[:-1], arc.coords[1:], strict=True))
    for (x0, y0), (x1, y1) in steps:
        for x, y in ((x0, y0), ((x0 + x1) / 2, (y0 + y1) / 2)):
            assert abs(math.hypot(x - centre[0], y - centre[1]) - radius) <= room


@pytest.mark.parametrize("name", ["urn:ogc:def:crs:EPSG::31467", "EPSG:4326", "CRS:84"])
def test_an_arc_around_a_centre_is_refused_where_its_angles_are_not_certain(name: str) -> None:
    inner = curve(
        "<gml:CircleByCenterPoint><gml:pos>3 4</gml:pos><gml:radius>2</gml:radius>"
        "</gml:CircleByCenterPoint>"
    )
    with pytest.raises(GmlRefused, match="an arc around a centre, which is not supported in"):
        shape(inner.replace("<gml:Curve>", f'<gml:Curve srsName="{name}">'))
