"""The process that runs are forked from, one for all tests of a process."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crashes.nursery import Nursery, nursery
from tests.crashes.scene import Scene, scene


@pytest.fixture(scope="session")
def runs() -> Iterator[Nursery]:
    with nursery() as found:
        yield found


@pytest.fixture
def here(runs: Nursery, tmp_path: Path) -> Iterator[Scene]:
    with scene(runs, tmp_path) as found:
        yield found
