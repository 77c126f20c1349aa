"""What a server writes comes back as it was: any geometry, any text, in every form of GML."""

from itertools import product
from typing import Any

import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.portal.gml.documents import URN, Feature, Style, document, read
from tests.portal.gml.shapes import EMPTY, SHAPES

STYLES = [
    Style(version=version, members=members, form=form, ids=ids, bounded=ids, dimension=dimension)
    for (version, members), form, ids, dimension in product(
        [("1.1.0", "featureMember"), ("1.1.0", "featureMembers"), ("2.0.0", "member")],
        ["posList", "pos", "coordinates"],
        [False, True],
        ["posList", "geometry"],
    )
]
FORMS_OF_4326 = {
    URN: True,
    "urn:x-ogc:def:crs:EPSG:4326": True,
    "http://www.opengis.net/def/crs/EPSG/0/4326": True,
    "urn:ogc:def:crs:OGC:1.3:CRS84": False,
    "CRS:84": False,
}
TEXT = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=12
) | st.sampled_from(["", " ", "  a ", "\t\n", "<a>&amp;", "]]>", "é", "𝄞", "&#233;", "01001"])
SINGLE = {"Point", "LineString", "Polygon"}
VALUES = st.none() | TEXT | st.lists(TEXT, min_size=2, max_size=3)


def wkb(shape: Any) -> bytes | None:
    if shape is None:
        return None
    return bytes(shapely.to_wkb(shape, byte_order=1, flavor="iso", output_dimension=3))


def same(one: bytes | None, shape: Any) -> bool:
    nothing = shape is None or (shape.is_empty and shape.geom_type in SINGLE)
    if one is None or nothing:
        return one is None and nothing
    return bool(shapely.from_wkb(one).equals_exact(shape)) and (
        shapely.from_wkb(one).has_z == shape.has_z or shape.is_empty
    )


@settings(max_examples=150)
@given(st.lists(st.none() | SHAPES | EMPTY, min_size=1, max_size=5), st.sampled_from(STYLES))
def test_any_geometry_comes_back_to_the_last_bit(shapes: list[Any], style: Style) -> None:
    features = [Feature(f"x.{n}", {"n": str(n)}, {"geo_shape": s}) for n, s in enumerate(shapes)]
    found = read(document(features, style))
    read_back = found.get("geo_shape", [None] * len(shapes))
    assert len(read_back) == len(shapes)
    assert all(map(same, read_back, shapes)), (found, style)


@pytest.mark.parametrize(("srs", "latlon"), FORMS_OF_4326.items())
@settings(max_examples=20)
@given(shape=SHAPES)
def test_every_form_of_srs_name_leads_to_the_same_place(srs: str, latlon: bool, shape: Any) -> None:
    style = Style(srs=srs, latlon=latlon)
    found = read(document([Feature("x", {}, {"geo_shape": shape})], style), crs="OGC:CRS84")
    assert same(found["geo_shape"][0], shape)


@settings(max_examples=150)
@given(
    st.lists(st.tuples(st.none() | TEXT.filter(str.strip), VALUES, VALUES), min_size=1, max_size=5),
    st.sampled_from(STYLES),
)
def test_any_text_comes_back_as_it_was(rows: list[tuple[Any, ...]], style: Style) -> None:
    features = [Feature("x", {"name": a, "other-name": b}) for _, a, b in rows]
    found = read(document(features, style))
    for number, name in ((1, "name"), (2, "other-name")):
        values = [row[number] for row in rows]
        if any(isinstance(value, list) for value in values):
            values = [[v] if isinstance(v, str) else v for v in values]
        assert found.get(name, [None] * len(rows)) == values
