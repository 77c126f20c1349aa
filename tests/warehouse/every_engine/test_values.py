"""Every value that a landed file can hold is the same in each engine, at the edges of its type."""

import struct
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
import shapely

from ods_pipeline.warehouse import Warehouse
from tests.warehouse.every_engine.stores import Store
from tests.warehouse.partitions import Column, geometry, land

MOMENTS = {
    "year 1": -62_135_596_800_000,
    "a millisecond before 1970": -1,
    "1970": 0,
    "with milliseconds": 1_709_296_200_123,
    "year 9999": 253_402_300_799_999,
    "year 290000": 9_089_000_000_000_000,
}
TEXTS = [
    "",
    " ",
    "01001",
    "NULL",
    "\\N",
    "{}",
    'a"b\\c',
    "été 🚲 \U0010ffff",
    "a\tb\r\nc",
    "x" * 70_000,
]
LISTS = [
    [],
    [None],
    ["NULL"],
    ["", " "],
    ['a"b', "c\\d", "{e,f}"],
    ["🚲", None, "z"],
    None,
    ["a"] * 999,
]
INTEGERS = [0, -1, 2**63 - 1, -(2**63), None, 2**53 + 1]
DOUBLES = [
    0.0,
    -0.0,
    1.5,
    float("inf"),
    float("-inf"),
    float("nan"),
    5e-324,
    1.7976931348623157e308,
]
DAYS = [date(1, 1, 1), date(1582, 10, 4), date(1970, 1, 1), date(2024, 2, 29), date(9999, 12, 31)]


def _loaded(warehouse: Warehouse, tmp_path: Path, column: Column) -> None:
    landed = land(tmp_path / "velos.parquet", {"n": _numbers(column), "value": column})
    assert warehouse.load(landed, verdict="new").rows == len(column.values)
    assert warehouse.load(landed, verdict="new").action == "unchanged"


def _numbers(column: Column) -> Column:
    return Column(list(range(len(column.values))), pa.int64())


def _values(store: Store, expression: str = '"value"') -> list[object]:
    return [value for _, value in sorted(store.rows("velos", f"n, {expression}"))]


def _bits(value: object) -> object:
    return struct.pack(">d", value) if isinstance(value, float) else value


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([*TEXTS, None], pa.string()),
        (LISTS, pa.list_(pa.string())),
        (INTEGERS, pa.int64()),
        ([True, False, None], pa.bool_()),
        ([*DAYS, None], pa.date32()),
        ([b"", b"\0\xff", None], pa.binary()),
    ],
    ids=lambda item: str(item) if isinstance(item, pa.DataType) else "",
)
def test_a_value_is_the_same_as_in_the_file(
    store: Store, warehouse: Warehouse, tmp_path: Path, values: list[object], kind: pa.DataType
) -> None:
    _loaded(warehouse, tmp_path, Column(values, kind))
    found = [value for _, value in sorted(store.rows("velos"), key=lambda row: row[0])]
    assert found == values


def test_a_double_is_the_same_to_the_bit(
    store: Store, warehouse: Warehouse, tmp_path: Path
) -> None:
    _loaded(warehouse, tmp_path, Column([*DOUBLES, None], pa.float64()))
    found = [value for _, value in sorted(store.rows("velos"), key=lambda row: row[0])]
    assert [*map(_bits, found)] == [*map(_bits, DOUBLES), None]


def test_a_moment_is_the_same_to_the_millisecond(
    store: Store, warehouse: Warehouse, tmp_path: Path
) -> None:
    moments = [*MOMENTS.values()]
    _loaded(warehouse, tmp_path, Column(moments, pa.timestamp("ms", "UTC")))
    assert _values(store, store.milliseconds.format('"value"')) == moments


@pytest.mark.parametrize("kind", [pa.string(), pa.list_(pa.string()), pa.int64(), pa.date32()])
def test_a_column_without_any_value_is_a_column_of_its_type(
    store: Store, warehouse: Warehouse, tmp_path: Path, kind: pa.DataType
) -> None:
    _loaded(warehouse, tmp_path, Column([None, None], kind))
    assert store.rows("velos", '"value"') == [(None,), (None,)]


@pytest.mark.parametrize(
    "values",
    [
        [shapely.Point(2, 48).wkb, None, shapely.box(0, 0, 1, 1).wkb, shapely.Point().wkb],
        [shapely.to_wkb(shapely.Point(1, 2, 3), flavor="iso")] * 2,
        [shapely.to_wkb(shapely.Point(1, 2, 3), flavor="iso"), shapely.Point(1, 2).wkb, None],
        [shapely.GeometryCollection().wkb, shapely.Polygon().wkb, None],
        [],
        [None],
    ],
    ids=["flat", "Z", "mixed", "empty", "no row", "null"],
)
def test_geometries_of_any_dimension_are_the_same_to_the_byte(
    store: Store, warehouse: Warehouse, tmp_path: Path, values: list[bytes | None]
) -> None:
    landed = land(tmp_path / "velos.parquet", {"g": geometry(values)})
    assert warehouse.load(landed, verdict="new").action == "loaded"
    assert store.wkb("velos", "g") == values
    assert warehouse.load(landed, verdict="new").action == "unchanged"
    other = [shapely.to_wkb(shapely.Point(4, 5, 6), flavor="iso")]
    landed = land(tmp_path / "velos.parquet", {"g": geometry(other)})
    assert warehouse.load(landed, verdict="data", contract="freeze").action == "loaded"
    assert store.wkb("velos", "g") == other


def test_many_rows_of_all_sizes_arrive_in_their_order(
    store: Store, warehouse: Warehouse, tmp_path: Path
) -> None:
    texts = [("é" * (n * 37 % 5000)) if n % 7 else None for n in range(20_000)]
    landed = land(tmp_path / "velos.parquet", {"t": Column(texts)})
    assert warehouse.load(landed, verdict="new").rows == len(texts)
    assert [text for (text,) in store.rows("velos")] == texts
