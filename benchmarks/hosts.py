"""A portal over several hosts with Celery: what a first load and a quiet tick cost, and who pays.

`python -m benchmarks.hosts --hosts 1 3`. Needs the programs of `make test-servers`, and root or
user namespaces. All hosts share this machine's processors, so that the processor's seconds say more
than the clock's. Beside `make bench`, since that starts no servers.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from benchmarks.portal import opened
from benchmarks.replay import PROFILES
from ods_pipeline.portal.portal import Portal
from tests.servers.hosts.deployment import Deployment, Servers, servers
from tests.servers.postgres.pooler import pooler

_TICKS = """
SELECT substring(i.instigator_body FROM 'city_[a-z]+'), t.tick_body FROM kept.job_ticks t
JOIN kept.instigators i USING (selector_id) WHERE t.status = 'SKIPPED'"""
_LOADED = 'SELECT count(DISTINCT "table") FROM {}'
_MARKS = """
SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relname = '_loads'"""
_MONITORING = {"max_runtime_seconds": 3_600}
_MINUTE, _HOURS = 60.0, 7_200.0
_QUIET_TICKS = 3
_CLOCK = os.sysconf("SC_CLK_TCK")


@dataclasses.dataclass(frozen=True)
class Measured:
    """What a deployment needed.

    Attributes:
        hosts: How many worked, and what stood before Dagster's database.
        load: Seconds from the request for all datasets until all were loaded.
        runs: Of Dagster's.
        cpu: Seconds of processor until then, by whom.
        idle: Seconds of processor in a minute without sensors.
        again: Seconds of `ods-pipeline sync` on a host, where nothing changed.
        ticks: Seconds of a tick in which nothing changed, by its sensor.
    """

    hosts: str
    load: float
    runs: int
    cpu: Counter[str]
    idle: float
    again: float
    ticks: dict[str, float]


def main() -> None:
    """Measure, and print a table in Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hosts", description=__doc__)
    parser.add_argument("--datasets", type=int, default=5_000)
    parser.add_argument("--hosts", type=int, nargs="+", default=[1, 3])
    parser.add_argument("--per-run", type=int, default=100)
    parser.add_argument("--profile", choices=tuple(PROFILES), default="loopback")
    parser.add_argument("--pooler", action="store_true", help="PgBouncer for Dagster's database")
    parser.add_argument("--ticks", action="store_true", help="measure those of sensors as well")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hosts-") as name:
        found = [_measured(given, hosts, Path(name) / str(hosts)) for hosts in given.hosts]
    print("\n".join(_table(found, given.datasets)))


def _measured(given: argparse.Namespace, hosts: int, folder: Path) -> Measured:
    folder.mkdir()
    with ExitStack() as stack:
        shared = stack.enter_context(servers())
        portal = stack.enter_context(opened("many", given.datasets, folder / "replies"))
        portal.configure(profile=given.profile)
        port = 0
        if given.pooler:
            # The pooler's user could not reach a folder of ours.
            own = stack.enter_context(tempfile.TemporaryDirectory(prefix="pooler-"))
            port = stack.enter_context(pooler(shared.postgres, Path(own), "session"))
        deployment = Deployment(
            shared,
            portal.url,
            folder,
            hosts=hosts,
            monitoring=_MONITORING,
            watching=False,
            per_run=given.per_run,
            dagster=port,
        )
        stack.callback(deployment.stop)
        deployment.start()
        names = [dataset.dataset_id for dataset in Portal(portal.url).datasets()]
        idle = _idle()
        began, before = time.monotonic(), _cpu()
        deployment.materialize(sorted(names), given.per_run)
        deployment.until(
            lambda: all(run.is_over for run in deployment.runs()), "runs go on", _HOURS, pause=2
        )
        load, cpu, runs = time.monotonic() - began, _cpu() - before, deployment.runs()
        assert _loaded(shared) == given.datasets, [run.status for run in runs]
        began = time.monotonic()
        done = deployment.typed("host-1", "sync")
        assert done.returncode == 0, done.stdout + done.stderr
        again = time.monotonic() - began
        ticks = _ticks(shared, deployment) if given.ticks else {}
        title = f"{hosts}{' and PgBouncer' if given.pooler else ''}"
        return Measured(title, load, len(runs), cpu, idle, again, ticks)


