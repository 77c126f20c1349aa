"""A whole run: read the catalog, decide for each dataset, land what is out of date, load it.

This is the command line's run; Dagster does the same step by step. How one dataset is landed is
`landing`'s knowledge, what is printed is `cli`'s.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pyarrow as pa

from ods_pipeline.dataset import Dataset
from ods_pipeline.errors import OdsPipelineError, QuotaExhausted, surprise
from ods_pipeline.landing import land, redescribe
from ods_pipeline.lane import Lane
from ods_pipeline.outcome import Outcome, landed_outcome, outcome_of
from ods_pipeline.planning import Planned, plan
from ods_pipeline.portal.catalog import as_table
from ods_pipeline.portal.exports import Format
from ods_pipeline.portal.portal import Portal
from ods_pipeline.portal.wfs import Version
from ods_pipeline.tables.lake import Lake, receipt
from ods_pipeline.tables.partition import PartitionWriter
from ods_pipeline.tables.receipt import Receipt
from ods_pipeline.tables.verdict import Kind
from ods_pipeline.warehouse.base import Held, Warehouse
from ods_pipeline.warehouse.names import table_name

if TYPE_CHECKING:
    from ods_pipeline.portal.gml import AxisOrder


@dataclass(frozen=True)
class Options:
    """How to run.

    Attributes:
        full: Ignore what is landed.
        verify: Fetch and compare what is landed, land nothing.
        format: Export to read first.
        features: Read the geographic datasets through WFS as well.
        wfs_version: Version of WFS to ask for.
        axis_order: Order of features' coordinates where their reference system leaves it open.
        workers: Datasets that are fetched at once.
    """

    full: bool = False
    verify: bool = False
    format: Format = "parquet"
    features: bool = False
    wfs_version: Version = "1.1.0"
    axis_order: AxisOrder = "auto"
    workers: int = 4

    @property
    def lanes(self) -> tuple[Lane, ...]:
        """The ways by which rows come in this run, records first."""
        records = Lane("records", format=self.format)
        features = Lane("features", version=self.wfs_version, axis_order=self.axis_order)
        return (records, features) if self.features else (records,)


class Watcher:
    """What a run tells whoever watches it; this one keeps silent."""

    def planned(self, steps: Sequence[Planned]) -> None:
        """The catalog is read; these datasets will be fetched."""

    def received(self, step: Planned, size: int) -> None:
        """Some bytes of a dataset arrived."""

    def ended(self, outcome: Outcome) -> None:
        """A dataset is done with."""


def publish_catalog(lake: Lake, slug: str, datasets: Iterable[Dataset], url: str = "") -> Receipt:
    """Bring the lake's catalog up to date; a catalog that says the same is left alone.

    Raises:
        LakeError: The data folder cannot be written.
    """
    table = as_table(datasets).combine_chunks()
    known = Receipt(slug, "catalog", title=f"Catalog of {slug}", source_url=url)
    with PartitionWriter(lake, lake.catalog, table.schema) as writer:
        for batch in table.to_batches():
            writer.write(batch)
        landed = receipt(lake.catalog)
        if landed and landed.content_hash == writer.content.hexdigest():
            return landed
        return writer.publish(known)


class Run:
    """One run over a portal: the catalog first, then datasets side by side, loads one by one."""

    def __init__(
        self,
        portal: Portal,
        lake: Lake,
        warehouse: Warehouse | None,
        options: Options = Options(),
        watcher: Watcher | None = None,
    ) -> None:
        """Prepare a run.

        Args:
            portal: Where the datasets are.
            lake: Where they land.
            warehouse: Where they are loaded, open and ours until the run ends; a comparison needs
                none.
            options: How to run.
            watcher: Told what happens.
        """
        self._portal, self._lake, self._warehouse = portal, lake, warehouse
        self._options = options
        self._watcher = watcher or Watcher()
        self._spent = threading.Event()
        self._held: Mapping[str, Held] = {}

    def __call__(self, names: Sequence[str] = ()) -> list[Outcome]:
        """Run, and return what became of each dataset.

        Raises:
            OdsPipelineError: The run as a whole is impossible; a dataset's failure is an outcome.
        """
        datasets = self._portal.datasets()
        steps = [
            step for lane in self._options.lanes for step in self._planned(datasets, names, lane)
        ]
        if self._warehouse and not self._options.verify:
            url = self._portal.client.url("/catalog/exports/json")
            publish_catalog(self._lake, self._portal.slug, datasets, url)
            self._warehouse.load_catalog(self._lake.catalog)
            # Once for all: asking about each of thousands costs more than all the rest of a run.
            self._held = self._warehouse.held(self._portal.slug)
        self._watcher.planned([step for step in steps if self._fetches(step)])
        outcomes = [self._concluded(step, outcome) for step, outcome in self._carried_out(steps)]
        return sorted(outcomes, key=lambda outcome: (outcome.dataset_id, outcome.name))

    def _planned(
        self, datasets: Sequence[Dataset], names: Sequence[str], lane: Lane
    ) -> list[Planned]:
        landed = self._lake.receipts(lane.kind)
        return plan(datasets, landed, names, lane=lane, full=self._options.full)

    def _fetches(self, step: Planned) -> bool:
        if self._options.verify:
            return step.landed is not None and not step.verdict.skips
        return step.verdict.fetches

    def _carried_out(self, steps: Sequence[Planned]) -> Iterator[tuple[Planned, Outcome]]:
        fetched = [step for step in steps if self._fetches(step)]
        yield from ((step, self._without_fetch(step)) for step in steps if not self._fetches(step))
        pool = ThreadPoolExecutor(self._options.workers, "landing")
        futures = {pool.submit(self._with_fetch, step): step for step in fetched}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BaseException:
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
            landing = land(
                self._portal,
                step.present,
                self._lake,
                lane=step.lane,
                previous=step.landed,
                received=lambda size: self._watcher.received(step, size),
                publish=not self._options.verify,
            )
        except QuotaExhausted as error:
            self._spent.set()
            outcome = outcome_of(step, "deferred", error.message)
        except OdsPipelineError as error:
            outcome = outcome_of(step, "failed", str(error))
        except Exception as error:  # One dataset's surprise must not cost the others theirs.
            outcome = outcome_of(step, "failed", str(surprise(error, step.dataset_id)))
        else:
            outcome = landed_outcome(step, landing, verify=self._options.verify)
        return replace(outcome, requests=self._portal.client.requests_by_this_thread - before)

    def _without_fetch(self, step: Planned) -> Outcome:
        try:
            if step.verdict.skips:
                return _skipped(step)
            if self._options.verify and step.landed is None:
                return outcome_of(step, "skipped", "nothing is landed that could be compared")
            if step.verdict.kind is Kind.METADATA and not self._options.verify:
                landed = step.landed or Receipt(step.present.portal, step.lane.kind)
                redescribe(step.present, self._lake, landed, lane=step.lane)
                return outcome_of(step, "described anew", step.verdict.reason)
        except OdsPipelineError as error:
            return outcome_of(step, "failed", str(error))
        return outcome_of(step, "unchanged", step.verdict.reason)

    def _concluded(self, step: Planned, outcome: Outcome) -> Outcome:
        """Load what is landed, and tell the watcher."""
        loads = outcome.action in {"landed", "same content", "described anew", "unchanged"}
        if outcome.action == "unchanged" and self._holds(step):
            outcome = replace(outcome, loaded="unchanged")
        elif loads and self._warehouse and not self._options.verify:
            partition = self._lake.partition(step.lane.kind, step.dataset_id)
            # What landing needed goes back first: the load's own room comes on top of it.
            pa.default_memory_pool().release_unused()
            try:
                load = self._warehouse.load(partition, verdict=outcome.verdict)
            except OdsPipelineError as error:
                outcome = replace(outcome, action="failed", reason=str(error))
            else:
                outcome = replace(outcome, loaded=load.action, change=str(load.change))
        self._watcher.ended(outcome)
        return outcome

    def _holds(self, step: Planned) -> bool:
        held = self._held.get(table_name(step.dataset_id, step.lane.kind))
        return bool(held and step.landed and held.version == step.landed.version)


def _skipped(step: Planned) -> Outcome:
    """Skipped among all, failed when asked for by name."""
    if step.named and step.verdict.kind is not Kind.NO_GEOMETRY:
        step.lane.require(step.present)
    return outcome_of(step, "skipped", step.verdict.reason)
