"""The lake in a bucket beside a plain upload, and an unchanged run's listing beside a disk's.

`python -m benchmarks.bucket s3://BUCKET/PREFIX`, with the cloud's own variables; what is below the
prefix is written over. Beside `make bench`, since that starts no servers. The file is
finished and proven before; each program sends it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.running import run
from benchmarks.tasks import OURS, Program
from ods_pipeline.lake.data_folder import data_folder
from ods_pipeline.lake.lake import Lake
from ods_pipeline.lake.receipt import Receipt
from ods_pipeline.lake.writer import PartitionWriter

_SEED = 20_261_130
_PROGRAMS = (
    Program("obstore, a plain upload", "peers.upload:by_obstore"),
    Program("boto3, a plain upload", "peers.upload:by_boto3"),
    Program(OURS, "ours:publish"),
)
_ROWS = 65_536
_MB = 1_000_000


def main() -> None:
    """Measure, and print tables in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--megabytes", type=int, default=500)
    parser.add_argument("--datasets", type=int, default=5_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        size = _file(folder, given.megabytes)
        print(f"| {size / _MB:,.0f} MB | s | peak MB |\n|---|--:|--:|")
        for program in _PROGRAMS:
            done, _ = run(program, sys.executable, given.url, folder)
            print(f"| {program.name} | {done.problem or done.wall_s} | {done.peak_mb} |")
        print(f"\n| receipts of {given.datasets:,} datasets | first, s | again, s |\n|---|--:|--:|")
        for where, place in (("a folder", str(folder / "data")), ("the bucket", given.url)):
            lake = Lake.of(data_folder(place), "benchmark.test")
            _datasets(lake, given.datasets)
            print(f"| {where} | {_seconds(lake):.2f} | {_seconds(lake):.2f} |")


def _file(folder: Path, megabytes: int) -> int:
    """A partition that compression does not make smaller, as a file and as rows."""
    random = np.random.default_rng(_SEED)
    lake = Lake.of(folder / "local", "benchmark.test")
    schema = pa.schema({f"value_{n}": pa.float64() for n in range(8)})
    path = lake.partition("records", "large")
    with PartitionWriter(lake, path, schema) as writer:
        for _ in range(megabytes * _MB // (_ROWS * 64)):
            columns = [pa.array(random.random(_ROWS)) for _ in schema]
            writer.write(pa.RecordBatch.from_arrays(columns, schema=schema))
        writer.publish(Receipt("benchmark.test", "records", "large"))
    assert isinstance(path, Path)
    path.rename(folder / "given")
    return (folder / "given").stat().st_size


def _datasets(lake: Lake, count: int) -> None:
    """Small partitions."""
    schema = pa.schema({"n": pa.int64()})

    def publish(number: int) -> None:
        name = f"dataset-{number:05}"
        with PartitionWriter(lake, lake.partition("records", name), schema) as writer:
            writer.write(pa.RecordBatch.from_pydict({"n": [number]}, schema=schema))
            writer.publish(Receipt("benchmark.test", "records", name))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(publish, range(count)))


def _seconds(lake: Lake) -> float:
    started = time.perf_counter()
    lake.receipts("records")
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
