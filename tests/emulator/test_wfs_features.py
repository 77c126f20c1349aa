"""Values and geometries survive the way into GML, in every form that a quirk gives them."""

from __future__ import annotations

from typing import Any

import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shapely.geometry import shape as geojson

from ods_pipeline.emulator import Emulator, Quirks, WfsQuirks
from tests.emulator.asking import EMPTY, EVERY_TYPE, FULL
from tests.emulator.wfs_asking import (
    NIL,
    VERSIONS,
    by_gdal,
    by_hand,
    features,
    ids,
    local,
    members,
    publish_shapes,
    values,
)

UNCHECKED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
SQUARE = [[2, 48], [3.5, 48], [3.5, 49.25], [2, 48]]
HOLE = [[2.5, 48.1], [3, 48.1], [3, 48.5], [2.5, 48.1]]
HIGH = [[2, 48, 100], [3.5, 48, 101.5], [3.5, 49.25, 0], [2, 48, 100]]
LINES = {"type": "MultiLineString", "coordinates": [SQUARE[:2], SQUARE[1:3]]}
POLYGONS = {"type": "MultiPolygon", "coordinates": [[SQUARE, HOLE], [HOLE], [SQUARE, HOLE, HOLE]]}
COLLECTION = {
    "type": "GeometryCollection",
    "geometries": [{"type": "Point", "coordinates": [2, 48]}, LINES, POLYGONS],
}
SHAPES: dict[str, dict[str, Any]] = {
    "point": {"type": "Point", "coordinates": [2.1234567890123457, -48.00000000000001]},
    "tiny": {"type": "Point", "coordinates": [1e-7, 1.5e-10]},
    "line": {"type": "LineString", "coordinates": SQUARE[:3]},
    "polygon": {"type": "Polygon", "coordinates": [SQUARE]},
    "with a hole": {"type": "Polygon", "coordinates": [SQUARE, HOLE]},
    "with two holes": {"type": "Polygon", "coordinates": [SQUARE, HOLE, HOLE]},
    "points": {"type": "MultiPoint", "coordinates": SQUARE[:3]},
    "lines": LINES,
    "polygons": POLYGONS,
    "collection": COLLECTION,
    "nested": {"type": "GeometryCollection", "geometries": [COLLECTION, COLLECTION]},
    "high point": {"type": "Point", "coordinates": [2.5, 48.5, 12.25]},
    "high line": {"type": "LineString", "coordinates": HIGH[:3]},
    "high polygon": {"type": "Polygon", "coordinates": [HIGH, HIGH]},
    "high points": {"type": "MultiPoint", "coordinates": HIGH[:3]},
    "high polygons": {"type": "MultiPolygon", "coordinates": [[HIGH], [HIGH, HIGH]]},
}


def same(found: Any, expected: dict[str, Any]) -> bool:
    """Whether GDAL read the shape to the last bit; it may call a MultiPolygon a MultiSurface."""
    return shapely.to_wkb(found, flavor="iso") == shapely.to_wkb(geojson(expected), flavor="iso")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", SHAPES)
def test_every_kind_of_shape_is_read_by_gdal_as_it_was(
    version: str, name: str, empty: Emulator
) -> None:
    publish_shapes(empty, [SHAPES[name]])
    frame = by_gdal(features(empty, "shapes", version).content)
    assert same(frame.geometry.iloc[0], SHAPES[name])
    assert frame.crs.to_epsg() == 4326


@pytest.fixture(scope="module")
def empty() -> Any:
    with Emulator(sample=False) as portal:
        yield portal


numbers = st.floats(-180, 180).map(lambda x: x + 0.0)
positions = st.lists(numbers, min_size=2, max_size=2)
rings = st.lists(positions, min_size=3, max_size=6).map(lambda p: [*p, p[0]])
polygons = st.lists(rings, min_size=1, max_size=3)
simple = st.one_of(
    st.builds(lambda c: {"type": "Point", "coordinates": c}, positions),
    st.builds(lambda c: {"type": "LineString", "coordinates": c}, st.lists(positions, min_size=2)),
    st.builds(lambda c: {"type": "Polygon", "coordinates": c}, polygons),
    st.builds(lambda c: {"type": "MultiPolygon", "coordinates": c}, st.lists(polygons, min_size=1)),
)
any_shape = simple | st.builds(
    lambda g: {"type": "GeometryCollection", "geometries": g}, st.lists(simple, min_size=1)
)


