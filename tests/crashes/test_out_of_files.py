"""Where no more files may be opened, this is said, and nothing is called damaged or lost."""

import errno
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
import requests

from ods_pipeline.emulator import Emulator
from ods_pipeline.errors import (
    OdsPipelineError,
    PortalFailure,
    PortalUnreachable,
    out_of_files,
    unexpected_error,
)
from ods_pipeline.lake.holds import read_holds
from ods_pipeline.lake.lake import Lake, receipt
from ods_pipeline.lake.verify import audit
from ods_pipeline.lake.writer import PartitionWriter
from ods_pipeline.portal.http.client import Client
from ods_pipeline.warehouse import open_warehouse
from tests.files_left import none_left
from tests.person import typed
from tests.warehouse.partitions import Column, land

SENTENCE = r"too many open files: raise the limit \(`ulimit -n`\) and run again"


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator() as found:
        yield found


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    found = Lake.of(tmp_path, "portal.test")
    land(found.partition("records", "d"), {"a": Column(["1"])})
    land(found.holds_file, {"a": Column(["1"])})
    # What is imported when it is needed is there already.
    open_warehouse(f"duckdb:///{tmp_path / 'other.duckdb'}").close()
    return found


USES: dict[str, Callable[[Lake], object]] = {
    "receipt": lambda lake: receipt(lake.partition("records", "d")),
    "holds": read_holds,
    "verify": lambda lake: audit(lake.partition("records", "d")),
    "write": lambda lake: PartitionWriter(
        lake, lake.partition("records", "e"), pa.schema({"a": pa.string()})
    ),
    "warehouse": lambda lake: open_warehouse(f"duckdb:///{lake.root / 'w.duckdb'}"),
}


@pytest.mark.parametrize("use", USES)
def test_k12_nothing_of_the_lake_is_judged_where_no_file_may_be_opened(
    lake: Lake, use: str
) -> None:
    with none_left(), pytest.raises(OdsPipelineError, match=f"^{SENTENCE}$"):
        USES[use](lake)
    assert receipt(lake.partition("records", "d"))
    assert not list(lake.root.rglob("*~*")), "an unfinished file stays"


def test_k12_a_load_that_may_open_no_file_says_so(lake: Lake) -> None:
    with open_warehouse(f"duckdb:///{lake.root / 'w.duckdb'}") as warehouse:
        path = lake.partition("records", "d")
        with none_left(), pytest.raises(OdsPipelineError, match=f"{SENTENCE}$"):
            warehouse.load(path, verdict="new")
        assert warehouse.load(path, verdict="new").action == "loaded"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_k12_a_portal_is_not_called_unreachable_where_no_socket_may_be_opened(scheme: str) -> None:
    client = Client(f"{scheme}://127.0.0.1:9", attempts=1, connect_timeout=1)
    with pytest.raises(PortalUnreachable):
        client.json("/catalog/datasets")
    with none_left(), pytest.raises(PortalFailure, match=SENTENCE):
        client.json("/catalog/datasets")


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EMFILE, "?"),
        OSError(errno.ENFILE, "?"),
        RuntimeError("IO Error: Cannot open file: Too many open files"),
        pa.ArrowInvalid("Failed to open: Too many open files in system"),
        requests.ConnectionError(OSError(errno.EMFILE, "?")),
    ],
)
def test_k12_it_is_no_mistake_of_ours_whoever_tells_it(error: Exception) -> None:
    outer = ValueError("no luck")
    outer.__cause__ = error
    for told in (error, outer):
        assert out_of_files(told)
        assert str(unexpected_error(told, "d")).startswith("d: too many open files: raise")


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(),
        ValueError("24"),
        ImportError("no module", name="ods_pipeline.portal"),
        ImportError("no module", name="geopandas"),
    ],
)
def test_k12_other_errors_are_not_taken_for_it(error: Exception) -> None:
    error.__cause__ = error
    assert not out_of_files(error)
    assert "mistake of ours" in str(unexpected_error(error, "d"))


@pytest.mark.parametrize(
    "error",
    [
        ImportError("no module", name="ods_pipeline.portal.features"),
        ImportError("no module", name="pyproj.crs"),
        ImportError("cannot import name 'x' from partially initialized module 'y'", name="y"),
        AttributeError("partially initialized module 'pyproj' has no attribute 'network'"),
    ],
)
def test_k12_an_installed_module_that_cannot_be_opened_is_not_called_missing(
    error: Exception,
) -> None:
    assert not out_of_files(error)
    with none_left():
        assert out_of_files(error)
        assert not out_of_files(ImportError("no module", name="geopandas"))
        assert not out_of_files(AttributeError("module 'pyproj' has no attribute 'x'"))


@pytest.mark.parametrize("limit", [5, 6, 16, 64])
def test_k12_a_run_with_few_files_ends_in_sentences_and_the_next_one_is_whole(
    limit: int, emulator: Emulator, tmp_path: Path
) -> None:
    for number in range(20):
        fields = [{"name": "a", "type": "int"}]
        emulator.publish(f"d{number}", fields=fields, records=[{"a": number}])

    words = ("--portal", emulator.url, "--data-dir", str(tmp_path), "sync", "--features")
    little = subprocess.run(
        [
            *("bash", "-c", f'ulimit -n {limit}; exec "$0" -m ods_pipeline.cli "$@"'),
            *(sys.executable, *words),
        ],
        check=False,
        capture_output=True,
        text=True,
        env={"COLUMNS": "400", "PATH": "/usr/bin:/bin"},
    )
    said = little.stdout + little.stderr
    assert "Traceback" not in said
    assert "mistake of ours" not in said
    assert "ulimit -n" in said or little.returncode == 0
    enough = typed(tmp_path, *words)
    assert enough.returncode == 0, enough.stdout + enough.stderr
