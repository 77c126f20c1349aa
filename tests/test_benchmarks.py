"""The benchmark measures what it says: its server replays faithfully, and a small run prints."""

from __future__ import annotations

import gzip
import json
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from benchmarks import gate, replay, tables
from benchmarks.__main__ import main
from benchmarks.dagster_deployment import deployed
from benchmarks.figures import Measured, Result, Run
from benchmarks.parts import WORK
from benchmarks.portal import API, CHANGING, DATASET, EXPORTS, FEATURES, opened
from benchmarks.portal import ROWS as ROWS_EACH
from benchmarks.replay import Profile, Replay
from benchmarks.slopes import slopes
from benchmarks.targets import checks
from benchmarks.tasks import BY_JOB, COMMAND_LINE, CSV, DLT, FLOOR, OURS, Task, tasks
from benchmarks.tasks import Sizes as Sized
from ods_pipeline.emulator import Emulator

ROWS = 3_000
SCHEMA_PATH = "/api/wfs?service=WFS&version=1.1.0&request=DescribeFeatureType"
CSV_PATH, PARQUET_PATH = (EXPORTS[name].format(DATASET) for name in ("csv", "parquet"))


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator(sample=False) as portal:
        portal.make_big(DATASET, rows=ROWS)
        yield portal


@pytest.fixture
def server(emulator: Emulator, tmp_path: Path) -> Iterator[Replay]:
    served = Replay(emulator.url.removeprefix("http://"), tmp_path).start()
    yield served
    served.shutdown()
    served.server_close()


@pytest.mark.parametrize("path", [CSV_PATH, PARQUET_PATH, SCHEMA_PATH, "/api/explore/v2.1/nothing"])
@pytest.mark.parametrize("zipped", ["gzip", "identity"])
def test_a_reply_is_what_the_portal_said_byte_for_byte(
    emulator: Emulator, server: Replay, path: str, zipped: str
) -> None:
    asking = {"Accept-Encoding": zipped, "Host": f"127.0.0.1:{server.server_port}"}
    with requests.get(emulator.url + path, headers=asking, stream=True) as said:
        expected, headers = said.raw.read(decode_content=False), said.headers
    for _ in range(2):
        with requests.get(server.url + path, headers=asking, stream=True) as replayed:
            assert replayed.raw.read(decode_content=False) == expected
        assert replayed.status_code == said.status_code
        for name in ("content-type", "content-encoding", "transfer-encoding", "content-length"):
            assert replayed.headers.get(name) == headers.get(name)
        assert not [name for name in replayed.headers if name.lower().startswith("x-ratelimit")]


def test_the_portal_is_asked_once_and_every_request_is_counted(
    emulator: Emulator, server: Replay
) -> None:
    emulator.requests.clear()
    for _ in range(3):
        requests.get(server.url + CSV_PATH)
    requests.head(server.url + CSV_PATH)
    assert len(emulator.requests) == 1
    assert server.configure() == {"requests": 4, "recorded": 2}
    assert server.configure() == {"requests": 0, "recorded": 0}


def test_a_portal_that_is_slow_waits_and_then_trickles(
    server: Replay, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = {"Accept-Encoding": "identity"}
    size = len(requests.get(server.url + CSV_PATH, headers=identity).content)
    monkeypatch.setitem(replay.PROFILES, "slow", Profile(latency=0.1, rate=2 * size))
    server.configure(profile="slow")
    started = time.monotonic()
    with requests.get(server.url + CSV_PATH, headers=identity, stream=True) as reply:
        first = time.monotonic() - started
        assert len(reply.content) == size
    assert first >= 0.1
    assert time.monotonic() - started >= 0.5


def test_cut_rows_end_in_order_and_all_else_stays_whole(server: Replay) -> None:
    whole = requests.get(server.url + CSV_PATH).content
    metadata = requests.get(f"{server.url}/api/explore/v2.1/catalog/datasets/{DATASET}").content
    features = requests.get(server.url + FEATURES).content
    server.configure(cut=True)
    cut = requests.get(server.url + CSV_PATH).content
    assert whole.startswith(cut)
    assert cut.endswith(b"\n")
    assert 0.3 < len(cut) / len(whole) <= 0.5
    plain = requests.get(server.url + CSV_PATH, headers={"Accept-Encoding": "identity"})
    assert plain.content == cut
    half = requests.get(server.url + FEATURES).content
    # It says when it was made, so it is not the beginning of the other.
    assert len(half) == len(features) // 2
    assert b"</wfs:FeatureCollection>" not in half
    again = requests.get(f"{server.url}/api/explore/v2.1/catalog/datasets/{DATASET}").content
    assert again == metadata
    hits = requests.get(f"{server.url}{FEATURES}&resultType=hits").text
    assert f'numberOfFeatures="{ROWS}"' in hits
    server.configure(cut=False)
    assert requests.get(server.url + CSV_PATH).content == whole


def test_a_gzipped_body_that_is_cut_is_sound_gzip(server: Replay) -> None:
    server.configure(cut=True)
    with requests.get(server.url + CSV_PATH, stream=True) as reply:
        assert reply.headers["content-encoding"] == "gzip"
        assert gzip.decompress(reply.raw.read(decode_content=False)).endswith(b"\n")


@pytest.fixture(scope="module")
def small_run() -> tuple[str, dict[str, Any]]:
    """A benchmark of little, as somebody who has no peer installed runs it."""
    arguments = ["--quick", "--only", "csv", "--rows", "2000", "--no-install", "--save", ""]
    command = [sys.executable, "-m", "benchmarks", *arguments, "--json"]
    root = Path(__file__).parents[1]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, check=False)
    assert done.returncode == 0, done.stderr
    (task,) = json.loads(done.stdout)["tasks"]
    return done.stderr, {result["program"]: result for result in task["results"]}


