"""What a load does to the tables, step by step in the life of a dataset."""

from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ods_pipeline.errors import WarehouseError
from ods_pipeline.tables.schema_diff import Difference
from ods_pipeline.warehouse import LoadedTable, Warehouse
from ods_pipeline.warehouse.landed import read_partition
from tests.warehouse.every_engine.stores import Store
from tests.warehouse.partitions import PORTAL, SCHEMA, Column, land

TABLE = f'"{SCHEMA}".velos'
NAMES = Column(["a", None, ""], told={"label": "Nom", "description": "Nom de la station"})
COUNTS = Column([1, 2**63 - 1, None], pa.int64(), {"label": "Nombre", "unit": "vélos"})


@pytest.fixture
def partition(tmp_path: Path) -> Path:
    return tmp_path / "lake" / "velos.parquet"


def test_a_first_load_makes_the_table_with_every_row_in_the_order_of_the_file(
    warehouse: Warehouse, partition: Path, store: Store
) -> None:
    load = warehouse.load(land(partition, {"nom": NAMES, "nombre": COUNTS}), verdict="new")
    assert (load.schema, load.table, load.action, load.rows) == (SCHEMA, "velos", "loaded", 3)
    assert load.change == Difference()
    assert store.rows("velos") == [("a", 1), (None, 2**63 - 1), ("", None)]


def test_every_arrow_type_of_the_lake_gets_its_sql_type(
    warehouse: Warehouse, partition: Path, store: Store
) -> None:
    at = datetime(2024, 3, 1, 12, 30, tzinfo=UTC)
    columns = {
        "text": Column(["01001"]),
        "list": Column([["a", "b"]], pa.list_(pa.string())),
        "int": Column([1], pa.int64()),
        "double": Column([1.5], pa.float64()),
        "date": Column([date(2024, 2, 29)], pa.date32()),
        "datetime": Column([at], pa.timestamp("ms", "UTC")),
        "boolean": Column([True], pa.bool_()),
    }
    warehouse.load(land(partition, columns), verdict="new")
    assert store.columns("velos") == {name: store.types[name] for name in columns}
    assert store.rows("velos") == [("01001", ["a", "b"], 1, 1.5, date(2024, 2, 29), at, True)]


def test_lists_keep_null_empty_and_order_apart(
    warehouse: Warehouse, partition: Path, store: Store
) -> None:
    values = [["b", "a", "b"], [], None, [None, ""]]
    column = Column(values, pa.list_(pa.string()))
    warehouse.load(land(partition, {"tags": column}), verdict="new")
    assert [tags for (tags,) in store.ask(f"SELECT tags FROM {TABLE}")] == values


def test_the_same_content_is_not_loaded_again_and_leaves_no_record(
    warehouse: Warehouse, partition: Path, store: Store
) -> None:
    land(partition, {"nom": NAMES}, data_processed="2024-01-01")
    warehouse.load(partition, verdict="new")
    land(partition, {"nom": NAMES}, data_processed="2024-02-01")
    assert warehouse.load(partition, verdict="data").action == "unchanged"
    assert len(store.ask(f'SELECT * FROM "{SCHEMA}"._loads')) == 1


def test_new_labels_and_licences_change_comments_and_no_row(
    warehouse: Warehouse, partition: Path, store: Store
) -> None:
    warehouse.load(land(partition, {"nom": NAMES, "nombre": COUNTS}), verdict="new")
    untouched = store.marked("velos", "nom")
    renamed = Column(NAMES.values, told={"label": "Nom d'usage"})
    unlabelled = Column(COUNTS.values, COUNTS.type)
    land(partition, {"nom": renamed, "nombre": unlabelled}, title="Vélos", license="ODbL")
    assert warehouse.load(partition, verdict="metadata").action == "commented"
    assert store.column_comments("velos") == ["Nom d'usage", None]
    assert store.comment("velos") == "Vélos — ODbL"
    assert untouched("velos")
    assert warehouse.load(partition, verdict="metadata").action == "unchanged"


def test_comments_tell_title_licence_attribution_label_description_and_unit(
    warehouse: Warehouse, partition: Path, store: Store
) -> None:
    land(
        partition,
        {"nom": NAMES, "nombre": COUNTS},
        title="L'eau \0potable",
        license="Licence Ouverte",
        license_url="https://example.org/lo",
        attribution="Ville de Rennes",
    )
    warehouse.load(partition, verdict="new")
    assert store.comment("velos") == (
        "L'eau potable — Licence Ouverte https://example.org/lo — Ville de Rennes"
    )
    assert store.column_comments("velos") == ["Nom — Nom de la station", "Nombre — unit: vélos"]
    assert warehouse.load(partition, verdict="").action == "unchanged"


