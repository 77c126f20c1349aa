"""Commands whose processes share quota, locks and logins in PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from ods_pipeline.cli.target import Access, Target
from ods_pipeline.dagster.resources import LakeResource, PortalResource
from ods_pipeline.emulator import Emulator
from ods_pipeline.errors import ConfigurationError
from ods_pipeline.portal.http.address import Address
from tests.person import typed
from tests.ports import free_port
from tests.search import Secrets
from tests.servers.postgres.server import PASSWORD, QUOTED, USER, Server, running

FIELDS = [{"name": "n", "type": "int"}]
ADDRESS = Address.parse("https://data.test")
URL = "postgresql://pipeline@db.test/state"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as started:
        yield started


@pytest.fixture
def portal() -> Iterator[Emulator]:
    with Emulator(sample=False, quota=100) as running_portal:
        running_portal.publish("towns", fields=FIELDS, records=[{"n": 1}])
        yield running_portal


def asked(url: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(query.encode()).fetchall()


@pytest.mark.servers
def test_a_sync_counts_and_locks_in_the_database_and_leaves_no_local_state(
    server: Server, portal: Emulator, tmp_path: Path
) -> None:
    url, home = server.database("sync"), tmp_path / "home"
    settings = {"ODS_PORTAL": portal.url, "ODS_STATE": url, "XDG_STATE_HOME": str(home)}
    done = typed(tmp_path, "sync", **settings)
    assert done.returncode == 0, done.stderr
    names = asked(url, "SELECT name FROM ods_pipeline_quotas")
    assert names == [(f"{Address.parse(portal.url).slug}--anonymous",)]
    assert not list(tmp_path.rglob(".turns"))
    assert not home.exists()
    assert not Secrets([PASSWORD, QUOTED]).within(done.stdout + done.stderr)


@pytest.mark.servers
def test_doctor_says_where_state_is_shared(
    server: Server, portal: Emulator, tmp_path: Path
) -> None:
    url = server.database("doctor")
    done = typed(tmp_path, "doctor", "--state", url, ODS_PORTAL=portal.url)
    assert done.returncode == 0, done.stdout
    assert f"postgresql://127.0.0.1:{server.port}/doctor holds quota, locks and" in done.stdout
    assert not Secrets([PASSWORD, QUOTED]).within(done.stdout + done.stderr)
    alone = typed(tmp_path, "doctor", ODS_PORTAL=portal.url)
    assert "local files, for the processes of this host" in alone.stdout


@pytest.mark.servers
def test_a_state_that_cannot_be_reached_ends_a_run_before_the_portal_is_asked(
    portal: Emulator, tmp_path: Path
) -> None:
    url = f"postgresql://{USER}:{QUOTED}@127.0.0.1:{free_port()}/none"
    settings = {"ODS_PORTAL": portal.url, "ODS_STATE": url}
    done, found = typed(tmp_path, "sync", **settings), typed(tmp_path, "doctor", **settings)
    assert done.returncode == 2
    assert "check that it is up and that ODS_STATE" in done.stderr
    assert "Traceback" not in done.stderr
    assert found.returncode == 1
    assert "was not read; see state" in found.stdout
    assert not portal.requests
    for text in (done, found):
        assert not Secrets([PASSWORD, QUOTED]).within(text.stdout + text.stderr)


def test_a_login_is_kept_in_the_state_unless_another_place_is_named(tmp_path: Path) -> None:
    given = Access(client_id="app")
    shared = given.application(ADDRESS, tmp_path, URL).store(ADDRESS)
    assert shared.where == "table ods_pipeline_logins of postgresql://db.test/state"
    local = given.application(ADDRESS, tmp_path).store(ADDRESS)
    named = Access(client_id="app", token_file=str(tmp_path / "named.json"))
    assert local.where.startswith(str(tmp_path / "tokens"))
    named_store = named.application(ADDRESS, tmp_path, URL).store(ADDRESS)
    assert named_store.where == str(tmp_path / "named.json")


def test_a_login_is_not_looked_for_in_what_is_no_state(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="ODS_STATE is no URL of PostgreSQL"):
        Access(client_id="app").application(ADDRESS, tmp_path, "mysql://me:secret@db.test/x")


def test_dagsters_resources_share_what_the_setting_or_the_environment_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ODS_STATE", URL)
    folder = str(tmp_path)
    lakes = [LakeResource(portal="p", data_dir=folder, state=text).lake for text in ("", URL)]
    other = LakeResource(portal="p", data_dir=folder, state=f"{URL}2").lake
    assert lakes[0].state is lakes[1].state is not None
    assert other.state is not lakes[0].state
    client = PortalResource(address="data.test", data_dir=folder).portal.client
    assert client.state is lakes[0].state
    login = PortalResource(address="data.test", data_dir=folder, oauth2={"client_id": "app"})
    credentials = login.credentials()
    assert "ods_pipeline_logins" in credentials.store(ADDRESS).where  # type: ignore[union-attr]
    monkeypatch.delenv("ODS_STATE")
    assert LakeResource(portal="p", data_dir=folder).lake.state is None


def test_no_repr_shows_the_password_of_a_state(tmp_path: Path) -> None:
    target = Target("p", tmp_path, "duckdb:///w", Access(), "postgresql://me:secret@db.test/x")
    assert "secret" not in repr(target)