def test_a_small_benchmark_runs_and_tells_what_is_right(
    small_run: tuple[str, dict[str, Any]],
) -> None:
    told, results = small_run
    assert "CSV export of 2,000 rows" in told
    (ours,) = results[OURS]["runs"]
    assert ours["made"] == {"rows": 2000, "wrong": []}
    assert ours["requests"] == 4
    assert ours["wall_s"] > 0
    assert ours["peak_mb"] > 50
    assert results[OURS]["cut"] == "noticed"
    assert results["pandas"]["cut"] == "silent"
    assert "leading zeros" in results["pandas"]["runs"][0]["made"]["wrong"]
    assert results["DuckDB COPY"]["versions"]["duckdb"]


def test_a_peer_that_has_no_requirements_says_so_and_the_rest_goes_on(tmp_path: Path) -> None:
    from benchmarks.measure import bench
    from benchmarks.tasks import Program

    nobody = Program("nobody", "peers.exports:nothing", environment="nobody")
    unknown = Program("unknown", "peers.exports:nothing")
    task = Task("csv", "CSV of {size} rows", "big", 500, (CSV[0], nobody, unknown))
    with bench(1, lambda text: None, install=True, profile="") as one:
        (done,) = one.measure([task])
    ours, missing, failed = done.results
    assert not ours.problem
    assert missing.problem == "missing: benchmarks/requirements/nobody.txt"
    assert failed.problem.startswith("failed: AttributeError")
    assert not done.broken()


def _measured(name: str, size: int, *costs: tuple[str, float]) -> Measured:
    task = next(task for task in tasks(Sized()) if task.name == name and task.size)
    task = Task(name, task.title, task.portal, size, task.programs, task.bound, series="rows")
    results = [Result(p, (Run(wall, wall, 100 * wall, 1),), size) for p, wall in costs]
    return Measured(task, tuple(results))


def test_a_target_is_reached_or_missed_by_the_ratio() -> None:
    done = [_measured("csv", 10**6, (OURS, 2.0), ("DuckDB COPY", 1.0), ("pandas", 4.0))]
    found = {check.target.text: (check.figure, check.verdict) for check in checks(done)}
    assert found == {
        "≥ 1 × DuckDB COPY": (0.5, "MISSED"),
        "≥ 1 × pandas": (2.0, "reached"),
        "≤ 250 MB": (200, "reached"),
    }
    assert not done[0].broken()
    assert _measured("csv", 10, (OURS, 3.0)).broken() == [
        "CSV export of 10 rows → Parquet file: peak_mb 300, promised 250"
    ]


def test_a_slope_tells_linear_time_from_worse() -> None:
    sizes = (10, 100, 1_000, 10_000)
    straight, bent = (
        slopes([_measured("csv", size, (OURS, 1 + size**power)) for size in sizes])[0]
        for power in (1, 2)
    )
    assert straight.exponent == pytest.approx(1, abs=0.1)
    assert bent.exponent == pytest.approx(2, abs=0.1)
    assert straight.each_us == pytest.approx(1e6)
    assert straight.memory == pytest.approx(10_001 / 11)


ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "performance.md").read_text()


def test_every_benchmark_that_the_page_shows_is_one_that_can_be_run() -> None:
    shown = re.findall(r'^\$ make bench(?: BENCH="(.+?)")?', PAGE, re.MULTILINE)
    assert len(shown) > 3
    for arguments in shown:
        main.make_context("bench", shlex.split(arguments))


@pytest.mark.parametrize(
    ("results", "headings"),
    [
        ("two-cores", r"^### (.+→.+|Portal.+|First.+|Start.+)$"),
        ("dagster", r"^### (Dagster: (?:`|a code).+)$"),
        ("partitions", r"^### (Dagster: (?!`|a code).+)$"),
    ],
)
def test_the_tables_of_the_page_are_those_of_the_kept_results(results: str, headings: str) -> None:
    kept = json.loads((ROOT / "benchmarks" / "results" / f"{results}.json").read_text())
    titles = {task["title"] for task in kept["tasks"] if task["task"] != "slope"}
    assert titles == set(re.findall(headings, PAGE, re.MULTILINE))
    for task in kept["targets"]:
        assert f"{task['figure']:.2f}" in PAGE


