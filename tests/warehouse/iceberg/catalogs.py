"""Catalogs of Iceberg for tests, as pyiceberg's own configuration describes them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.warehouse.every_engine.stores import Iceberg

NAME = "lake"


def embedded(folder: Path) -> dict[str, str]:
    """A catalog in a SQLite file, whose tables are files beside it."""
    return {"uri": f"sqlite:///{folder / 'catalog.db'}", "warehouse": f"file://{folder / 'tables'}"}


def configured(monkeypatch: pytest.MonkeyPatch, properties: Mapping[str, str]) -> None:
    """Describe a catalog in the environment, as users do."""
    for key, value in properties.items():
        name = key.upper().replace(".", "__").replace("-", "_")
        monkeypatch.setenv(f"PYICEBERG_CATALOG__{NAME.upper()}__{name}", value)


def catalog(
    properties: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, query: str = ""
) -> Iceberg:
    """A catalog that is configured."""
    configured(monkeypatch, properties)
    return Iceberg(NAME, properties, query)
