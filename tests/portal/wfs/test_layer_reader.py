"""Large layers: pages are followed, and capped ones are read by bounding boxes or refused."""

import random
from collections import Counter
from typing import Any

import pytest

from ods_pipeline.emulator import Emulator, Fault, Quirks, WfsQuirks
from ods_pipeline.errors import GmlRefused, OdsPipelineError, QuotaExhausted, Unproven
from ods_pipeline.portal.portal import Portal
from ods_pipeline.portal.wfs import Version, layer_reader
from ods_pipeline.portal.wfs.layer_reader import WORLD, around, quarters

FIELDS = [
    {"name": "n", "type": "int"},
    {"name": "here", "type": "geo_point_2d"},
    {"name": "shape", "type": "geo_shape"},
]
BOX = {"type": "Polygon", "coordinates": [[[2, 48], [3, 48], [3, 49], [2, 49], [2, 48]]]}


def scattered(count: int, spread: float = 1.0) -> list[dict[str, Any]]:
    """Points, and lines that lie in several boxes, around Paris."""
    chance = random.Random(7)
    records = []
    for number in range(count):
        lon, lat = 2 + chance.random() * spread, 48 + chance.random() * spread
        shape: dict[str, Any] = {"type": "Point", "coordinates": [lon, lat]}
        if number % 5 == 0:
            shape = {"type": "LineString", "coordinates": [[lon, lat], [lon + spread / 2, lat]]}
        records.append({"n": number, "here": {"lon": lon, "lat": lat}, "shape": shape})
    return records


def portal_of(quirks: WfsQuirks, records: list[dict[str, Any]]) -> Emulator:
    running = Emulator(sample=False, quota=10**9, quirks=Quirks(wfs=quirks))
    running.publish("d", fields=FIELDS, records=records)
    return running


def asked_with(emulator: Emulator, name: str) -> list[str]:
    return [r.query[name] for r in emulator.requests if name in r.query]


def test_pages_are_followed_to_their_end() -> None:
    with portal_of(WfsQuirks(page=7), scattered(50)) as emulator:
        layer = Portal(emulator.url).features("d", "2.0.0")
        assert sorted(layer["n"]) == list(range(50))
        assert not asked_with(emulator, "bbox")


def test_pages_that_lead_in_a_circle_or_elsewhere_are_refused() -> None:
    for link, said in [("loop", "circle"), ("elsewhere", "another host")]:
        with portal_of(WfsQuirks(page=7, next_link=link), scattered(50)) as emulator:
            with pytest.raises(GmlRefused, match=said) as failure:
                Portal(emulator.url).features("d", "2.0.0")
            assert failure.value.url


def test_pages_that_overlap_are_refused_though_their_number_is_right() -> None:
    for page, count in [(2, 4), (7, 50)]:
        with (
            portal_of(WfsQuirks(page=page, next_link="overlap"), scattered(count)) as emulator,
            pytest.raises(Unproven, match=r"features that the WFS gives, \d+ came twice"),
        ):
            Portal(emulator.url).features("d", "2.0.0")


def test_records_that_are_the_same_may_be_named_alike_in_one_answer() -> None:
    with portal_of(WfsQuirks(ids="record"), scattered(1) * 3) as emulator:
        assert len(Portal(emulator.url).features("d", "2.0.0")) == 3


@pytest.mark.slow
@pytest.mark.parametrize(
    "quirks",
    [
        WfsQuirks(cap=40, cap_count="honest"),
        WfsQuirks(cap=40, cap_count="lying"),
        WfsQuirks(cap=40, counts="unknown"),
        WfsQuirks(page=40, next_link="missing"),
    ],
    ids=["honest", "lying", "unknown", "missing link"],
)
def test_a_capped_layer_is_read_whole_by_bounding_boxes_each_feature_once(
    quirks: WfsQuirks,
) -> None:
    with portal_of(quirks, scattered(300)) as emulator:
        emulator.describe("d", bbox=BOX)
        layer = Portal(emulator.url).features("d", "2.0.0")
        assert Counter(layer["n"]) == Counter(range(300))
        assert layer.attrs["proof"] == "300 features = hits 300 = live count 300"
        assert "40 of 300 features at once" in layer.attrs["notes"][-1]
        assert 8 <= len(set(asked_with(emulator, "bbox"))) < 100


def test_an_edit_in_the_middle_is_no_cap_and_costs_few_requests() -> None:
    with portal_of(WfsQuirks(hits_off=1), scattered(100)) as emulator:
        emulator.describe("d", bbox=BOX)
        with pytest.raises(Unproven, match="100 of 101 features at once"):
            Portal(emulator.url).features("d", "2.0.0")
        assert len(emulator.requests) < 25


def test_a_layer_that_would_take_thousands_of_boxes_is_not_begun() -> None:
    with portal_of(WfsQuirks(cap=1), scattered(300)) as emulator:
        with pytest.raises(Unproven, match="more than 1000 requests"):
            Portal(emulator.url).features("d", "2.0.0")
        assert not asked_with(emulator, "bbox")


@pytest.mark.slow
def test_boxes_stop_at_the_number_of_requests_that_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(layer_reader, "_MOST_REQUESTS", 100)
    records = [*scattered(80, spread=0.001), *scattered(20)]
    with portal_of(WfsQuirks(cap=8, counts="unknown"), records) as emulator:
        emulator.describe("d", bbox=BOX)
        with pytest.raises(Unproven, match="boxes would take more than 100 requests"):
            Portal(emulator.url).features("d", "2.0.0")
        wfs = [r for r in emulator.requests if r.path == "/api/wfs"]
        assert 100 <= len(wfs) <= 110


