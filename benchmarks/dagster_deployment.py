"""A deployment of Dagster whose daemon does not wait: what it does, one iteration after the other.

The code server and the runs are processes of their own, as they are where people use Dagster, with
the settings of this repository's `dagster.yaml`. Only the waits between iterations are left out, so
that what is measured is work; `INTERVALS` tells how long they are. Dagster has no public way to do
an iteration: the daemon's own functions are called. Which tasks use it does not belong here.
"""

from __future__ import annotations

import logging
import os
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from benchmarks import processes
from benchmarks.parts import WORK

if TYPE_CHECKING:
    import dagster as dg
    from dagster._core.workspace.context import WorkspaceProcessContext

#: The longest wait before each thing that the daemon does, in seconds, as shipped: half of it on
#: average. Sensors have their own intervals, and the daemon looks every five seconds who is due.
INTERVALS = {"watch": 1805, "automation": 35, "backfill": 30, "queue": 1}
_SETTINGS = Path(__file__).parent.parent / "dagster.yaml"
# Where these are follows the instance's folder, if nothing is said.
_PLACES = ("storage", "local_artifact_storage", "compute_logs")
_POLL_S = 0.05
# The least interval of a sensor changes no work: those that are shipped are told apart. Of 5,000
# datasets one would be due for a comparison every four minutes; with these days of trust none is.
_INTERVAL_S, _TRUST_DAYS = 1, 36_500
_NAME = "bench"
#: The job that brings everything up to date in one run.
JOB = f"{_NAME}_sync"
_DEFINITIONS = f"""\
import dagster as dg

from ods_pipeline import OpendatasoftPortal
from ods_pipeline.dagster.attributes import Watching
from ods_pipeline.sync.configuration import Trust

portal = OpendatasoftPortal(
    portal=%r,
    name="{_NAME}",
    sensor=Watching(running=True, minimum_interval_seconds={_INTERVAL_S}),
    trust=Trust(max_trust_days={_TRUST_DAYS}),
)
defs = dg.build_defs_for_component(portal)
"""


