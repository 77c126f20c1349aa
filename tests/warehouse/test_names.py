"""Names: from portals, datasets and fields to identifiers that no engine confuses."""

from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ods_pipeline.errors import WarehouseError
from ods_pipeline.warehouse import Warehouse, open_warehouse
from ods_pipeline.warehouse.names import (
    TableNames,
    column_names,
    literal,
    quoted,
    schema_name,
    table_name,
)
from tests.warehouse.partitions import PORTAL, SCHEMA, Column, land

Ask = Callable[..., list[tuple[object, ...]]]
# Parquet and Arrow hold UTF-8, which has no surrogates.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
ALIKE = st.text(st.sampled_from('aAbB_1 "éÉ\0.'), max_size=4)


@pytest.mark.parametrize(
    ("portal", "schema"),
    [
        ("data.economie.gouv.fr", "data_economie_gouv_fr"),
        ("127.0.0.1_8765", "127_0_0_1_8765"),
        ("my--portal..Example", "my_portal_example"),
    ],
)
def test_a_portals_schema_is_its_slug_with_underscores(portal: str, schema: str) -> None:
    assert schema_name(portal) == schema


def test_a_table_is_called_as_its_dataset() -> None:
    assert table_name("eco2mix-national-tr", "records") == "eco2mix-national-tr"
    assert table_name("velos", "features") == "velos__features"
    assert table_name("", "catalog") == "_catalog"
    with pytest.raises(ValueError, match="no kind"):
        table_name("velos", "layers")


@pytest.mark.parametrize(
    ("dataset_id", "table"),
    [
        ("prix-des-carburants", "prix_des_carburants"),
        ("eco2mix--national.tr", "eco2mix_national_tr"),
        ("2024-budget", "_2024_budget"),
        ("Vélib", "v_lib"),
    ],
)
def test_names_in_snake_style_need_no_quotes(dataset_id: str, table: str) -> None:
    names = TableNames(style="snake")
    assert names.table_of(dataset_id, "records") == table
    assert names.table_of(dataset_id, "features") == f"{table}__features"
    assert names.table_of("", "catalog") == "_catalog"


def test_a_name_of_its_own_goes_before_the_style() -> None:
    names = TableNames("city", "snake", {"velo-bus": "Bus & vélo"})
    assert names.schema_of("data.test") == "city"
    assert names.table_of("velo-bus", "features") == "Bus & vélo__features"
    assert TableNames().schema_of("data.test") == schema_name("data.test")


