"""What only a server can show: each test here has a database of its own."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from ods_pipeline.warehouse import Warehouse
from tests.servers.postgres.server import Server
from tests.warehouse.every_engine.stores import PostgreSQL

_NUMBERS = count(1)


@pytest.fixture
def store(postgres: Server) -> PostgreSQL:
    return PostgreSQL(postgres.warehouse(f"alone_{next(_NUMBERS)}"))


@pytest.fixture
def warehouse(store: PostgreSQL) -> Iterator[Warehouse]:
    with store.open() as opened:
        yield opened