@settings(
    max_examples=15,
    suppress_health_check=UNCHECKED,
)
@given(shapes=st.lists(any_shape, min_size=1, max_size=8))
def test_shapes_of_all_kinds_together_keep_every_bit(
    empty: Emulator, shapes: list[dict[str, Any]]
) -> None:
    publish_shapes(empty, shapes)
    found = members(features(empty, "shapes").content)
    assert [by_hand(feature, "shape") for feature in found] == shapes


@pytest.mark.parametrize("srs", ["urn", "x-urn", "http", "short_lonlat", "gml_lonlat", "crs84"])
def test_gdal_puts_each_form_of_srs_name_in_its_place(srs: str) -> None:
    with _portal(srs=srs) as portal:
        publish_shapes(portal, [SHAPES["with a hole"]])
        assert same(by_gdal(features(portal, "shapes").content).geometry[0], SHAPES["with a hole"])


@pytest.mark.parametrize(
    ("srs", "begins", "named"),
    [
        ("short_latlon", "48 2", True),
        ("none_latlon", "48 2", False),
        ("none_lonlat", "2 48", False),
    ],
)
def test_ambiguous_forms_come_in_either_order(srs: str, begins: str, named: bool) -> None:
    with _portal(srs=srs) as portal:
        publish_shapes(portal, [SHAPES["polygon"]])
        text = features(portal, "shapes").text
        assert f"<gml:posList>{begins} " in text
        assert ('srsName="EPSG:4326"' in text) == named


@pytest.mark.parametrize(
    "quirks",
    [
        {"positions": "pos"},
        {"positions": "coordinates", "points": "coordinates"},
        {"multi": "curved"},
        {"members": "all"},
    ],
    ids=str,
)
def test_other_forms_of_gml_mean_the_same(quirks: dict[str, str]) -> None:
    with _portal(**quirks) as portal:
        expected = [SHAPES[name] for name in SHAPES if "high" not in name]
        publish_shapes(portal, expected)
        frame = by_gdal(features(portal, "shapes").content)
        assert all(same(*pair) for pair in zip(frame.geometry, expected, strict=True))


def test_an_empty_shape_is_an_element_without_positions(empty: Emulator) -> None:
    kinds = ("Point", "LineString", "Polygon", "MultiPoint", "MultiLineString", "MultiPolygon")
    shapes = [{"type": kind, "coordinates": []} for kind in kinds]
    publish_shapes(empty, [*shapes, {"type": "GeometryCollection", "geometries": []}])
    found = members(features(empty, "shapes").content)
    assert [local(f[1][0]) for f in found] == [*kinds, "MultiGeometry"]
    assert {"".join(f[1].itertext()) for f in found} == {""}


def test_decimals_may_be_cut() -> None:
    with _portal(decimals=3) as portal:
        publish_shapes(portal, [SHAPES["point"]])
        assert "<gml:pos>-48.000 2.123</gml:pos>" in features(portal, "shapes").text


@pytest.mark.parametrize("version", VERSIONS)
def test_every_type_of_value_is_written_as_python_prints_it(portal: Emulator, version: str) -> None:
    full, null = map(values, members(features(portal, "every-type", version).content))
    assert full == {
        "code": ["01001"],
        "tags": ["a", "b c"],
        "amount": ["9007199254740993"],
        "share": ["0.1"],
        "day": ["2024-02-29"],
        "built": ["1977"],
        "seen_at": ["2024-07-01 10:00:00.250000+00:00"],
        "active": ["True"],
        "point": ["48.85 2.35"],
        "shape": ["48.0 2.0 49.0 3.0"],
        "photo": [
            f"{portal.url}/api/explore/v2.1/catalog/datasets/every-type/files/abc",
        ],
        "extra": ['{"a": 1}'],
    }
    assert null == {}


