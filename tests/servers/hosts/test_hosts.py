"""Three hosts with Celery keep one portal, and one dies: nothing is lost, doubled or split."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ods_pipeline.emulator import Emulator, Fault
from ods_pipeline.portal.portal import Portal
from tests.servers.hosts.death import killed_amid_a_run, outlived
from tests.servers.hosts.deployment import Deployment, servers
from tests.servers.hosts.evidence import findings, set_aside
from tests.soak.truth import Chronicle
from tests.soak.weather import Weather

pytestmark = [pytest.mark.servers, pytest.mark.timeout(2700)]

SLOW = "made-up-00006"
# A run of four datasets takes some ten seconds, and three times as long on a busy machine. One that
# ends before its host dies shows nothing.
TIMES = {
    "max_runtime_seconds": 90,
    # For what the dead host has taken and not begun.
    "start_timeout_seconds": 120,
    "poll_interval_seconds": 2,
    "free_slots_after_run_end_seconds": 2,
}


def test_a_host_that_dies_amid_a_run_costs_nothing_and_another_does_its_work(
    tmp_path: Path,
) -> None:
    with servers() as shared, Emulator(sample=False, quota=10**6) as portal:
        portal.make_up(20)
        chronicle, weather = Chronicle(portal), Weather(seed=19)
        portal._server.context.faults = weather
        weather.add(f"{SLOW}/exports", Fault.late(60), times=1)
        hosts = Deployment(shared, portal.url, tmp_path, hosts=3, monitoring=TIMES, watching=False)
        try:
            hosts.start()
            weather.share = 0.05
            names = [dataset.dataset_id for dataset in portal.state.datasets()]
            hosts.materialize(names, 4)
            slug = Portal(portal.url).slug
            killed = killed_amid_a_run(hosts, slug, SLOW, names)
            weather.share = 0.0
            print(outlived(hosts, slug, killed))
            hosts.until(lambda: all(run.is_over for run in hosts.runs()), "runs go on")
            survivor = next(name for name in hosts.workers if name != killed.host)
            # What the dead host was at, Dagster alone has put right.
            wrong = findings(hosts, chronicle, tmp_path / "before")
            assert not [line for line in wrong if any(name in line for name in killed.datasets)]
            # And what failed in bad weather, if anything did.
            settled = hosts.typed(survivor, "sync", "--accept")
            assert settled.returncode == 0, settled.stdout + settled.stderr
            assert findings(hosts, chronicle, tmp_path / "bucket") == []
            assert set_aside(shared) == []
            assert _refused(hosts, portal, 30) == 0
        finally:
            hosts.stop()


def _refused(hosts: Deployment, portal: Emulator, left: int) -> int:
    """Let all hosts sync at once with a quota for half of it, and count what the portal refuses."""
    for dataset in portal.state.datasets():
        portal.republish(dataset.dataset_id, shuffle=True)
    refused: list[Exception] = []
    spend = portal.quota.spend

    def noted() -> tuple[tuple[str, str], ...]:
        try:
            return spend()
        except Exception as error:
            refused.append(error)
            raise

    vars(portal.quota)["spend"] = noted
    portal.ration(portal.quota.spent + left)
    with ThreadPoolExecutor(3) as typists:
        done = list(typists.map(lambda name: hosts.typed(name, "sync"), hosts.workers))
    # Put off until the quota is full again.
    assert {one.returncode for one in done} == {3}, [one.stdout + one.stderr for one in done]
    assert left - 10 <= portal.quota.spent - (portal.quota.limit - left) <= left
    return len(refused)
