"""With a warehouse in PostgreSQL: what Dagster shows, what it limits, and where rows come from."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import geopandas as gpd
import psycopg
import pyarrow as pa
import pytest

from ods_pipeline.emulator import Emulator
from tests.dagster.downstream import given
from tests.dagster.world import RECORDS, World, publish, settings_for, value, world
from tests.servers.postgres.server import running

pytestmark = pytest.mark.filterwarnings(
    # Dagster's own call, whenever a resource has one inside; goes when it no longer warns.
    "ignore:InitResourceContext.dagster_run is deprecated:DeprecationWarning"
)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, str]]:
    """A table that is loaded into a server, and the server's URL."""
    patch = pytest.MonkeyPatch()
    with patch.context() as environment, running() as server, Emulator(sample=False) as portal:
        url = server.warehouse("dagster")
        environment.setenv("ODS_WAREHOUSE", url)
        publish(portal, "trees", "late")
        with world(tmp_path_factory.mktemp("lake"), portal) as there:
            there.look()
            there.run("records", "table", over="trees")
            yield there, url


@pytest.mark.servers
def test_rows_are_loaded_into_the_server_and_given_downstream_from_there(
    loaded: tuple[World, str],
) -> None:
    there, url = loaded
    schema = there.settings.slug.replace(".", "_")
    with psycopg.connect(url) as connection:
        counted = connection.execute(f'SELECT count(*) FROM "{schema}".trees').fetchall()  # type: ignore[call-overload]
    assert counted == [(len(RECORDS),)]
    assert value(there.latest("table", "trees"), "dagster/table_name") == f"{schema}.trees"
    table, _ = given(there, pa.Table, "trees", "table")
    assert table.column("code").to_pylist() == [record["code"] for record in RECORDS]
    frame, _ = given(there, gpd.GeoDataFrame, "trees", "table")
    assert (frame.crs, frame.geometry.iloc[0].x) == ("OGC:CRS84", 2.0)


@pytest.mark.servers
def test_a_table_that_is_not_loaded_yet_is_said_to_be_missing(loaded: tuple[World, str]) -> None:
    _, result = given(loaded[0], pa.Table, "late", "table")
    (event,) = [item for item in result.all_events if item.is_step_failure]
    assert "late is not loaded yet" in str(event.step_failure_data)


@pytest.mark.servers
def test_the_whole_portal_is_synced_by_the_job(loaded: tuple[World, str]) -> None:
    there, _ = loaded
    assert there.sync().success
    assert there.run("catalog").success


@pytest.mark.parametrize("where", ["attribute", "environment"])
def test_tables_are_shown_as_the_engines_and_only_a_file_has_one_writer(
    monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    url = "postgresql://db.test/city?sslmode=verify-full"
    if where == "environment":
        monkeypatch.setenv("ODS_WAREHOUSE", url)
    given_url = {"warehouse": url} if where == "attribute" else {}
    settings = settings_for("data.test", **given_url)
    assert (settings.warehouse_kind, settings.warehouse_pool) == ("postgresql", None)
    monkeypatch.setenv("ODS_WAREHOUSE", "duckdb:///w.duckdb")
    other = settings_for("data.test")
    assert (other.warehouse_kind, other.warehouse_pool) == ("duckdb", "warehouse/default")


def test_assets_of_their_own_have_the_names_that_the_engine_gives_their_tables(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    long = "a-dataset-whose-identifier-is-longer-than-any-name-of-postgresql-can-be"
    monkeypatch.setenv("ODS_WAREHOUSE", "postgresql://db.test/city")
    with Emulator(sample=False) as portal, world(tmp_path, portal, tables={long: {}}) as there:
        (spec,) = (s for s in there.defs.resolve_all_asset_specs() if s.key.path == ["demo", long])
        name = str(spec.metadata["dagster/table_name"]).partition(".")[2]
        assert len(name.partition(".")[2] or name) <= 63
        assert "postgresql" in spec.kinds
        assert isinstance(spec, dg.AssetSpec)
