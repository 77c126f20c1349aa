"""Commands with a warehouse in PostgreSQL: from an empty database to tables, and back to a file."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from ods_pipeline.emulator import Emulator
from tests.person import typed
from tests.search import Secrets
from tests.servers.postgres.server import PASSWORD, QUOTED, Server, running

PAGE = (Path(__file__).parents[2] / "docs" / "warehouses.md").read_text(encoding="utf-8")
FIELDS = [{"name": "n", "type": "int"}, {"name": "place", "type": "geo_point_2d"}]
ROWS = [{"n": number, "place": {"lon": 2.0, "lat": 48.0}} for number in range(5)]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as started:
        yield started


@pytest.mark.servers
def test_a_portal_is_synced_planned_and_looked_at(server: Server, tmp_path: Path) -> None:
    url = server.warehouse("commands")
    with Emulator(sample=False) as portal:
        portal.publish("towns", fields=FIELDS, records=ROWS)
        settings = {"ODS_PORTAL": portal.url, "ODS_WAREHOUSE": url}
        first = typed(tmp_path, "sync", **settings)
        assert first.returncode == 0, first.stderr
        second = typed(tmp_path, "sync", **settings)
        assert "1 unchanged; 1 request," in second.stdout
        nobody = {**settings, "ODS_WAREHOUSE": url.replace(QUOTED, "another")}
        refused = [typed(tmp_path, command, **nobody) for command in ("sync", "plan")]
        assert {(done.returncode, done.stdout) for done in refused} == {(1, "")}
        assert all("correct user and password" in done.stderr for done in refused)
        doctor = typed(tmp_path, "doctor", **settings)
        assert "PostGIS 3" in doctor.stdout
        (planned,) = json.loads(typed(tmp_path, "plan", "--json", **settings).stdout)
        assert planned["loaded"] is True
        # A move to another engine needs what is landed alone.
        portal.requests.clear()
        moved = {"ODS_PORTAL": portal.url}
        (planned,) = json.loads(typed(tmp_path, "plan", "--json", **moved).stdout)
        assert planned["loaded"] is False
        assert (
            "1 table of what is landed would be loaded" in typed(tmp_path, "plan", **moved).stdout
        )
        third = typed(tmp_path, "sync", **moved)
        assert third.returncode == 0
        assert "1 unchanged, 1 table loaded from the lake; 1 request," in third.stdout
        assert not [request for request in portal.requests if "exports/parquet" in request.path]
    for done in (first, second, doctor, third):
        assert not Secrets([PASSWORD, QUOTED]).within(done.stdout + done.stderr)
    schema = portal.url.removeprefix("http://").replace(".", "_").replace(":", "_")
    with psycopg.connect(url) as connection:
        counted = connection.execute(f'SELECT count(*) FROM "{schema}".towns').fetchall()  # type: ignore[call-overload]
        shown = re.findall(r"psql .* -?c? ?'(SELECT .*_loads)'", PAGE)
        (query,) = [text.replace("127_0_0_1_8765", schema) for text in shown]
        assert ("towns", 5) in connection.execute(query).fetchall()
    assert counted == [(5,)]


@pytest.mark.servers
def test_a_view_that_uses_a_field_holds_the_dataset_until_it_is_dropped(
    server: Server, tmp_path: Path
) -> None:
    url = server.warehouse("views")
    with Emulator(sample=False) as portal:
        portal.publish("towns", fields=FIELDS, records=ROWS)
        settings = {"ODS_PORTAL": portal.url, "ODS_WAREHOUSE": url}
        assert typed(tmp_path, "sync", **settings).returncode == 0
        schema = portal.url.removeprefix("http://").replace(".", "_").replace(":", "_")
        with psycopg.connect(url, autocommit=True) as connection:
            view = f'CREATE SCHEMA mine; CREATE VIEW mine.v AS SELECT n FROM "{schema}".towns'
            connection.execute(view)  # type: ignore[call-overload]
            retyped = [{**row, "n": str(row["n"])} for row in ROWS]
            portal.publish(
                "towns", fields=[{**FIELDS[0], "type": "text"}, FIELDS[1]], records=retyped
            )
            held = typed(tmp_path, "sync", **settings)
            assert "drop mine.v, run sync, and make them again" in " ".join(held.stdout.split())
            assert "--accept" not in held.stdout
            told = json.loads(typed(tmp_path, "sync", "--json", **settings).stdout)["datasets"][0]
            assert (told["views"], told["to_accept"]) == (["mine.v"], None)
            assert connection.execute("SELECT n FROM mine.v ORDER BY n LIMIT 1").fetchall() == [
                (0,)
            ]
            connection.execute("DROP VIEW mine.v")
        assert typed(tmp_path, "sync", **settings).returncode == 0
        with psycopg.connect(url) as connection:
            found = connection.execute(f'SELECT min(n) FROM "{schema}".towns').fetchall()  # type: ignore[call-overload]
    assert found == [("0",)]


@pytest.mark.servers
def test_a_file_of_portals_names_the_server_without_its_password(
    server: Server, tmp_path: Path
) -> None:
    url = server.warehouse("configured")
    with Emulator(sample=False) as portal:
        portal.publish("towns", fields=FIELDS, records=ROWS)
        bare = url.replace(f":{QUOTED}", "")
        text = f'warehouse = "{{}}"\n[portals.city]\nportal = "{portal.url}"\nschema = "city"\n'
        (tmp_path / "ods-pipeline.toml").write_text(text.format(bare))
        done = typed(tmp_path, "sync", PGPASSWORD=PASSWORD)
        assert done.returncode == 0, done.stderr
        (tmp_path / "ods-pipeline.toml").write_text(text.format(url))
        refused = typed(tmp_path, "sync")
    assert refused.returncode == 2
    assert "set ODS_WAREHOUSE" in refused.stderr
    assert not Secrets([PASSWORD, QUOTED]).within(refused.stdout + refused.stderr)
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM city.towns").fetchall() == [(5,)]
