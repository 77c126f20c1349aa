"""A portal that speaks Explore API v2.0 alone is read as any other, with the same proofs."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from ods_pipeline.emulator import Emulator, Fault
from ods_pipeline.emulator.quirks import Quirks
from ods_pipeline.errors import ConfigurationError, DatasetNotFound, NotAPortal
from ods_pipeline.portal.http.versions import NEWEST, OLDER
from ods_pipeline.portal.portal import Portal
from ods_pipeline.sync.file_export import export_catalog, export_dataset
from tests.desk import FIELDS, TOWN_FIELDS, TOWNS, Desk, rows
from tests.emulator.asking import EMPTY, EVERY_TYPE, FULL
from tests.portal.answers import document, portal_of

V2_0 = Quirks(dialect="v2.0")


def fill(emulator: Emulator) -> None:
    emulator.publish("towns", TOWN_FIELDS, TOWNS, {"title": "Towns"})
    emulator.publish("roads", FIELDS, rows(50), {"title": "Roads"})
    emulator.publish("every-type", EVERY_TYPE, [{**FULL, "tags": ["a", "b"]}, EMPTY])


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(sample=False, quirks=V2_0) as emulator:
        fill(emulator)
        yield emulator


@pytest.fixture
def desk(emulator: Emulator, tmp_path: Path) -> Desk:
    return Desk(emulator, tmp_path)


def test_a_portal_of_v2_0_is_synced_and_then_unchanged(desk: Desk) -> None:
    assert {*desk.actions().values()} == {"landed"}
    assert {*desk.actions().values()} == {"unchanged"}
    # v2.1 is asked first, whatever was spoken before; then nothing but the catalog.
    paths = [request.path for request in desk.emulator.requests]
    assert paths == [
        "/api/explore/v2.1/catalog/exports/json",
        "/api/explore/v2.1/catalog/datasets",
        "/api/explore/v2.0/catalog/datasets",
        "/api/explore/v2.0/catalog/datasets",
        "/api/explore/v2.0/catalog/exports/json",
    ]
    desk.emulator.publish("roads", FIELDS, rows(51))
    assert desk.actions()["roads"] == "landed"
    assert desk.loaded("roads") == 51


def test_its_tables_are_those_of_a_portal_of_v2_1(desk: Desk, tmp_path: Path) -> None:
    with Emulator(sample=False) as newer:
        fill(newer)
        other = Desk(newer, tmp_path / "newer")
        for each in (desk, other):
            each.sync()
        for name in ("towns", "roads", "every-type"):
            ours, theirs = [
                pq.read_table(each.lake.partition("records", name)) for each in (desk, other)
            ]
            if name == "every-type":
                # The address of a file leads to the portal that has it.
                ours, theirs = ours.drop_columns("photo"), theirs.drop_columns("photo")
            assert ours.equals(theirs)


@pytest.mark.parametrize("lie", [Fault.short_rows(1), Fault.header_only(), Fault.cut(60)],
                         ids=lambda lie: lie.kind)  # fmt: skip
def test_what_it_counts_is_the_proof(desk: Desk, lie: Fault) -> None:
    desk.sync()
    before = desk.files()
    desk.emulator.publish("roads", FIELDS, rows(51))
    desk.emulator.fail("roads/exports/csv", lie, None)
    assert desk.actions()["roads"] in {"failed", "held"}
    assert desk.files() == before
    assert desk.loaded("roads") == 50


def test_datasets_that_its_export_leaves_out_come_from_its_pages(desk: Desk) -> None:
    desk.sync()
    desk.emulator.fail("catalog/exports/json", Fault.fewer_datasets(1), None)
    assert {*desk.actions().values()} == {"unchanged"}


def test_a_catalog_of_many_pages_is_read_in_the_order_of_its_identifiers(
    emulator: Emulator,
) -> None:
    emulator.make_up(120, rows=1)
    emulator.fail("v2.0/catalog/exports/json", Fault.status(400), None)
    assert len(Portal(emulator.url, pause=0).datasets()) == 123
    pages = [request for request in emulator.requests if request.query.get("offset")]
    orders = {(request.path, request.query["order_by"]) for request in pages}
    assert orders == {
        (f"{NEWEST.path}/catalog/datasets", "dataset_id"),
        (f"{OLDER[0].path}/catalog/datasets", "datasetid"),
    }


def test_its_records_groups_and_facets_are_tables(emulator: Emulator) -> None:
    portal = Portal(emulator.url)
    (first,) = portal.query("towns", order_by="code", limit=1).to_pylist()
    assert (first["code"], first["n"]) == ("00000", 0)
    assert portal.query("towns", select="count(*) as n").to_pylist() == [{"n": 20}]
    assert portal.query("roads", select="count(*) as n", group_by="code").num_rows == 50
    assert [found.dataset_id for found in portal.search("Roads")] == ["roads"]
    codes = portal.facets("every-type", facet=["code"]).to_pylist()
    assert [(row["value"], row["count"]) for row in codes] == [("01001", 1)]
    with pytest.raises(DatasetNotFound):
        portal.dataset("nowhere")


def test_its_features_are_proven_by_its_records(emulator: Emulator) -> None:
    layer = Portal(emulator.url).features("towns")
    assert (len(layer), layer.attrs["proof"]) == (20, "20 features = hits 20 = live count 20")


@pytest.mark.parametrize("format", ["csv", "json", "geojson", "shp"])
def test_its_exports_are_counted_files_from_the_first_request_on(
    emulator: Emulator, tmp_path: Path, format: str
) -> None:
    file = export_dataset(Portal(emulator.url), "towns", format, tmp_path / "towns", {})
    assert file.proof == "20 records = live count 20"
    if format in {"csv", "json"}:
        file = export_catalog(Portal(emulator.url), format, tmp_path / "catalog", {})
        assert file.proof == "3 datasets = live count 3"


def test_a_portal_of_v2_1_is_never_read_in_v2_0() -> None:
    """Real portals answer in both; a format that there is not is no reason to change."""
    with Emulator(sample=False) as emulator:
        emulator.publish("roads", FIELDS, rows(2))
        portal = Portal(emulator.url)
        with pytest.raises(NotAPortal), portal.export("roads", "pdf"):
            pass
        assert portal.client.api is NEWEST
        assert len(portal.datasets()) == 1


def test_a_page_in_place_of_v2_1_is_no_reason_to_read_v2_0() -> None:
    wrapped = {"total_count": 0, "links": [], "datasets": []}

    def answer(path: str, query: str) -> tuple[int, bytes]:
        older = path.startswith(OLDER[0].path)
        return document(wrapped) if older else (200, b"<html><title>Maintenance</title>")

    with portal_of(answer) as served:
        portal = Portal(served.url, pause=0)
        with pytest.raises(NotAPortal, match=r"speaks the Explore API v2\.0 of Opendatasoft at"):
            portal.datasets()
        assert portal.client.api is NEWEST


RECORDED = Path("tests/contract/recorded/campbelltown")


def test_the_recorded_replies_of_a_portal_are_read() -> None:
    replies = {
        "/api/v2/catalog/datasets": "terria_datasets.json",
        "/api/v2/catalog/datasets/weather-stations": "terria_weather-station-dataset.json",
        "/api/v2/catalog/datasets/weather-stations/records": "terria_weather-station-100.json",
    }

    def answer(path: str, query: str) -> tuple[int, bytes]:
        name = replies.get(path)
        if not name:
            return 404, json.dumps({"error_code": "NotFoundURI", "message": "No such."}).encode()
        return 200, (RECORDED / name).read_bytes()

    with portal_of(answer) as served:
        portal = Portal(served.url, pause=0)
        found = portal.datasets()
        assert portal.client.api is OLDER[1]
        assert (len(found), {item.refused for item in found}) == (6, {""})
        stations = portal.dataset("weather-stations")
        assert (stations.dataset_uid, stations.records_count) == ("da_7rkvfm", 100)
        records = portal.query("weather-stations", limit=100)
        assert records.num_rows == 100
        assert str(records.schema.field("geolocation").type) == "binary"


def test_its_exports_refuse_groups_that_they_would_not_give(
    emulator: Emulator, tmp_path: Path
) -> None:
    """In a sentence before the file is touched, from the first request on and after others."""
    by_code: Any = {"select": "code, count(*) as n", "group_by": "code"}
    told = r"v2\.0 of the API, whose exports have no group_by .*: ask for groups with Portal\.query"
    target = tmp_path / "roads.csv"
    target.write_text("of yesterday")
    known = Portal(emulator.url, pause=0)
    assert known.query("roads", **by_code).num_rows == 50
    for portal in (known, Portal(emulator.url, pause=0)):
        with pytest.raises(ConfigurationError, match=told):
            portal.records("roads", **by_code)
        with pytest.raises(ConfigurationError, match=told):
            portal.records("roads", "csv", **by_code)
    with pytest.raises(ConfigurationError, match=told), known.export("roads", "json", **by_code):
        pass
    for each in (known, Portal(emulator.url, pause=0)):
        with pytest.raises(ConfigurationError, match=told):
            export_dataset(each, "roads", "csv", target, by_code)
        with pytest.raises(ConfigurationError, match=told):
            export_catalog(each, "csv", target, {"group_by": "publisher"})
    assert target.read_text() == "of yesterday"


def test_its_catalog_is_asked_in_the_names_of_v2_1(emulator: Emulator) -> None:
    portal = Portal(emulator.url, pause=0)
    names = ["every-type", "roads", "towns"]
    found = portal.query_catalog(select="dataset_id", order_by="dataset_id desc")
    assert found.to_pydict() == {"dataset_id": names[::-1]}
    found = portal.query_catalog(select="dataset_id, count(*) as n", group_by="dataset_id")
    assert sorted(row["dataset_id"] for row in found.to_pylist()) == names
    found = portal.query_catalog(
        select=["`dataset_id` as d", "length(dataset_id) as l", "title as dataset_id"],
        where="dataset_id = 'roads' or title = 'dataset_id'",
    )
    assert found.to_pylist() == [{"d": "roads", "l": 5, "dataset_id": "Roads"}]
    assert portal.metadata("roads", select="dataset_id") == {"dataset_id": "roads"}
    assert [each.dataset_id for each in portal.datasets("dataset_id = 'roads'")] == ["roads"]
    assert portal.facets(where="dataset_id = 'roads'").num_rows
