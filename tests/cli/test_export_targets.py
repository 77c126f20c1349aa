"""Where an export is written: nobody else's file is touched, and what is no file is no file after.

A terminal's device is played by a pipe with a name.
"""

import os
import stat
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
