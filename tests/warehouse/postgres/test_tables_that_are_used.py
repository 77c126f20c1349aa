"""A table is replaced while people use it: views, rights, indexes and open transactions stay."""

from __future__ import annotations

import threading
from pathlib import Path

import pyarrow as pa
import pytest
import shapely

from ods_pipeline.errors import WarehouseError
from ods_pipeline.warehouse import Warehouse, open_warehouse
from ods_pipeline.warehouse.names import TableNames, shortened
from ods_pipeline.warehouse.postgres.warehouse import PostgresWarehouse
from tests.servers.postgres.server import Server
from tests.warehouse.every_engine.stores import PostgreSQL
from tests.warehouse.partitions import PORTAL, SCHEMA, Column, geometry, land
from tests.warehouse.postgres.person import connected, said

pytestmark = pytest.mark.servers

TABLE = f'"{SCHEMA}".velos'
POINT = shapely.Point(1, 2).wkb
OLD = {"nom": Column(["a"]), "nombre": Column([1], pa.int64())}
NEW_ROWS = {"nom": Column(["b", "c"]), "nombre": Column([2, 3], pa.int64())}


@pytest.fixture
def partition(warehouse: Warehouse, tmp_path: Path) -> Path:
    """A partition that is loaded."""
    path = tmp_path / "velos.parquet"
    warehouse.load(land(path, OLD), verdict="new")
    return path


def test_views_and_rights_stay_over_a_load(
    store: PostgreSQL, warehouse: Warehouse, partition: Path, postgres: Server
) -> None:
    postgres.ask("create role reader_1 login password 'x'")
    store.ask("CREATE SCHEMA mine")
    store.ask(f"CREATE VIEW mine.v AS SELECT nom FROM {TABLE}")
    store.ask(f"CREATE MATERIALIZED VIEW mine.m AS SELECT nom FROM {TABLE}")
    store.ask(f"GRANT SELECT ON {TABLE} TO reader_1")
    land(partition, NEW_ROWS)
    assert warehouse.load(partition, verdict="data").action == "loaded"
    assert store.ask("SELECT * FROM mine.v") == [("b",), ("c",)]
    store.ask("REFRESH MATERIALIZED VIEW mine.m")
    assert store.ask("SELECT * FROM mine.m") == [("b",), ("c",)]
    assert store.ask(f"SELECT has_table_privilege('reader_1', '{TABLE}', 'SELECT')") == [(True,)]


def test_rights_stay_when_the_table_gets_other_columns(
    store: PostgreSQL, warehouse: Warehouse, partition: Path, postgres: Server
) -> None:
    postgres.ask("create role reader_2 login password 'x'")
    store.ask(f"GRANT SELECT, REFERENCES ON {TABLE} TO reader_2 WITH GRANT OPTION")
    store.ask(f"GRANT SELECT ON {TABLE} TO PUBLIC")
    before = store.ask(f"SELECT relacl::text FROM pg_class WHERE oid = '{TABLE}'::regclass")
    land(partition, {"nom": Column(["b"]), "ville": Column(["x"])})
    assert warehouse.load(partition, verdict="schema").action == "loaded"
    assert store.rows("velos") == [("b", "x")]
    after = store.ask(f"SELECT relacl::text FROM pg_class WHERE oid = '{TABLE}'::regclass")
    assert sorted(str(after).split(",")) == sorted(str(before).split(","))


def test_a_column_that_a_view_uses_stays_with_the_table_and_the_view_is_named(
    store: PostgreSQL, warehouse: Warehouse, partition: Path
) -> None:
    store.ask("CREATE SCHEMA mine")
    store.ask(f"CREATE VIEW mine.v AS SELECT nombre FROM {TABLE}")
    land(partition, {"nom": Column(["b"]), "nombre": Column(["x"])})
    load = warehouse.load(partition, verdict="schema")
    assert (load.action, load.views, load.rows) == ("quarantined", ("mine.v",), 1)
    assert "views use them as they are (mine.v)" in load.quarantine
    assert store.rows("velos") == [("a", 1)]
    store.ask("DROP VIEW mine.v")
    assert warehouse.load(partition, verdict="schema").action == "loaded"
    assert store.rows("velos") == [("b", "x")]


