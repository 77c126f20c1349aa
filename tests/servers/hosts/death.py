"""A host that dies amid a run, and how long each thing takes until another has done its work."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tests.servers.hosts.deployment import Deployment, Launched
from tests.servers.hosts.evidence import is_locked, slots


@dataclass(frozen=True)
class Death:
    """What came of it, in seconds since the host died.

    Attributes:
        unlocked: Until others could have the dataset.
        ended: Until Dagster ended the run.
        done: Until the work was done.
    """

    unlocked: float
    ended: float
    done: float


class Killed(NamedTuple):
    """A host that died, with what it was at.

    Attributes:
        host: Which.
        run: The run that died with it.
        dataset: What it was fetching.
        datasets: All that the run was for.
        moment: When, in seconds since 1970.
    """

    host: str
    run: str
    dataset: str
    datasets: tuple[str, ...]
    moment: float


def killed_amid_a_run(
    deployment: Deployment, slug: str, dataset: str, names: Sequence[str]
) -> Killed:
    """Let the host die that fetches a dataset.

    Args:
        deployment: The hosts.
        slug: The portal, as locks name it.
        dataset: One whose export takes long.
        names: All datasets.
    """

    def at_it() -> tuple[str, Launched] | None:
        runs = [run for run in deployment.runs() if run.status == "STARTED" and run.has(dataset)]
        found = [(host, run) for run in runs if (host := deployment.host_of(run.number))]
        return found[0] if found and is_locked(deployment.servers, slug, dataset) else None

    # All other runs may come first.
    host, run = deployment.until(at_it, f"nobody fetches {dataset}", 900)
    deployment.workers[host].kill()
    moment = time.time()
    return Killed(host, run.number, dataset, tuple(filter(run.has, names)), moment)


def outlived(deployment: Deployment, slug: str, killed: Killed) -> Death:
    """Wait until another host has done the work of one that died."""
    run, dataset, moment = killed.run, killed.dataset, killed.moment
    deployment.until(lambda: not is_locked(deployment.servers, slug, dataset), "still locked", 60)
    unlocked = time.time() - moment
    assert _runs(deployment)[run].status == "STARTED", "Dagster noticed before the lock was free"
    deployment.until(lambda: _runs(deployment)[run].is_over, "the dead host's run goes on")
    retry = deployment.until(lambda: _retry(deployment, run), "nobody tries again")
    deployment.until(lambda: _runs(deployment)[retry].is_over, "the retry goes on")
    deployment.until(lambda: not slots(deployment.servers, run), "the pool is not given back", 60)
    before, after = _runs(deployment)[run], _runs(deployment)[retry]
    assert (before.status, after.status) == ("FAILURE", "SUCCESS"), (before, after)
    return Death(unlocked, before.ended - moment, after.ended - moment)


def _runs(deployment: Deployment) -> Mapping[str, Launched]:
    return {run.number: run for run in deployment.runs()}


def _retry(deployment: Deployment, run: str) -> str:
    found = [one for one in deployment.runs() if one.tags.get("dagster/parent_run_id") == run]
    return found[0].number if found else ""