def test_what_nobody_can_make_cheaper_is_subtracted() -> None:
    costs = ((OURS, 9.0), (FLOOR, 6.0), (COMMAND_LINE, 2.0))
    found = [check.figure for check in checks([_measured("launch", 14, *costs)])]
    assert found == [1.0, 1.0, 100.0]


def test_work_in_a_deployment_is_compared_with_the_whole_of_a_program_that_has_none() -> None:
    task = next(task for task in tasks(Sized()) if task.name == "dagster-first")
    ours = Run(50, 40, 300, parts={WORK: 24.0, "watch, s": 1.0})
    job = Run(40, 20, 300, parts={WORK: 30.0})
    runs = {OURS: ours, BY_JOB: job, COMMAND_LINE: Run(20, 10, 200), DLT: Run(60, 50, 400)}
    done = Measured(task, tuple(Result(name, (run,), 300) for name, run in runs.items()))
    check, by_job = checks([done])
    assert (check.figure, check.cpu, check.verdict) == (1.2, 4.0, "reached")
    assert (by_job.figure, by_job.cpu, by_job.verdict) == (1.5, 2.0, "MISSED")
    assert check.target.text == "≤ 1.2 × ods_pipeline sync’s wall time"
    (grid,) = tables.parts(done)
    assert grid.columns == ("of", OURS, BY_JOB)
    assert grid.rows == ((WORK, "24.00", "30.00"), ("watch, s", "1.00", "–"))


def test_a_dataset_of_many_changes_and_replies_from_before_are_forgotten(tmp_path: Path) -> None:
    with opened("many", 3, tmp_path) as portal:

        def counts() -> dict[str, int]:
            listed = requests.get(f"{portal.url}{API}/exports/json").json()
            metas = {item["dataset_id"]: item["metas"]["default"] for item in listed}
            return {name: found["records_count"] for name, found in metas.items()}

        before = counts()
        assert set(before.values()) == {ROWS_EACH}
        portal.change()
        assert counts() == before | {CHANGING: ROWS_EACH + 1}
        portal.change()
        assert counts()[CHANGING] == ROWS_EACH + 2


@pytest.mark.slow
@pytest.mark.timeout(900)
# Of Dagster's daemon, where it calls what Dagster will remove; goes when it no longer warns.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_sensors_load_a_portal_once_and_then_the_dataset_that_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DAGSTER_HOME", "ODS_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path))
    with (
        opened("many", 3, tmp_path / "replies") as portal,
        deployed(portal.url, tmp_path / "data") as deployment,
    ):
        found = []
        for changes in (False, False, True):
            if changes:
                portal.change()
            deployment.begin()
            portal.configure()
            deployment.watch()
            requests_of_sensor = portal.configure().requests
            found.append((requests_of_sensor, deployment.settle()))
    (_, first), quiet, (_, change) = found
    # Of the catalog, of records, of tables.
    assert first["runs"] == change["runs"] == 3
    assert 0 < first["watch, s"] < first[WORK]
    assert first["CPU of that, s"] > 1
    assert quiet == (1, {})
    assert change["wait for queue left out, at most s"] == 2


def test_the_gate_tells_what_got_slower_beside_the_same_peer_and_what_was_not_measured() -> None:
    def done(ours: float, peer: float) -> Measured:
        made = (Result(name, (Run(1, cpu),)) for name, cpu in ((OURS, ours), ("DuckDB COPY", peer)))
        return Measured(Task("csv", "", "big", 10, CSV), tuple(made))

    before = gate.ratios([done(2.0, 1.0)])
    assert before == {"csv 10": {"DuckDB COPY": 2.0}}
    # Twice as long, on a machine that is half as fast, is the same.
    assert not list(gate.slower(before, gate.ratios([done(4.0, 2.0)])))
    assert not list(gate.slower(before, gate.ratios([done(2.9, 1.0)])))
    (sentence,) = gate.slower(before, gate.ratios([done(3.1, 1.0)]))
    assert sentence.startswith("csv 10 takes 3.10 times the CPU of DuckDB COPY, and took 2.00")
    (sentence,) = gate.slower(before, {})
    assert sentence == "csv 10 was not measured beside DuckDB COPY"


def test_the_gate_measures_what_is_kept() -> None:
    (said,) = re.findall(r"^GATE := ((?:.*\\\n)*.*)", Path("Makefile").read_text(), re.M)
    names = re.findall(r"--only ,(.*)\)", said)[0].split()
    sizes = {name: int(n) for name, n in re.findall(r"--(rows|points) (\d+)", said)}
    assert list(gate.kept()) == [
        f"{name} {sizes['points' if name == 'points' else 'rows']}" for name in names
    ]
