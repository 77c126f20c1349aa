"""Old snapshots: what they hold stays readable and right, and goes when its time has come."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from pyiceberg.table import Table

from ods_pipeline.warehouse import Load, Warehouse
from ods_pipeline.warehouse.iceberg import log
from ods_pipeline.warehouse.iceberg.expiry import tidy
from tests.warehouse.every_engine.stores import Iceberg
from tests.warehouse.partitions import SCHEMA, Column, geometry, land

Loading = Callable[[dict[str, Column]], Load]
DAY = timedelta(days=1)


@pytest.fixture
def load(warehouse: Warehouse, tmp_path: Path) -> Loading:
    def landed_and_loaded(columns: dict[str, Column]) -> Load:
        return warehouse.load(land(tmp_path / "lake" / "velos.parquet", columns), verdict="data")

    return landed_and_loaded


def _table(store: Iceberg, name: str = "velos") -> Table:
    return store.catalog.load_table((SCHEMA, name))


def _files(tmp_path: Path, table: Table) -> set[str]:
    folder = Path(table.location().removeprefix("file://")) / "data"
    return {path.name for path in folder.iterdir()}


def _rows(table: Table, snapshot: int | None = None) -> list[dict[str, object]]:
    return table.scan(snapshot_id=snapshot).to_arrow().to_pylist()


def test_a_retyped_field_is_another_column_and_old_rows_stay_what_they_were(
    load: Loading, store: Iceberg
) -> None:
    load({"nom": Column(["a"]), "nombre": Column([1], pa.int64()), "ville": Column(["x"])})
    first = _table(store)
    load({"ville": Column(["y"]), "nombre": Column(["2"]), "neuf": Column([True], pa.bool_())})
    second = _table(store)
    numbers = [{f.name: f.field_id for f in t.schema().fields} for t in (first, second)]
    assert numbers == [
        {"nom": 1, "nombre": 2, "ville": 3},
        {"ville": 3, "nombre": 4, "neuf": 5},
    ]
    assert _rows(second) == [{"ville": "y", "nombre": "2", "neuf": True}]
    old = second.snapshots()[0].snapshot_id
    assert _rows(second, old) == [{"nom": "a", "nombre": 1, "ville": "x"}]
    load({"nom": Column(["a"]), "nombre": Column([1], pa.int64()), "ville": Column(["x"])})
    assert [_rows(_table(store), s.snapshot_id) for s in second.snapshots()] == [
        [{"nom": "a", "nombre": 1, "ville": "x"}],
        [{"ville": "y", "nombre": "2", "neuf": True}],
    ]


def test_no_point_of_the_history_is_without_rows_and_each_has_its_receipt(
    load: Loading, store: Iceberg
) -> None:
    for value in "abc":
        load({"nom": Column([value])})
    table = _table(store)
    assert [_rows(table, s.snapshot_id) for s in table.snapshots()] == [
        [{"nom": value}] for value in "abc"
    ]
    summaries = [s.summary.additional_properties for s in table.snapshots() if s.summary]
    assert [s["ods-pipeline.row_count"] for s in summaries] == ["1"] * 3
    assert len({s["ods-pipeline.content_hash"] for s in summaries}) == 3


def test_rows_can_be_read_for_days_after_they_were_replaced_and_no_longer(
    load: Loading, store: Iceberg, tmp_path: Path
) -> None:
    for value in "abc":
        load({"nom": Column([value])})
    table, now = _table(store), datetime.now(UTC)
    tidy(table, 5 * DAY, now + 4 * DAY)
    assert len(_table(store).snapshots()) == len(_files(tmp_path, table)) == 3
    tidy(table, 5 * DAY, now + 6 * DAY)
    assert len(_table(store).snapshots()) == len(_files(tmp_path, table)) == 1
    assert _rows(_table(store)) == [{"nom": "c"}]


def test_rows_that_were_old_when_they_were_replaced_stay_as_long_as_others(
    load: Loading, store: Iceberg, tmp_path: Path
) -> None:
    load({"nom": Column(["a"])})
    tidy(_table(store), timedelta(0), datetime.now(UTC) + 999 * DAY)
    assert _rows(_table(store)) == [{"nom": "a"}]


def test_a_snapshot_that_a_tag_names_stays(load: Loading, store: Iceberg, tmp_path: Path) -> None:
    for value in "abc":
        load({"nom": Column([value])})
    table = _table(store)
    kept = table.snapshots()[0].snapshot_id
    table.manage_snapshots().create_tag(kept, "the audit").commit()
    tidy(_table(store), DAY, datetime.now(UTC) + 6 * DAY)
    assert [_rows(_table(store), s.snapshot_id) for s in _table(store).snapshots()] == [
        [{"nom": "a"}],
        [{"nom": "c"}],
    ]


def test_nothing_is_forgotten_where_a_user_wants_to_keep_all(
    load: Loading, store: Iceberg, tmp_path: Path
) -> None:
    for value in "ab":
        load({"nom": Column([value])})
    tidy(_table(store), None, datetime.now(UTC) + 999 * DAY)
    assert len(_table(store).snapshots()) == 2


def test_a_file_of_a_load_that_was_killed_goes_a_day_later_and_no_other_file(
    load: Loading, store: Iceberg, tmp_path: Path
) -> None:
    for value in "ab":
        load({"nom": Column([value])})
    table, now = _table(store), datetime.now(UTC)
    before = _files(tmp_path, table)
    folder = Path(table.location().removeprefix("file://")) / "data"
    (folder / f"{table.metadata.table_uuid}-abandoned.parquet").write_bytes(b"half")
    (folder / "somebody-elses.parquet").write_bytes(b"theirs")
    tidy(table, None, now)
    assert len(_files(tmp_path, table)) == len(before) + 2
    tidy(table, None, now + 2 * DAY)
    assert _files(tmp_path, table) == before | {"somebody-elses.parquet"}


def test_geometries_say_what_they_are_and_polars_reads_the_same_rows(
    load: Loading, store: Iceberg, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Else it warns that another package of its own would be faster.
    monkeypatch.setenv("POLARS_ICEBERG_PLANNER", "pyiceberg")
    load({"nom": Column(["a"]), "lieu": geometry([b"\1\1"])})
    table = _table(store)
    assert [f.doc for f in table.schema().fields] == [None, "geometry as WKB, CRS OGC:CRS84"]
    assert json.loads(table.properties["ods-pipeline.geometries"]) == {"lieu": "OGC:CRS84"}
    assert pl.scan_iceberg(table).collect().rows() == [("a", b"\1\1")]


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("t > '1999-01-01T00:00:00+00:00'", ["b"]),
        ("t < '1999-01-01T00:00:00+00:00'", ["a"]),
        ("d >= '2024-01-01'", ["b"]),
        ("n == 9007199254740993", ["b"]),
        ("nom == 'zzz'", []),
    ],
)
def test_bounds_of_values_leave_out_no_file_that_has_them(
    load: Loading, store: Iceberg, condition: str, found: list[str]
) -> None:
    day = datetime(2024, 5, 6, tzinfo=UTC)
    load(
        {
            "nom": Column(["a", "b"]),
            "t": Column([0, 9_089_000_000_000_000], pa.timestamp("ms", "UTC")),
            "d": Column([datetime(1, 1, 1, tzinfo=UTC).date(), day.date()], pa.date32()),
            "n": Column([None, 2**53 + 1], pa.int64()),
        }
    )
    rows = _table(store).scan(condition, selected_fields=("nom",)).to_arrow()
    assert rows["nom"].to_pylist() == found


def test_a_url_says_how_long_replaced_rows_are_kept(store: Iceberg, tmp_path: Path) -> None:
    store.url += "?keep_days=0"
    with store.open() as opened:
        for value in "abc":
            path = land(tmp_path / "lake" / "velos.parquet", {"nom": Column([value])})
            opened.load(path, verdict="data")
    table = _table(store)
    assert (len(table.snapshots()), len(_files(tmp_path, table))) == (1, 1)
    assert _rows(table) == [{"nom": "c"}]


def test_the_log_of_many_loads_stays_one_of_few_files_and_snapshots(
    warehouse: Warehouse, store: Iceberg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "_MOST_FILES", 12)
    monkeypatch.setattr(log, "_MOST_SNAPSHOTS", 4)
    for number in range(15):
        path = land(tmp_path / "lake" / "velos.parquet", {"nom": Column([str(number)])})
        warehouse.load(path, verdict="data")
    assert len(store.history("rows")) == 15
    loads = _table(store, "_loads")
    assert len(loads.snapshots()) < 9
    assert len(list(loads.scan().plan_files())) < 9
