"""`attachments`: a folder of a dataset's documents, as it is typed."""

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ods_pipeline.emulator import Emulator, Fault
from ods_pipeline.emulator.datasets.file_values import picture
from ods_pipeline.emulator.quirks import Quirks
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


@pytest.mark.parametrize("words", [["--max-size", "nan"], ["--max-size", "inf"], ["-o", ""]])
def test_what_is_no_size_and_no_folder_is_refused(
    portal: Emulator, tmp_path: Path, words: list[str]
) -> None:
    status, told, said = typed(tmp_path, portal, "plans", *words)
    assert (status, told) == (2, "")
    assert words[0] in said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", [["attachments", "d"], ["export", "d", "--as", "csv"]])
def test_a_portal_of_the_first_api_is_named_as_in_a_sync(tmp_path: Path, words: list[str]) -> None:
    with Emulator(sample=False, quirks=Quirks(dialect="v1")) as old:
        old.publish("d", FIELDS, rows(1))
        done = person.typed(tmp_path, *words, ODS_PORTAL=old.url)
    assert done.returncode == 2
    assert "speaks the first API (v1) of Opendatasoft alone" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_list_is_of_what_would_be_fetched(portal: Emulator, tmp_path: Path) -> None:
    told = typed(tmp_path, portal, "plans", "--list", "--type", "TEXT/*", "--json")[1]
    assert [item["id"] for item in json.loads(told)] == ["note"]


def test_a_log_has_a_line_for_each_file(portal: Emulator, tmp_path: Path) -> None:
    portal.fail("attachments/note", Fault.status(500), None)
    status, _, said = typed(tmp_path, portal, "plans", "--log-format", "json")
    lines = {line["key"]: line for line in map(json.loads, said.splitlines())}
    assert status == 1
    levels = {key: (line["level"], line["action"]) for key, line in lines.items()}
    assert levels == {
        "attachment/plan_pdf": ("info", "fetched"),
        "attachment/note": ("warning", "failed"),
    }


def test_ctrl_c_waits_for_no_download(portal: Emulator, tmp_path: Path) -> None:
    portal.attach("plans", "film", b"x" * 2_000_000, "film.mp4", "video/mp4")
    portal.fail("attachments/film", Fault.slow(20_000), None)
    with subprocess.Popen(
        ["env", "--default-signal=INT", person.COMMAND, "attachments", "plans"],
        cwd=tmp_path,
        env=person.environment(ODS_PORTAL=portal.url),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        while not list(tmp_path.glob("plans/.attachment~*.part")):
            assert running.poll() is None
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        began = time.monotonic()
        _, said = running.communicate()
    assert running.returncode == 130
    assert "interrupted" in said
    # The rest of it would take a minute and a half.
    assert time.monotonic() - began < 45
