"""Fixtures of the Dagster layer: an empty portal, and the same portal in Dagster."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster._core.storage.event_log import in_memory as events
from dagster._core.storage.runs import in_memory as runs

from ods_pipeline.emulator import Emulator
from tests.dagster.world import World, world


@pytest.fixture(scope="session", autouse=True)
def instances_without_a_history() -> Iterator[None]:
    """Make instances in memory faster: Dagster reads 180 migrations to stamp each of them."""
    with pytest.MonkeyPatch.context() as patch:
        for storage in (events, runs):
            patch.setattr(storage, "stamp_alembic_rev", lambda *_: None, raising=False)
        yield


@pytest.fixture
def portal() -> Iterator[Emulator]:
    with Emulator(sample=False) as running:
        yield running


@pytest.fixture
def there(tmp_path: Path, portal: Emulator) -> Iterator[World]:
    with world(tmp_path, portal) as made:
        yield made