def test_columns_that_no_view_uses_come_and_go_beneath_it(
    store: PostgreSQL, warehouse: Warehouse, partition: Path
) -> None:
    store.ask("CREATE SCHEMA mine")
    store.ask(f"CREATE VIEW mine.v AS SELECT nom FROM {TABLE}")
    columns = {
        "ville": Column(["x"]),
        "nom": Column(["b"]),
        "g": geometry([POINT]),
    }
    land(partition, columns)
    assert warehouse.load(partition, verdict="schema").action == "loaded"
    assert list(store.columns("velos")) == ["nom", "ville", "g"]
    assert store.ask("SELECT * FROM mine.v") == [("b",)]
    # The order of columns differs from the file's, and that is no reason to load again.
    assert warehouse.load(partition, verdict="").action == "unchanged"
    land(partition, {**columns, "nom": Column(["c"])})
    assert warehouse.load(partition, verdict="data").action == "loaded"
    assert store.rows("velos", "nom, ville") == [("c", "x")]


def test_indexed_columns_come_and_go_beneath_a_view_with_their_indexes(
    store: PostgreSQL, warehouse: Warehouse, tmp_path: Path
) -> None:
    path = tmp_path / "velos.parquet"
    rows = {"nom": Column(["a"]), "ville": Column(["x"]), "g": geometry([POINT])}
    warehouse.load(land(path, rows), verdict="new")
    store.ask("CREATE SCHEMA mine")
    store.ask(f"CREATE VIEW mine.v AS SELECT nom FROM {TABLE}")
    store.ask(f"CREATE INDEX ON {TABLE} (lower(ville))")
    others = {"nom": Column(["b"]), "ville": Column([1], pa.int64()), "h": geometry([POINT])}
    assert warehouse.load(land(path, others), verdict="schema").action == "loaded"
    assert store.ask("SELECT * FROM mine.v") == [("b",)]
    indexes = (
        "SELECT pg_get_indexdef(indexrelid), indisvalid FROM pg_index "
        f"WHERE indrelid = '{TABLE}'::regclass"
    )
    ((definition, valid),) = store.ask(indexes)
    assert (definition.endswith("USING gist (h)"), valid) == (True, True)
    texts = {"nom": Column(["c"]), "h": Column(["no geometry"])}
    assert warehouse.load(land(path, texts), verdict="schema").action == "loaded"
    assert store.ask("SELECT * FROM mine.v") == [("c",)]
    assert store.ask(indexes) == []


def test_geometries_are_indexed_and_so_are_columns_that_a_user_has_indexed(
    store: PostgreSQL, warehouse: Warehouse, tmp_path: Path
) -> None:
    path = tmp_path / "velos.parquet"

    def columns(name: str) -> dict[str, Column]:
        return {"nom": Column([name]), "g": geometry([POINT])}

    warehouse.load(land(path, columns("a")), verdict="new")
    store.ask(f'CREATE INDEX "by USING name" ON {TABLE} (lower(nom))')
    warehouse.load(land(path, columns("b")), verdict="data")
    parts = store.ask(
        "SELECT indexdef FROM pg_indexes WHERE tablename LIKE '\\_rows%' ORDER BY indexdef"
    )
    assert ["gist" in definition for (definition,) in parts] == [True, False]
    assert "lower(nom)" in parts[1][0]
    valid = store.ask(
        f"SELECT bool_and(indisvalid), count(*) FROM pg_index WHERE indrelid = '{TABLE}'::regclass"
    )
    assert valid == [(True, 2)]


def test_what_users_lay_down_for_values_stays_and_is_held_against_new_rows(
    store: PostgreSQL, warehouse: Warehouse, partition: Path
) -> None:
    store.ask(f"ALTER TABLE {TABLE} ALTER COLUMN nom SET NOT NULL, ADD PRIMARY KEY (nom)")
    store.ask(f"ALTER TABLE {TABLE} ADD CHECK (nombre > 0)")
    land(partition, NEW_ROWS)
    assert warehouse.load(partition, verdict="data").action == "loaded"
    assert store.rows("velos") == [("b", 2), ("c", 3)]
    land(partition, {"nom": Column(["d"]), "nombre": Column([-1], pa.int64())})
    with pytest.raises(WarehouseError, match="check constraint"):
        warehouse.load(partition, verdict="data")
    assert store.rows("velos") == [("b", 2), ("c", 3)]


