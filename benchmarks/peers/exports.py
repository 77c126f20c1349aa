"""An export to a zstd Parquet file, as somebody would write it in the fewest lines."""

from __future__ import annotations

from pathlib import Path

from benchmarks.peers.download import export


def pyarrow_parquet(url: str, folder: Path) -> Path:
    """Download, then rewrite batch by batch."""
    import pyarrow.parquet as pq

    target = folder / "out.parquet"
    with (
        pq.ParquetFile(export(url, folder, "parquet")) as source,
        pq.ParquetWriter(target, source.schema_arrow, compression="zstd") as writer,
    ):
        for batch in source.iter_batches():
            writer.write_batch(batch)
    return target


def pandas_parquet(url: str, folder: Path) -> Path:
    """Download, read whole, write."""
    import pandas as pd

    target = folder / "out.parquet"
    pd.read_parquet(export(url, folder, "parquet")).to_parquet(target, compression="zstd")
    return target


def duckdb_parquet(url: str, folder: Path) -> Path:
    """Download, then COPY."""
    return _copied(f"read_parquet('{export(url, folder, 'parquet')}')", folder)


def pandas_csv(url: str, folder: Path) -> Path:
    """Download, read whole, write."""
    import pandas as pd

    target = folder / "out.parquet"
    frame = pd.read_csv(export(url, folder, "csv"), sep=";")
    frame.to_parquet(target, compression="zstd")
    return target


def duckdb_csv(url: str, folder: Path) -> Path:
    """Download, then COPY what the sniffer makes of it."""
    return _copied(f"read_csv('{export(url, folder, 'csv')}', delim = ';')", folder)


def pyarrow_csv(url: str, folder: Path) -> Path:
    """Download, then block by block; the types are those of the first."""
    import pyarrow.parquet as pq
    from pyarrow import csv

    target = folder / "out.parquet"
    dialect = csv.ParseOptions(delimiter=";", newlines_in_values=True)
    with (
        csv.open_csv(export(url, folder, "csv"), parse_options=dialect) as source,
        pq.ParquetWriter(target, source.schema, compression="zstd") as writer,
    ):
        for batch in source:
            writer.write_batch(batch)
    return target


def polars_csv(url: str, folder: Path) -> Path:
    """Download, then its streaming engine."""
    import polars as pl

    target = folder / "out.parquet"
    pl.scan_csv(export(url, folder, "csv"), separator=";").sink_parquet(target, compression="zstd")
    return target


def _copied(source: str, folder: Path) -> Path:
    import duckdb

    target = folder / "out.parquet"
    duckdb.sql(f"COPY (FROM {source}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)")
    return target
