"""The other dialects of the emulator against the replies that were recorded of them."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from ods_pipeline.emulator import Emulator
from ods_pipeline.emulator.quirks import Quirks

FIELDS: list[dict[str, Any]] = [
    {"name": "at", "type": "datetime"},
    {"name": "ok", "type": "boolean"},
    {"name": "themes", "type": "text", "annotations": {"multivalued": ";", "facet": True}},
]
RECORDS: list[dict[str, Any]] = [
    {"at": "2024-05-01T10:00:00+00:00", "ok": True, "themes": ["a"]},
    {"at": "2024-05-01T11:00:00+00:00", "ok": False, "themes": []},
]


@contextmanager
def speaking(dialect: str) -> Iterator[str]:
    with Emulator(sample=False, quirks=Quirks(dialect=dialect)) as emulator:
        for name in ("towns", "roads"):
            emulator.publish(name, fields=FIELDS, records=RECORDS, metas={"title": name.title()})
        yield emulator.url


def asked(url: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(url) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


@pytest.mark.parametrize("prefix", ["/api/explore/v2.0", "/api/v2"])
def test_v2_0_wraps_each_dataset_with_its_links(prefix: str) -> None:
    with speaking("v2.0") as url:
        status, body = asked(f"{url}{prefix}/catalog/datasets?limit=1")
        page = json.loads(body)
        assert (status, list(page)) == (200, ["total_count", "links", "datasets"])
        assert page["total_count"] == 2
        (entry,) = page["datasets"]
        assert list(entry) == ["links", "dataset"]
        assert entry["dataset"]["dataset_id"] == "towns"
        themes = entry["dataset"]["fields"][2]["annotations"]
        assert themes == {"multivalued": [";"], "facet": []}
        one = json.loads(asked(f"{url}{prefix}/catalog/datasets/roads")[1])
        assert one["dataset"]["dataset_id"] == "roads"
        assert asked(f"{url}/api/explore/v2.1/catalog/datasets")[0] == 404
        assert asked(f"{url}/api/explore/v2.1/catalog/exports/json")[0] == 404


def test_v2_0_wraps_records_and_leaves_groups_without_a_count() -> None:
    with speaking("v2.0") as url:
        api = f"{url}/api/v2/catalog/datasets/towns"
        page = json.loads(asked(f"{api}/records?limit=1&order_by=at")[1])
        assert list(page) == ["total_count", "links", "records"]
        (record,) = page["records"]
        assert list(record) == ["links", "record"]
        assert list(record["record"]) == ["id", "timestamp", "size", "fields"]
        assert record["record"]["fields"] == RECORDS[0]
        assert json.loads(asked(f"{api}/records?limit=0")[1])["total_count"] == 2
        groups = json.loads(asked(f"{api}/records?select=count(*)%20as%20n&group_by=ok")[1])
        assert list(groups) == ["links", "records"]
        assert {"record": {"fields": {"ok": False, "n": 1}}} in groups["records"]


def test_v2_0_has_the_exports_of_its_time() -> None:
    with speaking("v2.0") as url:
        api = f"{url}/api/explore/v2.0/catalog"
        links = json.loads(asked(f"{api}/datasets/towns/exports")[1])["links"]
        formats = {link["rel"] for link in links if link["href"].startswith(api)}
        assert {"csv", "json", "turtle"} < formats
        assert not formats & {"parquet", "xlsx", "fgb"}
        assert asked(f"{api}/datasets/towns/exports/parquet")[0] == 404
        assert asked(f"{api}/datasets/towns/exports/csv")[1].startswith(b"at;ok;themes")
        listed = json.loads(asked(f"{api}/exports/json?where=datasetid%3D%22towns%22")[1])
        assert [entry["dataset_id"] for entry in listed] == ["towns"]
        assert listed[0]["fields"][2]["annotations"]["facet"] == []
        assert asked(f"{api}/exports/json?where=dataset_id%3D%22towns%22")[0] == 400
        assert asked(f"{api}/exports/dublin_core")[0] == 404


def test_v1_searches_and_has_flat_metadata() -> None:
    with speaking("v1") as url:
        found = json.loads(asked(f"{url}/api/datasets/1.0/search/?rows=1")[1])
        assert list(found) == ["nhits", "parameters", "datasets"]
        assert found["nhits"] == 2
        assert found["datasets"][0]["datasetid"] == "towns"
        assert found["datasets"][0]["metas"]["title"] == "Towns"
        assert asked(f"{url}/api/explore/v2.0/catalog/datasets")[0] == 404


def test_a_look_alike_has_records_and_exports_and_nothing_else() -> None:
    with speaking("look-alike") as url:
        api = f"{url}/api/explore/v2.1/catalog"
        assert json.loads(asked(f"{api}/datasets/towns/records?limit=0")[1])["total_count"] == 2
        lines = asked(f"{api}/datasets/towns/exports/csv")[1].decode().splitlines()
        assert lines[1:] == ["2024-05-01T10:00:00;1;a", "2024-05-01T11:00:00;0;"]
        assert asked(f"{api}/datasets/towns/exports/csv?offset=1") == (
            400,
            b"offset parameter is not supported for exports",
        )
        for path in ("datasets", "exports/json", "datasets/towns", "datasets/towns/exports"):
            assert asked(f"{api}/{path}") == (404, b"Cette API n'existe pas.")
        status, told = asked(f"{api}/datasets/nowhere/records")
        assert (status, told.decode()) == (404, "Jeu de données non trouvé")


def test_a_dialect_that_nobody_speaks_is_refused() -> None:
    with pytest.raises(ValueError, match=r"v2\.0, v1 or look-alike"):
        Quirks(dialect="v3")
