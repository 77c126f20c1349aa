"""Fixtures of the Dagster layer: an empty portal, and the same portal in Dagster."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ods_pipeline.emulator import Emulator
from tests.dagster.world import World, world


@pytest.fixture
def portal() -> Iterator[Emulator]:
    with Emulator(sample=False) as running:
        yield running


@pytest.fixture
def there(tmp_path: Path, portal: Emulator) -> Iterator[World]:
    with world(tmp_path, portal) as made:
        yield made
