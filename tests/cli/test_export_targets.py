"""Where an export is written: nobody else's file is touched, and what is no file is no file after.

A terminal's device is played by a pipe with a name.
"""

import os
import stat
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ods_pipeline.emulator import Emulator, Fault
from tests import person
from tests.desk import TOWN_FIELDS, TOWNS


@pytest.fixture(scope="module")
def served() -> Iterator[Emulator]:
    with Emulator(sample=False) as emulator:
        emulator.publish("towns", TOWN_FIELDS, TOWNS, {"title": "Towns"})
        yield emulator


@pytest.fixture
def portal(served: Emulator) -> Iterator[Emulator]:
    yield served
    served.faults.clear()


def typed(folder: Path, portal: Emulator, *words: str) -> tuple[int, str, str]:
    done = person.typed(folder, *words, ODS_PORTAL=portal.url)
    return done.returncode, done.stdout, done.stderr


def test_old_files_that_are_called_export_stay(portal: Emulator, tmp_path: Path) -> None:
    names = {"export.csv", "export.xlsx"}
    for name in names:
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (0, 0))
    assert typed(tmp_path, portal, "export", "towns", "--as", "csv", "-o", "trees.csv")[0] == 0
    assert {path.name for path in tmp_path.iterdir()} == {*names, "trees.csv"}


def text_of(portal: Emulator, folder: Path) -> str:
    """The export as it is in a file."""
    assert typed(folder, portal, "export", "towns", "--as", "json", "-o", "whole.json")[0] == 0
    path = folder / "whole.json"
    text = path.read_text()
    path.unlink()
    return text


def test_a_pipe_is_written_to_and_stays_a_pipe(portal: Emulator, tmp_path: Path) -> None:
    whole, came = text_of(portal, tmp_path), []
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: came.append(pipe.read_text()))
    reader.start()
    status, told, _ = typed(tmp_path, portal, "export", "towns", "--as", "json", "-o", "pipe")
    reader.join(60)
    assert (status, told.startswith("pipe: ")) == (0, True)
    assert came == [whole]
    assert stat.S_ISFIFO(pipe.lstat().st_mode)
    assert [*tmp_path.iterdir()] == [pipe]


def test_nothing_of_what_is_not_whole_goes_through_a_pipe(portal: Emulator, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    # Held open, or a writer would wait.
    held = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    portal.fail("towns/exports/json", Fault.short_rows(1), None)
    assert typed(tmp_path, portal, "export", "towns", "--as", "json", "-o", "pipe")[0] == 1
    with pytest.raises(BlockingIOError):
        os.read(held, 1)
    os.close(held)


def test_a_link_is_followed_and_stays_a_link(portal: Emulator, tmp_path: Path) -> None:
    whole = text_of(portal, tmp_path)
    (tmp_path / "there").mkdir()
    link, file = tmp_path / "latest.json", tmp_path / "there" / "of-today.json"
    link.symlink_to("there/of-today.json")
    for old in (None, "of yesterday"):
        if old:
            file.write_text(old)
        words = ["export", "towns", "--as", "json", "-o", "latest.json"]
        assert typed(tmp_path, portal, *words)[0] == 0
        assert os.readlink(link) == "there/of-today.json"
        assert file.read_text() == whole
    assert len([*file.parent.iterdir()]) == 1


def test_links_in_a_circle_are_refused_in_a_sentence(portal: Emulator, tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    status, _, said = typed(tmp_path, portal, "export", "towns", "--as", "json", "-o", "a")
    assert (status, "a cannot be written" in said) == (2, True)


@pytest.mark.parametrize("name", ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_stdout_has_the_export_and_nothing_else(
    portal: Emulator, tmp_path: Path, name: str
) -> None:
    whole = text_of(portal, tmp_path)
    status, told, said = typed(tmp_path, portal, "export", "towns", "--as", "json", "-o", name)
    assert (status, told) == (0, whole)
    assert said.startswith("stdout: ")
    assert "20 records = live count 20" in said
    assert not list(tmp_path.iterdir())


def test_a_catalog_goes_to_stdout_too_and_json_about_it_does_not(
    portal: Emulator, tmp_path: Path
) -> None:
    status, told, _ = typed(tmp_path, portal, "catalog", "--as", "csv", "-o", "-")
    assert (status, "towns" in told, "live count" in told) == (0, True, False)
    status, _, said = typed(tmp_path, portal, "catalog", "--as", "csv", "-o", "-", "--json")
    assert (status, "both print to stdout" in said) == (2, True)


def test_a_file_may_be_called_like_the_sign_for_stdout(portal: Emulator, tmp_path: Path) -> None:
    status, told, _ = typed(tmp_path, portal, "export", "towns", "--as", "json", "-o", "./-")
    assert (status, told.startswith("-: ")) == (0, True)
    assert [path.name for path in tmp_path.iterdir()] == ["-"]


def test_who_reads_no_further_is_no_failure_of_the_disk(portal: Emulator, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [person.COMMAND, "export", "towns", "--as", "json", "-o", "-"]
    settings = person.environment(ODS_PORTAL=portal.url)
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=settings,
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")
    assert not list(tmp_path.iterdir())
