"""The copy of a landed file: the same bytes but for the footer, proven, on any file system."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from ods_pipeline.errors import WarehouseError
from ods_pipeline.lake.checksum import intact
from tests.warehouse.every_engine.stores import Iceberg
from tests.warehouse.iceberg.catalogs import catalog, embedded
from tests.warehouse.partitions import SCHEMA, Column, land

MEMORY = Path("/dev/shm")
ROWS = {"n": Column(range(1000), pa.int64()), "t": Column([f"{n:0100}" for n in range(1000)])}


@pytest.fixture(params=["beside the lake", "in memory"])
def places(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """Where a catalog has its tables: on the lake's file system, or on another one."""
    if request.param == "beside the lake":
        yield tmp_path
        return
    # Systems without it have no copies within the kernel either, which could be refused.
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture
def store(places: Path, monkeypatch: pytest.MonkeyPatch) -> Iceberg:
    return catalog(embedded(places), monkeypatch)


def _files(places: Path) -> list[Path]:
    return list(places.glob(f"tables/{SCHEMA}/velos/data/*.parquet"))


def test_a_copy_has_the_rows_of_the_file_and_a_checksum_of_its_own(
    places: Path, store: Iceberg, tmp_path: Path
) -> None:
    path = land(tmp_path / "velos.parquet", ROWS)
    with store.open() as warehouse:
        assert warehouse.load(path, verdict="new").rows == 1000
    (copy,) = _files(places)
    size = path.stat().st_size - 10_000  # The rest has the footer in it.
    assert copy.read_bytes()[:size] == path.read_bytes()[:size]
    with copy.open("rb") as file:
        assert intact(file)
    assert [n for (n,) in store.rows("velos", "n")] == list(range(1000))


@pytest.mark.parametrize("place", [10, 5_000, -1_000, -200])
def test_a_flipped_bit_is_refused_wherever_it_is_and_leaves_no_file(
    places: Path, store: Iceberg, tmp_path: Path, place: int
) -> None:
    path = land(tmp_path / "velos.parquet", ROWS)
    with store.open() as warehouse:
        warehouse.load(land(tmp_path / "old.parquet", {"t": Column(["old"])}), verdict="new")
        content = bytearray(path.read_bytes())
        content[place] ^= 4
        path.write_bytes(content)
        with pytest.raises(WarehouseError, match=r"is damaged"):
            warehouse.load(path, verdict="data")
    assert len(_files(places)) == 1
    assert store.rows("velos") == [("old",)]
