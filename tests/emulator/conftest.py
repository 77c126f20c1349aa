"""Portals for the emulator's own tests: the sample one to read, empty ones to change."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ods_pipeline.emulator import Emulator
from tests.emulator.access_asking import guarded
from tests.emulator.asking import EMPTY, EVERY_TYPE, FULL


@pytest.fixture(scope="session")
def sample() -> Iterator[Emulator]:
    """The sample portal; tests leave it as it is."""
    with Emulator() as portal:
        yield portal


@pytest.fixture
def portal() -> Iterator[Emulator]:
    """A portal with one dataset of every type: a full record and an empty one."""
    with Emulator(sample=False) as portal:
        portal.publish("every-type", fields=EVERY_TYPE, records=[FULL, EMPTY])
        yield portal


@pytest.fixture
def private() -> Iterator[Emulator]:
    """A portal with a public, a hidden and a restricted dataset; tests may change it."""
    with guarded() as portal:
        yield portal