def test_a_publisher_who_adds_removes_and_retypes_fields_is_followed_and_told_of(
    warehouse: Warehouse, partition: Path, store: Store
) -> None:
    warehouse.load(land(partition, {"nom": NAMES, "nombre": COUNTS}), verdict="new")
    retyped = Column(["1", "2", None])
    load = warehouse.load(land(partition, {"nombre": retyped, "ville": NAMES}), verdict="schema")
    assert load.action == "loaded"
    assert load.change == Difference(
        ("ville",), ("nom",), (("nombre", store.types["int"], store.types["text"]),)
    )
    retypes = f"{store.types['int']} to {store.types['text']}"
    assert str(load.change) == f"added ville; removed nom; retyped nombre from {retypes}"
    assert store.ask(f"SELECT nombre, ville FROM {TABLE}") == [("1", "a"), ("2", None), (None, "")]
    assert store.history("change") == [(None,), (str(load.change),)]


def test_a_retyped_field_is_reloaded_even_if_the_content_hash_stayed(
    warehouse: Warehouse, partition: Path
) -> None:
    warehouse.load(land(partition, {"a": Column([1], pa.int64())}, content_hash="h"), verdict="new")
    land(partition, {"a": Column([1.0], pa.float64())}, content_hash="h")
    assert warehouse.load(partition, verdict="schema").action == "loaded"


@pytest.mark.parametrize(("old", "new"), [("code", "CODE"), ("CODE", "code"), ("_", "\0")])
def test_a_field_keeps_its_column_where_a_new_one_before_it_would_have_the_same(
    warehouse: Warehouse, partition: Path, store: Store, old: str, new: str
) -> None:
    first, other = Column(["kept"]), Column(["new"])
    warehouse.load(land(partition, {old: first}), verdict="new")
    load = warehouse.load(land(partition, {new: other, old: first}), verdict="schema")
    number = f"{new.replace(chr(0), '_')}_1"
    assert load.change == Difference(added=(number,))
    assert f"is {number!r}" in load.note
    assert list(store.columns("velos")) == [number, old]
    assert store.rows("velos") == [("new", "kept")]
    assert warehouse.load(partition, verdict="").action == "unchanged"


def test_zero_rows_are_a_table_with_all_its_columns(
    warehouse: Warehouse, partition: Path, store: Store
) -> None:
    empty = {"nom": Column([]), "nombre": Column([], pa.int64())}
    assert warehouse.load(land(partition, empty), verdict="new").rows == 0
    assert list(store.columns("velos")) == ["nom", "nombre"]
    assert warehouse.load(partition, verdict="new").action == "unchanged"


def test_every_load_is_recorded_with_when_what_why_and_how_long(
    warehouse: Warehouse, partition: Path, store: Store
) -> None:
    land(partition, {"nom": NAMES}, data_processed="2024-01-01T00:00:00+00:00", content_hash="h")
    warehouse.load(partition, verdict="new")
    recorded = store.history(
        '"table", dataset_id, rows, verdict, action, content_hash, data_processed, '
        "now() - loaded_at < INTERVAL '1' DAY, seconds > 0"
    )
    stamp = "2024-01-01T00:00:00+00:00"
    assert recorded == [("velos", "velos", 3, "new", "loaded", "h", stamp, True, True)]


def test_features_live_beside_records(warehouse: Warehouse, partition: Path) -> None:
    warehouse.load(land(partition, {"nom": NAMES}), verdict="new")
    land(partition, {"nom": NAMES}, kind="features")
    assert warehouse.load(partition, verdict="new").table == "velos__features"
    assert set(warehouse.loaded(PORTAL)) == {"velos", "velos__features"}


def test_the_warehouse_tells_what_it_holds_of_each_portal(
    warehouse: Warehouse, partition: Path, store: Store
) -> None:
    assert warehouse.loaded(PORTAL) == {}
    warehouse.load(land(partition, {"nom": NAMES}, content_hash="h1"), verdict="new")
    warehouse.load(land(partition, {"nom": COUNTS}, content_hash="h2"), verdict="data")
    version = read_partition(partition).receipt.version
    warehouse.load(land(partition, {"nom": NAMES}, dataset_id="lieux"), verdict="new")
    store.ask(f'DROP TABLE "{SCHEMA}".lieux')
    assert warehouse.loaded(PORTAL) == {"velos": LoadedTable("h2", 3, version)}
    assert warehouse.loaded("other.example") == {}