def _loaded(shared: Servers) -> int:
    """How many tables are loaded."""
    table = shared.postgres.ask(_MARKS, "warehouse")
    return int(shared.postgres.ask(_LOADED.format(table), "warehouse"))


def _idle() -> float:
    time.sleep(_MINUTE / 4)  # All have started.
    before = _cpu()
    time.sleep(_MINUTE)
    return (_cpu() - before).total()


def _ticks(shared: Servers, deployment: Deployment) -> dict[str, float]:
    """The shortest quiet tick of each sensor."""
    deployment.watch()
    found: dict[str, list[float]] = {}

    def told() -> bool:
        found.clear()
        for line in shared.postgres.ask(_TICKS, "dagster").splitlines():
            name, _, body = line.partition("|")
            tick = json.loads(body)
            if tick.get("end_timestamp"):
                took = tick["end_timestamp"] - tick["timestamp"]
                found.setdefault(name, []).append(took)
        return len(found) > 1 and min(map(len, found.values())) >= _QUIET_TICKS

    deployment.until(told, "sensors are not quiet", _HOURS, pause=5)
    return {name: min(took) for name, took in found.items()}


def _cpu() -> Counter[str]:
    """Seconds of processor of all processes that are alive and of their children that are not."""
    parents: dict[int, int] = {}
    told: dict[int, tuple[str, float]] = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            name, rest = (process / "stat").read_text().rsplit(")", 1)
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue  # It has ended meanwhile.
        fields = rest.split()
        parents[int(process.name)] = int(fields[1])
        told[int(process.name)] = (command or name, sum(map(int, fields[11:15])) / _CLOCK)
    spent = Counter[str]()
    for number, (_, seconds) in told.items():
        words = " ".join(told[one][0] for one in _ancestors(number, parents) if one in told)
        if label := _label(words):
            spent.update({label: seconds})
    return spent


def _ancestors(number: int, parents: dict[int, int]) -> Iterator[int]:
    while number > 1:
        yield number
        number = parents.get(number, 0)


def _label(words: str) -> str:
    """Who a process works for, by its command and its ancestors'."""
    known = {
        "benchmarks.replay": "",
        "benchmarks.portal": "",
        "postgres:": "PostgreSQL",
        "/bin/postgres": "PostgreSQL",
        "pgbouncer": "PgBouncer",
        "weed": "the store",
        "redis-server": "Redis",
        " enter control ": "the code server and the daemon",
        " enter host-": "workers and their runs",
    }
    return next((label for mark, label in known.items() if mark in words), "")


def _table(found: list[Measured], datasets: int) -> Iterator[str]:
    yield f"| {datasets:,} datasets | {' | '.join(f'hosts: {one.hosts}' for one in found)} |"
    yield f"|---|{'--:|' * len(found)}"
    rows = {
        "first load, s": [f"{one.load:,.0f}" for one in found],
        "datasets a second": [f"{datasets / one.load:.1f}" for one in found],
        "runs": [f"{one.runs}" for one in found],
    }
    for label in sorted({label for one in found for label in one.cpu}):
        rows[f"CPU of {label}, ms a dataset"] = [
            f"{1_000 * one.cpu[label] / datasets:.0f}" for one in found
        ]
    rows["CPU of an idle minute, s"] = [f"{one.idle:.1f}" for one in found]
    rows["`ods-pipeline sync` again, s"] = [f"{one.again:.1f}" for one in found]
    for name in sorted({name for one in found for name in one.ticks}):
        rows[f"a quiet tick of `{name}`, s"] = [f"{one.ticks.get(name, 0):.1f}" for one in found]
    for name, values in rows.items():
        yield f"| {name} | {' | '.join(values)} |"


if __name__ == "__main__":
    main()
