"""Loads points and polygons into PostGIS beside other tools: `python -m benchmarks.postgis URL`.

The URL is that of a database that may be written to, with PostGIS in its schema `public`, where dlt
looks for it. Beside `make bench`, since that starts no servers. For each program its wall time with
interpreter and index, rows a second, and the peak memory of the client; and how long a reader
waited at most while rows were replaced.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from benchmarks import environments
from benchmarks.figures import Run
from benchmarks.peers.postgis import DLT_SCHEMA, PART
from benchmarks.running import run
from benchmarks.tasks import OURS, Program
from ods_pipeline.lake.checksum import BLANK, SealedFile

_PORTAL, _SCHEMA = "benchmark.test", "benchmark_test"
_SEED = 20_261_129
_PROGRAMS = (
    Program(OURS, "ours:load_postgis"),
    Program("COPY of CSV", "peers.postgis:copy_csv"),
    Program("ogr2ogr", "peers.postgis:ogr2ogr"),
    Program("dlt, Arrow", "peers.postgis:dlt_arrow", environment="dlt"),
    Program(
        f"GeoPandas to_postgis, 1/{PART}",
        "peers.postgis:to_postgis",
        environment="geopandas",
        part=PART,
    ),
)
_GROUPS = {"points": 65_536, "polygons": 16_384}


def main() -> None:
    """Measure, and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--polygons", type=int, default=100_000)
    given = parser.parse_args()
    print("| rows | program | s | rows/s | peak MB |\n|---|---|--:|--:|--:|")
    for kind, rows in (("points", given.points), ("polygons", given.polygons)):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            _partition(folder, kind, rows)
            for program in _PROGRAMS:
                _drop(given.url)
                done = _measured(program, given.url, folder)
                cells: tuple[object, ...] = (done.problem,)
                if not done.problem:
                    speed = f"{rows / program.part / done.wall_s:,.0f}"
                    cells = (done.wall_s, speed, done.peak_mb)
                print(f"| {rows:,} {kind} | {program.name} | {' | '.join(map(str, cells))} |")
            print(f"\nlongest wait of a reader: {_longest_wait(given.url, folder, kind):.0f} ms\n")


def _measured(program: Program, url: str, folder: Path) -> Run:
    def report(line: str) -> None:
        sys.stderr.write(f"{line}\n")

    try:
        interpreter = environments.python(program.environment, report)
    except environments.Unavailable as missing:
        return Run(0, 0, 0, problem=str(missing))
    return run(program, interpreter, url, folder)[0]


def _partition(folder: Path, kind: str, rows: int, content: str = "one") -> None:
    random = np.random.default_rng(_SEED)
    places = shapely.points(random.uniform(-5, 8, rows), random.uniform(42, 51, rows))
    shapes = places if kind == "points" else shapely.buffer(places, 0.01, quad_segs=12)
    columns = {
        "id": pa.array(range(rows)),
        "name": pa.array([f"place {number % 5000}" for number in range(rows)]),
        "value": pa.array(random.random(rows)),
        "geometry": pa.array(list(shapely.to_wkb(shapes)), pa.binary()),
    }
    about = {"portal": _PORTAL, "kind": "records", "dataset_id": kind, "content_hash": content}
    fields = [
        pa.field(n, v.type, metadata={"ods_type": "geo_shape"} if n == "geometry" else None)
        for n, v in columns.items()
    ]
    schema = pa.schema(fields, metadata={**about, "row_count": str(rows)})
    table = pa.Table.from_arrays(list(columns.values()), schema=schema)
    _write(table, folder / "given", _GROUPS[kind])
    import geopandas

    frame = geopandas.GeoDataFrame(
        table.drop_columns("geometry").to_pandas(), geometry=shapes, crs="EPSG:4326"
    )
    frame.to_file(folder / "given.gpkg", engine="pyogrio")


def _write(table: pa.Table, path: Path, group: int) -> None:
    """A file with its checksum, as those of the lake have it."""
    path.write_bytes(b"")
    file = SealedFile(path)
    with pq.ParquetWriter(file, table.schema) as writer:
        writer.write_table(table, row_group_size=group)
        writer.add_key_value_metadata({"file_sha256": BLANK})
    file.seal()


def _drop(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for schema in (_SCHEMA, DLT_SCHEMA, f"{DLT_SCHEMA}_staging"):
            connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE".encode())
        connection.execute("DROP TABLE IF EXISTS peer")


def _longest_wait(url: str, folder: Path, kind: str) -> float:
    """Milliseconds that the slowest of many short reads took while all rows were replaced."""
    _drop(url)
    run(_PROGRAMS[0], sys.executable, url, folder)
    table = pq.read_table(folder / "given")
    about = {**(table.schema.metadata or {}), b"content_hash": b"other"}
    about.pop(b"file_sha256", None)
    _write(table.replace_schema_metadata(about), folder / "given", _GROUPS[kind])
    waits, over = [0.0], threading.Event()

    def read() -> None:
        query = f'SELECT id FROM {_SCHEMA}."{kind}" LIMIT 1'.encode()
        with psycopg.connect(url, autocommit=True) as connection:
            while not over.is_set():
                started = time.perf_counter()
                connection.execute(query).fetchall()
                waits.append(time.perf_counter() - started)
                time.sleep(0.001)

    reader = threading.Thread(target=read)
    reader.start()
    # In a process of its own: this one's lock would be waited for as well.
    done, _ = run(_PROGRAMS[0], sys.executable, url, folder)
    over.set()
    reader.join()
    if done.problem:
        sys.exit(done.problem)
    return max(waits) * 1000


if __name__ == "__main__":
    main()
