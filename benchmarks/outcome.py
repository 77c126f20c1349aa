"""What of the published data survived in what a program made; read after its figures are taken.

Being quick is no merit where codes lost their zeros or dates became text.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

from benchmarks.portal import DATASET

_KEPT = {
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


def lost(made: Path, rows: int, geometries: int) -> list[str]:
    """What is not as it was published, by name; empty when all is.

    Args:
        made: A Parquet file, or a database with the dataset's table.
        rows: Number of rows published.
        geometries: Number of geometries that every row has.
    """
    asked = ", ".join(["count(*)", *_KEPT.values()])
    with duckdb.connect() as connection:
        source = _source(connection, made)
        found = connection.sql(f"SELECT {asked} FROM {source}").fetchall()[0]
        misplaced = _misplaced(connection, source, found[0], geometries)
    wrong = [f"{rows - found[0]} rows"] if found[0] != rows else []
    wrong += [name for name, kept in zip(_KEPT, found[1:], strict=True) if not kept]
    return wrong + misplaced


def _misplaced(
    connection: duckdb.DuckDBPyConnection, source: str, rows: int, published: int
) -> list[str]:
    """What is wrong with the geometries, under whatever names they came out."""
    described = connection.sql(f"DESCRIBE FROM {source}").fetchall()
    types = {name: kind for name, kind, *_ in described if kind.startswith("GEOMETRY")}
    if not types:
        return ["geometry"]
    asked = ", ".join(f'count("{name}"), {_EXACT.format(name)}' for name in types)
    found = connection.sql(f"SELECT {asked} FROM {source}").fetchall()[0]
    checks = {
        "one of two geometries": len(types) == published,
        "geometries of some rows": set(found[::2]) == {rows},
        "last digits of coordinates": all(found[1::2]),
        "CRS": all("(" in kind for kind in types.values()),
    }
    return [name for name, kept in checks.items() if not kept]


def _source(connection: duckdb.DuckDBPyConnection, made: Path) -> str:
    if made.suffix == ".parquet":
        return f"read_parquet('{made}')"
    connection.execute(f"ATTACH '{made}' AS made (READ_ONLY)")
    where = "database_name = 'made' AND table_name = ?"
    found = connection.execute(f"SELECT schema_name FROM duckdb_tables() WHERE {where}", [DATASET])
    ((schema,),) = found.fetchall()
    return f'made."{schema}"."{DATASET}"'
