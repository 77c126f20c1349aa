"""MapServer and QGIS Server over one GeoPackage, each started once for all tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.wfs.layers import write
from tests.servers.wfs.mapserver import mapserver
from tests.servers.wfs.qgis import qgis


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("package") / "city.gpkg"
    write(path)
    return path


@pytest.fixture(scope="session")
def mapserver_url(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with mapserver(tmp_path_factory.mktemp("mapserver"), package) as url:
        yield url


@pytest.fixture(scope="session")
def capped_url(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A MapServer that gives two features at a time."""
    with mapserver(tmp_path_factory.mktemp("capped"), package, cap=2) as url:
        yield url


@pytest.fixture(scope="session")
def qgis_url(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with qgis(tmp_path_factory.mktemp("qgis"), package) as url:
        yield url