class Deployment:
    """An instance, a code server, and a daemon that does what it is told.

    Attributes:
        instance: Dagster's.
    """

    def __init__(self, instance: dg.DagsterInstance, context: WorkspaceProcessContext) -> None:
        """See `deployed`."""
        from dagster._daemon.asset_daemon import AssetDaemon
        from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import (
            QueuedRunCoordinatorDaemon,
        )

        self.instance, self._context = instance, context
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._waits: Counter[str] = Counter()
        self._idle, self._run_peak_mb = 0.0, 0.0
        self._began, self._spent = time.perf_counter(), processes.cpu_s()
        self._conditions = AssetDaemon({}, 0)
        self._queue = QueuedRunCoordinatorDaemon(INTERVALS["queue"])
        self._logger = logging.getLogger("benchmark")
        self._evaluated = {"watch": 0.0, "automation": 0.0}
        self._servers = set(processes.descendants(os.getpid()))
        self._known: set[str] = set()

    def watch(self) -> None:
        """Evaluate the sensor that looks at the catalog, and do what it asks for."""
        from dagster._daemon.sensor import execute_sensor_iteration

        self._when_due("watch")
        self._do("watch", lambda: execute_sensor_iteration(self._context, self._logger, None, None))
        self._require_success()

    def automate(self) -> None:
        """Evaluate all conditions, and request what they ask for."""
        flags: Any = {}
        self._when_due("automation")
        self._do(
            "automation",
            lambda: self._conditions._run_iteration_impl(self._context, None, {}, flags),
        )
        self._require_success()

    def backfill(self) -> None:
        """Make runs of what is requested for many partitions, or end it where they have ended."""
        from dagster._daemon.backfill import execute_backfill_iteration

        if not self.instance.get_backfills(filters=_requested()):
            return
        self._waits["backfill"] += INTERVALS["backfill"]
        self._do("backfill", lambda: execute_backfill_iteration(self._context, self._logger))

    def launch(self, job: str) -> None:
        """Request a run of a job, as a click does."""
        from dagster._cli.job import _create_run

        context = self._context.create_request_context()
        (location,) = context.code_locations
        (repository,) = location.get_repositories().values()
        wanted = repository.get_full_job(job)
        run = _create_run(self.instance, location, repository, wanted, {}, None, None, None)
        self.instance.submit_run(run.run_id, context)

    def finish(self) -> None:
        """Launch what waits in the queue as the daemon would, until no run is unfinished."""
        began, looked = time.perf_counter(), 0.0
        while self._unfinished():
            if time.perf_counter() - looked >= INTERVALS["queue"]:
                self._do("launches", lambda: self._queue.run_iteration(self._context))
                looked = time.perf_counter()
            time.sleep(_POLL_S)
            mine = set(processes.descendants(os.getpid())) - self._servers
            self._run_peak_mb = max([self._run_peak_mb, *map(processes.peak_mb, mine)])
        self._seconds["runs and launches"] += time.perf_counter() - began
        self._waits["queue"] += INTERVALS["queue"]
        failed = [run for run in self.instance.get_runs() if not run.is_success]
        if failed:
            raise RuntimeError(f"{len(failed)} runs failed, such as {failed[0].tags}")

    def settle(self) -> dict[str, float]:
        """Do all that the conditions ask for, until they ask for nothing.

        Returns:
            What it cost until the last of the runs had ended.
        """
        found: dict[str, float] = {}
        for _ in range(20):
            self.automate()
            self.backfill()
            if not self._unfinished():
                return found
            self.finish()
            found = self.costs()
            # It is over now, of which a backfill is told by an iteration.
            self.backfill()
        raise RuntimeError("conditions ask for more and more")

    def adopt(self) -> None:
        """Tell Dagster that all assets and partitions there are have been materialized."""
        import dagster as dg

        graph = self._context.create_request_context().asset_graph
        for key in graph.materializable_asset_keys:
            partitions: list[str | None] = [None]
            if definition := graph.get(key).partitions_def:
                store = self.instance
                partitions = [*definition.get_partition_keys(dynamic_partitions_store=store)]
            for partition in partitions:
                made = dg.AssetMaterialization(key, partition=partition)
                self.instance.report_runless_asset_event(made)

    def begin(self) -> None:
        """Count from now on."""
        self._seconds.clear()
        self._waits.clear()
        self._idle, self._run_peak_mb = 0.0, 0.0
        self._began, self._spent = time.perf_counter(), processes.cpu_s()
        self._known = {run.run_id for run in self.instance.get_runs()}

    def costs(self) -> dict[str, float]:
        """What was needed since `begin`, by parts."""
        starts = self._run_starts()
        return {
            WORK: time.perf_counter() - self._began - self._idle,
            "CPU of that, s": processes.cpu_s() - self._spent,
            **{f"{name}, s": seconds for name, seconds in self._seconds.items()},
            "runs": len(starts),
            **({"a run until its first step, s": statistics.median(starts)} if starts else {}),
            **({"peak of a run, MB": self._run_peak_mb} if self._run_peak_mb else {}),
            **{f"wait for {name} left out, at most s": s for name, s in self._waits.items()},
        }

    def _run_starts(self) -> list[float]:
        """Seconds of each run from its launch to the first line of its first step."""
        import dagster as dg

        found = []
        for run in self.instance.get_runs():
            if run.run_id in self._known:
                continue
            times = [
                min((record.timestamp for record in self._records(run.run_id, kind)), default=0)
                for kind in (dg.DagsterEventType.PIPELINE_STARTING, dg.DagsterEventType.STEP_START)
            ]
            found += [times[1] - times[0]] if all(times) else []
        return found

    def _records(self, run: str, kind: dg.DagsterEventType) -> list[Any]:
        records = self.instance.get_records_for_run(run, of_type=kind).records
        return [record.event_log_entry for record in records]

    def _unfinished(self) -> bool:
        import dagster as dg
        from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES

        wanted = dg.RunsFilter(statuses=NOT_FINISHED_STATUSES)
        return bool(self.instance.get_runs(wanted, limit=1))

    def _when_due(self, name: str) -> None:
        wait = self._evaluated[name] + _INTERVAL_S + _POLL_S - time.time()
        if wait > 0:
            time.sleep(wait)
            self._idle += wait
        self._evaluated[name] = time.time()
        self._waits[name] += INTERVALS[name]

    def _do(self, name: str, work: Callable[[], Any]) -> None:
        began = time.perf_counter()
        for problem in work() or ():
            if type(problem).__name__ == "SerializableErrorInfo":
                raise RuntimeError(f"{name}: {problem.message[:300]}")
        self._seconds[name] += time.perf_counter() - began

    def _require_success(self) -> None:
        """The daemon logs the error of an evaluation, and goes on."""
        from dagster._core.scheduler.instigation import InstigatorType, TickStatus

        for state in self.instance.all_instigator_state(instigator_type=InstigatorType.SENSOR):
            ticks = self.instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=1)
            for tick in ticks:
                if tick.status == TickStatus.FAILURE:
                    raise RuntimeError(f"{state.instigator_name}: {str(tick.error)[:300]}")


def _requested() -> Any:
    from dagster._core.execution.backfill import BulkActionsFilter, BulkActionStatus

    return BulkActionsFilter(statuses=[BulkActionStatus.REQUESTED])


@contextmanager
def deployed(url: str, data: Path) -> Iterator[Deployment]:
    """Start a deployment whose definitions are those of one portal.

    Args:
        url: The portal's.
        data: Its data folder, with what Dagster knows of it in `home`.

    Yields:
        The deployment, ready to do something.
    """
    import dagster as dg
    from dagster._core.workspace.context import WorkspaceProcessContext
    from dagster._core.workspace.load_target import PythonFileTarget

    home = data / "home"
    home.mkdir(parents=True, exist_ok=True)
    settings = yaml.safe_load(_SETTINGS.read_text())
    kept = {name: value for name, value in settings.items() if name not in _PLACES}
    (home / "dagster.yaml").write_text(yaml.safe_dump(kept))
    definitions = home / "definitions.py"
    definitions.write_text(_DEFINITIONS % url)
    # For the code server and for runs, which inherit it.
    os.environ |= {"DAGSTER_HOME": str(home), "ODS_DATA_DIR": str(data)}
    logging.getLogger("dagster").setLevel(logging.ERROR)
    target = PythonFileTarget(str(definitions), "defs", str(home), "bench")
    with (
        dg.DagsterInstance.get() as instance,
        WorkspaceProcessContext(instance, target, code_server_log_level="ERROR") as context,
    ):
        yield Deployment(instance, context)
    # Only of processes that were waited for does the kernel add up what they cost.
    context._grpc_server_registry.wait_for_processes()
