"""The sample portal, a real Dagster that watches it, and a real browser: started once for all."""

from collections.abc import Iterator

import pytest

from ods_pipeline.emulator import Emulator
from tests.servers.pages import Pages, chromium
from tests.servers.project import Project, running


@pytest.fixture(scope="session")
def portal() -> Iterator[Emulator]:
    with Emulator() as serving:
        yield serving


@pytest.fixture(scope="session")
def project(portal: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with running(tmp_path_factory.mktemp("project"), portal.url) as started:
        yield started


@pytest.fixture(scope="session")
def pages(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    """The pages, once the whole portal has been loaded without a click."""
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        opened = Pages(driver, project.url)
        opened.graph()
        opened.box("catalog", "Materialized", seconds=300)
        for loaded in ("table", "layer"):
            opened.box(loaded, "100% filled", seconds=300)
        yield opened
