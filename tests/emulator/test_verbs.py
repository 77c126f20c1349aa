"""Time passes on a portal: which stamps move with which verb, and what the API then says."""

from __future__ import annotations

import pyarrow as pa
import pytest
import requests

from ods_pipeline.emulator import Emulator
from ods_pipeline.emulator.datasets.file_values import picture
from tests.emulator.asking import EMPTY, EVERY_TYPE, FULL, ask, count, get, metas

STAMPS = ("modified", "data_processed", "metadata_processed")


def moved(portal: Emulator, before: dict[str, object]) -> set[str]:
    after = metas(portal, "every-type")
    return {name for name in STAMPS if after[name] != before[name]}


def test_publishing_again_moves_the_stamps_and_keeps_the_identity(portal: Emulator) -> None:
    before = get(portal, "/catalog/datasets/every-type").json()
    portal.publish("every-type", records=[FULL])
    after = get(portal, "/catalog/datasets/every-type").json()
    assert after["dataset_uid"] == before["dataset_uid"]
    assert after["metas"]["default"]["records_count"] == 1
    old, new = (d["metas"]["default"] for d in (before, after))
    assert all(new[name] > old[name] for name in STAMPS)


def test_republishing_moves_the_stamps_and_keeps_the_records(portal: Emulator) -> None:
    before, rows = metas(portal, "every-type"), ask(portal, "every-type", "exports/json").json()
    portal.republish("every-type")
    assert moved(portal, before) == set(STAMPS)
    assert ask(portal, "every-type", "exports/json").json() == rows


def test_republishing_may_shuffle_the_records(portal: Emulator) -> None:
    fields = [{"name": "n", "type": "int"}]
    portal.publish("numbers", fields=fields, records=[{"n": n} for n in range(50)])
    before = ask(portal, "numbers", "exports/json").json()
    portal.republish("numbers", shuffle=True)
    after = ask(portal, "numbers", "exports/json").json()
    assert after != before
    assert sorted(r["n"] for r in after) == list(range(50))


def test_touching_moves_the_metadata_stamp_alone(portal: Emulator) -> None:
    before = metas(portal, "every-type")
    portal.touch("every-type")
    assert moved(portal, before) == {"metadata_processed"}


def test_modified_follows_the_flags_of_the_dataset(portal: Emulator) -> None:
    portal.lie(
        "every-type",
        modified_updates_on_metadata_change=True,
        modified_updates_on_data_change=False,
    )
    before = metas(portal, "every-type")
    portal.republish("every-type")
    assert moved(portal, before) == {"data_processed", "metadata_processed"}
    portal.touch("every-type")
    assert "modified" in moved(portal, before)


def test_metadata_and_labels_can_be_edited(portal: Emulator) -> None:
    before = metas(portal, "every-type")
    portal.describe("every-type", title="New title", license="CC BY 4.0")
    portal.relabel("every-type", "code", label="INSEE", description="Said anew")
    found = get(portal, "/catalog/datasets/every-type").json()
    assert found["metas"]["default"]["title"] == "New title"
    assert (found["fields"][0]["label"], found["fields"][0]["description"]) == (
        "INSEE",
        "Said anew",
    )
    assert moved(portal, before) == {"metadata_processed"}


@pytest.mark.parametrize(
    ("field", "kind", "expected"),
    [
        ("code", "int", [1001, None]),
        ("amount", "text", ["9007199254740993", None]),
        ("tags", "text", ["a,b c", None]),
        ("day", "datetime", ["2024-02-29T00:00:00+00:00", None]),
        ("seen_at", "date", ["2024-07-01", None]),
        ("seen_at", "text", ["2024-07-01T10:00:00.250000+00:00", None]),
        ("share", "int", [0, None]),
        ("point", "text", ["48.85, 2.35", None]),
        ("extra", "int", [None, None]),
    ],
)
def test_a_retyped_field_gives_its_values_in_the_new_type(
    portal: Emulator, field: str, kind: str, expected: list[object]
) -> None:
    before = metas(portal, "every-type")
    portal.retype("every-type", field, kind)
    fields = get(portal, "/catalog/datasets/every-type").json()["fields"]
    assert next(f["type"] for f in fields if f["name"] == field) == kind
    rows = ask(portal, "every-type", "exports/json", select=f"`{field}`").json()
    assert [row[field] for row in rows] == expected
    assert "data_processed" in moved(portal, before)


def test_a_withdrawn_dataset_is_not_found(portal: Emulator) -> None:
    portal.withdraw("every-type")
    assert ask(portal, "every-type", "records").status_code == 404
    assert get(portal, "/catalog/exports/json").json() == []


def test_a_renamed_dataset_keeps_its_uid_and_records(portal: Emulator) -> None:
    uid = get(portal, "/catalog/datasets/every-type").json()["dataset_uid"]
    portal.rename("every-type", "new-name")
    assert get(portal, "/catalog/datasets/every-type").status_code == 404
    assert get(portal, "/catalog/datasets/new-name").json()["dataset_uid"] == uid
    assert count(portal, "new-name") == 2


def test_a_restricted_dataset_shows_its_metadata_and_hides_its_records(portal: Emulator) -> None:
    portal.restrict("every-type")
    assert get(portal, "/catalog/datasets/every-type").json()["data_visible"] is False
    assert ask(portal, "every-type", "records").status_code == 403
    portal.restrict("every-type", restricted=False)
    assert ask(portal, "every-type", "records").status_code == 200


