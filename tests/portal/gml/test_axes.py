"""Which number is the latitude: what the srsName says, and what is done where it does not."""

from typing import Any

import numpy as np
import pyproj
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from ods_pipeline.errors import ConfigurationError, GmlRefused, Unproven
from ods_pipeline.portal.gml import Collection, read_gml
from ods_pipeline.portal.gml.geometry.srs import srs
from tests.portal.gml.documents import (
    URN,
    Feature,
    Style,
    around,
    chunked,
    document,
    flat,
    read,
    shape,
)
from tests.portal.gml.test_fast import in_blocks_of

FRANCE = (-5.2, 41.3, 9.6, 51.1)
NORTH_FIRST = ["4326", "4258", "4171", "31467", "31468", "2393", "3035", "4979"]
EAST_FIRST = ["2154", "3857", "31370", "28992", "25832", "27700"]
AMBIGUOUS = ["EPSG:4326", "epsg:4326", "http://www.opengis.net/gml/srs/epsg.xml#4326", ""]


def point(name: str, text: str = "1 2", **options: Any) -> tuple[float, ...]:
    attribute = f' srsName="{name}"' if name else ""
    found = shape(f"<gml:Point{attribute}><gml:pos>{text}</gml:pos></gml:Point>", **options)
    return tuple(found.coords[0])


def points(name: str, places: list[tuple[float, float]], **options: Any) -> Collection:
    features = [Feature(f"x.{n}", {}, {"p": shapely.Point(p)}) for n, p in enumerate(places)]
    return Collection(chunked(document(features, Style(srs=name, latlon=False))), **options)


@pytest.mark.parametrize("code", NORTH_FIRST)
@pytest.mark.parametrize(
    "form",
    [
        "urn:ogc:def:crs:EPSG::{}",
        "urn:ogc:def:crs:EPSG:6.9:{}",
        "urn:x-ogc:def:crs:EPSG:{}",
        "URN:OGC:DEF:CRS:EPSG::{}",
        "http://www.opengis.net/def/crs/EPSG/0/{}",
        "https://www.opengis.net/def/crs/EPSG/0/{}",
    ],
)
def test_a_full_name_of_a_crs_that_begins_with_the_north_is_turned_round(
    form: str, code: str
) -> None:
    assert point(form.format(code))[:2] == (2, 1)
    assert srs(form.format(code)).crs == f"EPSG:{code}"


@pytest.mark.parametrize("code", EAST_FIRST)
@pytest.mark.parametrize("form", ["urn:ogc:def:crs:EPSG::{}", "EPSG:{}"])
def test_a_crs_that_begins_with_the_east_stays_as_it_is(form: str, code: str) -> None:
    assert point(form.format(code)) == (1, 2)


@pytest.mark.parametrize("code", ["31467", "31468", "2393", "3035"])
def test_a_short_name_of_a_projected_crs_means_x_and_y(code: str) -> None:
    assert point(f"EPSG:{code}") == (1, 2)


@pytest.mark.parametrize(
    "name",
    ["urn:ogc:def:crs:OGC:1.3:CRS84", "urn:ogc:def:crs:OGC::CRS84", "CRS:84", "OGC:CRS84",
     "http://www.opengis.net/def/crs/OGC/1.3/CRS84"],
)  # fmt: skip
def test_crs84_has_the_longitude_first_in_every_form(name: str) -> None:
    assert (srs(name).crs, point(name)) == ("OGC:CRS84", (1, 2))


