"""The soak of many hosts: `python -m tests.soak.hosts`; one host dies in each round.

Runs are begun by the portal's sensors. Its exit status is 1 where anything is wrong.
"""

from __future__ import annotations

import argparse
import dataclasses
import random
import sys
import tempfile
import time
from pathlib import Path

from ods_pipeline.emulator import Emulator, Fault
from ods_pipeline.portal.portal import Portal
from tests.servers.hosts.death import killed_amid_a_run, outlived
from tests.servers.hosts.deployment import Deployment, servers
from tests.servers.hosts.evidence import findings, set_aside
from tests.soak.publisher import FIELDS, records
from tests.soak.truth import Chronicle
from tests.soak.weather import Weather

# How long sensors and retries may take before somebody syncs by hand: a change waits twice for the
# daemon of backfills, which looks every 30 seconds, and what failed once waits for that again.
_PATIENCE = 300.0
_PAUSE = 10.0


@dataclasses.dataclass(frozen=True)
class Size:
    """How long and how hard.

    Attributes:
        edits: Datasets that have other rows in each round after the first.
        share: Of all replies that are spoilt, until the host of the round has died.
        per_run: Datasets that share a run.
        runtime: Seconds after which Dagster ends a run.
    """

    datasets: int = 300
    rounds: int = 10
    hosts: int = 3
    edits: int = 20
    share: float = 0.05
    per_run: int = 25
    runtime: int = 120
    seed: int = 0


def main() -> None:
    """Soak, and say what it came to."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak.hosts", description=__doc__)
    for field in dataclasses.fields(Size):
        parser.add_argument(f"--{field.name}", type=type(field.default), default=field.default)
    size = Size(**vars(parser.parse_args()))
    with tempfile.TemporaryDirectory(prefix="hosts-") as folder:
        wrong = soak(size, Path(folder))
    print(f"{wrong} rounds are wrong" if wrong else "all is well")
    sys.exit(bool(wrong))


def soak(size: Size, folder: Path) -> int:
    """Run it; returns in how many rounds anything was wrong."""
    dice, wrong, began = random.Random(size.seed), 0, time.monotonic()
    times = {
        "max_runtime_seconds": size.runtime,
        # The host that dies may have taken a run that it had not begun.
        "start_timeout_seconds": size.runtime,
        "poll_interval_seconds": 2,
        "free_slots_after_run_end_seconds": 2,
    }
    with servers() as shared, Emulator(sample=False, quota=10**9) as portal:
        names = [f"dataset-{number:04}" for number in range(size.datasets)]
        for name in names:
            portal.publish(name, FIELDS, records(0, 10))
        chronicle, weather = Chronicle(portal), Weather(size.seed)
        portal._server.context.faults = weather
        hosts = Deployment(
            shared,
            portal.url,
            folder,
            hosts=size.hosts,
            monitoring=times,
            watching=True,
            per_run=size.per_run,
        )
        try:
            for number in range(1, size.rounds + 1):
                first = dice.randrange(max(size.datasets - size.edits, 1))
                slow = names[first + 1]
                weather.add(f"{slow}/exports", Fault.late(size.runtime), times=1)
                weather.share = size.share
                if number == 1:
                    hosts.start()
                else:
                    for name in names[first : first + size.edits]:
                        portal.publish(name, FIELDS, records(number, 10))
                slug = Portal(portal.url).slug
                killed = killed_amid_a_run(hosts, slug, slow, names)
                weather.share = 0.0
                death = outlived(hosts, slug, killed)
                hosts.revive(killed.host)
                left, how = _settled(hosts, chronicle, folder / f"round-{number}")
                wrong += bool(left)
                print(
                    f"round {number:2}: {time.monotonic() - began:5.0f} s; {killed.host} died; "
                    f"unlocked after {death.unlocked:.1f} s, ended after {death.ended:.0f} s, done "
                    f"after {death.done:.0f} s; {len(hosts.runs())} runs, {weather.replies} "
                    f"requests, {weather.strikes} spoilt; {how}",
                    *left[:10],
                    sep="\n- ",
                    flush=True,
                )
        finally:
            hosts.stop()
    return wrong


def _settled(hosts: Deployment, chronicle: Chronicle, folder: Path) -> tuple[list[str], str]:
    """What is wrong when all runs are over, and whether Dagster alone has come so far."""
    end, looks, before = time.monotonic() + _PATIENCE, 0, list[str]()
    while time.monotonic() < end:
        if all(run.is_over for run in hosts.runs()):
            looks += 1
            if not (before := findings(hosts, chronicle, folder / str(looks))):
                return [str(one) for one in set_aside(hosts.servers)], "right by itself"
        time.sleep(_PAUSE)
    done = hosts.typed("host-1", "sync", "--accept")
    left = findings(hosts, chronicle, folder / "by-hand")
    failed = [done.stdout + done.stderr] if done.returncode else []
    return [
        *left,
        *failed,
        *map(str, set_aside(hosts.servers)),
    ], f"right after a sync by hand, before: {before[:10]}"


if __name__ == "__main__":
    main()
