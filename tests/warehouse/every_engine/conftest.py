"""What every warehouse has to do: each test here runs on each engine, on real ones."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from ods_pipeline.warehouse import Warehouse
from tests.servers.postgres.server import Server, running
from tests.warehouse.every_engine.stores import DuckDB, PostgreSQL, Store
from tests.warehouse.iceberg.catalogs import embedded_catalog

_NUMBERS = count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    with running() as server:
        yield server


@pytest.fixture(params=["duckdb", "iceberg", pytest.param("postgresql", marks=pytest.mark.servers)])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """An empty database of each engine."""
    if request.param == "iceberg":
        return embedded_catalog(tmp_path, monkeypatch)
    if request.param == "duckdb":
        return DuckDB(f"duckdb:///{tmp_path / 'warehouse.duckdb'}")
    server: Server = request.getfixturevalue("postgres")
    return PostgreSQL(server.warehouse(f"warehouse_{next(_NUMBERS)}"))


@pytest.fixture
def warehouse(store: Store) -> Iterator[Warehouse]:
    with store.open() as opened:
        yield opened
