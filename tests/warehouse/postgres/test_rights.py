"""What a user needs of a server, and what is said where it is missing, without any secret."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
import shapely

from ods_pipeline.errors import OdsPipelineError, WarehouseError, WarehouseLocked
from ods_pipeline.tables.forms import Form
from ods_pipeline.warehouse import Warehouse, open_warehouse
from ods_pipeline.warehouse.names import TableNames
from ods_pipeline.warehouse.opening import rows_of, tables_of
from tests.search import Secrets, told
from tests.servers.postgres.server import PASSWORD, QUOTED, USER, Server
from tests.warehouse.every_engine.stores import PostgreSQL
from tests.warehouse.partitions import PORTAL, SCHEMA, Column, geometry, land

pytestmark = pytest.mark.servers

_NUMBERS = count(1)
SQUARE = shapely.box(0, 0, 1, 1).wkb


@pytest.fixture
def plain(postgres: Server) -> PostgreSQL:
    """A database without PostGIS."""
    return PostgreSQL(postgres.warehouse(f"plain_{next(_NUMBERS)}", postgis=False))


def test_the_schema_of_the_portal_is_all_that_a_user_has_to_be_given(
    postgres: Server, store: PostgreSQL, tmp_path: Path
) -> None:
    database = store.url.rpartition("/")[2]
    postgres.ask(f"revoke create on database {database} from {USER}")
    landed = land(tmp_path / "velos.parquet", {"g": geometry([SQUARE])})
    with store.open() as warehouse:
        for step in (
            lambda: warehouse.check(PORTAL),
            lambda: warehouse.load(landed, verdict="new"),
        ):
            with pytest.raises(
                WarehouseError, match=r"run CREATE SCHEMA .* AUTHORIZATION"
            ) as caught:
                step()
        postgres.ask(caught.value.message.partition(" run ")[2], database)
        assert "PostGIS 3" in warehouse.check(PORTAL)
        assert warehouse.load(landed, verdict="new").action == "loaded"
    assert postgres.ask(f"select rolsuper from pg_roles where rolname = '{USER}'") == "f"


def test_a_schema_that_others_own_is_named_with_the_grant_that_is_missing(
    postgres: Server, store: PostgreSQL, tmp_path: Path
) -> None:
    database = store.url.rpartition("/")[2]
    postgres.ask(f'create schema "{SCHEMA}"', database)
    landed = land(tmp_path / "velos.parquet", {"a": Column(["1"])})
    with store.open() as warehouse:
        with pytest.raises(WarehouseError, match="run GRANT USAGE, CREATE ON SCHEMA") as caught:
            warehouse.check(PORTAL)
        with pytest.raises(WarehouseError, match="GRANT USAGE, CREATE ON SCHEMA"):
            warehouse.load(landed, verdict="new")
        postgres.ask(caught.value.message.partition(" run ")[2], database)
        assert warehouse.load(landed, verdict="new").action == "loaded"


def test_a_schema_that_may_only_be_read_is_told_of_before_a_load(
    postgres: Server, store: PostgreSQL
) -> None:
    database = store.url.rpartition("/")[2]
    postgres.ask(f'create schema "{SCHEMA}"; grant usage on schema "{SCHEMA}" to {USER}', database)
    with store.open() as warehouse, pytest.raises(WarehouseError, match="GRANT USAGE, CREATE"):
        warehouse.check(PORTAL)


def test_a_table_that_somebody_else_owns_now_is_told_with_what_gives_it_back(
    postgres: Server, store: PostgreSQL, tmp_path: Path
) -> None:
    database, path = store.url.rpartition("/")[2], tmp_path / "velos.parquet"
    with store.open() as warehouse:
        warehouse.load(land(path, {"a": Column(["1"])}), verdict="new")
        postgres.ask(f'alter table "{SCHEMA}".velos owner to current_user', database)
        postgres.ask(f'grant select on "{SCHEMA}".velos to {USER}', database)
        with pytest.raises(WarehouseError, match=r"run ALTER TABLE … OWNER TO"):
            warehouse.load(land(path, {"a": Column(["2"])}), verdict="data")
    assert store.rows("velos") == [("1",)]


def test_a_schema_of_the_users_own_choice_takes_the_tables(
    store: PostgreSQL, tmp_path: Path
) -> None:
    landed = land(tmp_path / "velos.parquet", {"a": Column(["1"])}, dataset_id="velo-bus")
    with store.open(TableNames("city", "snake")) as warehouse:
        load = warehouse.load(landed, verdict="new")
        assert (load.schema, load.table) == ("city", "velo_bus")
        assert set(warehouse.loaded(PORTAL)) == {"velo_bus"}
    assert store.tables("city") == ["velo_bus"]


def test_without_postgis_geometries_are_refused_with_the_two_ways_out(
    plain: PostgreSQL, tmp_path: Path
) -> None:
    landed = land(tmp_path / "velos.parquet", {"g": geometry([SQUARE])})
    other = land(tmp_path / "other.parquet", {"a": Column(["1"])}, dataset_id="other")
    with plain.open() as warehouse:
        for step in (
            lambda: warehouse.check(PORTAL),
            lambda: warehouse.load(landed, verdict="new"),
        ):
            with pytest.raises(WarehouseError, match="has no PostGIS") as caught:
                step()
            assert "CREATE EXTENSION postgis" in caught.value.message
            assert "?geometry=wkb" in caught.value.message
        assert warehouse.load(other, verdict="new").action == "loaded"


def test_without_postgis_geometries_are_bytes_where_the_user_says_so(
    plain: PostgreSQL, tmp_path: Path
) -> None:
    landed = land(tmp_path / "velos.parquet", {"g": geometry([SQUARE, None])})
    with open_warehouse(f"{plain.url}?geometry=wkb&application_name=me") as warehouse:
        assert "bytes of WKB" in warehouse.check(PORTAL)
        assert warehouse.load(landed, verdict="new").action == "loaded"
        assert warehouse.load(landed, verdict="new").action == "unchanged"
    assert plain.columns("velos") == {"g": "bytea"}
    assert plain.rows("velos") == [(SQUARE,), (None,)]


def test_postgis_that_may_not_be_used_is_named_with_its_schema(
    postgres: Server, store: PostgreSQL, tmp_path: Path
) -> None:
    database = store.url.rpartition("/")[2]
    postgres.ask("revoke usage on schema gis from public", database)
    landed = land(tmp_path / "velos.parquet", {"g": geometry([SQUARE])})
    with store.open() as warehouse, pytest.raises(WarehouseError, match="GRANT USAGE") as caught:
        warehouse.load(landed, verdict="new")
    assert "in the schema gis" in caught.value.message


def test_what_the_url_leaves_out_is_in_libpqs_variables_and_files(
    postgres: Server, store: PostgreSQL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = store.url.rpartition("/")[2]
    landed = land(tmp_path / "velos.parquet", {"a": Column(["1"])})
    passwords = tmp_path / "pgpass"
    passwords.write_text(f"127.0.0.1:*:*:{USER}:{PASSWORD.replace(':', chr(92) + ':')}\n")
    passwords.chmod(0o600)
    for name, value in {
        "PGHOST": "127.0.0.1",
        "PGPORT": str(postgres.port),
        "PGUSER": USER,
        "PGDATABASE": database,
        "PGPASSFILE": str(passwords),
    }.items():
        monkeypatch.setenv(name, value)
    with open_warehouse("postgresql://") as warehouse:
        assert warehouse.load(landed, verdict="new").action == "loaded"
    monkeypatch.delenv("PGPASSFILE")
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    with open_warehouse(f"postgresql:///{database}?sslmode=disable") as warehouse:
        assert warehouse.load(landed, verdict="new").action == "unchanged"
    # The server speaks no TLS, and a user who asks for it is not given less.
    with pytest.raises(WarehouseError, match="SSL"):
        open_warehouse(f"postgresql:///{database}?sslmode=require")


@pytest.mark.parametrize("wrong", ["password", "user", "database", "port"])
def test_no_error_names_the_password(store: PostgreSQL, wrong: str) -> None:
    secret = f"{PASSWORD}-of-nobody"
    url = {
        "password": store.url.replace(QUOTED, quote(secret, safe="")),
        "user": store.url.replace(f"//{USER}:", "//nobody:"),
        "database": f"{store.url}_that_is_not_there",
        "port": store.url.replace("127.0.0.1:", "127.0.0.1:1"),
    }[wrong]
    with pytest.raises(OdsPipelineError) as caught:
        open_warehouse(url)
    assert not Secrets([PASSWORD, secret]).within(told(caught.value))
    assert "\n" not in caught.value.message


def test_an_error_of_the_server_names_no_password_either(
    store: PostgreSQL, warehouse: Warehouse, tmp_path: Path
) -> None:
    store.ask(f'CREATE SCHEMA "{SCHEMA}"')
    store.ask(f'CREATE TABLE "{SCHEMA}".velos AS SELECT 42 AS my_model')
    landed = land(tmp_path / "velos.parquet", {"a": Column(["1"])})
    with pytest.raises(WarehouseError, match="was not loaded from a portal") as caught:
        warehouse.load(landed, verdict="new")
    broken = land(tmp_path / "other.parquet", {"g": geometry([b"\x01\x09"])}, dataset_id="other")
    with pytest.raises(WarehouseError, match="record 1") as refused:
        warehouse.load(broken, verdict="new")
    for thing in (told(caught.value), told(refused.value), repr(warehouse), repr(vars(warehouse))):
        assert not Secrets([PASSWORD]).within(thing)
    assert store.rows("velos") == [(42,)]


@pytest.mark.parametrize("form", Form)
def test_rows_are_given_in_every_form(store: PostgreSQL, tmp_path: Path, form: Form) -> None:
    columns = {"nom": Column(["a", None]), "g": geometry([SQUARE, None])}
    with store.open() as warehouse:
        warehouse.load(land(tmp_path / "velos.parquet", columns), verdict="new")
    assert "velos" in tables_of(store.url, SCHEMA)
    rows = rows_of(store.url, SCHEMA, {"velos": "velos"}, form)
    if form in {Form.READER}:
        rows = rows.read_all()
    if form is Form.LAZY:
        rows = rows.collect()
    if form is Form.RELATION:
        rows = rows.to_arrow_table()
    assert list(rows.columns if form.value.endswith("Frame") else rows.column_names) == ["nom", "g"]
    assert len(rows) == 2
    if form is Form.GEOPANDAS:
        assert rows.crs == "OGC:CRS84"
        assert rows.geometry.iloc[0].wkb == SQUARE


def test_a_server_that_is_gone_is_told_of_when_it_is_needed(store: PostgreSQL) -> None:
    with psycopg.connect(store.url) as connection:
        assert connection.info.server_version >= 130_000
    with pytest.raises(WarehouseError, match="cannot be opened"):
        tables_of("postgresql://127.0.0.1:1/nothing", SCHEMA)


def test_a_server_without_a_free_connection_is_waited_for(
    postgres: Server, store: PostgreSQL
) -> None:
    database = store.url.rpartition("/")[2]
    postgres.ask(f"alter database {database} connection limit 1")
    with psycopg.connect(store.url):
        with pytest.raises(WarehouseLocked, match="takes no connection now"):
            open_warehouse(store.url)
        asked = iter([False, True])
        with pytest.raises(WarehouseLocked):
            open_warehouse(store.url, 60, lambda: next(asked))
    assert next(asked, None) is None
    open_warehouse(store.url, 60).close()
