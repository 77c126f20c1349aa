"""Servers that answer something other than what was asked: no file is spoilt by it."""

import subprocess
import sys
from pathlib import Path

import pytest

from ods_pipeline.emulator import Fault
from ods_pipeline.lake.kept_files import KeptFile, kept, opened
from ods_pipeline.portal.portal import Portal
from ods_pipeline.sync.file_keeping import FileLimits, FileOutcome, keep_files, left_out
from tests.sync.test_file_keeping import LARGE, Keeper, keeper_of


@pytest.mark.parametrize("begins", [1, 1_000, 10**9])
def test_a_part_that_begins_elsewhere_is_not_put_behind_what_is_there(
    tmp_path: Path, begins: int
) -> None:
    for keeper in keeper_of(tmp_path, begins=begins):
        keeper.emulator.fail("attachments/photo", Fault.cut(200_000), 1)
        assert keeper.keep()["attachment/photo"].action == "fetched"
        assert keeper.files["photo.jpg"] == LARGE


def test_nothing_has_changed_is_no_answer_where_nothing_is_there(tmp_path: Path) -> None:
    for keeper in keeper_of(tmp_path, unchanged=True):
        outcome = keeper.keep()["attachment/photo"]
        assert outcome.action == "failed"
        assert "the server says that it has not changed, and none of it is there" in outcome.reason
        assert keeper.files == {}


def test_a_spent_quota_is_asked_for_once_and_not_for_each_of_a_thousand_files(
    tmp_path: Path,
) -> None:
    for keeper in keeper_of(tmp_path):
        more = {f"p{number}": b"x" for number in range(1_000)}
        keeper.emulator.attach_all("plans", more, mimetype="text/plain")
        keeper.emulator.fail("/attachments/", Fault.quota("2020-01-01T00:00:00Z"), None)
        outcomes = keeper.keep()
        ended = {key: outcome.action for key, outcome in outcomes.items()}
        assert ended.pop("alternative_export/all") in {"fetched", "deferred"}
        assert set(ended.values()) == {"deferred"}
        assert len(keeper.emulator.requests) < 50


@pytest.mark.parametrize(
    ("declared", "sent", "pattern", "other"),
    [
        ("Image/JPEG", "", "image/*", ""),
        ("application/pdf; charset=binary", "", "application/pdf", ""),
        ("image/jpeg", "application/x-msdownload", "image/*", "application/x-msdownload"),
        ("image/jpeg", "application/octet-stream", "image/*", ""),
        ("", "application/octet-stream", "image/*", "application/octet-stream"),
        ("text/plain", "", "IMAGE/*", "text/plain"),
        ("", "", "image/*", ""),
    ],
)
def test_a_type_is_compared_without_its_case_and_parameters_as_declared_and_as_sent(
    declared: str, sent: str, pattern: str, other: str
) -> None:
    assert left_out(FileLimits(media_type=pattern), declared, sent) == other


@pytest.mark.parametrize(
    ("name", "title", "media_type", "called"),
    [
        ("guide", "Guide v1.2", "application/pdf", "guide.pdf"),
        ("a.2", "", "application/pdf", "a.2.pdf"),
        ("list_xlsx", "List.xlsx", "", "List.xlsx"),
        (
            "codes",
            "Codes",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            "codes.xlsx",
        ),
        ("dump", "Dump.7z", "application/octet-stream", "Dump.7z"),
    ],
)
def test_names_end_as_their_files_do(
    tmp_path: Path, name: str, title: str, media_type: str, called: str
) -> None:
    for keeper in keeper_of(tmp_path):
        keeper.emulator.attach("plans", name, b"x", title, media_type)
        assert keeper.keep()[f"attachment/{name}"].name == called


def test_the_half_line_of_a_killed_run_costs_no_later_line(tmp_path: Path) -> None:
    journal = tmp_path / "files.jsonl"
    with opened(tmp_path) as files:
        files.add(KeptFile("attachment/a", "a"))
    with journal.open("a") as file:
        file.write('{"key": "attachment/b", "na')
    for number in range(2):
        with opened(tmp_path) as files:
            files.add(KeptFile(f"attachment/c{number}", "c"))
    assert [entry.key for entry in kept(tmp_path)] == [
        "attachment/a",
        "attachment/c0",
        "attachment/c1",
    ]
    assert journal.read_text().count("\n") == 4


def test_the_half_line_of_a_full_disk_costs_no_later_line_of_its_own_run(tmp_path: Path) -> None:
    script = """
import resource, signal, sys
import subprocess
import sys
from pathlib import Path
from ods_pipeline.errors import LakeError
from ods_pipeline.lake.kept_files import KeptFile, opened

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
no_limit = resource.getrlimit(resource.RLIMIT_FSIZE)
with opened(Path(sys.argv[1])) as files:
    files.add(KeptFile("attachment/a", "a"))
    size = (Path(sys.argv[1]) / "files.jsonl").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, no_limit[1]))
    try:
        files.add(KeptFile("attachment/b", "b"))
    except LakeError as error:
        print(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, no_limit)
    files.add(KeptFile("attachment/c", "c"))
"""
    command = [sys.executable, "-c", script, str(tmp_path)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "limit on the size of files" in said
    assert [entry.key for entry in kept(tmp_path)] == ["attachment/a", "attachment/c"]


@pytest.mark.parametrize("name", ["../../../../secret", "..", "a/../../b"])
def test_an_identifier_leads_to_no_other_address_of_the_portal(tmp_path: Path, name: str) -> None:
    for keeper in keeper_of(tmp_path):
        keeper.emulator.attach("plans", name, b"x")
        keeper.keep()
        asked = {request.path for request in keeper.emulator.requests}
        assert all("/catalog/datasets/plans" in path for path in asked), asked


def test_who_reads_no_further_leaves_the_portal_usable(tmp_path: Path) -> None:
    for keeper in keeper_of(tmp_path):
        portal = Portal(keeper.emulator.url, pause=0.01)
        outcomes = keep_files(portal, portal.attachments("plans"), keeper.folder)
        assert isinstance(next(outcomes), FileOutcome)
        outcomes.close()  # type: ignore[attr-defined]
        assert {item.action for item in _all(portal, keeper)} <= {"fetched", "unchanged"}


def _all(portal: Portal, keeper: Keeper) -> list[FileOutcome]:
    return list(keep_files(portal, portal.attachments("plans"), keeper.folder))
