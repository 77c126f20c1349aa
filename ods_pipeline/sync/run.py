"""A whole run: read the catalog, decide for each dataset, land what is out of date, load it.

This is the command line's run; Dagster does the same step by step. How one dataset is landed is
`landing`'s knowledge, how tables are loaded `loading`'s, what is printed is `report`'s.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from functools import partial

from ods_pipeline.dataset import Dataset
from ods_pipeline.errors import (
    HeldBack,
    NothingToLand,
    OdsPipelineError,
    QuotaExhausted,
    unexpected_error,
)
from ods_pipeline.lake.holds import Hold, PartitionKey, read_holds, update_holds
from ods_pipeline.lake.lake import Lake, PartitionKind, receipt
from ods_pipeline.lake.receipt import Receipt
from ods_pipeline.portal.portal import Portal
from ods_pipeline.sync.catalog import (
    catalog_of,
    missing,
    publish_catalog,
    require_most,
)
from ods_pipeline.sync.landing import Wanted, land
from ods_pipeline.sync.loading import Loader, Opened
from ods_pipeline.sync.options import DEFAULT, Options
from ods_pipeline.sync.outcome import (
    SOUND,
    Outcome,
    forgotten,
    held_after,
    held_outcome,
    landed_outcome,
    outcome_of,
    skipped_outcome,
)
from ods_pipeline.sync.plan import Landed, Planned, plan
from ods_pipeline.sync.renames import follow_all, redescribe
from ods_pipeline.sync.verdict import Kind, verdict

_LANDED = frozenset({"landed", "same content", "described anew"})


Receipts = dict[PartitionKind, dict[str, Receipt]]


class Watcher:
    """What a run tells whoever watches it; this one keeps silent."""

    def planned(self, steps: Sequence[Planned]) -> None:
        """The catalog is read; these datasets will be fetched."""

    def received(self, step: Planned, size: int) -> None:
        """Some bytes of a dataset arrived."""

    def ended(self, outcome: Outcome) -> None:
        """A dataset is done with."""


def plans(
    datasets: Sequence[Dataset],
    lake: Lake,
    options: Options,
    names: Sequence[str] = (),
    receipts: Receipts | None = None,
) -> Iterator[Planned]:
    """What a run would do for each dataset, lane by lane.

    Args:
        datasets: The catalog.
        lake: What is landed and held.
        options: How the run would be.
        names: Datasets to look at; all of them without it.
        receipts: What is landed, where that is known already.
    """
    held, known = read_holds(lake), receipts or landed_in(lake, options)
    for lane in options.lanes:
        yield from plan(
            datasets,
            Landed(known[lane.kind], held, partial(lake.columns, lane.kind)),
            names,
            lane=lane,
            full=options.full,
            accept=options.accept,
            rules=options.rules,
        )


def landed_in(lake: Lake, options: Options) -> Receipts:
    """The receipts of the lanes of a run, by kind and dataset."""
    return {lane.kind: lake.receipts(lane.kind) for lane in options.lanes}


class Run:
    """One run over a portal: the catalog first, then datasets side by side, loads in sessions."""

    def __init__(
        self,
        portal: Portal,
        lake: Lake,
        warehouse: Opened | None,
        options: Options = DEFAULT,
        watcher: Watcher | None = None,
    ) -> None:
        """Prepare a run.

        Args:
            portal: Where the datasets are.
            lake: Where they land.
            warehouse: Opens where they are loaded, for a session of loads; a comparison needs none.
            options: How to run.
            watcher: Told what happens.
        """
        self._portal, self._lake, self._options = portal, lake, options
        self._watcher = watcher or Watcher()
        self._spent = threading.Event()
        self._outcomes: list[Outcome] = []
        self._holds: dict[PartitionKey, Hold | None] = {}
        self._formerly: dict[PartitionKey, str] = {}
        self._missing: Mapping[str, OdsPipelineError] = {}
        self._loader = (
            Loader(warehouse, lake, options.rules, self._ended, accept=options.accept)
            if warehouse and not options.verify
            else None
        )

    def __call__(self, names: Sequence[str] = ()) -> list[Outcome]:
        """Run, and return what became of each dataset.

        Raises:
            OdsPipelineError: The run as a whole is impossible; a dataset's failure is an outcome.
        """
        if self._loader:
            self._loader.reach()
        landed = landed_in(self._lake, self._options)
        before = receipt(self._lake.catalog)
        datasets = catalog_of(self._portal, landed["records"], before.rows if before else 0)
        # Whoever accepts a dataset by name has not looked at the catalog.
        accept = self._options.accept and not names
        if not self._options.verify:
            if before and not accept:
                require_most(self._portal.slug, before.rows, len(datasets))
            self._formerly = follow_all(self._lake, datasets, landed, names)
            names = names and [*names, *(name for _, name in self._formerly)]
        steps = list(plans(datasets, self._lake, self._options, names, landed))
        self._missing = {} if accept else missing(self._portal, steps)
        if not self._options.verify:
            self._publish(datasets)
        fetched = [step for step in steps if self._fetches(step)]
        self._watcher.planned(fetched)
        for step in steps:
            if not self._fetches(step):
                self._concluded(step, self._without_fetch(step))
        for step, outcome in self._fetched(sorted(fetched, key=lambda step: step.need)):
            self._concluded(step, outcome, known=False)  # Another run may have landed it since.
        if not names:
            kinds = {lane.kind for lane in self._options.lanes}
            self._holds |= forgotten(read_holds(self._lake), steps, kinds)
        self._finish()
        return sorted(self._outcomes, key=lambda outcome: (outcome.dataset_id, outcome.name))

    def _publish(self, datasets: Sequence[Dataset]) -> None:
        """Land the catalog, unless it is known to be incomplete."""
        if self._missing:
            catalog = receipt(self._lake.catalog)
        else:
            url = self._portal.client.url("/catalog/exports/json")
            catalog = publish_catalog(self._lake, self._portal.slug, datasets, url)
        if self._loader and catalog:
            self._loader.begin(catalog, first=self._formerly)

    def _fetches(self, step: Planned) -> bool:
        if self._options.verify:
            return step.landed is not None and not step.formerly and not step.verdict.skips
        return step.verdict.fetches

    def _fetched(self, steps: Iterable[Planned]) -> Iterator[tuple[Planned, Outcome]]:
        pool = ThreadPoolExecutor(self._options.workers, "landing")
        futures = {pool.submit(self._with_fetch, step): step for step in steps}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BaseException:  # Ctrl-C as well: threads that go on would land what nobody loads.
            self._portal.client.cancelled.set()
            raise
        finally:
            # Not waited for: a thread may hang on a portal that is silent for minutes.
            pool.shutdown(wait=False, cancel_futures=True)

    def _with_fetch(self, step: Planned) -> Outcome:
        if self._spent.is_set():
            return outcome_of(step, "deferred", "the request quota was spent before its turn")
        before = self._portal.client.requests_by_this_thread
        try:
            outcome = self._landed(step)
        except QuotaExhausted as error:
            if not error.of_dataset:
                self._spent.set()
            outcome = outcome_of(step, "deferred", error.message)
        except HeldBack as error:
            outcome = held_outcome(outcome_of(step, "", ""), Kind(error.verdict), str(error))
        except NothingToLand as error:
            outcome = outcome_of(step, "failed" if step.named else "skipped", str(error))
            outcome = replace(outcome, verdict=str(Kind.NO_RECORDS))
        except OdsPipelineError as error:
            outcome = outcome_of(step, "failed", str(error))
        except Exception as error:  # One dataset's surprise must not cost the others theirs.
            outcome = outcome_of(step, "failed", str(unexpected_error(error, step.dataset_id)))
        return replace(outcome, requests=self._portal.client.requests_by_this_thread - before)

    def _landed(self, step: Planned) -> Outcome:
        client, lane, options = self._portal.client, step.lane, self._options
        with self._lake.lock(*step.place, stop=client.cancelled.is_set):
            previous = receipt(self._lake.partition(*step.place))
            # The catalog may be newer than what another run has landed since: decide again.
            if previous and previous != step.landed and self._settled(step, previous):
                return outcome_of(step, "unchanged", "another run has landed it meanwhile")
            wanted = Wanted(
                step.present,
                lane,
                previous,
                options.rules,
                step.taken(options.accept),
                not options.verify,
                lambda size: self._watcher.received(step, size),
            )
            with client.reserved(lane.requests, step.dataset_id):
                landing = land(self._portal, wanted, self._lake)
        return landed_outcome(step, landing, verify=options.verify)

    def _settled(self, step: Planned, landed: Receipt) -> bool:
        found = verdict(landed, step.dataset, rules=self._options.rules)
        return found.kind in {Kind.UNCHANGED, Kind.METADATA} and not self._options.verify

    def _without_fetch(self, step: Planned) -> Outcome:
        try:
            if step.newly_withdrawn and step.dataset_id in self._missing:
                raise self._missing[step.dataset_id]
            if step.verdict.skips:
                return skipped_outcome(step)
            if self._options.verify and step.landed is None:
                return outcome_of(step, "skipped", "nothing is landed that could be compared")
            if self._options.verify:
                return outcome_of(step, "unchanged", step.verdict.reason)
            return self._kept_up(step)
        except QuotaExhausted as error:
            return outcome_of(step, "deferred", error.message)
        except OdsPipelineError as error:
            return outcome_of(step, "failed", str(error))

    def _kept_up(self, step: Planned) -> Outcome:
        if step.verdict.kind is not Kind.METADATA:
            return outcome_of(step, "unchanged", step.verdict.reason)
        with self._lake.lock(*step.place):
            landed = receipt(self._lake.partition(*step.place))
            if landed:
                redescribe(step.present, self._lake, landed, lane=step.lane)
        former = self._formerly.get(step.place)
        reason = f"it was called {former}" if former else step.verdict.reason
        return outcome_of(step, "described anew", reason)

    def _concluded(self, step: Planned, outcome: Outcome, *, known: bool = True) -> None:
        """Have it loaded where the warehouse lacks what is landed, whatever became of it today."""
        if self._loader is None or not (step.landed or outcome.action in SOUND):
            self._ended(step, outcome)
        elif outcome.action in _LANDED or not (known and self._loader.holds(step)):
            self._loader.add(step, outcome)
        else:
            loaded = "unchanged" if outcome.action == "unchanged" else ""
            self._ended(step, replace(outcome, loaded=loaded))

    def _ended(self, step: Planned, outcome: Outcome) -> None:
        self._outcomes.append(outcome)
        self._holds.update(held_after(step, outcome))
        self._watcher.ended(outcome)

    def _finish(self) -> None:
        """Load what waits, and write down what is held."""
        if self._loader:
            self._loader.flush()
        if not self._options.verify:
            marks = update_holds(self._lake, self._holds)
            if self._loader:
                self._loader.finish(marks=marks)
