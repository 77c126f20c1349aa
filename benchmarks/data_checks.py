"""Checks the data that a program made against what was published, after its figures are taken.

Speed counts for nothing where codes lost their zeros or dates became text. No time is measured.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

from benchmarks.figures import CheckedData
from benchmarks.portal import DATASET, GEOMETRIES

_CHECKS = {
    "leading zeros": "bool_and(typeof(code) = 'VARCHAR' AND length(code::VARCHAR) = 6)",
    "dates": "bool_and(typeof(day) = 'DATE')",
    "UTC times": "bool_and(typeof(seen_at) = 'TIMESTAMP WITH TIME ZONE')",
}
# The first position of what was published, a point or a polygon around it, to the last bit.
_TEXT = '"{0}"::VARCHAR'
_FIRST = f"string_split(regexp_extract({_TEXT}, '[-+.e0-9]+ [-+.e0-9]+'), ' ')::DOUBLE[]"
_EAST = f"CASE WHEN starts_with({_TEXT}, 'POLYGON') THEN 0.0003::DOUBLE ELSE 0 END"
_LON = f"-5 + (id % 12007) / 1000.0::DOUBLE + {_EAST}"
_LAT = "42 + (id % 8009) / 1000.0::DOUBLE"
_EXACT = f"bool_and({_FIRST} = [{_LON}, {_LAT}])"


def check(path: Path, portal: str) -> CheckedData:
    """Count the rows or datasets, and name what is not as it was published.

    Args:
        path: A Parquet file, a database with the dataset's table, or for many datasets a database
            with a table each or a folder with a file each.
        portal: The kind of portal that it came from.
    """
    try:
        return CheckedData(_datasets(path)) if portal == "many" else _rows(path, GEOMETRIES[portal])
    except (duckdb.Error, ValueError) as error:
        return CheckedData(
            0, (f"what was made cannot be read: {str(error).splitlines()[0][:100]}",)
        )


def _rows(path: Path, geometries: int) -> CheckedData:
    columns = ", ".join(["count(*)", *_CHECKS.values()])
    with duckdb.connect() as connection:
        source = _source(connection, path)
        rows, *kept = connection.sql(f"SELECT {columns} FROM {source}").fetchall()[0]
        wrong = [name for name, right in zip(_CHECKS, kept, strict=True) if not right]
        wrong += _geometry_errors(connection, source, rows, geometries)
    return CheckedData(rows, tuple(wrong))


def _datasets(path: Path) -> int:
    if path.is_dir():
        return len(list(path.glob("*.parquet")))
    with duckdb.connect(path, read_only=True) as connection:
        tables = "SELECT count(*) FROM duckdb_tables() WHERE table_name SIMILAR TO 'made[-_]up.*'"
        return int(connection.execute(tables).fetchall()[0][0])


def _geometry_errors(
    connection: duckdb.DuckDBPyConnection, source: str, rows: int, published: int
) -> list[str]:
    """What is wrong with the geometries, whatever their columns are called."""
    described = connection.sql(f"DESCRIBE FROM {source}").fetchall()
    types = {name: kind for name, kind, *_ in described if kind.startswith("GEOMETRY")}
    if not types:
        return ["geometry"]
    columns = ", ".join(f'count("{name}"), {_EXACT.format(name)}' for name in types)
    found = connection.sql(f"SELECT {columns} FROM {source}").fetchall()[0]
    checks = {
        "one of two geometries": len(types) == published,
        "geometries of some rows": set(found[::2]) == {rows},
        "last digits of coordinates": all(found[1::2]),
        "CRS": all("(" in kind for kind in types.values()),
    }
    return [name for name, kept in checks.items() if not kept]


def _source(connection: duckdb.DuckDBPyConnection, path: Path) -> str:
    if path.suffix == ".parquet":
        return f"read_parquet('{path}')"
    connection.execute(f"ATTACH '{path}' AS made (READ_ONLY)")
    where = "database_name = 'made' AND table_name = ?"
    found = connection.execute(f"SELECT schema_name FROM duckdb_tables() WHERE {where}", [DATASET])
    ((schema,),) = found.fetchall()
    return f'made."{schema}"."{DATASET}"'
