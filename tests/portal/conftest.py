"""An empty portal on loopback, and a client that reads it."""

from collections.abc import Iterator

import pytest

from ods_pipeline.emulator import Emulator
from ods_pipeline.portal.portal import Portal


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(sample=False) as running:
        yield running


@pytest.fixture
def portal(emulator: Emulator) -> Portal:
    return Portal(emulator.url)
