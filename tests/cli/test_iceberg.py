"""Commands with a warehouse of Iceberg tables, as pyiceberg's own configuration describes it."""

import json
from pathlib import Path

import pytest
from pyiceberg.catalog import load_catalog

from ods_pipeline.emulator import Emulator
from tests.person import typed
from tests.search import Secrets
from tests.warehouse.iceberg.catalogs import NAME, embedded

FIELDS = [{"name": "n", "type": "int"}, {"name": "place", "type": "geo_point_2d"}]
ROWS = [{"n": number, "place": {"lon": 2.0, "lat": 48.0}} for number in range(5)]
PASSWORD = "a-pass word:of/signs"
WRITTEN = "a-pass%20word%3Aof%2Fsigns"


@pytest.mark.slow
def test_a_portal_is_synced_planned_and_looked_at(tmp_path: Path) -> None:
    described = embedded(tmp_path)
    lines = "".join(f"    {key}: {value}\n" for key, value in described.items())
    (tmp_path / ".pyiceberg.yaml").write_text(f"catalog:\n  {NAME}:\n{lines}")
    with Emulator(sample=False) as portal:
        portal.publish("towns", fields=FIELDS, records=ROWS)
        settings = {"ODS_PORTAL": portal.url, "ODS_WAREHOUSE": f"iceberg:{NAME}"}
        first = typed(tmp_path, "sync", **settings)
        assert first.returncode == 0, first.stderr
        assert "1 unchanged; 1 request," in typed(tmp_path, "sync", **settings).stdout
        doctor = typed(tmp_path, "doctor", **settings)
        assert "iceberg:lake answers: Sql catalog, the schema is there" in doctor.stdout
        (planned,) = json.loads(typed(tmp_path, "plan", "--json", **settings).stdout)
        assert planned["loaded"] is True
    schema = portal.url.removeprefix("http://").replace(".", "_").replace(":", "_")
    table = load_catalog(NAME, **described).load_table((schema, "towns"))
    assert sorted(table.scan().to_arrow()["n"].to_pylist()) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "pyiceberg's configuration has no catalog lake: describe it in .pyiceberg.yaml"),
        ({"URI": "sqlite:///c.db"}, "does not say where its tables' files are to be"),
        (
            {"URI": f"postgresql+nodriver://me:{WRITTEN}@127.0.0.1:1/db", "WAREHOUSE": "file:///x"},
            "iceberg:lake refused or cannot be reached",
        ),
        (
            {"URI": f"http://me:{WRITTEN}@127.0.0.1:1/", "CREDENTIAL": f"me:{PASSWORD}"},
            "iceberg:lake refused or cannot be reached",
        ),
        ({"URI": "http://127.0.0.1:1/", "TOKEN": PASSWORD}, "cannot be reached"),
        ({"URI": "sqlite:////dev/null/c.db", "WAREHOUSE": "file:///x"}, "cannot be reached"),
    ],
)
def test_a_catalog_that_cannot_be_had_is_said_in_a_sentence_without_its_secrets(
    tmp_path: Path, settings: dict[str, str], said: str
) -> None:
    given = {f"PYICEBERG_CATALOG__LAKE__{key}": value for key, value in settings.items()}
    with Emulator(sample=False) as portal:
        portal.publish("towns", fields=FIELDS, records=ROWS)
        done = typed(
            tmp_path, "doctor", ODS_PORTAL=portal.url, ODS_WAREHOUSE=f"iceberg:{NAME}", **given
        )
    told = " ".join((done.stdout + done.stderr).split())
    assert said in told
    assert done.returncode
    assert "Traceback" not in told
    assert not Secrets([PASSWORD, WRITTEN]).within(told)


def test_a_configuration_that_cannot_be_read_is_said_without_its_lines(tmp_path: Path) -> None:
    (tmp_path / ".pyiceberg.yaml").write_text(f"catalog:\n  lake:\n    token: [{PASSWORD}\n")
    with Emulator(sample=False) as portal:
        settings = {"ODS_PORTAL": portal.url, "ODS_WAREHOUSE": f"iceberg:{NAME}"}
        for command in ("sync", "doctor"):
            done = typed(tmp_path, command, **settings)
            told = " ".join((done.stdout + done.stderr).split())
            assert "pyiceberg cannot read its configuration" in told
            assert "Traceback" not in told
            assert not Secrets([PASSWORD]).within(told)


@pytest.mark.parametrize(
    "url", ["iceberg:", "iceberg:a b", "iceberg:x?keep_days=-1", "iceberg:x?a=b"]
)
def test_an_address_that_names_no_catalog_is_bad_usage(tmp_path: Path, url: str) -> None:
    done = typed(tmp_path, "sync", ODS_PORTAL="http://127.0.0.1:1", ODS_WAREHOUSE=url)
    assert done.returncode == 2
    assert "an Iceberg warehouse is iceberg:NAME" in " ".join(done.stderr.split())
