"""One PostgreSQL for all tests here, and a database of its own for each of them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from ods_pipeline.state.database import shared
from tests.servers.postgres.server import Server, running

_NUMBERS = count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    with running() as server:
        yield server


@pytest.fixture
def database(postgres: Server) -> str:
    """The URL of an empty database, with a password in it that needs quoting."""
    return postgres.database(f"test_{next(_NUMBERS)}")


@pytest.fixture
def state(database: str) -> Iterator[str]:
    """The URL of a state, to which this process is not connected after the test."""
    yield database
    reached = shared(database)
    assert reached
    reached.work(lambda connection: connection.close())
