"""What a run costs in requests and in memory, with room to spare; time is the benchmark's.

That an unchanged portal of thousands costs one request is told in `test_long_runs`.
"""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from ods_pipeline.emulator import Emulator
from tests.desk import Desk

# Each in a process of its own, which reads its own peak: what `getrusage` calls the peak is
# inherited from whoever started it.
LANDING = """
import sys
from pathlib import Path
from ods_pipeline.cli import process
process.prepare()
from ods_pipeline.sync.landing import land
from ods_pipeline.sync.landing_request import LandingRequest
from ods_pipeline.sync.extractor import FEATURES, Extractor
from ods_pipeline.portal.portal import Portal
from ods_pipeline.lake.lake import Lake

url, folder, way = sys.argv[1:]
portal = Portal(url)
extractor = FEATURES if way == "gml" else Extractor(format=way)
request = LandingRequest(portal.dataset("big"), extractor=extractor)
land(portal, request, Lake.of(Path(folder), portal.slug))
status = Path("/proc/self/status").read_text()
print(int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6)
"""
LISTING = """
import sys
from pathlib import Path
from ods_pipeline.cli import process
process.prepare()
from ods_pipeline.portal.portal import Portal

assert len(Portal(sys.argv[1]).record_files("big")) == 1
status = Path("/proc/self/status").read_text()
print(int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6)
"""
READING = """
import sys
from pathlib import Path
from ods_pipeline.cli import process
process.prepare()
from ods_pipeline.portal.portal import Portal

assert len(Portal(sys.argv[1]).datasets()) == int(sys.argv[2])
assert not {"numpy", "pyarrow", "duckdb"} & {*sys.modules}
status = Path("/proc/self/status").read_text()
print(int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6)
"""
DATASETS = 25
MOST_MB = 300


@pytest.mark.parametrize(("way", "rows"), [("parquet", 400_000), ("csv", 400_000), ("gml", 60_000)])
def test_four_times_the_rows_take_no_more_memory(tmp_path: Path, way: str, rows: int) -> None:
    few, many = (peak(way, number, tmp_path / str(number)) for number in (rows // 4, rows))
    assert many <= MOST_MB
    assert many <= 1.4 * few


def peak(way: str, rows: int, folder: Path) -> float:
    """The most memory that landing takes, in MB."""
    with Emulator(sample=False) as emulator:
        emulator.make_big("big", rows=rows)
        return told(LANDING, emulator.url, str(folder), way)


def test_records_that_point_to_files_take_no_more_memory_where_they_are_four_times_as_many() -> (
    None
):
    few, many = map(peak_of_files, (25_000, 100_000))
    assert many <= 1.1 * few


def peak_of_files(rows: int) -> float:
    """The most memory that it takes to list the files that records point to, in MB."""
    with Emulator(sample=False) as emulator:
        values = pa.table({"photo": ['{"id": "a", "filename": "a photograph.jpg"}'] * rows})
        emulator.publish("big", [{"name": "photo", "type": "file"}], values)
        return told(LISTING, emulator.url)


def test_a_catalog_takes_little_more_memory_than_its_datasets() -> None:
    """Ten kilobytes for each is what 10,000 of them may take of 150 MB, beside the libraries."""
    few, many = (peak_of_catalog(number) for number in (100, 4_000))
    assert many - few <= 3_900 * 0.012


def peak_of_catalog(datasets: int) -> float:
    """The most memory that it takes to read a catalog, in MB."""
    with Emulator(sample=False) as emulator:
        emulator.make_up(datasets, rows=1)
        return told(READING, emulator.url, str(datasets))


def told(script: str, *words: str) -> float:
    """The number that a script tells in a process of its own."""
    command = [sys.executable, "-c", script, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


def test_a_dataset_costs_three_requests_and_a_false_change_three_again(tmp_path: Path) -> None:
    with Emulator(sample=False) as emulator:
        emulator.make_up(DATASETS)
        desk = Desk(emulator, tmp_path)
        assert set(desk.actions().values()) == {"landed"}
        assert len(emulator.requests) <= 3 * DATASETS + 2
        assert set(desk.actions().values()) == {"unchanged"}
        assert len(emulator.requests) == 1
        emulator.republish("made-up-00007", shuffle=True)
        assert desk.actions()["made-up-00007"] == "same content"
        assert len(emulator.requests) == 1 + 3