def test_a_reader_in_an_open_transaction_is_waited_for_and_others_are_not_kept_waiting(
    store: PostgreSQL, warehouse: Warehouse, partition: Path
) -> None:
    land(partition, NEW_ROWS)
    done: list[str] = []
    loading = threading.Thread(
        target=lambda: done.append(warehouse.load(partition, verdict="data").action)
    )
    with connected(store.url) as slow, connected(store.url) as quick:
        with slow.transaction():
            assert slow.execute(said(f"SELECT nom FROM {TABLE}")).fetchall() == [("a",)]
            loading.start()
            for _ in range(200):
                assert quick.execute(said(f"SELECT nom FROM {TABLE}")).fetchall() == [("a",)]
            assert slow.execute(said(f"SELECT nom FROM {TABLE}")).fetchall() == [("a",)]
            assert done == []
        loading.join()
        assert done == ["loaded"]
        assert quick.execute(said(f"SELECT nom FROM {TABLE}")).fetchall() == [("b",), ("c",)]


def test_a_reader_whose_snapshot_is_older_than_the_table_sees_all_of_it(
    store: PostgreSQL, warehouse: Warehouse, partition: Path
) -> None:
    land(partition, NEW_ROWS)
    with connected(store.url) as reader, reader.transaction():
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT 1")
        assert warehouse.load(partition, verdict="data").action == "loaded"
        assert reader.execute(said(f"SELECT nom FROM {TABLE}")).fetchall() == [("b",), ("c",)]


def test_a_table_that_is_read_without_a_pause_stays_and_the_failure_says_so(
    store: PostgreSQL, warehouse: Warehouse, partition: Path
) -> None:
    assert isinstance(warehouse, PostgresWarehouse)
    warehouse._session.patience = 0.1
    land(partition, NEW_ROWS)
    with connected(store.url) as reader, reader.transaction():
        reader.execute(said(f"SELECT nom FROM {TABLE}"))
        with pytest.raises(WarehouseError, match="the next run loads it"):
            warehouse.load(partition, verdict="data")
    assert store.rows("velos") == [("a", 1)]
    assert warehouse.load(partition, verdict="data").action == "loaded"
    assert store.ask("SELECT count(*) FROM pg_class WHERE relname LIKE '\\_rows%'") == [(1,)]


LONG = "a-dataset-whose-identifier-is-longer-than-any-name-of-postgresql-can-be"


def test_a_name_that_is_too_long_is_shortened_and_listed_in_the_catalog(
    store: PostgreSQL, warehouse: Warehouse, tmp_path: Path
) -> None:
    path = tmp_path / "one.parquet"
    for kind in ("records", "features"):
        landed = land(path, {"a": Column(["1"])}, dataset_id=LONG, kind=kind)
        load = warehouse.load(landed, verdict="new")
        assert len(load.table.encode()) <= 63
        assert warehouse.load(landed, verdict="").action == "unchanged"
    assert set(warehouse.loaded(PORTAL)) == {LONG, f"{LONG}__features"}
    names = TableNames(longest=63)
    listed = [names.table_of(LONG, kind) for kind in ("records", "features")]
    assert store.tables() == sorted(listed)
    catalog = {"dataset_id": Column(["velos", LONG])}
    catalog_file = land(tmp_path / "catalog.parquet", catalog, kind="catalog", dataset_id="")
    warehouse.load_catalog(catalog_file)
    assert store.rows("_catalog") == [("velos", None), (LONG, listed[0])]
    assert warehouse.load_catalog(catalog_file).action == "unchanged"


