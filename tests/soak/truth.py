"""What a portal held and when, and what lies in lake and warehouse: read without the client's code.

The portal's own record of its datasets is the truth; partitions are read with pyarrow, tables with
DuckDB. Whether the two may differ is for the tests to say.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from ods_pipeline.emulator import Emulator
from ods_pipeline.emulator.datasets.dataset import Dataset

Rows = Counter[tuple[Any, ...]]
Place = tuple[str, str]
OURS = frozenset({"_catalog", "_held", "_loads", "_loading"})
#: What WFS says of each feature beside the dataset's own fields.
OF_FEATURES = "gml_id"
_POINT = struct.Struct("<bIdd")
_ARROW = {
    "text": pa.string(),
    "int": pa.int64(),
    "double": pa.float64(),
    "date": pa.date32(),
    "datetime": pa.timestamp("ms", "UTC"),
    "boolean": pa.bool_(),
    "geo_point_2d": pa.binary(),
}


@dataclass(frozen=True)
class Found:
    """A partition or a table as it lies there.

    Attributes:
        uid: The identity that it claims; empty for a table.
        columns: Their names and types.
        rows: How often each row is there.
    """

    uid: str
    columns: tuple[tuple[str, str], ...]
    rows: Rows


class Chronicle:
    """Every version of every dataset that a portal has held, in the order of their coming."""

    def __init__(self, emulator: Emulator) -> None:
        """Begin to write; what is there already is the first page."""
        self._store = emulator.state.store
        self._rows: dict[tuple[str, tuple[str, ...]], Rows] = {}
        self.pages: list[tuple[str, Dataset | None]] = []
        state = emulator.state
        put, remove = state.put, state.remove

        def noted_put(dataset: Dataset) -> None:
            put(dataset)
            self.pages.append((dataset.dataset_id, dataset))

        def noted_remove(dataset_id: str) -> Dataset:
            removed = remove(dataset_id)
            self.pages.append((dataset_id, None))
            return removed

        vars(state).update(put=noted_put, remove=noted_remove)
        self.pages.extend((dataset.dataset_id, dataset) for dataset in state.datasets())

    def since(self, page: int) -> dict[str, list[Dataset | None]]:
        """What each name stood for on that page and on all after it."""
        before: dict[str, Dataset | None] = dict(self.pages[:page])
        held = {name: [dataset] for name, dataset in before.items()}
        for name, dataset in self.pages[page:]:
            held.setdefault(name, [None]).append(dataset)
        return held

    def versions(self, uid: str) -> list[Dataset]:
        """All versions of one dataset, whatever it was called."""
        return [dataset for _, dataset in self.pages if dataset and dataset.dataset_uid == uid]

    def rows(self, dataset: Dataset) -> Rows:
        """The rows of a version."""
        names = tuple(field.name for field in dataset.fields)
        key = dataset.relation, names
        if key not in self._rows:
            columns = ", ".join(f"r.c{place}" for place in range(len(names)))
            table = self._store.table(f"SELECT {columns} FROM {dataset.relation} AS r")
            self._rows[key] = counted(names, table.columns)
        return self._rows[key]

    def is_held(self, found: Found, dataset: Dataset, *, exactly: bool = True) -> bool:
        """Whether a partition or a table is this version, by columns and rows."""
        wanted = {field.name: str(_ARROW[field.type]) for field in dataset.fields}
        same = dict(found.columns) == wanted if exactly else {*dict(found.columns)} == {*wanted}
        return same and found.rows == self.rows(dataset)


def counted(names: Iterable[str], columns: Iterable[pa.ChunkedArray]) -> Rows:
    """Rows as they are compared: by names in order, points by their coordinates."""
    named = sorted(zip(names, columns, strict=True), key=lambda pair: pair[0])
    values = [[_plain(value) for value in column.to_pylist()] for _, column in named]
    return Counter(zip(*values, strict=True))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return value["lon"], value["lat"]
    if isinstance(value, bytes):
        order, kind, x, y = _POINT.unpack(value)
        assert (order, kind) == (1, 1)
        return x, y
    if hasattr(value, "timestamp"):
        return value.replace(tzinfo=None).isoformat()
    return value


def landed(root: Path) -> dict[Place, Found]:
    """The partitions of a portal's lake."""
    found = {}
    for kind in ("records", "features"):
        for path in (root / kind).glob("*.parquet"):
            with pq.ParquetFile(path) as file:
                table = file.read()
            told = table.schema.metadata
            if kind == "features":
                table = table.drop_columns([OF_FEATURES])
            columns = tuple((column.name, str(column.type)) for column in table.schema)
            rows = counted(table.column_names, table.columns)
            place = kind, told[b"dataset_id"].decode()
            assert place not in found, f"two files say that they are {place}"
            found[place] = Found(told[b"dataset_uid"].decode(), columns, rows)
    return found


def loaded(folder: Path) -> dict[str, Found]:
    """The tables of the one portal in a warehouse; none where there is no warehouse."""
    if not (folder / "warehouse.duckdb").exists():
        return {}
    with duckdb.connect(folder / "warehouse.duckdb", read_only=True) as warehouse:
        warehouse.execute("SET TimeZone = 'UTC'")
        sql = (
            "SELECT schema_name, table_name, column_name, data_type FROM duckdb_columns()"
            " WHERE NOT internal ORDER BY column_index"
        )
        tables: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for schema, table, column, kind in warehouse.execute(sql).fetchall():
            of_features = table.endswith("__features") and column == OF_FEATURES
            if table not in OURS and not of_features:
                tables.setdefault((schema, table), []).append((column, kind))
        assert len({schema for schema, _ in tables}) <= 1
        return {name[1]: _table(warehouse, name, told) for name, told in tables.items()}


def _table(
    warehouse: duckdb.DuckDBPyConnection, name: tuple[str, str], told: list[tuple[str, str]]
) -> Found:
    chosen = ", ".join(
        f"ST_AsWKB({_quoted(column)})::BLOB" if kind.startswith("GEOMETRY") else _quoted(column)
        for column, kind in told
    )
    sql = f"SELECT {chosen} FROM {_quoted(name[0])}.{_quoted(name[1])}"
    table = warehouse.sql(sql).to_arrow_table()
    return Found("", tuple(told), counted([column for column, _ in told], table.columns))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def held(folder: Path, root: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]] | None]:
    """What the lake's list and the warehouse's table say is held; nothing where there is none."""
    path, file = root / "held.parquet", folder / "warehouse.duckdb"
    listed = pq.ParquetFile(path).read().to_pylist() if path.exists() else []
    if not file.exists():
        return _sorted(listed), None
    with duckdb.connect(file, read_only=True) as warehouse:
        warehouse.execute("SET TimeZone = 'UTC'")
        tables = warehouse.execute(
            "SELECT schema_name FROM duckdb_tables() WHERE table_name = '_held'"
        ).fetchall()
        if not tables:
            return _sorted(listed), None
        table = warehouse.sql(f"SELECT * FROM {_quoted(tables[0][0])}._held").to_arrow_table()
    return _sorted(listed), _sorted(table.to_pylist())


def _sorted(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    names = ("dataset_id", "kind", "verdict", "reason", "rows")
    return sorted(
        ({name: row[name] for name in names} for row in rows),
        key=lambda row: (row["dataset_id"], row["kind"]),
    )
