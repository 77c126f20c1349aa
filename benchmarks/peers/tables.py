"""A landed partition into a table, as somebody would write it in the fewest lines.

`given` in the folder is the partition. An engine beside DuckDB is a function more of the same kind.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.peers.dlt_pipeline import opened
from benchmarks.portal import DATASET

#: pandas inserts row by row: it gets a part of the rows, and is held against that part.
PART = 10


def duckdb_create(url: str, folder: Path) -> Path:
    """CREATE TABLE AS."""
    import duckdb

    database = folder / "out.duckdb"
    with duckdb.connect(database) as connection:
        connection.execute(f"CREATE TABLE \"{DATASET}\" AS FROM read_parquet('{folder}/given')")
    return database


def duckdb_insert(url: str, folder: Path) -> Path:
    """INSERT into a table that is there."""
    import duckdb

    database, source = folder / "out.duckdb", f"read_parquet('{folder}/given')"
    with duckdb.connect(database) as connection:
        connection.execute(f'CREATE TABLE "{DATASET}" AS FROM {source} LIMIT 0')
        connection.execute(f'INSERT INTO "{DATASET}" FROM {source}')
    return database


def dlt_arrow(url: str, folder: Path) -> Path:
    """A pipeline that is given Arrow, batch by batch."""
    import pyarrow.parquet as pq

    database, pipeline = opened(folder)
    batches = pq.ParquetFile(folder / "given").iter_batches()
    pipeline.run(batches, table_name=DATASET, write_disposition="replace")
    return database


def pandas_to_sql(url: str, folder: Path) -> Path:
    """A frame of the first rows, through SQLAlchemy."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq
    import sqlalchemy

    database = folder / "out.duckdb"
    source = pq.ParquetFile(folder / "given")
    rows = source.metadata.num_rows // PART
    batches = source.iter_batches(batch_size=max(1, rows))
    frame: pd.DataFrame = pa.Table.from_batches([next(batches)]).slice(0, rows).to_pandas()
    engine = sqlalchemy.create_engine(f"duckdb:///{database}")
    frame.to_sql(DATASET, engine, index=False, if_exists="replace")
    engine.dispose()
    return database