@pytest.mark.parametrize(
    ("quirks", "name", "expected"),
    [
        ({"datetimes": "T"}, "seen_at", ["2024-07-01T10:00:00.250000+00:00"]),
        ({"booleans": "lower"}, "active", ["true"]),
        ({"booleans": "number"}, "active", ["1"]),
        ({"lists": "joined"}, "tags", ["a,b c"]),
        ({"lists": "repr"}, "tags", ["['a', 'b c']"]),
        ({"short_dates": "whole"}, "built", ["1977-01-01"]),
    ],
    ids=str,
)
def test_values_have_other_forms(quirks: Any, name: str, expected: list[str]) -> None:
    with _portal(**quirks) as portal:
        portal.publish("every-type", fields=EVERY_TYPE, records=[FULL])
        assert values(members(features(portal, "every-type").content)[0])[name] == expected


@pytest.mark.parametrize("nulls", ["empty", "nil"])
def test_a_null_may_be_an_element(nulls: str) -> None:
    with _portal(nulls=nulls) as portal:
        portal.publish("every-type", fields=EVERY_TYPE, records=[EMPTY])
        [feature] = members(features(portal, "every-type").content)
        assert [local(part) for part in feature] == list(FULL)
        assert {part.get(NIL) for part in feature} == {"true" if nulls == "nil" else None}
        assert not any(part.text for part in feature)


@pytest.mark.parametrize("form", ["absent", "record", "number"])
def test_ids_have_several_forms(form: str) -> None:
    with _portal(ids=form) as portal:
        portal.publish("every-type", fields=EVERY_TYPE, records=[FULL, EMPTY])
        found = ids(features(portal, "every-type").content)
        if form == "absent":
            assert found == [None, None]
            return
        for wanted in found:
            again = features(portal, "every-type", featureId=wanted)
            assert ids(again.content) == [wanted]
        assert len(set(found)) == 2


writable = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufffe\uffff"))


@settings(
    max_examples=20,
    suppress_health_check=UNCHECKED,
)
@given(texts=st.lists(writable.filter(lambda t: all(c >= " " or c in "\t\n\r" for c in t))))
def test_any_text_survives(empty: Emulator, texts: list[str]) -> None:
    fields = [{"name": "t", "type": "text"}, {"name": "p", "type": "geo_point_2d"}]
    empty.publish("texts", fields=fields, records=[{"t": text} for text in texts])
    found = [values(f)["t"][0] or "" for f in members(features(empty, "texts").content)]
    assert found == texts


@settings(
    max_examples=20,
    suppress_health_check=UNCHECKED,
)
@given(items=st.lists(st.text(st.sampled_from("ab'\"\\\n\té"), max_size=4), min_size=1))
def test_a_list_may_be_what_python_prints(items: list[str], printing: Emulator) -> None:
    fields = [
        {"name": "t", "type": "text", "annotations": {"multivalued": [","]}},
        {"name": "p", "type": "geo_point_2d"},
    ]
    printing.publish("lists", fields=fields, records=[{"t": items}])
    [feature] = members(features(printing, "lists").content)
    assert values(feature)["t"] == [repr(items)]


@pytest.fixture(scope="module")
def printing() -> Any:
    with _portal(lists="repr") as portal:
        yield portal


def test_what_xml_cannot_hold_is_left_out(empty: Emulator) -> None:
    fields = [{"name": "t", "type": "text"}, {"name": "p", "type": "geo_point_2d"}]
    empty.publish("texts", fields=fields, records=[{"t": "a\x00b\x0bc\x1f\ufffed\uffff"}])
    assert values(members(features(empty, "texts").content)[0])["t"] == ["abcd"]


def test_a_name_that_xml_refuses_is_written_as_it_is(empty: Emulator) -> None:
    for dataset_id in ("2024-arbres", "trees@city"):
        publish_shapes(empty, [SHAPES["point"]], dataset_id)
        text = features(empty, dataset_id).text
        assert f'<ods:{dataset_id} gml:id="{dataset_id}.1">' in text


def test_a_choice_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="srs is one of urn"):
        WfsQuirks(srs="EPSG:4326")


def _portal(**quirks: Any) -> Emulator:
    return Emulator(sample=False, quirks=Quirks(wfs=WfsQuirks(**quirks)))