def test_a_clash_of_very_long_names_is_still_told_in_one_sentence(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    one = land(tmp_path / "one.parquet", {"a": Column(["1"])}, dataset_id="x" * 5000)
    two = land(tmp_path / "two.parquet", {"a": Column(["2"])}, dataset_id="X" * 5000)
    warehouse.load(one, verdict="new")
    with pytest.raises(WarehouseError, match="drop that table if its dataset is gone") as caught:
        warehouse.load(two, verdict="new")
    assert len(caught.value.message) < 500


def test_a_column_that_the_table_has_keeps_its_name_wherever_its_field_stands() -> None:
    assert column_names(["A", "a", "b"], ["a", "b"]) == ("A_1", "a", "b")
    assert column_names(["A", "a", "A_1"], ["A_1", "a"]) == ("A_2", "a", "A_1")
    assert column_names(["A", "a"], ["b"]) == ("A", "a_1")


def test_columns_that_differ_by_case_alone_get_suffixes_that_no_other_column_has() -> None:
    names = ("name", "Name", "name_1", "NAME", "", "nul\0")
    assert column_names(names) == ("name", "Name_2", "name_1", "NAME_3", "_", "nul_")


@given(st.lists(TEXT | ALIKE, min_size=1, max_size=12))
def test_any_field_names_are_columns_that_duckdb_keeps_apart(names: list[str]) -> None:
    columns = column_names(names)
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE t ({', '.join(f'{quoted(n)} INT' for n in columns)})")
        described = connection.execute("DESCRIBE t").fetchall()
    assert tuple(row[0] for row in described) == columns
    assert column_names(columns) == columns


@given(st.lists(st.text(st.sampled_from("abc_1"), min_size=1), unique=True))
def test_field_names_without_a_clash_stay_as_they_are(names: list[str]) -> None:
    assert column_names(names) == tuple(names)


@given(TEXT.filter(lambda text: "\0" not in text))
def test_any_text_survives_being_written_in_sql(text: str) -> None:
    with duckdb.connect() as connection:
        assert connection.execute(f"SELECT {literal(text)}").fetchall() == [(text,)]


@pytest.mark.parametrize("impossible", ["", "a\0b"])
def test_what_cannot_be_an_identifier_is_refused(impossible: str) -> None:
    with pytest.raises(ValueError, match="identifier"):
        quoted(impossible)


def test_odd_field_names_land_each_with_its_own_values(
    warehouse: Warehouse, tmp_path: Path, ask: Ask
) -> None:
    names = ["2024", "select", "we\"ird'; DROP", "Name", "name", "été €", "a.b", "name_1", "É", "é"]
    columns = [(name, Column([str(place)])) for place, name in enumerate(names)]
    landed = land(tmp_path / "velos.parquet", columns)
    warehouse.load(landed, verdict="new")
    with_suffix = [*names[:4], "name_2", *names[5:]]
    table = f'"{SCHEMA}".velos'
    assert [row[0] for row in ask(f"DESCRIBE {table}")] == with_suffix
    assert ask(f"SELECT * FROM {table}") == [tuple(str(n) for n in range(len(names)))]
    assert warehouse.load(landed, verdict="data").action == "unchanged"


ODD = ["2024", "select", "a@b-c", "été", 'q"uote', "x loading", "it's\na \U0001f6b2", "x" * 5000]


@pytest.mark.parametrize("dataset", ODD)
def test_odd_dataset_names_are_table_names_as_they_are(
    warehouse: Warehouse, tmp_path: Path, dataset: str
) -> None:
    landed = land(tmp_path / "odd.parquet", {"a": Column(["1"])}, dataset_id=dataset)
    assert warehouse.load(landed, verdict="new").table == dataset
    assert warehouse.load(landed, verdict="data").action == "unchanged"
    assert set(warehouse.loaded(PORTAL)) == {dataset}


def test_patterns_and_partition_keys_in_the_path_are_only_names(
    warehouse: Warehouse, tmp_path: Path, ask: Ask
) -> None:
    columns = {"a": Column(["1"])}
    land(tmp_path / "[ab]*?" / "k=v" / "x.parquet", columns)
    land(tmp_path / "abc" / "k=v" / "x.parquet", columns)
    warehouse.load(tmp_path / "[ab]*?" / "k=v" / "x.parquet", verdict="new")
    assert ask(f'SELECT * FROM "{SCHEMA}".velos') == [("1",)]


def test_a_warehouse_file_may_be_called_as_its_portal(tmp_path: Path) -> None:
    landed = land(tmp_path / "velos.parquet", {"a": Column(["1"])}, portal="warehouse")
    with open_warehouse(f"duckdb:///{tmp_path}/warehouse.duckdb") as warehouse:
        assert warehouse.load(landed, verdict="new").schema == "warehouse"
        assert warehouse.load(landed, verdict="new").action == "unchanged"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"dataset_id": "velos"}, {"dataset_id": "Velos"}),
        ({"dataset_id": "velos", "kind": "features"}, {"dataset_id": "velos__features"}),
    ],
)
def test_two_datasets_never_share_a_table(
    warehouse: Warehouse, tmp_path: Path, ask: Ask, first: dict[str, str], second: dict[str, str]
) -> None:
    one = land(tmp_path / "one.parquet", {"a": Column(["1"])}, **first)
    two = land(tmp_path / "two.parquet", {"a": Column(["2"])}, **second)
    table = warehouse.load(one, verdict="new").table
    with pytest.raises(WarehouseError, match="the names clash"):
        warehouse.load(two, verdict="new")
    assert ask(f'SELECT a FROM "{SCHEMA}"."{table}"') == [("1",)]
    ask(f'DROP TABLE "{SCHEMA}"."{table}"')
    assert warehouse.load(two, verdict="new").action == "loaded"


@pytest.mark.parametrize("size", [0, 300, 5000])
def test_a_dataset_whose_name_no_table_can_have_is_refused_in_one_sentence(
    warehouse: Warehouse, tmp_path: Path, ask: Ask, size: int
) -> None:
    landed = land(tmp_path / "x.parquet", {"a": Column(["1"])}, dataset_id=f"a\0\n{'x' * size}")
    with pytest.raises(WarehouseError, match="cannot be an SQL identifier") as caught:
        warehouse.load(landed, verdict="new")
    assert not set("\0\n") & set(caught.value.message)
    assert ask("SELECT * FROM duckdb_tables()") == []


def test_two_names_that_duckdb_tells_apart_are_two_tables(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    for dataset in ("Été", "été", "É", "é"):
        landed = land(tmp_path / "x.parquet", {"a": Column(["1"])}, dataset_id=dataset)
        assert warehouse.load(landed, verdict="new").action == "loaded"
    assert set(warehouse.loaded(PORTAL)) == {"Été", "été", "É", "é"}


def test_a_load_says_which_columns_could_not_keep_their_names(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    names = ["nom", "Nom", "n\0", *(f"{'A' * n}" for n in range(1, 5))]
    plain = land(tmp_path / "x.parquet", [(name, Column(["1"])) for name in names[:1]])
    assert warehouse.load(plain, verdict="new").note == ""
    alike = [*names, *(name.lower() for name in names[3:])]
    landed = land(tmp_path / "x.parquet", [(name, Column(["1"])) for name in alike])
    assert warehouse.load(landed, verdict="schema").note == (
        "SQL cannot tell all names of fields apart, so some columns have others: 'Nom' is 'Nom_1', "
        "'n\\x00' is 'n_', 'a' is 'a_1', 'aa' is 'aa_1', 'aaa' is 'aaa_1' and 1 more"
    )


@pytest.mark.parametrize("dataset", ["_catalog", "_LOADS", "_held", "_loading"])
def test_a_dataset_cannot_take_the_warehouses_own_tables(
    warehouse: Warehouse, tmp_path: Path, dataset: str
) -> None:
    landed = land(tmp_path / "x.parquet", {"a": Column(["1"])}, dataset_id=dataset)
    with pytest.raises(WarehouseError, match="own use"):
        warehouse.load(landed, verdict="new")
