"""A load takes the same memory however many rows there are: they pass through in pieces."""

import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ods_pipeline.lake.checksum import BLANK, SealedFile, intact
from tests.warehouse.iceberg.catalogs import NAME, embedded
from tests.warehouse.partitions import PORTAL

pytestmark = pytest.mark.slow

ROWS_PER_GROUP = 20_000
LOADING = """
import sys
from pathlib import Path
from ods_pipeline.warehouse import open_warehouse

name, partition = sys.argv[1:]
with open_warehouse(f"iceberg:{name}") as opened:
    assert opened.load(Path(partition), verdict="new").action == "loaded"
status = Path("/proc/self/status").read_text()
print(int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6)
"""


def _landed(path: Path, rows: int) -> Path:
    """A partition with the checksum that the lake gives it, of values that cannot be packed."""
    receipt = {
        **{"portal": PORTAL, "kind": "records", "dataset_id": "velos", "row_count": str(rows)},
        **{"content_hash": "h", "file_sha256": BLANK},
    }
    schema = pa.schema({"n": pa.int64(), "b": pa.binary()}, metadata=receipt)
    path.touch()
    file = SealedFile(path)
    with pq.ParquetWriter(file, schema) as writer:
        for begin in range(0, rows, ROWS_PER_GROUP):
            numbers = range(begin, begin + ROWS_PER_GROUP)
            columns = [pa.array(numbers), pa.array([os.urandom(100) for _ in numbers])]
            writer.write_table(pa.table(columns, schema=schema))
    file.seal()
    return path


def _peak(folder: Path, rows: int) -> float:
    folder.mkdir()
    described = {
        f"PYICEBERG_CATALOG__{NAME.upper()}__{key.upper()}": value
        for key, value in embedded(folder).items()
    }
    command = [sys.executable, "-c", LOADING, NAME, str(_landed(folder / "velos.parquet", rows))]
    done = subprocess.run(
        command, env={**os.environ, **described}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


def test_thirty_times_the_rows_take_no_more_memory_and_the_copy_is_sealed(tmp_path: Path) -> None:
    few, many = (_peak(tmp_path / str(rows), rows) for rows in (20_000, 600_000))
    assert many <= 300
    assert many <= 1.15 * few
    for copy in tmp_path.glob("*/tables/*/velos/data/*.parquet"):
        with copy.open("rb") as file:
            assert intact(file)