def test_columns_are_named_so_that_postgresql_neither_cuts_nor_has_them(
    store: PostgreSQL, warehouse: Warehouse, tmp_path: Path
) -> None:
    fields = ["é" * 40, "é" * 41, "ctid", "xmin"]
    path = land(tmp_path / "velos.parquet", [(name, Column(["1"])) for name in fields])
    load = warehouse.load(path, verdict="new")
    names = [shortened(name, 63) for name in fields[:2]]
    assert list(store.columns("velos")) == [*names, "ctid_1", "xmin_1"]
    assert "'ctid' is 'ctid_1'" in load.note
    assert warehouse.load(path, verdict="").action == "unchanged"


def test_texts_with_a_nul_are_loaded_with_a_sign_in_its_place_and_the_load_says_so(
    store: PostgreSQL, warehouse: Warehouse, tmp_path: Path
) -> None:
    columns = {
        "t": Column(["a\0b", "c", None]),
        "l": Column([["\0"], ["d"], []], pa.list_(pa.string())),
    }
    load = warehouse.load(land(tmp_path / "velos.parquet", columns), verdict="new")
    assert store.rows("velos") == [("a�b", ["�"]), ("c", ["d"]), (None, [])]
    assert "no NUL in a text" in load.note
    assert "'t' (1), 'l' (1)" in load.note


def test_a_moment_that_postgresql_does_not_have_is_named_with_its_record(
    store: PostgreSQL, warehouse: Warehouse, tmp_path: Path
) -> None:
    column = Column([0, None, -300_000_000_000_000], pa.timestamp("ms", "UTC"))
    with pytest.raises(WarehouseError, match=r"record 3 cannot be loaded .* 'at'"):
        warehouse.load(land(tmp_path / "velos.parquet", {"at": column}), verdict="new")
    assert store.tables() == []


def test_a_geometry_that_postgis_refuses_is_named_with_its_record(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    ring = bytes.fromhex("0103000000010000000200000000000000000000000000000000000000") + bytes(16)
    values = geometry([POINT, ring])
    with pytest.raises(WarehouseError, match="in record 2 of the column g"):
        warehouse.load(land(tmp_path / "velos.parquet", {"g": values}), verdict="new")


CURVE = "CURVEPOLYGON(CIRCULARSTRING(0 0,1 1,2 0,1 -1,0 0))"


def test_curves_are_loaded_as_curves(
    store: PostgreSQL, warehouse: Warehouse, tmp_path: Path
) -> None:
    ((curve,),) = store.ask(f"SELECT gis.ST_AsBinary(gis.ST_GeomFromText('{CURVE}'))")
    landed = land(tmp_path / "velos.parquet", {"g": geometry([curve])})
    warehouse.load(landed, verdict="new")
    assert store.rows("velos", "gis.ST_AsText(g), gis.ST_SRID(g)") == [(CURVE, 4326)]


def test_geometries_take_the_form_that_the_url_asks_for_with_the_next_load(
    store: PostgreSQL, tmp_path: Path
) -> None:
    columns = {"nom": Column(["a"]), "g": geometry([POINT])}
    path = land(tmp_path / "velos.parquet", columns)
    as_bytes = f"{store.url}?geometry=wkb"
    for url, kind in [(as_bytes, "bytes"), (store.url, "geometry"), (as_bytes, "bytes")]:
        with open_warehouse(url) as warehouse:
            assert warehouse.loaded(PORTAL) == {}
            # What a user asks for is no change by the publisher.
            load = warehouse.load(path, verdict="unchanged", contract="freeze")
            assert load.action == "loaded"
            assert store.columns("velos")["g"] == store.types[kind]
            assert set(warehouse.loaded(PORTAL)) == {"velos"}
            assert warehouse.load(path, verdict="unchanged").action == "unchanged"


def test_a_contract_holds_what_the_publisher_changes_together_with_the_form_of_geometries(
    store: PostgreSQL, tmp_path: Path
) -> None:
    path = tmp_path / "velos.parquet"
    with open_warehouse(f"{store.url}?geometry=wkb") as warehouse:
        warehouse.load(land(path, {**OLD, "g": geometry([POINT])}), verdict="new")
    land(path, {"nom": Column(["b"]), "g": geometry([POINT])})
    with open_warehouse(store.url) as warehouse:
        assert warehouse.load(path, verdict="schema", contract="freeze").action == "quarantined"
