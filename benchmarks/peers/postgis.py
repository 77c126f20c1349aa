"""A landed partition into PostGIS, as somebody would write it in the fewest lines.

`given` in the folder is the partition, the URL is that of a database with PostGIS.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.peers.dlt_pipeline import pipeline

#: Row by row: it gets a part of the rows, and is held against that part.
PART = 10
#: The schema that dlt makes.
DLT_SCHEMA = "benchmark_dlt"
_GEOMETRY = "geometry"


def copy_csv(url: str, folder: Path) -> None:
    """COPY of CSV, with geometries as hexadecimal digits."""
    import io

    import psycopg
    import pyarrow.csv as pc
    import pyarrow.parquet as pq

    with psycopg.connect(url) as connection, pq.ParquetFile(folder / "given") as file:
        connection.execute("DROP TABLE IF EXISTS peer")
        kinds = {"int64": "bigint", "string": "text", "double": "float8", "binary": _GEOMETRY}
        columns = [f'"{f.name}" {kinds.get(str(f.type), "text")}' for f in file.schema_arrow]
        connection.execute(f"CREATE TABLE peer ({', '.join(columns)})".encode())
        with connection.cursor().copy("COPY peer FROM STDIN (FORMAT CSV)") as stream:
            for batch in file.iter_batches(20_000):
                frame = batch.to_pandas()
                frame[_GEOMETRY] = [value.hex() for value in frame[_GEOMETRY]]
                lines = io.BytesIO()
                table = batch.from_pandas(frame)
                pc.write_csv(table, lines, pc.WriteOptions(include_header=False))
                stream.write(lines.getvalue())
        connection.execute(f"CREATE INDEX ON peer USING gist ({_GEOMETRY})")


def to_postgis(url: str, folder: Path) -> None:
    """GeoPandas."""
    import geopandas
    import pyarrow.parquet as pq
    import sqlalchemy

    with pq.ParquetFile(folder / "given") as file:
        batches = file.iter_batches(max(1, file.metadata.num_rows // PART))
        frame = next(batches).to_pandas()
    shapes = geopandas.GeoSeries.from_wkb(frame.pop(_GEOMETRY), crs="EPSG:4326")
    engine = sqlalchemy.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    geopandas.GeoDataFrame(frame, geometry=shapes).to_postgis("peer", engine, if_exists="replace")
    engine.dispose()


def dlt_arrow(url: str, folder: Path) -> None:
    """A dlt pipeline that is given Arrow; its adapter takes geometries as hexadecimal digits."""
    import dlt
    import psycopg2
    import pyarrow as pa
    import pyarrow.parquet as pq
    from dlt.destinations.adapters import postgres_adapter

    def batches() -> Iterator[Any]:
        with pq.ParquetFile(folder / "given") as file:
            at = file.schema_arrow.names.index(_GEOMETRY)
            for batch in file.iter_batches(20_000):
                digits = pa.array([value.hex() for value in batch.column(at).to_pylist()])
                yield pa.Table.from_batches([batch.set_column(at, _GEOMETRY, digits)])

    rows = postgres_adapter(dlt.resource(batches, name="peer"), geometry=[_GEOMETRY], srid=4326)
    into = pipeline(folder, dlt.destinations.postgres(url), DLT_SCHEMA)
    into.run(rows, write_disposition="replace", loader_file_format="csv")
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE INDEX ON {DLT_SCHEMA}.peer USING gist ({_GEOMETRY})")


def ogr2ogr(url: str, folder: Path) -> None:
    """GDAL, from GeoPackage: few builds read Parquet. Writing that file is not measured."""
    command = ["ogr2ogr", "-f", "PostgreSQL", f"PG:{url}", folder / "given.gpkg", "-overwrite"]
    options = ["-nln", "peer", "-lco", "GEOMETRY_NAME=geometry"]
    environment = {"PG_USE_COPY": "YES"}
    subprocess.run([*command, *options], check=True, env={**_path(), **environment})


def _path() -> dict[str, str]:
    import os

    return dict(os.environ)
