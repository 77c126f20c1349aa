"""A contract that keeps other columns out: the table stays, and everything else goes on."""

from pathlib import Path

import pyarrow as pa
import pytest

from ods_pipeline.tables.schema_diff import Difference
from ods_pipeline.warehouse import Warehouse
from ods_pipeline.warehouse.protocol import Contract
from tests.warehouse.every_engine.stores import Store
from tests.warehouse.partitions import PORTAL, Column, land

OLD = {"nom": Column(["a"]), "nombre": Column([1], pa.int64())}
NEW = {"nombre": Column(["1", "2"]), "ville": Column(["b", "c"])}


@pytest.fixture
def loaded(warehouse: Warehouse, tmp_path: Path) -> Path:
    """A partition that is loaded and then lands with other columns."""
    path = tmp_path / "lake" / "velos.parquet"
    warehouse.load(land(path, OLD, content_hash="old"), verdict="new", contract="quarantine")
    return land(path, NEW, content_hash="new", schema_hash="new")


@pytest.mark.parametrize("contract", ["quarantine", "freeze"])
def test_a_table_whose_columns_would_change_stays_and_the_load_says_how_they_would(
    warehouse: Warehouse, loaded: Path, store: Store, contract: Contract
) -> None:
    before = warehouse.loaded(PORTAL)
    load = warehouse.load(loaded, verdict="schema", contract=contract)
    assert (load.action, load.rows, load.content_hash) == ("quarantined", 1, "old")
    assert load.change == Difference(
        ("ville",), ("nom",), (("nombre", store.types["int"], store.types["text"]),)
    )
    assert store.rows("velos") == [("a", 1)]
    assert warehouse.loaded(PORTAL) == before


def test_a_quarantine_is_recorded_once_for_each_version(
    warehouse: Warehouse, loaded: Path, store: Store
) -> None:
    for _ in range(3):
        load = warehouse.load(loaded, verdict="schema", contract="quarantine")
        assert load.action == "quarantined"
    assert store.history("action") == [("loaded",), ("quarantined",)]
    recorded = store.history("verdict, rows, content_hash, change")
    assert recorded[1:] == [("schema", 2, "new", str(load.change))]
    land(loaded, NEW, content_hash="newer", schema_hash="new")
    warehouse.load(loaded, verdict="data", contract="quarantine")
    assert len(store.history("action")) == 3


def test_a_table_is_loaded_once_its_columns_are_back(
    warehouse: Warehouse, loaded: Path, store: Store
) -> None:
    warehouse.load(loaded, verdict="schema", contract="quarantine")
    land(loaded, OLD, content_hash="old")
    assert warehouse.load(loaded, verdict="", contract="quarantine").action == "unchanged"
    land(loaded, {**OLD, "nom": Column(["b"])}, content_hash="newest")
    assert warehouse.load(loaded, verdict="data", contract="quarantine").action == "loaded"
    assert store.rows("velos") == [("b", 1)]


def test_a_quarantine_ends_when_the_table_may_evolve(
    warehouse: Warehouse, loaded: Path, store: Store
) -> None:
    warehouse.load(loaded, verdict="schema", contract="quarantine")
    assert warehouse.load(loaded, verdict="schema").action == "loaded"
    assert store.rows("velos") == [("1", "b"), ("2", "c")]
    assert warehouse.loaded(PORTAL)["velos"].content_hash == "new"
    assert warehouse.load(loaded, verdict="", contract="freeze").action == "unchanged"


def test_rows_labels_and_the_order_of_columns_are_free_under_any_contract(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    path = tmp_path / "velos.parquet"

    def loaded(columns: dict[str, Column], content: str) -> str:
        land(path, columns, content_hash=content)
        return warehouse.load(path, verdict="data", contract="freeze").action

    assert loaded(OLD, "old") == "loaded"
    assert loaded({**OLD, "nom": Column(["a"], told={"label": "Nom"})}, "old") == "commented"
    assert loaded(dict(reversed(OLD.items())), "reordered") == "loaded"
    assert loaded({**OLD, "nom": Column(["b"])}, "rows") == "loaded"


def test_a_quarantined_dataset_still_follows_its_new_name(
    warehouse: Warehouse, tmp_path: Path, store: Store
) -> None:
    path = tmp_path / "velos.parquet"
    warehouse.load(land(path, OLD, dataset_uid="da_1"), verdict="new")
    land(path, NEW, dataset_id="bikes", dataset_uid="da_1", formerly='["velos"]')
    load = warehouse.load(path, verdict="schema", contract="quarantine")
    assert (load.action, load.renamed_from) == ("quarantined", "velos")
    assert store.rows("bikes") == [("a", 1)]
    assert store.history("action") == [("loaded",), ("renamed",), ("quarantined",)]
    again = warehouse.load(path, verdict="schema", contract="quarantine")
    assert (again.action, again.renamed_from) == ("quarantined", "")