@pytest.mark.slow
@pytest.mark.parametrize(
    "code", [*NORTH_FIRST, *EAST_FIRST, "5514", "2053", "32661", "3031", "4937"]
)
def test_the_order_is_the_one_that_proj_draws_maps_in(code: str) -> None:
    crs = pyproj.CRS(f"EPSG:{code}")
    area = crs.area_of_use
    assert area is not None
    lon, lat = 0.4 * area.west + 0.6 * area.east, 0.3 * area.south + 0.7 * area.north
    drawn = pyproj.Transformer.from_crs("OGC:CRS84", crs, always_xy=True).transform(lon, lat)
    written = pyproj.Transformer.from_crs("OGC:CRS84", crs).transform(lon, lat)
    assert srs(f"urn:ogc:def:crs:EPSG::{code}").north_first == (drawn != written)
    assert drawn in (written, written[::-1])


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_an_open_order_is_longitude_first_by_default_and_the_receipt_says_so(name: str) -> None:
    collection = points(name, [(7.5, 48.5)])
    (found,) = flat(list(collection))["p"]
    assert shapely.from_wkb(found).wkt == "POINT (7.5 48.5)"
    (note,) = collection.axis_notes
    assert "read as longitude, latitude by default" in note


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_the_option_settles_an_open_order(name: str) -> None:
    assert point(name, "48 7", axis_order="latlon") == (7, 48)
    assert point(name, "48 7", axis_order="lonlat") == (48, 7)


def test_the_option_does_not_touch_what_is_certain() -> None:
    assert point(URN, "48 7", axis_order="lonlat") == (7, 48)
    assert point("EPSG:2154", "48 7", axis_order="latlon") == (48, 7)


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_the_layers_extent_settles_an_open_order(name: str) -> None:
    for place in [(7.5, 48.5), (48.5, 7.5)]:
        collection = points(name, [place, (0, 0)], extent=FRANCE)
        (found, _) = flat(list(collection))["p"]
        assert shapely.from_wkb(found).wkt == "POINT (7.5 48.5)"
        assert "because it then lies in the layer's extent" in collection.axis_notes[0]


@pytest.mark.parametrize("place", ["5335000 4468000", "4468000 5335000"])
def test_metres_under_a_short_name_lie_where_their_system_is_used(place: str) -> None:
    # QGIS Server writes the easting first, MapServer 1.1.0 the northing; Munich is at both.
    read = points("EPSG:31468", [tuple(map(float, place.split()))])
    (found,) = flat(list(read))["p"]
    assert shapely.from_wkb(found).wkt == "POINT (4468000 5335000)"
    assert "easting" in read.axis_notes[0]
    assert "in the area that EPSG:31468 is used in" in read.axis_notes[0]


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_a_value_beyond_the_poles_settles_an_open_order(name: str) -> None:
    assert point(name, "10 -120") == (-120, 10)
    assert point(name, "-120 10") == (-120, 10)


def test_an_order_that_there_is_none_of_is_one_sentence() -> None:
    for ask in (read, read_gml):
        with pytest.raises(ConfigurationError, match=r"one of 'auto', .*, not 'bogus'"):
            ask(around(""), axis_order="bogus")  # type: ignore[operator]


@pytest.mark.parametrize("crs", ["", "OGC:CRS84"])
@pytest.mark.parametrize(
    ("name", "text", "options"),
    [
        (URN, "200 5", {}),
        ("CRS:84", "5 -91", {}),
        ("EPSG:4326", "100 120", {"extent": FRANCE}),
        ("EPSG:4326", "148 7", {"axis_order": "latlon"}),
        ("urn:ogc:def:crs:EPSG::4267", "90.001 5", {}),
        ("urn:ogc:def:crs:EPSG::4979", "-200 5 1", {}),
    ],
)
def test_a_latitude_beyond_the_pole_is_refused(
    name: str, text: str, options: dict[str, Any], crs: str
) -> None:
    with pytest.raises(GmlRefused, match=r"'geo_shape', has the latitude .* beyond the pole"):
        point(name, text, crs=crs, **options)


def test_a_latitude_beyond_the_pole_is_refused_in_a_document_at_hand() -> None:
    inner = f'<ods:s><gml:Point srsName="{URN}"><gml:pos>200 5</gml:pos></gml:Point></ods:s>'
    with pytest.raises(GmlRefused, match="the latitude 200, which is beyond the pole"):
        read_gml(around(inner))


