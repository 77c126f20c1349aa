"""The emulator against recorded replies: the same requests must give the same bytes."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow.parquet as pq
import pyogrio
import pytest
import requests
from pandas.testing import assert_frame_equal

from ods_pipeline.emulator import Emulator, Fault
from tests.contract.recordings import (
    PARIS,
    RECORDED,
    UKPN,
    VANCOUVER,
    body,
    catalog,
    document,
    head,
)

API = "/api/explore/v2.1"
# The digest of the file as its portal exported it, host of file addresses included.
DIGESTS = {
    "public-art": "a79d9761c9990f42a4337e6c757721701fe24ca4d3f0f05ea0316a81bdad3d34",
    "public-art-artists": "dcf4791aa0e639ad4e6a970f752729cf3b3e19fe059065ab5253b347648bbd1e",
    "world-administrative-boundaries": (
        "61f78eed4a1b4777315be8f0047a90b8cc581473856bde1c10b96488df9380d6"
    ),
}
# What no two replies share: time, quota, framing, and the gzip of a 404 (ours are never packed).
OF_THE_MOMENT = {"date", "x-ratelimit-remaining", "x-ratelimit-reset", "content-encoding"}


@pytest.fixture(scope="module")
def sample() -> Iterator[Emulator]:
    with Emulator() as portal:
        yield portal


@pytest.fixture(scope="module")
def vancouver() -> Iterator[Emulator]:
    """The recorded catalog whole, and as many trees of each genus as were counted."""
    with Emulator(sample=False) as portal:
        for dataset_id, templates in catalog():
            portal.publish(dataset_id, fields=[])
            portal.lie(dataset_id, metas=templates)
        groups = json.loads(body("aggregate-grouped"))
        trees = [{"genus_name": g["genus_name"]} for g in groups for _ in range(g["count"])]
        fields = [{"name": "genus_name", "type": "text", "annotations": {"facet": True}}]
        metas = portal.state.dataset("public-trees").metas
        portal.publish("public-trees", fields=fields, records=trees)
        portal.lie("public-trees", metas=metas)
        yield portal


def get(portal: Emulator, path: str, **params: str) -> requests.Response:
    return requests.get(portal.url + API + path, params=params, timeout=60)


def replay(portal: Emulator, name: str) -> requests.Response:
    """The recorded request, sent to the emulator."""
    url = urlsplit(head(name)["url"])
    return requests.get(f"{portal.url}{url.path}?{url.query}", timeout=60)


@pytest.mark.parametrize("name", ["data-public-trees-csv", "data-property-tax-report"])
def test_csv_exports_are_the_recorded_bytes(sample: Emulator, name: str) -> None:
    reply = replay(sample, name)
    assert reply.content == body(name)


def test_a_flatgeobuf_export_is_the_recorded_layer(sample: Emulator, tmp_path: Path) -> None:
    reply = replay(sample, "data-public-trees")
    for name in ("content-type", "content-disposition"):
        assert reply.headers[name] == head("data-public-trees")["headers"][name]
    (tmp_path / "given.fgb").write_bytes(reply.content)
    (tmp_path / "recorded.fgb").write_bytes(body("data-public-trees"))
    files = [tmp_path / "given.fgb", tmp_path / "recorded.fgb"]
    given, recorded = [pyogrio.read_dataframe(path) for path in files]
    assert_frame_equal(given, recorded)
    assert given.crs == recorded.crs
    names = [pyogrio.list_layers(path).tolist() for path in files]
    assert names == [[["Layer1", "Unknown"]]] * 2


@pytest.mark.parametrize("name", ["error-not-found", "error-odsql"])
def test_errors_are_the_recorded_bytes(sample: Emulator, name: str) -> None:
    reply = replay(sample, name)
    assert reply.status_code == head(name)["status"]
    assert reply.content == body(name)
    assert int(reply.headers["content-length"]) == len(body(name))


@pytest.mark.parametrize("name", ["metadata-public-trees", "metadata-property-tax-report"])
def test_a_dataset_object_is_the_recorded_one_but_for_the_rows_held(
    sample: Emulator, name: str
) -> None:
    recorded = json.loads(body(name))
    recorded["metas"]["default"]["records_count"] = 5
    assert replay(sample, name).text == json.dumps(recorded)


def test_groups_are_the_recorded_bytes(vancouver: Emulator) -> None:
    assert replay(vancouver, "aggregate-grouped").content == body("aggregate-grouped")


def test_an_ungrouped_count_is_the_recorded_bytes(vancouver: Emulator) -> None:
    assert replay(vancouver, "aggregate-ungrouped").content == body("aggregate-ungrouped")


def test_a_facet_of_many_values_is_cut_and_sorted_as_recorded(vancouver: Emulator) -> None:
    found = replay(vancouver, "facets-public-trees").json()
    assert found["facets"] == json.loads(body("facets-public-trees"))["facets"]
    assert [link["rel"] for link in found["links"]] == ["self", "dataset"]


def test_the_catalog_csv_is_the_recorded_bytes(vancouver: Emulator) -> None:
    assert replay(vancouver, "catalog-export").content == body("catalog-export")


def test_the_catalog_facets_are_the_recorded_ones(vancouver: Emulator) -> None:
    found = {f["name"]: f["facets"] for f in replay(vancouver, "facets-catalog").json()["facets"]}
    recorded = {f["name"]: f["facets"] for f in json.loads(body("facets-catalog"))["facets"]}
    # The CSV of the catalog, from which this portal was filled, does not tell the features.
    del recorded["features"], found["features"]
    assert found == recorded
    assert list(found) == list(recorded)


@pytest.mark.parametrize(
    "name",
    [
        "aggregate-grouped",
        "aggregate-ungrouped",
        "catalog-export",
        "data-public-trees-csv",
        "metadata-public-trees",
        "facets-catalog",
        "error-not-found",
        "error-odsql",
    ],
)
def test_headers_are_the_recorded_ones(vancouver: Emulator, name: str) -> None:
    recorded = {k.lower(): v for k, v in head(name)["headers"].items()}
    given = {k.lower(): v for k, v in replay(vancouver, name).headers.items()}
    framing = {"content-length", "transfer-encoding", "connection"}
    assert given.keys() - framing - OF_THE_MOMENT == recorded.keys() - framing - OF_THE_MOMENT
    for key in recorded.keys() - framing - OF_THE_MOMENT:
        assert given[key] == recorded[key]


def test_stations_in_csv_are_the_recorded_bytes(sample: Emulator) -> None:
    path = "/catalog/datasets/velib-emplacement-des-stations/exports/csv"
    recorded = PARIS / "paris_velib-emplacement-des-stations_2024-07-30.csv"
    assert get(sample, path, use_labels="true").content == recorded.read_bytes()


def test_datetimes_in_csv_are_the_recorded_bytes_in_the_recorded_time_zone(
    sample: Emulator,
) -> None:
    path = "/catalog/datasets/velib-disponibilite-en-temps-reel/exports/csv"
    reply = get(sample, path, use_labels="true", timezone="Europe/Paris")
    assert reply.content == (PARIS / "paris_velib-disponibilite_2023-05.csv").read_bytes()


def test_stations_in_parquet_are_the_recorded_table(sample: Emulator) -> None:
    reply = get(sample, "/catalog/datasets/velib-emplacement-des-stations/exports/parquet")
    given = pq.ParquetFile(io.BytesIO(reply.content))
    recorded = pq.ParquetFile(PARIS / "paris_velib-emplacement-des-stations_2024-07-30.parquet")
    assert given.read().equals(recorded.read(), check_metadata=True)
    assert given.metadata.metadata[b"geo"] == recorded.metadata.metadata[b"geo"]
    assert _groups(given) == _groups(recorded) == [0, 1496]
    assert given.schema.equals(recorded.schema)
    codecs = [f.metadata.row_group(1).column(0).compression for f in (given, recorded)]
    assert codecs == ["SNAPPY", "SNAPPY"]
    recorded.close()


def _groups(file: pq.ParquetFile) -> list[int]:
    return [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]


@pytest.mark.parametrize("dataset_id", ["public-art", "public-art-artists"])
def test_long_texts_files_and_shapes_in_csv_are_the_recorded_bytes(
    sample: Emulator, dataset_id: str
) -> None:
    reply = get(sample, f"/catalog/datasets/{dataset_id}/exports/csv", use_labels="true")
    there = reply.content.replace(sample.url.encode(), b"https://opendata.vancouver.ca")
    assert hashlib.sha256(there).hexdigest() == DIGESTS[dataset_id]


def test_shapes_in_json_are_the_recorded_bytes(sample: Emulator) -> None:
    dataset_id = "world-administrative-boundaries"
    reply = get(sample, f"/catalog/datasets/{dataset_id}/exports/json")
    assert hashlib.sha256(reply.content).hexdigest() == DIGESTS[dataset_id]


def test_a_record_with_a_file_a_list_and_a_year_is_the_recorded_one(sample: Emulator) -> None:
    recorded = document(VANCOUVER / "vancouver_public-art_exports-json_1row_2023-05.json")[0]
    given = get(sample, "/catalog/datasets/public-art/exports/json", where="registryid=8").json()[0]
    # Two months lie between the CSV that the rows come from and this record.
    del recorded["title_of_work"], given["title_of_work"]
    assert given == recorded


@pytest.mark.parametrize("dataset_id", ["ukpn-live-faults", "ukpn-carbon-intensity"])
def test_records_are_the_recorded_ones(sample: Emulator, dataset_id: str) -> None:
    recorded = document(UKPN / f"{dataset_id}_limit2_v21_2026-07-27.json")
    recorded["total_count"] = 2
    reply = get(sample, f"/catalog/datasets/{dataset_id}/records", limit="2")
    assert reply.text == json.dumps(recorded)


def test_a_dataset_object_of_another_portal_is_the_recorded_one(sample: Emulator) -> None:
    recorded = document(UKPN / "ukpn-live-faults_v21_2026-07-27.json")
    recorded["metas"]["default"]["records_count"] = 2
    for item in recorded["attachments"]:  # This portal serves them itself.
        item["url"] = f"odsfile://ukpn-live-faults/{item['id']}"
    assert get(sample, "/catalog/datasets/ukpn-live-faults").text == json.dumps(recorded)


def test_an_asked_for_catalog_facet_has_the_recorded_shape(sample: Emulator) -> None:
    recorded = document(UKPN / "ukpn_catalog_facets_license_2026-07-27.json")
    given = get(sample, "/catalog/facets", facet="license").json()
    assert given.keys() == recorded.keys()
    counts = [value["count"] for value in given["facets"][0]["facets"]]
    assert counts == sorted(counts, reverse=True)
    keys = [list(f["facets"][0]) for f in (given["facets"][0], recorded["facets"][0])]
    assert keys[0] == keys[1]


ERRORS = {
    "400_InvalidRESTParameterError_limit": ("/catalog/datasets", {"limit": "1473"}),
    "400_InvalidRESTParameterError_offset_plus_limit": (
        "/catalog/datasets",
        {"offset": "9901", "limit": "100"},
    ),
    "400_ODSQLError_order_by_unknown_field": (
        "/catalog/datasets/public-art/records",
        {"order_by": "datetime"},
    ),
    "400_ODSQLError_unknown_field_enwl": ("/catalog/datasets", {"select": "metas"}),
    "400_ODSQLSyntaxError_where": ("/catalog/datasets", {"where": "bogus("}),
    "403_ForbiddenAccess": ("/catalog/datasets/ukpn-noise-contours/records", {}),
    "404_NotFoundResource_dataset": ("/catalog/datasets/does-not-exist/records", {}),
    "404_NotFoundURI": ("/catalog/nothing", {}),
}


@pytest.mark.parametrize("name", ERRORS)
def test_error_bodies_are_the_quoted_ones(sample: Emulator, name: str) -> None:
    path, params = ERRORS[name]
    reply = get(sample, path, **params)
    assert reply.status_code == int(name[:3])
    assert reply.content == (RECORDED / "errors" / f"{name}.json").read_bytes().rstrip(b"\n")


def test_a_spent_quota_has_the_quoted_envelope(sample: Emulator) -> None:
    recorded = document(RECORDED / "errors" / "429_10002_domain_day.json")
    sample.fail("quota-test", Fault.quota(reset=recorded["reset_time"], unit="day"))
    reply = get(sample, "/catalog/datasets", where="quota-test")
    assert (reply.status_code, reply.json()) == (429, recorded)
