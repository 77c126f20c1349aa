"""Who sees which datasets: strangers, people with the right, everybody when a portal is shut."""

from __future__ import annotations

import io
from typing import Any

import pyarrow.parquet as pq
import pytest
import requests

from ods_pipeline.emulator import AccessQuirks, Emulator
from tests.emulator.access_asking import CATALOG, get, guarded, seen

HIDDEN = f"{CATALOG}/staff-one"
HALF = f"{CATALOG}/half-one"
CAPABILITIES = {"service": "WFS", "version": "1.1.0", "request": "GetCapabilities"}
GET_FEATURE = (
    '<GetFeature xmlns="http://www.opengis.net/wfs" version="1.1.0" service="WFS">'
    '<Query typeName="ods:{}"/></GetFeature>'
)


def wfs(portal: Emulator, key: str = "", **params: str) -> requests.Response:
    headers = {"Authorization": f"Apikey {key}"} if key else {}
    asked = {**CAPABILITIES, **params}
    return requests.get(portal.url + "/api/wfs", params=asked, headers=headers, timeout=60)


def posted(portal: Emulator, dataset_id: str, **headers: str) -> requests.Response:
    body = GET_FEATURE.format(dataset_id)
    told = {"Content-Type": "text/xml", **headers}
    return requests.post(portal.url + "/api/wfs", data=body, headers=told, timeout=60)


def test_a_hidden_dataset_is_only_in_the_catalog_of_those_with_the_right(private: Emulator) -> None:
    assert seen(private) == seen(private, key="bob-key") == ["half-one", "open-one"]
    assert seen(private, key="ada-key") == ["half-one", "open-one", "staff-one"]
    assert get(private, CATALOG, limit=0).json()["total_count"] == 2


@pytest.mark.parametrize(
    "path", [CATALOG, "/catalog/exports/json", "/catalog/exports/csv", "/catalog/facets"]
)
def test_no_list_tells_a_stranger_of_a_hidden_dataset(private: Emulator, path: str) -> None:
    for params in ({}, {"where": "dataset_id is not null"}):
        assert "staff-one" in get(private, path, key="ada-key", **params).text
        assert "staff-one" not in get(private, path, **params).text
        assert "open-one" in get(private, path, **params).text


@pytest.mark.parametrize(
    "end",
    ["", "/records", "/facets", "/attachments", "/exports", "/exports/csv", "/exports/parquet"],
)
def test_a_hidden_dataset_asked_for_by_name_is_not_found(private: Emulator, end: str) -> None:
    reply = get(private, HIDDEN + end)
    assert (reply.status_code, reply.json()["error_code"]) == (404, "NotFoundResource")
    assert get(private, HIDDEN + end, key="ada-key").status_code == 200


def test_a_hidden_dataset_may_also_answer_that_it_is_forbidden() -> None:
    with guarded(hidden="403") as portal:
        reply = get(portal, HIDDEN)
        assert (reply.status_code, reply.json()["error_code"]) == (403, "ForbiddenAccess")
        assert get(portal, f"{CATALOG}/never-was").status_code == 404
        described = wfs(portal, request="DescribeFeatureType", typeName="ods:staff-one")
        assert described.status_code == 403
        assert "staff-one" not in wfs(portal).text


def test_a_hidden_dataset_that_is_shown_again_is_everybodys(private: Emulator) -> None:
    private.hide("staff-one", hidden=False)
    assert "staff-one" in seen(private)


def test_a_hidden_dataset_stays_hidden_when_it_is_published_again_or_renamed(
    private: Emulator,
) -> None:
    private.republish("staff-one")
    private.rename("staff-one", "staff-two")
    assert seen(private) == ["half-one", "open-one"]
    assert "staff-two" in seen(private, key="ada-key")


def test_what_the_right_opens_is_told_by_the_dataset_itself(private: Emulator) -> None:
    assert get(private, HALF).json()["data_visible"] is False
    assert get(private, HALF, key="ada-key").json()["data_visible"] is True
    shown = {d["dataset_id"]: d["data_visible"] for d in catalog(private, "ada-key")}
    assert shown == {"half-one": True, "open-one": True, "staff-one": True}
    assert "hidden" not in get(private, HIDDEN, key="ada-key").json()


def catalog(portal: Emulator, key: str) -> list[dict[str, Any]]:
    return get(portal, "/catalog/exports/json", key=key).json()


def test_restricted_records_open_for_those_with_the_right(private: Emulator) -> None:
    assert get(private, f"{HALF}/records").status_code == 403
    assert get(private, f"{HALF}/records", key="bob-key").status_code == 403
    assert get(private, f"{HALF}/exports/csv").text.count("\r\n") == 1
    assert get(private, f"{HALF}/records", key="ada-key").json()["total_count"] == 2
    exported = get(private, f"{HALF}/exports/parquet", key="ada-key").content
    assert pq.read_table(io.BytesIO(exported)).num_rows == 2


def test_records_that_were_never_recorded_stay_closed_to_everyone(sample: Emulator) -> None:
    sample.add_user("root", "root", ["*"])
    sample.add_key("root-key", "root")
    dataset = get(sample, f"{CATALOG}/ukpn-noise-contours", key="root-key").json()
    assert dataset["data_visible"] is False


def test_the_wfs_obeys_the_same_rights_by_get_and_by_post(private: Emulator) -> None:
    assert "staff-one" not in wfs(private).text
    assert "staff-one" in wfs(private, "ada-key").text
    everything = wfs(private, request="DescribeFeatureType")
    assert "open-one" in everything.text
    assert "staff-one" not in everything.text
    assert b"ExceptionReport" in posted(private, "staff-one").content
    assert posted(private, "half-one").status_code == 403
    for name in ("staff-one", "half-one"):
        reply = posted(private, name, Authorization="Apikey ada-key")
        assert reply.status_code == 200
        assert b"48.85" in reply.content


def test_a_change_is_seen_at_once_by_everyone_who_may(private: Emulator) -> None:
    assert len(seen(private)) == 2
    private.publish("open-two", fields=[{"name": "a", "type": "text"}])
    assert "open-two" in seen(private)
    private.publish("staff-two", fields=[{"name": "a", "type": "text"}], hidden=True)
    assert "staff-two" not in seen(private)
    assert "staff-two" in seen(private, key="ada-key")


def test_a_shut_portal_answers_strangers_with_401_and_its_people_as_ever(private: Emulator) -> None:
    private.shut()
    for reply in (get(private, CATALOG), wfs(private), posted(private, "open-one")):
        assert reply.status_code == 401
        assert reply.json()["error_code"] == "Unauthorized"
    assert seen(private, key="bob-key") == ["half-one", "open-one"]
    assert wfs(private, "ada-key").status_code == 200
    private.shut(False)
    assert get(private, CATALOG).status_code == 200


def test_a_shut_portal_may_send_strangers_to_its_login_page() -> None:
    with guarded(private="login") as portal:
        portal.shut()
        reply = get(portal, CATALOG, limit=1)
        assert reply.history[0].status_code == 302
        there = "/login/?next=/api/explore/v2.1/catalog/datasets%3Flimit%3D1"
        assert reply.history[0].headers["location"] == there
        assert (reply.status_code, reply.headers["content-type"][:9]) == (200, "text/html")
        assert posted(portal, "open-one").headers["content-type"].startswith("text/html")
        assert get(portal, CATALOG, key="ada-key").status_code == 200


def test_a_quirk_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="hidden is one of 404, 403"):
        AccessQuirks(hidden="410")