def test_the_feature_that_lies_nowhere_is_the_one_that_is_named() -> None:
    places = [shapely.box(1, 2, 3, 4), shapely.box(1, 2, 3, 95), shapely.box(1, 2, 3, 5)]
    body = document([Feature(f"x.{n}", {}, {"s": shape}) for n, shape in enumerate(places)])
    for ask in (read, read_gml):
        with pytest.raises(GmlRefused, match=r"feature 'x\.1', property 's', has the latitude 95"):
            ask(body)  # type: ignore[operator]


def test_the_pole_may_be_missed_by_a_rounding_and_counted_in_grads() -> None:
    assert point("CRS:84", "5 -90.00000000000003") == (5, -90.00000000000003)
    assert point("urn:ogc:def:crs:EPSG::4807", "95 2") == (2, 95)
    with pytest.raises(GmlRefused, match="beyond the pole"):
        point("urn:ogc:def:crs:EPSG::4807", "101 2")


def test_numbers_that_are_no_degrees_settle_nothing() -> None:
    assert point("", "115512.666 479836.28") == (115512.666, 479836.28)


def test_later_coordinates_that_contradict_the_beginning_stop_the_reading(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    places = [(7.5, 48.5)] * 60 + [(10.0, 120.0)]
    monkeypatch.setattr("ods_pipeline.portal.gml.limits.ROWS", 10)
    with in_blocks_of(2000), pytest.raises(Unproven, match="axis_order='latlon'"):
        list(points("EPSG:4326", places))
    with in_blocks_of(2000):
        assert len(flat(list(points("EPSG:4326", places, axis_order="latlon")))["p"]) == 61


def test_a_document_at_hand_is_decided_with_all_of_it_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    places = [(7.5, 48.5)] * 60 + [(10.0, 120.0)]
    features = [Feature("x", {}, {"p": shapely.Point(place)}) for place in places]
    monkeypatch.setattr("ods_pipeline.portal.gml.limits.ROWS", 10)
    with in_blocks_of(2000):
        frame = read_gml(document(features, Style(srs="EPSG:4326", latlon=False)))
    assert frame.geometry.iloc[0].wkt == "POINT (48.5 7.5)"
    assert frame.geometry.iloc[60].wkt == "POINT (120 10)"


BOX = '<gml:boundedBy><gml:Envelope srsName="{}" srsDimension="{}"/></gml:boundedBy>'
BARE = "<gml:LineString><gml:posList>1 2 3 4 5 6</gml:posList></gml:LineString>"


def test_the_nearest_srs_name_holds() -> None:
    head = BOX.format("urn:ogc:def:crs:EPSG::4326", 2)
    assert shape(BARE, head).wkt == "LINESTRING (2 1, 4 3, 6 5)"
    own = BOX.format("urn:ogc:def:crs:EPSG::2154", 2)
    found = read(around(f"{own}<ods:s>{BARE}</ods:s>", head))
    assert found["s:crs"] == ["EPSG:2154"]
    named = BARE.replace("LineString>", 'LineString srsName="CRS:84">', 1)
    assert read(around(f"{own}<ods:s>{named}</ods:s>", head))["s:crs"] == ["OGC:CRS84"]
    inner = named.replace("posList>", f'posList srsName="{URN}">', 1)
    assert shape(inner).wkt == "LINESTRING (2 1, 4 3, 6 5)"


def test_a_box_that_was_left_holds_no_more() -> None:
    body = around(f"{BOX.format(URN, 2)}<ods:s>{BARE}</ods:s>").decode()
    bare = f'<gml:featureMember><ods:trees gml:id="x.2"><ods:s>{BARE}</ods:s></ods:trees>'
    more = body.replace("</wfs:Feat", f"{bare}</gml:featureMember></wfs:Feat")
    found = read(more.encode(), crs="OGC:CRS84")["s"]
    assert [shapely.from_wkb(wkb).coords[0] for wkb in found] == [(2, 1), (1, 2)]


def test_the_box_tells_the_dimension_where_nothing_else_does() -> None:
    assert shape(BARE, BOX.format("CRS:84", 3)).wkt == "LINESTRING Z (1 2 3, 4 5 6)"
    assert shape(BARE.replace("LineString>", 'LineString srsName="EPSG:4979">', 1)).has_z


@pytest.mark.parametrize(
    "name", ["EPSG:999999", "urn:ogc:def:crs:EPSG::0", "WGS84", "#srs1", "urn:adv:crs:X", "a b"]
)
def test_an_srs_name_that_means_nothing_is_refused_by_name(name: str) -> None:
    with pytest.raises(GmlRefused, match=f"srsName '{name}'"):
        point(name)


def test_a_compound_crs_keeps_its_height() -> None:
    name = "urn:ogc:def:crs,crs:EPSG::4326,crs:EPSG::5773"
    assert point(name, "48 7 100") == (7, 48, 100)
    assert srs(name).crs == "EPSG:4326+5773"


@pytest.mark.slow
@given(st.lists(st.tuples(st.floats(-4, 8), st.floats(42, 51)), min_size=1, max_size=5))
def test_geometry_is_brought_to_longitude_and_latitude(places: list[tuple[float, float]]) -> None:
    projected = pyproj.Transformer.from_crs("OGC:CRS84", "EPSG:2154", always_xy=True)
    there = [projected.transform(*place) for place in places]
    found = flat(list(points("urn:ogc:def:crs:EPSG::2154", there, crs="OGC:CRS84")))
    assert found["p:crs"] == ["OGC:CRS84"]
    back = [shapely.from_wkb(wkb).coords[0] for wkb in found["p"]]
    assert np.allclose(back, places, rtol=0, atol=1e-8)


@given(st.tuples(st.floats(-180, 180), st.floats(-90, 90)))
def test_degrees_of_the_same_earth_keep_every_bit(place: tuple[float, float]) -> None:
    for name in ("CRS:84", "EPSG:4326", "EPSG:4258"):
        found = flat(list(points(name, [place], crs="OGC:CRS84", axis_order="lonlat")))["p"]
        assert shapely.from_wkb(found[0]).coords[0] == place


def test_geometry_without_srs_name_is_taken_for_degrees_only_if_it_can_be() -> None:
    assert point("", "7 48", crs="OGC:CRS84") == (7, 48)
    with pytest.raises(GmlRefused, match=r"'x\.1', property 'geo_shape', has no srsName"):
        point("", "900000 6000000", crs="OGC:CRS84")


def test_coordinates_that_lie_nowhere_in_their_crs_are_refused() -> None:
    with pytest.raises(GmlRefused, match="are not possible in EPSG:32631"):
        point("EPSG:32631", "1e9 1e9", crs="OGC:CRS84")


def test_a_property_in_several_crss_is_brought_to_one() -> None:
    lambert = pyproj.Transformer.from_crs("OGC:CRS84", "EPSG:2154", always_xy=True)
    x, y = lambert.transform(2, 48)
    inner = f'<gml:Point srsName="EPSG:2154"><gml:pos>{x!r} {y!r}</gml:pos></gml:Point>'
    one = document([Feature("x.1", {}, {"s": shapely.Point(2, 48)})]).decode()
    two = f'<ods:trees gml:id="x.2"><ods:s>{inner}</ods:s></ods:trees></gml:featureMembers>'
    body = one.replace("</gml:featureMembers>", two).encode()
    with pytest.raises(GmlRefused, match=r"several CRSs \(EPSG:2154, EPSG:4326\)"):
        read(body)
    frame = read_gml(body)
    assert frame.crs == "OGC:CRS84"
    assert frame.geometry.iloc[0].wkt == "POINT (2 48)"
    assert frame.geometry.iloc[1].distance(shapely.Point(2, 48)) < 1e-8
