"""The same tasks as somebody would write them with other tools, in the fewest lines.

Downloads accept gzip as ours do, so that the bytes are the same. A peer imports its library itself:
where that is missing, the peer alone is.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.portal import DATASET, DOCUMENT

if TYPE_CHECKING:
    import pyarrow as pa
    import requests

_API = "/api/explore/v2.1/catalog"
_CHUNK = 1 << 20


def download_parquet(url: str, folder: Path) -> None:
    """The export on disk, untouched: the floor under everybody's figures."""
    _downloaded(url, folder, "parquet")


def download_csv(url: str, folder: Path) -> None:
    """The export on disk, untouched: the floor under everybody's figures."""
    _downloaded(url, folder, "csv")


def pyarrow_parquet(url: str, folder: Path) -> Path:
    """Download, then rewrite batch by batch."""
    import pyarrow.parquet as pq

    target = folder / "out.parquet"
    with (
        pq.ParquetFile(_downloaded(url, folder, "parquet")) as source,
        pq.ParquetWriter(target, source.schema_arrow, compression="zstd") as writer,
    ):
        for batch in source.iter_batches():
            writer.write_batch(batch)
    return target


def pandas_parquet(url: str, folder: Path) -> Path:
    """Download, read whole, write."""
    import pandas as pd

    target = folder / "out.parquet"
    pd.read_parquet(_downloaded(url, folder, "parquet")).to_parquet(target, compression="zstd")
    return target


def duckdb_parquet(url: str, folder: Path) -> Path:
    """Download, then COPY."""
    return _copied(f"read_parquet('{_downloaded(url, folder, 'parquet')}')", folder)


def pandas_csv(url: str, folder: Path) -> Path:
    """Read whole from the address, write."""
    import pandas as pd

    target = folder / "out.parquet"
    # pandas does not ask for gzip by itself; it understands it.
    frame = pd.read_csv(
        _export(url, "csv"), sep=";", storage_options={"Accept-Encoding": "gzip, deflate"}
    )
    frame.to_parquet(target, compression="zstd")
    return target


def duckdb_csv(url: str, folder: Path) -> Path:
    """Download, then COPY what the sniffer makes of it."""
    return _copied(f"read_csv('{_downloaded(url, folder, 'csv')}', delim = ';')", folder)


def duckdb_table_parquet(url: str, folder: Path) -> Path:
    """Download, then a table in a database file."""
    return _table(f"read_parquet('{_downloaded(url, folder, 'parquet')}')", folder)


def duckdb_table_csv(url: str, folder: Path) -> Path:
    """Download, then a table in a database file."""
    return _table(f"read_csv('{_downloaded(url, folder, 'csv')}', delim = ';')", folder)


def pyogrio_gml(url: str, folder: Path) -> Path:
    """GDAL's reader as Arrow, which asks the portal that the document names for its schema."""
    import pyogrio

    _, table = pyogrio.read_arrow(folder / DOCUMENT)
    return _geoparquet(table, folder)


def pyogrio_gml_alone(url: str, folder: Path) -> Path:
    """The same where no schema is to be had: GDAL looks through the whole document first."""
    import pyogrio

    _, table = pyogrio.read_arrow(folder / DOCUMENT, DOWNLOAD_SCHEMA="NO")
    return _geoparquet(table, folder)


def geopandas_gml(url: str, folder: Path) -> Path:
    """A GeoDataFrame, as everybody does it."""
    import geopandas

    target = folder / "out.parquet"
    geopandas.read_file(folder / DOCUMENT).to_parquet(target, compression="zstd")
    return target


def load_each(url: str, folder: Path) -> Path:
    """Every dataset's export through pandas into a table of its own."""
    import io

    import duckdb
    import pandas as pd
    import requests

    database = folder / "out.duckdb"
    with requests.Session() as session, duckdb.connect(database) as connection:
        for name in _names(session, url):
            body = session.get(f"{url}{_API}/datasets/{name}/exports/parquet").content
            connection.register("frame", pd.read_parquet(io.BytesIO(body)))
            connection.execute(f'CREATE TABLE "{name}" AS FROM frame')
    return database


def ask_each(url: str, folder: Path) -> None:
    """Ask for every dataset's metadata to see whether it moved; HEAD is refused by portals."""
    import requests

    with requests.Session() as session:
        for name in _names(session, url):
            metas = session.get(f"{url}{_API}/datasets/{name}").json()["metas"]["default"]
            assert metas["data_processed"]


def _names(session: requests.Session, url: str) -> list[str]:
    return [item["dataset_id"] for item in session.get(f"{url}{_API}/exports/json").json()]


def _export(url: str, format: str) -> str:
    return f"{url}{_API}/datasets/{DATASET}/exports/{format}"


def _downloaded(url: str, folder: Path, format: str) -> Path:
    import requests

    target = folder / f"export.{format}"
    with requests.get(_export(url, format), stream=True) as response, target.open("wb") as file:
        for chunk in response.iter_content(_CHUNK):
            file.write(chunk)
    return target


def _copied(source: str, folder: Path) -> Path:
    import duckdb

    target = folder / "out.parquet"
    duckdb.sql(f"COPY (FROM {source}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)")
    return target


def _geoparquet(table: pa.Table, folder: Path) -> Path:
    """Arrow's columns of geometry as GeoParquet describes them, which neither library does."""
    import json

    import pyarrow.parquet as pq

    columns = {}
    for field in table.schema:
        known = field.metadata or {}
        if known.get(b"ARROW:extension:name") == b"geoarrow.wkb":
            crs = json.loads(known.get(b"ARROW:extension:metadata") or b"{}").get("crs")
            columns[field.name] = {"encoding": "WKB", "geometry_types": [], "crs": crs}
    geo = {"version": "1.1.0", "primary_column": list(columns)[-1], "columns": columns}
    target = folder / "out.parquet"
    described = table.replace_schema_metadata({"geo": json.dumps(geo)})
    pq.write_table(described, target, compression="zstd")
    return target


def _table(source: str, folder: Path) -> Path:
    import duckdb

    database = folder / "out.duckdb"
    with duckdb.connect(database) as connection:
        connection.execute(f'CREATE TABLE "{DATASET}" AS FROM {source}')
    return database