def test_metadata_may_lie(portal: Emulator) -> None:
    before = metas(portal, "every-type")
    portal.lie("every-type", records_count=7, data_processed=None, dataset_uid="da_other1")
    found = get(portal, "/catalog/datasets/every-type").json()
    assert found["metas"]["default"] == {**before, "records_count": 7, "data_processed": None}
    assert found["dataset_uid"] == "da_other1"
    assert count(portal, "every-type") == 2
    portal.publish("every-type", records=[FULL], metas={"data_processed": "2020-01-01T00:00:00Z"})
    assert metas(portal, "every-type")["data_processed"] == "2020-01-01T00:00:00Z"


def test_an_arrow_table_may_be_published(portal: Emulator) -> None:
    table = pa.table(
        {
            "amount": pa.array([1, None], pa.int32()),
            "seen_at": pa.array([0, None], pa.timestamp("ms", "Europe/Paris")),
            "tags": pa.array([["x"], None]),
            "point": pa.array([{"lon": 1.0, "lat": 2.0}, None]),
        }
    )
    fields = [f for f in EVERY_TYPE if f["name"] in table.column_names]
    portal.publish("arrow", fields=fields, records=table)
    first = ask(portal, "arrow", "exports/json").json()[0]
    assert first == {
        "tags": ["x"],
        "amount": 1,
        "seen_at": "1970-01-01T00:00:00+00:00",
        "point": {"lon": 1.0, "lat": 2.0},
    }


def test_field_names_may_differ_in_case_alone(portal: Emulator) -> None:
    fields = [{"name": n, "type": "int"} for n in ("a", "A", "select", "1")]
    portal.publish("cases", fields=fields, records=[{"a": 1, "A": 2, "select": 3, "1": 4}])
    assert ask(portal, "cases", "exports/json").json() == [{"a": 1, "A": 2, "select": 3, "1": 4}]
    assert count(portal, "cases", where="`A` = 2 and a = 1 and `select` = 3 and `1` = 4") == 1


@pytest.mark.parametrize(
    ("fields", "said"),
    [(None, "needs fields"), ([{"name": "x", "type": "varchar"}], "no field type")],
)
def test_a_wrong_publication_is_refused(
    portal: Emulator, fields: list[dict[str, str]] | None, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        portal.publish("wrong", fields=fields, records=[])


def test_empty_strings_and_nulls_are_both_kept(portal: Emulator) -> None:
    portal.publish("texts", fields=EVERY_TYPE[:1], records=[{"code": ""}, {"code": None}])
    assert ask(portal, "texts", "exports/json").json() == [{"code": ""}, {"code": None}]
    assert count(portal, "texts", where="code is null") == 1
    assert EMPTY["code"] is None


def test_the_verbs_can_be_called_with_curl(portal: Emulator) -> None:
    verbs = requests.get(portal.url + "/_emulator", timeout=60).json()["verbs"]
    assert {"publish", "touch", "withdraw", "rename", "retype", "fail", "make_up"} <= set(verbs)

    def post(path: str, **body: object) -> requests.Response:
        return requests.post(f"{portal.url}/_emulator/{path}", json=body, timeout=60)

    done = post("publish/posted", fields=[{"name": "n", "type": "int"}], records=[{"n": 1}])
    assert done.json()["records_count"] == 1
    assert post("retype/posted", field="n", type="text").json()["done"] == "retype"
    assert post("rename/posted", new_id="moved").json()["dataset_id"] == "moved"
    assert post("make_up", count=2, rows=1).json() == {"done": "make_up"}
    post("fail", match="moved", fault="status", status=502)
    assert [ask(portal, "moved", "records").status_code for _ in "ab"] == [502, 200]
    assert post("withdraw/moved").status_code == 200
    assert post("withdraw/moved").status_code == 404
    assert post("nonsense/moved").status_code == 404
    assert post("retype/every-type", field="nowhere", type="int").status_code == 400
    assert (
        requests.post(portal.url + "/api/explore/v2.1/catalog/datasets", timeout=60).status_code
        == 405
    )
    assert not any(r.path.startswith("/_emulator") for r in portal.requests)


def test_two_portals_of_one_process_share_no_rows() -> None:
    fields = [{"name": "n", "type": "int"}]
    with Emulator(sample=False) as one, Emulator(sample=False) as other:
        one.publish("same", fields=fields, records=[{"n": 1}])
        other.publish("same", fields=fields, records=[{"n": 2}, {"n": 3}])
        assert (count(one, "same"), count(other, "same")) == (1, 2)
        other.close()
        assert count(one, "same") == 1


def test_records_point_to_files_as_they_were_recorded_to_and_these_are_served() -> None:
    recorded_keys = {
        "exif_orientation", "thumbnail", "filename", "width", "format", "etag", "mimetype", "id",
        "last_synchronized", "color_summary", "height",
    }  # fmt: skip
    with Emulator(sample=False) as portal:
        portal.point_to("art", {"a.png": picture("a"), "b.png": picture("b")})
        first, _ = ask(portal, "art", "exports/json").json()
        assert first["photo"].keys() == recorded_keys
        assert ask(portal, "art", f"files/{first['photo']['id']}").content == picture("a")
        portal.point_to("art", {"a.png": picture("other")})
        (again,) = ask(portal, "art", "exports/json").json()
        assert again["photo"]["id"] == first["photo"]["id"]
        assert ask(portal, "art", f"files/{first['photo']['id']}").content == picture("other")
