"""Runs that are interrupted, and runs over thousands of datasets, each in a process of its own."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ods_pipeline.emulator import Emulator, Fault
from ods_pipeline.lake.lake import Lake
from ods_pipeline.lake.receipt import Receipt
from ods_pipeline.portal.portal import Portal
from ods_pipeline.sync.catalog import publish_catalog
from tests.desk import FIELDS, Desk, rows
from tests.warehouse.partitions import sealed

pytestmark = pytest.mark.slow

INTERRUPTED = 130


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Emulator(sample=False) as emulator:
        for number, name in enumerate(("one", "two", "three"), 1):
            emulator.publish(name, fields=FIELDS, records=rows(number), metas={"title": name})
        yield Desk(emulator, tmp_path)


def command(desk: Desk, *arguments: str) -> subprocess.Popen[str]:
    places = {"ODS_PORTAL": desk.emulator.url, "ODS_DATA_DIR": str(desk.folder)}
    return subprocess.Popen(
        [sys.executable, "-m", "ods_pipeline.cli", *arguments],
        env={**os.environ, **places, "ODS_WAREHOUSE": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def until(condition: Callable[[], object]) -> None:
    ends = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.02)


@pytest.mark.parametrize("format", ["parquet", "csv"])
def test_ctrl_c_in_the_middle_of_an_export_leaves_nothing_half_done(
    desk: Desk, format: str
) -> None:
    desk.emulator.make_big("big", rows=30_000)
    desk.emulator.fail("/big/exports/", Fault.slow(100_000), times=1)
    run = command(desk, "sync", "--format", format)
    until(lambda: len(desk.files()) == 3 and desk.emulator.requests and "big" in desk.exported)
    time.sleep(0.3)
    run.send_signal(signal.SIGINT)
    _, said = run.communicate(timeout=120)
    assert run.returncode == INTERRUPTED, said
    assert "interrupted; what is landed is whole, run again to go on" in said
    assert "Traceback" not in said
    assert set(desk.files()) == {"one", "two", "three"}
    assert not list((desk.lake.root / ".incoming").iterdir())
    again = command(desk, "sync", "--format", format)
    _, said = again.communicate(timeout=120)
    assert again.returncode == 0, said
    assert set(desk.files()) == {"one", "two", "three", "big"}
    assert pq.read_metadata(desk.lake.partition("records", "big")).num_rows == 30_000


def test_ctrl_c_does_not_wait_for_a_portal_that_is_silent(desk: Desk) -> None:
    desk.emulator.fail("/two/exports/", Fault.stall(60), times=None)
    run = command(desk, "sync")
    until(lambda: len(desk.files()) == 2 and "two" in desk.exported)
    run.send_signal(signal.SIGINT)
    # Before the portal says something.
    _, said = run.communicate(timeout=50)
    assert run.returncode == INTERRUPTED, said
    assert not list((desk.lake.root / ".incoming").iterdir())


def test_an_unchanged_portal_of_2000_datasets_costs_one_request_and_little_work(
    tmp_path: Path,
) -> None:
    program = """
        import contextlib, resource, sys
        from pathlib import Path
        from ods_pipeline.portal.portal import Portal
        from ods_pipeline.sync.options import RunContext
        from ods_pipeline.sync.run import Run
        from ods_pipeline.lake.lake import Lake
        from ods_pipeline.warehouse import LoadedTable

        portal = Portal(sys.argv[1])
        lake = Lake.of(Path(sys.argv[2]), portal.slug)

        class Full:
            def loaded(self, portal):
                landed = lake.receipts("records").items()
                return {name: LoadedTable("x", 1, receipt.version) for name, receipt in landed}

            def load_catalog(self, catalog):
                assert catalog.exists()

            def load_holds(self, held):
                assert not held.exists()

        outcomes = Run(RunContext(portal, lake), lambda: contextlib.nullcontext(Full()))()
        kinds = {(outcome.action, outcome.loaded) for outcome in outcomes}
        cpu = resource.getrusage(resource.RUSAGE_SELF)
        print(cpu.ru_utime + cpu.ru_stime, len(outcomes), kinds, portal.client.requests_made)
    """
    with Emulator(sample=False) as emulator:
        emulator.make_up(2_000, rows=1)
        portal = Portal(emulator.url)
        lake = Lake.of(tmp_path, portal.slug)
        landed_by_hand(portal, lake)
        publish_catalog(lake, portal.slug, portal.datasets())
        emulator.requests.clear()
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program), emulator.url, str(tmp_path)],
            capture_output=True,
            text=True,
            check=True,
        )
        assert len(emulator.requests) == 1
    cpu, _, said = done.stdout.strip().partition(" ")
    assert said == "2000 {('unchanged', 'unchanged')} 1"
    assert float(cpu) < 6


def landed_by_hand(portal: Portal, lake: Lake) -> None:
    """Receipts without rows: what lies in the files plays no part, and 2,000 exports take time."""
    folder = lake.root / "records"
    folder.mkdir(parents=True)
    known = {"row_count": "1", "content_hash": "x", "fetched_at": datetime.now(UTC).isoformat()}
    for dataset in portal.datasets():
        told = Receipt.of(dataset, "records", **known).metadata()
        table = pa.table({"a": pa.array([1])}).replace_schema_metadata(told)
        with sealed(folder / f"{dataset.dataset_id}.parquet", table.schema) as writer:
            writer.write_table(table)


def test_a_disk_that_fills_up_while_an_export_arrives_is_one_sentence(
    desk: Desk,
) -> None:
    desk.emulator.make_big("towns", rows=50_000)
    program = """
        import resource, sys
        from pathlib import Path
        from ods_pipeline.errors import LakeError
        from ods_pipeline.sync.landing import land
        from ods_pipeline.sync.landing_request import LandingRequest
        from ods_pipeline.sync.extractor import Extractor
        from ods_pipeline.portal.portal import Portal
        from ods_pipeline.lake.lake import Lake

        portal = Portal(sys.argv[1])
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        for format in ("parquet", "csv"):
            try:
                lake = Lake.of(Path(sys.argv[2]), portal.slug)
                request = LandingRequest(portal.dataset("towns"), Extractor(format=format))
                land(portal, request, lake)
            except LakeError as error:
                print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), desk.emulator.url, str(desk.folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert len(said) == 2
    for sentence in said:
        assert sentence.startswith("towns: ")
        assert "limit on the size of files" in sentence
    assert not desk.files()
    assert not list((desk.lake.root / ".incoming").iterdir())
