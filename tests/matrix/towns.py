"""The dataset that every cell of the fault matrix publishes, and how what has landed is read.

What is right is decided by the records that were published, compared with what DuckDB and pyarrow
read of table and partition: nothing of the client's own code takes part.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

FIELDS: list[dict[str, Any]] = [
    {"name": "code", "type": "text", "label": "Code"},
    {"name": "name", "type": "text"},
    {"name": "tags", "type": "text", "annotations": {"multivalued": [","]}},
    {"name": "n", "type": "int"},
    {"name": "share", "type": "double"},
    {"name": "seen", "type": "datetime"},
    {"name": "day", "type": "date"},
    {"name": "place", "type": "geo_point_2d"},
]
ROWS = 12
Rows = Counter[tuple[Any, ...]]


def records(version: int, count: int = ROWS) -> list[dict[str, Any]]:
    """The records of a version: each differs from its like in every other version."""
    return [_record(version, number) for number in range(count)]


def _record(version: int, number: int) -> dict[str, Any]:
    code = f"0{1000 + number}"
    if number == 2:
        return {"code": code, "name": f"nothing but v{version}"}
    return {
        "code": code,
        "name": f'Évry; v{version}\n"n° {number}"',
        "tags": [f"tag {number}", f"v{version}"],
        "n": 2**53 + 1 + 100 * version + 2 * number,
        "share": number / 10 + version,
        "seen": f"2024-07-01T10:{number:02}:00.25{version}000+00:00",
        "day": f"202{version}-02-{number + 1:02}",
        "place": {"lon": number / 10 + version, "lat": 45.5 + number / 100},
    }


def published(rows: Iterable[Mapping[str, Any]]) -> Rows:
    """Records as they are compared."""
    return Counter(_of_record(row) for row in rows)


def _of_record(row: Mapping[str, Any]) -> tuple[Any, ...]:
    place, seen, day = row.get("place"), row.get("seen"), row.get("day")
    return (
        row["code"],
        row.get("name"),
        tuple(row.get("tags") or ()),
        row.get("n"),
        row.get("share"),
        seen and datetime.fromisoformat(seen).timestamp(),
        day and date.fromisoformat(day),
        place and (place["lon"], place["lat"]),
    )


def _of_table(table: pa.Table) -> Rows:
    try:
        found = table.select([field["name"] for field in FIELDS]).to_pylist()
    except UnicodeDecodeError as error:
        return Counter([(f"what nobody can read: {error}",)])
    for row in found:
        row["tags"] = tuple(row["tags"] or ())
        row["seen"] = row["seen"] and row["seen"].timestamp()
        point = shapely.from_wkb(row["place"])
        row["place"] = point and (point.x, point.y)
    return Counter(tuple(row.values()) for row in found)


def landed(folder: Path, kind: str) -> Rows | None:
    """What the partition in the lake holds; None without one."""
    paths = list(folder.glob(f"lake/*/{kind}/towns.parquet"))
    if not paths:
        return None
    with pq.ParquetFile(paths[0]) as file:
        return _of_table(file.read())


def loaded(warehouse: duckdb.DuckDBPyConnection, kind: str) -> Rows | None:
    """What the table in the warehouse holds; None without one."""
    table = "towns" if kind == "records" else "towns__features"
    names = [field["name"] for field in FIELDS]
    columns = ", ".join(f'ST_AsWKB("{n}") AS "{n}"' if n == "place" else f'"{n}"' for n in names)
    schemas = warehouse.execute(
        "SELECT schema_name FROM duckdb_tables() WHERE table_name = ?", [table]
    ).fetchall()
    if not schemas:
        return None
    sql = f'SELECT {columns} FROM "{schemas[0][0]}"."{table}"'
    return _of_table(warehouse.sql(sql).to_arrow_table())
