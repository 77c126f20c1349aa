"""Loading what a run has landed: in short sessions, so that nobody is kept out of the warehouse.

A DuckDB file has one writer at a time. A run that fetches for an hour opens it for seconds now
and then; another one that loads at that moment is waited for. What a load does is the warehouse's
knowledge.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

import pyarrow as pa

from ods_pipeline.errors import OdsPipelineError, WarehouseLocked
from ods_pipeline.lake.holds import PartitionKey
from ods_pipeline.lake.lake import Lake, receipt
from ods_pipeline.lake.receipt import Receipt
from ods_pipeline.sync.outcome import SOUND, Outcome, held_outcome
from ods_pipeline.sync.plan import Planned
from ods_pipeline.sync.rules import Rules
from ods_pipeline.sync.verdict import Kind
from ods_pipeline.warehouse.names import CATALOG, table_name
from ods_pipeline.warehouse.protocol import LoadedTable, Warehouse

#: A session begins when so many loads wait, or when the first of them has waited for so long; it
#: loads no more than that, and lets others in before the next. The first come sooner: fetching and
#: loading go on side by side, but each end of a session goes through all tables.
_SOON, _WAITING, _SECONDS, _PAUSE = 25, 100, 15.0, 0.3

_COLUMNS = frozenset({Kind.FROZEN, Kind.QUARANTINED})

Opened = Callable[[], AbstractContextManager[Warehouse]]
_Waiting = list[tuple[Planned, Outcome]]


class Loader:
    """Takes what has landed and loads it, several tables in a session."""

    def __init__(
        self,
        opened: Opened,
        lake: Lake,
        rules: Rules,
        ended: Callable[[Planned, Outcome], object],
        *,
        accept: bool = False,
    ) -> None:
        """Prepare to load; nothing is opened yet.

        Args:
            opened: Opens the warehouse for a session.
            lake: Where the partitions are.
            rules: With the contracts under which columns may change.
            ended: Told each outcome once its table is loaded.
            accept: Whether a person takes columns that a contract would keep out.
        """
        self._opened, self._lake, self._rules, self._ended = opened, lake, rules, ended
        self._accept = accept
        self._waiting: _Waiting = []
        self._enough, self._since = _SOON, 0.0
        self._held: Mapping[str, LoadedTable] = {}
        self._first: Sequence[PartitionKey] = ()
        self._catalog_due = False
        self._problem: OdsPipelineError | None = None

    def reach(self) -> None:
        """See what is loaded of the portal, before anything is asked of it.

        Raises:
            ConfigurationError: The URL names no warehouse.
            WarehouseError: It cannot be opened, or is closed to us for long.
        """
        with self._opened() as warehouse:
            self._mark(warehouse)
            # Once for all: asking about each of thousands costs more than all the rest of a run.
            self._held = warehouse.loaded(self._lake.root.name)

    def begin(self, catalog: Receipt, first: Iterable[PartitionKey] = ()) -> None:
        """Have the catalog loaded with the next tables, if it is another one.

        Args:
            catalog: Receipt of what is landed.
            first: Partitions to load before others, in this order: renamed ones, whose old names
                others may have taken.
        """
        held = self._held.get(CATALOG)
        self._first = tuple(first)
        self._catalog_due = held is None or held.version != catalog.version

    def holds(self, step: Planned) -> bool:
        """Whether the warehouse has a dataset exactly as it is landed."""
        held = self._held.get(table_name(step.dataset_id, step.lane.kind))
        return bool(held and step.landed and held.version == step.landed.version)

    def add(self, step: Planned, outcome: Outcome) -> None:
        """Load a partition in the next session, which may begin now."""
        self._since = self._since if self._waiting else time.monotonic()
        self._waiting.append((step, outcome))
        full = len(self._waiting) % self._enough == 0
        if full or time.monotonic() - self._since >= _SECONDS:
            self._flush(last=False)

    def flush(self) -> None:
        """Load all that waits; where the warehouse stays closed, each fails in one sentence."""
        while self._waiting:
            self._flush(last=True)
            if self._waiting:
                time.sleep(_PAUSE)

    def _flush(self, *, last: bool) -> None:
        queue = sorted(self._waiting, key=self._turn)
        waiting, self._waiting = queue[:_WAITING], queue[_WAITING:]
        self._since = time.monotonic()
        # What landing needed goes back first: the load's own room comes on top of it.
        pa.default_memory_pool().release_unused()
        try:
            with self._opened() as warehouse:
                self._load_catalog(warehouse)
                for step, outcome in waiting:
                    self._ended(step, self._loaded(warehouse, step, outcome))
            self._enough = min(2 * self._enough, _WAITING)
        except WarehouseLocked as error:
            if not last:
                self._waiting += waiting
                return
            told = f"it is landed, but not loaded: {error}; the next run loads it"
            for step, outcome in [*waiting, *self._waiting]:
                good = outcome.action in SOUND
                lost = replace(outcome, action="failed", reason=told) if good else outcome
                self._ended(step, lost)
            self._waiting = []

    def finish(self, *, marks: bool) -> None:
        """Load what else differs; the next run does it where this one cannot.

        Args:
            marks: Whether something else is held than before.

        Raises:
            WarehouseError: The catalog could not be loaded; all else was.
        """
        if marks or self._catalog_due:
            with contextlib.suppress(WarehouseLocked), self._opened() as warehouse:
                self._load_catalog(warehouse)
                self._mark(warehouse)
        if self._problem:
            raise self._problem

    def _load_catalog(self, warehouse: Warehouse) -> None:
        """Not at the cost of the datasets: what is wrong with it is said at the end."""
        if not self._catalog_due:
            return
        try:
            warehouse.load_catalog(self._lake.catalog)
        except OdsPipelineError as error:
            self._problem = error
        self._catalog_due = False

    def _mark(self, warehouse: Warehouse) -> None:
        # A damaged list is written anew by the end of the run.
        if receipt(self._lake.holds_file) or not self._lake.holds_file.exists():
            warehouse.load_holds(self._lake.holds_file)

    def _turn(self, waiting: tuple[Planned, Outcome]) -> int:
        place = waiting[0].place
        return self._first.index(place) if place in self._first else len(self._first)

    def _loaded(self, warehouse: Warehouse, step: Planned, outcome: Outcome) -> Outcome:
        partition = self._lake.partition(step.lane.kind, step.dataset_id)
        accepted = self._accept and step.hold and step.hold.verdict in _COLUMNS
        contract = "evolve" if accepted else self._rules.contract(step.dataset_id)
        try:
            load = warehouse.load(partition, verdict=outcome.verdict, contract=contract)
        except OdsPipelineError as error:
            return replace(outcome, action="failed", reason=str(error))
        outcome = replace(outcome, loaded=load.action, change=str(load.change))
        if load.action == "quarantined" and outcome.action in SOUND:
            told = load.quarantine("`ods-pipeline sync --accept`")
            return held_outcome(outcome, Kind.QUARANTINED, told)
        note = "; ".join(filter(None, [outcome.note, load.note]))
        return replace(outcome, note=note)
