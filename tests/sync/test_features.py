"""Features beside records: whole runs with `--features`, and every fault on their way."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import geopandas as gpd
import pyarrow.parquet as pq
import pytest

from ods_pipeline.emulator import Emulator, Fault, Quirks, WfsQuirks
from ods_pipeline.errors import NothingToLand, OdsPipelineError, QuotaExhausted
from ods_pipeline.lake.lake import receipt
from ods_pipeline.sync.extractor import FEATURES
from ods_pipeline.sync.landing import land
from ods_pipeline.sync.landing_request import LandingRequest
from ods_pipeline.sync.options import Mode
from tests.desk import TOWN_FIELDS, TOWNS, Bench, Desk

LAYER = "/api/wfs.*(?i:getfeature)(?!.*hits)"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Emulator(sample=False) as emulator:
        emulator.publish("towns", fields=TOWN_FIELDS, records=TOWNS)
        emulator.publish("codes", fields=TOWN_FIELDS[:2], records=[{"code": "01", "n": 1}])
        yield Desk(emulator, tmp_path)


@pytest.fixture
def bench(desk: Desk) -> Bench:
    return Bench(desk.emulator, desk.folder, kind="features")


def actions(desk: Desk, *names: str) -> dict[str, str]:
    return desk.actions(*names, features=True)


def test_features_are_read_of_geographic_datasets_alone(desk: Desk) -> None:
    assert actions(desk) == {"codes": "landed", "towns": "landed", "towns (features)": "landed"}
    assert desk.loaded("towns__features") == desk.loaded("towns") == len(TOWNS)


def test_without_the_option_no_request_goes_to_the_wfs(desk: Desk) -> None:
    desk.sync()
    assert not [request for request in desk.emulator.requests if "wfs" in request.path]


def test_a_second_run_with_features_is_one_request(desk: Desk) -> None:
    actions(desk)
    assert set(actions(desk).values()) == {"unchanged"}
    assert len(desk.emulator.requests) == 1


def test_a_name_chooses_records_and_features_of_that_dataset(desk: Desk) -> None:
    assert set(actions(desk, "towns")) == {"towns", "towns (features)"}
    assert actions(desk, "codes") == {"codes": "landed", "codes (features)": "skipped"}


def test_an_edited_label_reaches_the_layer_without_a_fetch(desk: Desk) -> None:
    actions(desk)
    desk.emulator.relabel("towns", "code", "INSEE code")
    assert actions(desk)["towns (features)"] == "described anew"
    assert len(desk.emulator.requests) == 1
    schema = pq.read_schema(desk.lake.partition("features", "towns"))
    assert schema.field("code").metadata[b"label"] == b"INSEE code"


def test_a_republication_of_the_same_features_loads_nothing(desk: Desk) -> None:
    actions(desk)
    desk.emulator.republish("towns")
    outcome = desk.sync(features=True)["towns (features)"]
    assert (outcome.action, outcome.loaded) == ("same content", "unchanged")


def test_a_dataset_that_is_geographic_no_more_keeps_its_layer(desk: Desk) -> None:
    actions(desk)
    records = [{key: row[key] for key in ("code", "n")} for row in TOWNS]
    desk.emulator.publish("towns", fields=TOWN_FIELDS[:2], records=records)
    outcome = desk.sync(features=True)["towns (features)"]
    assert (outcome.action, outcome.reason) == (
        "held",
        "it is no longer geographic; what is landed stays",
    )
    assert desk.loaded("towns__features") == len(TOWNS)


def test_an_order_of_axes_that_the_server_leaves_open_can_be_said(tmp_path: Path) -> None:
    north = [{"code": "1", "n": 1, "where": {"lon": 2.5, "lat": 48}}]
    with Emulator(sample=False, quirks=Quirks(wfs=WfsQuirks(srs="none_latlon"))) as emulator:
        emulator.publish("towns", fields=TOWN_FIELDS, records=north)
        desk = Desk(emulator, tmp_path)
        outcome = desk.sync(features=True, axis_order="latlon")["towns (features)"]
        assert outcome.note.endswith("read as latitude, longitude as asked")
        path = desk.lake.partition("features", "towns")
        assert gpd.read_parquet(path).geometry.iloc[0].wkt == "POINT (2.5 48)"
        told = receipt(path)
        assert told
        assert told.note == outcome.note


def test_a_comparison_of_features_lands_nothing_and_says_what_differs(desk: Desk) -> None:
    actions(desk)
    desk.emulator.publish("towns", fields=TOWN_FIELDS, records=TOWNS[:3])
    before = desk.lake.partition("features", "towns").read_bytes()
    outcomes = desk.actions(features=True, mode=Mode.verify)
    assert outcomes["towns (features)"] == "differs"
    assert desk.lake.partition("features", "towns").read_bytes() == before


def test_a_landed_layer_is_geoparquet_with_its_receipt(bench: Bench) -> None:
    told = bench.land(extractor=FEATURES).receipt
    assert told == receipt(bench.file)
    assert (told.kind, told.format, told.rows) == ("features", "gml", len(TOWNS))
    assert told.proof.startswith(f"{len(TOWNS)} features = hits {len(TOWNS)}")
    assert told.source_url.startswith(f"{bench.emulator.url}/api/wfs?")
    assert gpd.read_parquet(bench.file).crs == "OGC:CRS84"


def test_a_dataset_without_geography_has_no_layer(bench: Bench) -> None:
    with pytest.raises(NothingToLand, match="codes has no geographic field"):
        land(
            bench.portal,
            LandingRequest(bench.portal.dataset("codes"), extractor=FEATURES),
            bench.lake,
        )


FAULTS: dict[str, Any] = {
    "cut before anything": Fault.cut(0),
    "cut in the middle": Fault.cut(400),
    "reset": Fault.reset(),
    "a short body that ends cleanly": Fault.short_rows(3),
    "a collection without features": Fault.header_only(),
    "an error after the end": Fault.appended_error(),
    "an exception report amid the features": Fault.exception_report(5),
    "a web page": Fault.html(),
    "nothing at all": Fault.empty_body(),
    "bad gateway": Fault.status(502),
    "unavailable": Fault.status(503),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_fault_that_passes_is_survived(bench: Bench, fault: Fault) -> None:
    bench.emulator.fail(LAYER, fault, times=1)
    try:
        assert bench.land(extractor=FEATURES).receipt.rows == len(TOWNS)
    except OdsPipelineError:
        # What may be a login page is not asked for twice; it must still be said aloud.
        bench.untouched()
        assert fault.kind == "html"


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_fault_that_lasts_is_said_aloud_and_the_old_layer_stays(
    bench: Bench, fault: Fault
) -> None:
    bench.land(extractor=FEATURES)
    before = bench.file.read_bytes()
    bench.emulator.publish("towns", fields=TOWN_FIELDS, records=TOWNS[:10])
    bench.emulator.fail(LAYER, fault, times=None)
    with pytest.raises(OdsPipelineError) as failure:
        bench.land(extractor=FEATURES)
    assert str(failure.value).count("\n") == 0
    assert "towns" in str(failure.value)
    assert bench.file.read_bytes() == before
    assert not list((bench.lake.root / ".incoming").iterdir())


def test_a_spent_quota_ends_the_landing_with_the_time_of_its_reset(bench: Bench) -> None:
    bench.emulator.fail("/api/wfs", Fault.quota("2099-01-01T00:00:00Z"), times=None)
    with pytest.raises(QuotaExhausted, match="2099-01-01"):
        bench.land(extractor=FEATURES)
    bench.untouched()


def test_a_layer_that_is_republished_while_it_is_read_is_read_again(bench: Bench) -> None:
    read = bench.dataset()
    bench.emulator.publish("towns", records=TOWNS[:7])
    assert (
        land(bench.portal, LandingRequest(read, extractor=FEATURES), bench.lake).receipt.rows == 7
    )