def test_a_table_that_somebody_dropped_is_loaded_again(
    warehouse: Warehouse, partition: Path, store: Store
) -> None:
    warehouse.load(land(partition, {"nom": NAMES}), verdict="new")
    store.ask(f"DROP TABLE {TABLE}")
    assert warehouse.load(partition, verdict="unchanged").action == "loaded"


def test_a_file_that_another_program_wrote_is_not_loaded_and_the_old_rows_stay(
    warehouse: Warehouse, partition: Path, store: Store
) -> None:
    warehouse.load(land(partition, {"nom": NAMES}), verdict="new")
    rows = pq.read_table(land(partition, {"nom": Column(["x"])}))
    receipt = {k: v for k, v in (rows.schema.metadata or {}).items() if k != b"file_sha256"}
    pq.write_table(rows.replace_schema_metadata(receipt), partition)
    with pytest.raises(WarehouseError, match=r"has no checksum.*delete it and sync again"):
        warehouse.load(partition, verdict="data")
    assert store.rows("velos") == [("a",), (None,), ("",)]


def test_a_portals_catalog_is_replaced_whole_and_only_when_it_differs(
    warehouse: Warehouse, tmp_path: Path, store: Store
) -> None:
    def catalog(*datasets: str) -> Path:
        columns = {"dataset_id": Column(datasets)}
        return land(tmp_path / "catalog.parquet", columns, kind="catalog", dataset_id="")

    assert warehouse.load_catalog(catalog("a", "b")).table == "_catalog"
    assert warehouse.load_catalog(catalog("a", "b")).action == "unchanged"
    assert warehouse.load_catalog(catalog("b", "c", "d")).action == "loaded"
    assert store.rows("_catalog", "dataset_id") == [("b",), ("c",), ("d",)]


def test_a_catalog_is_no_dataset_and_a_dataset_no_catalog(
    warehouse: Warehouse, partition: Path
) -> None:
    with pytest.raises(WarehouseError, match="no portal's catalog"):
        warehouse.load_catalog(land(partition, {"nom": NAMES}))
    with pytest.raises(WarehouseError, match="catalog and no dataset"):
        warehouse.load(land(partition, {"nom": NAMES}, kind="catalog"), verdict="new")


def test_an_older_lake_leaves_newer_rows_and_what_is_fetched_later_is_taken(
    warehouse: Warehouse, partition: Path, store: Store
) -> None:
    before, later = "2026-01-01T00:00:00+00:00", "2999-01-01T00:00:00+00:00"
    new = {"data_processed": "2026-03-01T00:00:00+00:00", "fetched_at": before}
    warehouse.load(land(partition, {"nom": Column(["new"])}, **new), verdict="new")
    old = land(
        partition,
        {"nom": Column(["old"])},
        data_processed="2026-02-01T00:00:00+00:00",
        fetched_at=before,
    )
    load = warehouse.load(old, verdict="data")
    assert (load.action, load.rows) == ("unchanged", 1)
    assert "another lake loaded" in load.note
    assert store.rows("velos") == [("new",)]
    # A portal went back to older data: they were fetched after the load.
    back = {"data_processed": "2026-02-01T00:00:00+00:00", "fetched_at": later}
    assert warehouse.load(land(partition, {"nom": Column(["old"])}, **back), verdict="data").rows
    assert store.rows("velos") == [("old",)]


def test_older_data_of_another_dataset_of_the_name_are_taken(
    warehouse: Warehouse, partition: Path, store: Store
) -> None:
    before = "2026-01-01T00:00:00+00:00"
    new = {"data_processed": "2026-03-01T00:00:00+00:00", "dataset_uid": "da_left"}
    warehouse.load(land(partition, {"nom": NAMES}, fetched_at=before, **new), verdict="new")
    old = {"data_processed": "2026-02-01T00:00:00+00:00", "dataset_uid": "da_came"}
    came = land(partition, {"nom": Column(["other"])}, fetched_at=before, **old)
    assert warehouse.load(came, verdict="identity").action == "loaded"
    assert store.rows("velos") == [("other",)]