@pytest.mark.slow
@pytest.mark.parametrize("fault", [Fault.html(), Fault.status(403), Fault.exception_report()])
def test_capabilities_that_are_not_to_be_had_leave_the_catalogs_extent(fault: Fault) -> None:
    with portal_of(WfsQuirks(cap=40), scattered(100)) as emulator:
        emulator.describe("d", bbox=BOX)
        emulator.fail("GetCapabilities", fault, times=None)
        assert len(Portal(emulator.url).features("d", "2.0.0")) == 100


def test_a_quota_that_ends_at_the_capabilities_ends_the_layer() -> None:
    with portal_of(WfsQuirks(cap=40), scattered(100)) as emulator:
        emulator.fail("GetCapabilities", Fault.quota(), times=None)
        with pytest.raises(QuotaExhausted):
            Portal(emulator.url).features("d", "2.0.0")


def test_features_beyond_the_extent_that_the_portal_states_are_found_too() -> None:
    far = [
        {"n": 100 + place, "shape": {"type": "Point", "coordinates": [lon, lat]}}
        for place, (lon, lat) in enumerate([(-179, 0), (179, 0), (2.5, -89), (2.5, 89), (0, 0)])
    ]
    with portal_of(WfsQuirks(cap=40), scattered(100) + far) as emulator:
        emulator.describe("d", bbox=BOX)
        assert len(Portal(emulator.url).features("d", "2.0.0")) == 105


@pytest.mark.slow
@pytest.mark.parametrize(
    ("quirks", "records"),
    [
        (WfsQuirks(cap=40), [*scattered(60), *({"n": 60 + n} for n in range(3))]),
        (WfsQuirks(cap=40), scattered(60, spread=0.0)),
        (WfsQuirks(cap=40, ids="absent"), scattered(60)),
    ],
    ids=["no geometry", "one place", "no identifiers"],
)
def test_a_layer_that_boxes_cannot_have_whole_says_so_and_where_it_is_to_be_had(
    quirks: WfsQuirks, records: list[dict[str, Any]]
) -> None:
    with portal_of(quirks, records) as emulator:
        said = "cannot be read completely through WFS; the records can, by the Parquet export"
        with pytest.raises(Unproven, match=said):
            Portal(emulator.url).features("d", "2.0.0")
        assert len(emulator.requests) < 100


@pytest.mark.parametrize("told", ["honest", "lying"])
def test_a_cap_in_one_one_names_the_other_version_and_the_parquet_export(told: str) -> None:
    with portal_of(WfsQuirks(cap=40, cap_count=told), scattered(60)) as emulator:
        with pytest.raises(Unproven, match=r"--wfs-version 2\.0\.0.*or use .* records"):
            Portal(emulator.url).features("d")
        assert not asked_with(emulator, "bbox")


def test_a_layer_that_is_not_capped_costs_one_request_and_its_counts() -> None:
    with portal_of(WfsQuirks(), scattered(60)) as emulator:
        for version, most in [("1.1.0", 2), ("2.0.0", 3)]:
            emulator.requests.clear()
            Portal(emulator.url).features("d", version)  # type: ignore[arg-type]
            assert len([r for r in emulator.requests if r.path == "/api/wfs"]) == most


def test_an_error_in_a_box_is_the_layers_error() -> None:
    with portal_of(WfsQuirks(cap=40), scattered(100)) as emulator:
        emulator.fail("bbox=", Fault.html(), times=None)
        with pytest.raises(OdsPipelineError, match="web page"):
            Portal(emulator.url).features("d", "2.0.0")


def test_quarters_and_what_is_around_them_cover_the_world_once() -> None:
    assert quarters((0, 0, 2, 4)) == [(0, 0, 1, 2), (1, 0, 2, 2), (0, 2, 1, 4), (1, 2, 2, 4)]
    assert quarters((1, 1, 1, 1)) == []
    assert len(quarters((0, 0, 0, 4))) == 2
    box = (2.0, 48.0, 3.0, 49.0)
    area = sum((e - w) * (n - s) for w, s, e, n in [*quarters(box), *around(box)])
    assert area == 360 * 180
    assert around(WORLD) == []


@pytest.mark.parametrize("counts", ["told", "unknown"])
def test_pages_that_never_end_are_refused_after_a_few(counts: str) -> None:
    quirks = WfsQuirks(page=7, next_link="endless", counts=counts)
    with portal_of(quirks, scattered(50)) as emulator:
        with pytest.raises(Unproven, match=r"do not end|came twice"):
            Portal(emulator.url).features("d", "2.0.0")
        assert len(emulator.requests) < 20


@pytest.mark.slow
@pytest.mark.parametrize("version", ["1.1.0", "2.0.0"])
@pytest.mark.parametrize("srs", ["short_latlon", "none_latlon", "short_lonlat", "none_lonlat"])
def test_without_an_extent_in_the_catalog_the_records_settle_an_open_order(
    version: Version, srs: str
) -> None:
    with portal_of(WfsQuirks(srs=srs), scattered(50)) as emulator:
        portal = Portal(emulator.url)
        layer = portal.features("d", version)
        records = portal.records("d")
        for name in ("here", "shape"):
            assert layer[name].to_wkb().tolist() == records[name].to_pylist()
        assert "lies in the layer's extent" in layer.attrs["notes"][0]
