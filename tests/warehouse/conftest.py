"""An empty warehouse of its own for every test."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ods_pipeline.warehouse import Warehouse, open_warehouse
from tests.servers.postgres.server import Server, running


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A server for all tests that need one, in a folder of its own."""
    with running() as server:
        yield server


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "warehouse.duckdb"


@pytest.fixture
def warehouse(database: Path) -> Iterator[Warehouse]:
    with open_warehouse(f"duckdb:///{database}") as opened:
        yield opened


@pytest.fixture
def ask(database: Path) -> Callable[..., list[tuple[Any, ...]]]:
    """Query the database as its user would, over a connection of one's own."""

    def answer(query: str, *values: object) -> list[tuple[Any, ...]]:
        with duckdb.connect(database) as connection:
            return connection.execute(query, list(values)).fetchall()

    return answer
