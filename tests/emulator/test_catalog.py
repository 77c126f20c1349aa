"""The catalog endpoints: paging, clauses over metadata, links, and the export in one piece."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ods_pipeline.emulator import Emulator
from tests.emulator.asking import ask, count, get


def ids(portal: Emulator, **params: Any) -> list[str]:
    found = get(portal, "/catalog/datasets", limit=100, **params).json()["results"]
    return [dataset["dataset_id"] for dataset in found]


def test_the_export_is_the_array_of_all_dataset_objects(sample: Emulator) -> None:
    reply = get(sample, "/catalog/exports/json")
    page = get(sample, "/catalog/datasets", limit=100).json()
    assert reply.json() == page["results"]
    assert page["total_count"] == len(page["results"]) >= 8
    assert reply.headers["content-disposition"] == 'attachment; filename="datasets.json"'
    assert "content-length" not in reply.headers


def test_pages_are_slices_of_the_whole(sample: Emulator) -> None:
    whole = ids(sample)
    page = get(sample, "/catalog/datasets", limit=3, offset=2).json()["results"]
    assert [dataset["dataset_id"] for dataset in page] == whole[2:5]
    assert len(get(sample, "/catalog/datasets").json()["results"]) == 10
    assert get(sample, "/catalog/datasets", limit=0).json()["results"] == []
    assert len(get(sample, "/catalog/datasets", limit=-1).json()["results"]) == len(whole)


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("modified > 2026", "public-trees"),
        ("default.modified > date'2026-01-01'", "public-trees"),
        ("features = 'image'", "public-art"),
        ("features LIKE 'image'", "public-art"),
        ("dataset_id = 'public-art'", "public-art"),
        ("records_count > 40000", "temperature-quotidienne-regionale"),
        ("title like 'artists'", "public-art-artists"),
        ("custom.data-owner = 'City of Vancouver'", "public-art"),
        ("'Parks, recreation, and pets' in theme or theme = 'Météorologie'", "temperature-"),
        ("has_records is false", "olympic"),
    ],
)
def test_conditions_name_metadata_with_or_without_prefix(
    sample: Emulator, where: str, expected: str
) -> None:
    found = ids(sample, where=where)
    assert any(name.startswith(expected) for name in found)
    assert len(found) < len(ids(sample))


def test_datasets_without_a_date_are_not_found_by_comparing_it(sample: Emulator) -> None:
    without = set(ids(sample, where="data_processed is null"))
    assert without
    assert not without & set(ids(sample, where="data_processed > 1970"))


def test_the_order_may_be_asked_for(sample: Emulator) -> None:
    found = get(
        sample, "/catalog/datasets", order_by="data_processed desc", select="data_processed"
    ).json()["results"]
    dates = [d["data_processed"] for d in found if d["data_processed"]]
    assert dates == sorted(dates, reverse=True)


def test_select_puts_names_as_they_were_given_at_the_root(sample: Emulator) -> None:
    params = {"where": "dataset_id='public-art'", "select": "dataset_id, default.title, fields"}
    found = get(sample, "/catalog/datasets", **params).json()["results"][0]
    assert list(found) == ["dataset_id", "default.title", "fields"]
    assert found["fields"][0]["name"] == "registryid"
    one = get(sample, "/catalog/datasets/public-art", select="title").json()
    assert one == {"title": "Public art"}


def test_refine_and_exclude_choose_by_facet(sample: Emulator) -> None:
    assert set(ids(sample, refine="features:image")) == {"public-art"}
    assert "public-art" not in ids(sample, exclude="features:image")
    assert "public-trees" in ids(sample, refine="modified:2026/06")


def test_catalog_groups_count_datasets(sample: Emulator) -> None:
    params = {"group_by": "license", "select": "count(*) as n", "order_by": "n desc", "limit": 1}
    found = get(sample, "/catalog/datasets", **params).json()
    assert found["results"][0]["license"] == "Open Government Licence - Vancouver"
    assert "total_count" not in found


@pytest.mark.parametrize(
    "params",
    [
        {"order_by": "metas.default.title"},
        {"select": "metas"},
        {"where": "data_visible = true"},
        {"limit": "101"},
        {"limit": "-2"},
        {"limit": "many"},
        {"offset": "-1"},
        {"lang": "xx"},
        {"timezone": "Mars/Olympus"},
        {"refine": "nonsense"},
    ],
)
def test_what_the_catalog_refuses_is_a_400(sample: Emulator, params: dict[str, str]) -> None:
    assert get(sample, "/catalog/datasets", **params).status_code == 400


def test_unknown_parameters_are_ignored(sample: Emulator) -> None:
    assert ids(sample, wherre="nonsense") == ids(sample)


def test_an_offset_deeper_than_ten_thousand_is_refused_on_exports(sample: Emulator) -> None:
    assert get(sample, "/catalog/exports/json", offset=1).status_code == 400
    reply = get(sample, "/catalog/exports/json", offset=1, limit=2)
    assert [d["dataset_id"] for d in reply.json()] == ids(sample)[1:3]


def test_metadata_dates_follow_the_time_zone(sample: Emulator) -> None:
    params = {"timezone": "America/Vancouver"}
    found = get(sample, "/catalog/datasets/public-trees", **params).json()["metas"]["default"]
    assert found["data_processed"] == "2026-06-22T06:50:25-07:00"
    listed = get(sample, "/catalog/exports/json", **params).json()
    assert any(d["metas"]["default"] == found for d in listed)


def test_links_and_application_metadata_come_when_asked_for(sample: Emulator) -> None:
    path = "/catalog/datasets/public-trees"
    plain = get(sample, path).json()
    assert "_links" not in plain
    assert "explore" not in plain["metas"]
    rich = get(sample, path, include_links="true", include_app_metas="true").json()
    assert rich["_links"][0]["href"] == sample.url + "/api/explore/v2.1" + path
    assert "download_count" in rich["metas"]["explore"]


def test_the_catalog_lists_its_exports(sample: Emulator) -> None:
    links = get(sample, "/catalog/exports").json()["links"]
    assert {"self", "csv", "json", "dcat"} < {link["rel"] for link in links}
    assert get(sample, "/catalog/exports/pdf").status_code == 404


def test_the_catalog_csv_takes_its_parameters(sample: Emulator) -> None:
    params = {"delimiter": ",", "with_bom": "false", "where": "dataset_id = 'public-art'"}
    text = get(sample, "/catalog/exports/csv", **params).text
    assert text.startswith("dcat.created,dcat.issued")
    assert text.endswith("public-art\r\n")


def test_records_may_be_paged_to_ten_thousand_and_no_further(sample: Emulator) -> None:
    name = "temperature-quotidienne-regionale"
    assert len(ask(sample, name, "records", offset=9900, limit=100).json()["results"]) == 100
    assert ask(sample, name, "records", offset=9901, limit=100).status_code == 400
    assert ask(sample, name, "records", group_by="date", limit=20000).status_code == 200
    assert ask(sample, name, "records", group_by="date", limit=20001).status_code == 400


def test_a_record_is_found_by_its_identifier(sample: Emulator) -> None:
    first = ask(
        sample, "public-art", "records", limit=1, include_links="true", include_app_metas="true"
    ).json()["results"][0]
    links, identifier = first.pop("_links"), first.pop("_id")
    stamps = get(sample, "/catalog/datasets/public-art").json()["metas"]["default"]
    assert first.pop("_timestamp") == stamps["data_processed"]
    assert first.pop("_size") == len(json.dumps(first))
    assert links[0]["href"].endswith(f"/public-art/records/{identifier}")
    assert ask(sample, "public-art", f"records/{identifier}").json() == first
    missing = ask(sample, "public-art", "records/nothing")
    assert (missing.status_code, missing.json()["error_code"]) == (404, "NotFoundResource")


def test_attachments_have_the_documented_shape(sample: Emulator) -> None:
    found = ask(sample, "ukpn-noise-contours", "attachments").json()["attachments"][0]
    assert found["href"].endswith("/attachments/data_triage_noise_xlsx")
    assert found["metas"]["title"] == "Data Triage - Noise.xlsx"


def test_facets_are_the_declared_ones_or_those_asked_for(sample: Emulator) -> None:
    found = ask(sample, "public-art", "facets").json()["facets"]
    assert "status" in [f["name"] for f in found]
    asked = ask(sample, "public-art", "facets", facet="sitename").json()["facets"]
    assert [f["name"] for f in asked] == ["sitename"]
    call = 'facet(name="status", sort="alphanum", limit=2)'
    values = ask(sample, "public-art", "facets", facet=call).json()["facets"][0]["facets"]
    assert [v["name"] for v in values] == ["Deaccessioned", "In place"]
    assert ask(sample, "public-art", "facets", facet="nowhere").status_code == 400


def test_refining_a_date_opens_its_next_level(sample: Emulator) -> None:
    params = {"facet": "date", "refine": "date:2024"}
    found = ask(sample, "temperature-quotidienne-regionale", "facets", **params).json()
    year = found["facets"][0]["facets"][0]
    assert (year["name"], year["state"]) == ("2024", "refined")
    where = "year(date) = 2024"
    assert year["count"] == count(sample, "temperature-quotidienne-regionale", where=where)
    assert {m["value"] for m in year["facets"]} == {f"2024/{n:02}" for n in range(1, 13)}


def test_an_excluded_value_is_told_without_a_count(sample: Emulator) -> None:
    params = {"facet": "status", "exclude": "status:In place"}
    values = ask(sample, "public-art", "facets", **params).json()["facets"][0]["facets"]
    assert values[-1] == {"name": "In place", "state": "excluded", "value": "In place"}


def test_a_disjunctive_facet_is_counted_as_if_it_were_not_refined(sample: Emulator) -> None:
    refined = {"refine": ["ownership:City of Vancouver", "ownership:Privately owned"]}
    assert len(ask(sample, "public-art", "facets", **refined).json()["facets"][2]["facets"]) > 2
    total = ask(sample, "public-art", "records", limit=0, **refined).json()["total_count"]
    single = ask(sample, "public-art", "records", limit=0, refine=refined["refine"][0]).json()
    assert total > single["total_count"] > 0
