"""A catalog in a SQLite file for every test, configured as users do it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ods_pipeline.warehouse import Warehouse
from tests.warehouse.every_engine.stores import Iceberg
from tests.warehouse.iceberg.catalogs import catalog, embedded


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iceberg:
    return catalog(embedded(tmp_path), monkeypatch)


@pytest.fixture
def warehouse(store: Iceberg) -> Iterator[Warehouse]:
    with store.open() as opened:
        yield opened
