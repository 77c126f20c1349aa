"""What every warehouse has to do: each test here runs on each engine, on real ones."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from ods_pipeline.warehouse import Warehouse
from tests.servers.postgres.server import Server
from tests.servers.seaweed.server import Seaweed
from tests.warehouse.every_engine.stores import DuckDB, PostgreSQL, Store
from tests.warehouse.iceberg.catalogs import catalog, embedded

_NUMBERS = count(1)


_SERVERS = ("iceberg on a server", "postgresql")
_ENGINES = ("duckdb", "iceberg", *(pytest.param(e, marks=pytest.mark.servers) for e in _SERVERS))


@pytest.fixture(params=_ENGINES)
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """An empty database of each engine."""
    if request.param == "iceberg":
        return catalog(embedded(tmp_path), monkeypatch)
    if request.param == "iceberg on a server":
        objects: Seaweed = request.getfixturevalue("seaweed")
        properties = objects.catalog_in(f"bucket-{next(_NUMBERS)}")
        return catalog(properties, monkeypatch, "?own_tables=plain")
    if request.param == "duckdb":
        return DuckDB(f"duckdb:///{tmp_path / 'warehouse.duckdb'}")
    server: Server = request.getfixturevalue("postgres")
    return PostgreSQL(server.warehouse(f"warehouse_{next(_NUMBERS)}"))


@pytest.fixture
def warehouse(store: Store) -> Iterator[Warehouse]:
    with store.open() as opened:
        yield opened
