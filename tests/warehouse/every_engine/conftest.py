"""What every warehouse has to do: each test here runs on each engine, on real ones."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from ods_pipeline.warehouse import Warehouse
from tests.servers.postgres.server import Server
from tests.warehouse.every_engine.stores import DuckDB, PostgreSQL, Store

_NUMBERS = count(1)


@pytest.fixture(params=["duckdb", pytest.param("postgresql", marks=pytest.mark.servers)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """An empty database of each engine."""
    if request.param == "duckdb":
        return DuckDB(f"duckdb:///{tmp_path / 'warehouse.duckdb'}")
    server: Server = request.getfixturevalue("postgres")
    return PostgreSQL(server.warehouse(f"warehouse_{next(_NUMBERS)}"))


@pytest.fixture
def warehouse(store: Store) -> Iterator[Warehouse]:
    with store.open() as opened:
        yield opened
