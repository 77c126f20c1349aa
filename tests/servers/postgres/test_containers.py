"""The containers done by hand: the Dockerfile's lines, the compose file's commands, PostgreSQL."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import duckdb
import pytest

from ods_pipeline.emulator import Emulator
from tests.servers.by_hand import Image, Services
from tests.servers.postgres.server import PASSWORD, USER, Server

pytestmark = [pytest.mark.servers, pytest.mark.timeout(1800)]

DEFS = """\
type: ods_pipeline.OpendatasoftPortal

attributes:
  name: city
  tables:
    public-art: {}
"""


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    folder = tmp_path_factory.mktemp("image")
    yield Image(folder)
    shutil.rmtree(folder)


def test_a_dataset_is_materialized_and_the_run_is_in_postgresql(
    image: Image, postgres: Server, database: str
) -> None:
    portals = image.srv / "project" / "portals" / "defs"
    (portals / "first" / "defs.yaml").write_text(DEFS, encoding="utf-8")
    name = database.rpartition("/")[2]
    given = {
        "POSTGRES_PASSWORD": PASSWORD,
        "DAGSTER_POSTGRES_HOST": "127.0.0.1",
        "DAGSTER_POSTGRES_PORT": str(postgres.port),
        "DAGSTER_POSTGRES_USER": USER,
        "DAGSTER_POSTGRES_DB": name,
    }
    with Emulator() as portal:
        services = Services(image, given, {"ODS_PORTAL": portal.url, "ODS_API_KEY": ""})
        try:
            for service in ("code", "webserver", "daemon"):
                services.start(service)
            run = services.materialize("city", "public-art")
            services.stop()
        finally:
            services.kill()
    asked = f"select status from kept.runs where run_id = '{run}'"
    assert postgres.ask(asked, name) == "SUCCESS"
    asked = (
        f"select count(*) from kept.event_logs where run_id = '{run}' "
        "and dagster_event_type = 'ASSET_MATERIALIZATION'"
    )
    assert postgres.ask(asked, name) == "1"
    with duckdb.connect(image.srv / "data" / "warehouse.duckdb", read_only=True) as warehouse:
        (found,) = warehouse.execute(
            "select table_name from duckdb_tables() where table_name = 'public-art'"
        ).fetchall()
        assert found == ("public-art",)
    assert list((image.srv / "state" / "dagster" / "logs").rglob("*.err"))
    kept = image.srv / "state" / ".local" / "state" / "ods-pipeline" / "quota"
    assert kept.is_dir(), "what is remembered of quotas would be lost with the container"
    made = {path.name for path in (image.srv / "dagster").iterdir()}
    assert made - {"logs", ".logs_queue"} == {"dagster.yaml", "workspace.yaml"}
