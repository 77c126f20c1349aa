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
    "geometry": "bool_and(typeof(location) LIKE 'GEOMETRY%')",
}


def lost(made: Path, rows: int) -> list[str]:
    """What is not as it was published, by name; empty when all is.

    Args:
        made: A Parquet file, or a database with the dataset's table.
        rows: Number of rows published.
    """
    asked = ", ".join(["count(*)", *_KEPT.values()])
    with duckdb.connect() as connection:
        found = connection.sql(f"SELECT {asked} FROM {_source(connection, made)}").fetchall()[0]
    wrong = [f"{rows - found[0]} rows"] if found[0] != rows else []
    return wrong + [name for name, kept in zip(_KEPT, found[1:], strict=True) if not kept]


def _source(connection: duckdb.DuckDBPyConnection, made: Path) -> str:
    if made.suffix == ".parquet":
        return f"read_parquet('{made}')"
    connection.execute(f"ATTACH '{made}' AS made (READ_ONLY)")
    where = "database_name = 'made' AND table_name = ?"
    found = connection.execute(f"SELECT schema_name FROM duckdb_tables() WHERE {where}", [DATASET])
    ((schema,),) = found.fetchall()
    return f'made."{schema}"."{DATASET}"'
