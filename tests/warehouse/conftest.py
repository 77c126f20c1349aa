"""An empty warehouse of its own for every test."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ods_pipeline.lake.lake import Lake
from ods_pipeline.warehouse import Load, Warehouse, open_warehouse
from tests.servers.postgres.server import Server, running
from tests.servers.seaweed.server import Seaweed
from tests.servers.stores import running as store_running
from tests.warehouse.partitions import PORTAL, Column, land, land_named


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A server for all tests that need one, in a folder of its own."""
    with running() as server:
        yield server


@pytest.fixture(scope="session")
def seaweed() -> Iterator[Seaweed]:
    """A store with a catalog, for all tests that need one."""
    with store_running(Seaweed) as server:
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


@pytest.fixture
def load(warehouse: Warehouse, tmp_path: Path) -> Callable[..., Load]:
    """Land a dataset with one value and load it."""

    def landed_and_loaded(dataset_id: str, value: str = "1", *former: str, **told: str) -> Load:
        partition = land_named(tmp_path / "lake", dataset_id, value, *former, **told)
        return warehouse.load(partition, verdict="data")

    return landed_and_loaded


@pytest.fixture
def velos(warehouse: Warehouse, tmp_path: Path) -> Path:
    """A partition of a lake that is loaded."""
    path = Lake.of(tmp_path, PORTAL).partition("records", "velos")
    warehouse.load(land(path, {"a": Column(["1"])}, title="Vélos"), verdict="new")
    return path
