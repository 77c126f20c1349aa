"""The sample portal, and the portals that are made up."""

from __future__ import annotations

import csv
import io

from ods_pipeline.emulator import Emulator
from ods_pipeline.emulator.datasets.dataset import TYPES
from ods_pipeline.emulator.sample_portal import sample_folder
from tests.emulator.asking import ask, count, get


def test_every_field_type_is_shown(sample: Emulator) -> None:
    fields = [f for d in get(sample, "/catalog/exports/json").json() for f in d["fields"]]
    assert {f["type"] for f in fields} == set(TYPES)
    annotations = [f["annotations"] for f in fields]
    assert any("multivalued" in a for a in annotations)
    assert any(a.get("timeserie_precision") == "year" for a in annotations)


def test_at_least_eight_datasets_say_where_they_come_from_and_how_many_rows_they_hold(
    sample: Emulator,
) -> None:
    datasets = get(sample, "/catalog/exports/json").json()
    held = [d for d in datasets if d["has_records"] and d["data_visible"]]
    assert len(held) >= 8
    for dataset in datasets:
        origin = (sample_folder() / dataset["dataset_id"] / "ORIGIN.md").read_text(encoding="utf-8")
        assert "Licence" in origin
        assert "Portal" in origin
    for dataset in held:
        rows = count(sample, dataset["dataset_id"])
        assert dataset["metas"]["default"]["records_count"] == rows > 0


def test_the_sample_is_small() -> None:
    assert sum(path.stat().st_size for path in sample_folder().rglob("*")) < 6_000_000


def test_a_made_up_portal_of_thousands_answers_its_catalog_at_once() -> None:
    with Emulator(sample=False) as portal:
        portal.make_up(5000, rows=10)
        first = get(portal, "/catalog/exports/json")
        assert len(first.json()) == 5000
        assert ask(portal, "made-up-04999", "exports/csv").text.count("\r\n") == 11
        portal.touch("made-up-00017")
        again = get(portal, "/catalog/exports/json")
        changed = [
            a["dataset_id"] for a, b in zip(first.json(), again.json(), strict=True) if a != b
        ]
        assert changed == ["made-up-00017"]
        assert get(portal, "/catalog/datasets", limit=0).json()["total_count"] == 5000


def test_made_up_datasets_differ_and_can_be_replaced() -> None:
    with Emulator(sample=False) as portal:
        portal.make_up(2, rows=3)
        one, other = (ask(portal, f"made-up-0000{n}", "exports/json").json() for n in (0, 1))
        assert one != other
        portal.publish("made-up-00000", records=one[:1])
        portal.retype("made-up-00001", "code", "int")
        portal.republish("made-up-00001", shuffle=True)
        assert count(portal, "made-up-00000") == 1
        assert {r["code"] for r in ask(portal, "made-up-00001", "exports/json").json()} == {1, 2, 3}


def test_a_big_dataset_streams_with_awkward_texts() -> None:
    with Emulator(sample=False) as portal:
        portal.make_big("big", rows=200_000)
        text = ask(portal, "big", "exports/csv").content.decode("utf-8-sig")
        rows = list(csv.DictReader(io.StringIO(text, newline=""), delimiter=";"))
        assert len(rows) == count(portal, "big") == 200_000
        assert rows[1]["comment"] == 'a; "quoted" remark 1'
        assert rows[7]["code"] == "000007"
        assert [row["id"] for row in rows] == [str(n) for n in range(200_000)]
