"""`attachments`: a folder of a dataset's documents, as it is typed."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ods_pipeline.emulator import Emulator, Fault
from ods_pipeline.emulator.datasets.file_values import picture
from tests import person
from tests.desk import FIELDS, rows


@pytest.fixture
def portal() -> Iterator[Emulator]:
    with Emulator(sample=False) as emulator:
        emulator.publish("plans", FIELDS, rows(1))
        emulator.publish("bare", FIELDS, rows(1))
        emulator.attach("plans", "plan_pdf", b"%PDF-1.7 a plan", "Plan 2024.pdf", "application/pdf")
        emulator.attach("plans", "note", "a note", "note.txt", "text/plain")
        yield emulator


def typed(folder: Path, portal: Emulator, *words: str) -> tuple[int, str, str]:
    done = person.typed(folder, "attachments", *words, ODS_PORTAL=portal.url)
    return done.returncode, done.stdout, done.stderr


def test_the_documents_of_a_dataset_come_into_a_folder_of_its_name(
    portal: Emulator, tmp_path: Path
) -> None:
    status, told, _ = typed(tmp_path, portal, "plans")
    assert status == 0
    assert "Plan 2024.pdf: fetched, 15 B" in told
    assert "plans: 2 fetched" in told
    assert (tmp_path / "plans" / "note.txt").read_text() == "a note"
    assert "plans: 2 unchanged" in typed(tmp_path, portal, "plans")[1]


def test_they_can_be_listed_alone_and_chosen_by_type(portal: Emulator, tmp_path: Path) -> None:
    status, told, _ = typed(tmp_path, portal, "plans", "--list")
    assert (status, "plan_pdf" in told, "2 files" in told) == (0, True, True)
    assert not list(tmp_path.iterdir())
    assert len(json.loads(typed(tmp_path, portal, "plans", "--list", "--json")[1])) == 2
    words = ["plans", "-o", "there", "--type", "text/*", "--json"]
    status, told, _ = typed(tmp_path, portal, *words)
    actions = {item["key"]: item["action"] for item in json.loads(told)["files"]}
    assert actions == {"attachment/plan_pdf": "left out", "attachment/note": "fetched"}
    assert (tmp_path / "there" / "note.txt").exists()


def test_one_that_fails_is_named_and_the_others_come(portal: Emulator, tmp_path: Path) -> None:
    portal.fail("attachments/note", Fault.status(500), None)
    status, told, _ = typed(tmp_path, portal, "plans")
    assert status == 1
    assert "attachment/note: failed" in told
    assert "1 fetched" in told
    assert typed(tmp_path, portal, "plans", "--max-size", "0.000001")[0] == 1


def test_a_dataset_without_documents_makes_no_folder(portal: Emulator, tmp_path: Path) -> None:
    status, told, _ = typed(tmp_path, portal, "bare")
    assert (status, told) == (0, "bare: the dataset has no files\n")
    assert not list(tmp_path.iterdir())
    status, _, said = typed(tmp_path, portal, "nowhere")
    assert (status, "does not know it" in said) == (1, True)


def test_a_spent_quota_puts_the_rest_off(portal: Emulator, tmp_path: Path) -> None:
    portal.fail("attachments/note", Fault.quota(), None)
    status, told, _ = typed(tmp_path, portal, "plans")
    assert status == 3
    assert "deferred" in told


def test_the_files_that_records_point_to_come_beside_the_documents(
    portal: Emulator, tmp_path: Path
) -> None:
    portal.point_to("plans", {"a.png": picture("a"), "b.png": picture("b")})
    listed = typed(tmp_path, portal, "plans", "--files", "--list")[1]
    assert "4 files" in listed
    status, told, _ = typed(tmp_path, portal, "plans", "--files")
    assert (status, "plans: 4 fetched" in told) == (0, True)
    assert (tmp_path / "plans" / "a.png").read_bytes() == picture("a")
    assert "plans: 2 unchanged\n" in typed(tmp_path, portal, "plans")[1]
    portal.fail("/files/", Fault.status(404), None)
    status, told, _ = typed(tmp_path, portal, "plans", "--files", "--json")
    assert status == 1
    actions = {item["key"]: item["action"] for item in json.loads(told)["files"]}
    assert sorted(actions.values()) == ["failed", "failed", "unchanged", "unchanged"]
    portal.faults.clear()
    portal.fail("/files/", Fault.quota("2099-01-01T00:00:00Z"), None)
    status, told, _ = typed(tmp_path, portal, "plans", "--files", "--json")
    assert (status, '"until": "2099-01-01T00:00:00+00:00"' in told) == (3, True)


def test_types_and_sizes_that_are_configured_hold_until_others_are_typed(
    portal: Emulator, tmp_path: Path
) -> None:
    portal.point_to("plans", {"a.png": picture("a")})
    (tmp_path / "ods-pipeline.toml").write_text(
        f"[portals.p]\nportal = '{portal.url}'\n"
        "attachments = { media_type = 'text/*' }\nfiles = { largest_mb = 0.00001 }\n"
    )
    words = ["attachments", "plans", "--files", "--json"]

    def kept(*more: str) -> dict[str, str]:
        told = person.typed(tmp_path, *words, *more).stdout
        return {item["key"]: item["action"] for item in json.loads(told)["files"]}

    assert sorted(kept().values()) == ["failed", "fetched", "left out"]
    found = kept("--type", "*", "--max-size", "1")
    assert sorted(found.values()) == ["fetched", "fetched", "unchanged"]
