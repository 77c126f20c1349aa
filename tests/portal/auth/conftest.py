"""The world of these tests: made with the quirks that a test asks for."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.portal.auth.world import Making, World, a_world


@pytest.fixture
def making(tmp_path: Path) -> Iterator[Making]:
    with ExitStack() as stack:

        def make(**quirks: Any) -> World:
            return stack.enter_context(a_world(tmp_path, **quirks))

        yield make


@pytest.fixture
def world(making: Making) -> World:
    return making()
