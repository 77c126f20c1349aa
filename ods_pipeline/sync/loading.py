"""Load landed partitions: one table by one rule, and the sessions in which a long run does so.

A DuckDB file has one writer at a time. A run that fetches for an hour opens it for seconds now and
then, and waits for others that load at that moment; where several may write, it costs nothing to do
the same. How a table is loaded belongs to `warehouse`.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

from ods_pipeline.errors import HeldBack, OdsPipelineError, WarehouseError, WarehouseLocked
from ods_pipeline.lake.holds import Hold, PartitionKey, read_holds
from ods_pipeline.lake.lake import Lake, receipt
from ods_pipeline.sync.extractor import Extractor
from ods_pipeline.sync.options import Mode, Options
from ods_pipeline.sync.outcome import SOUND, Outcome, held_outcome
from ods_pipeline.sync.plan import Planned
from ods_pipeline.sync.verdict import COLUMN_HOLDS, Kind, Verdict
from ods_pipeline.warehouse.last_look import LastLook
from ods_pipeline.warehouse.names import CATALOG, TableNames
from ods_pipeline.warehouse.protocol import Load, LoadedTable, Warehouse

#: A session begins when so many loads wait, or when the first of them has waited for so long; it
#: loads no more than that, and lets others in before the next. The first sessions begin sooner, so
#: that fetching and loading go on side by side; but each end of a session goes through all tables.
_SOON, _WAITING, _SECONDS, _PAUSE = 25, 100, 15.0, 0.3

OpenWarehouse = Callable[[], AbstractContextManager[Warehouse]]
_Waiting = list[tuple[Planned, Outcome]]


def load_dataset(
    warehouse: Warehouse, lake: Lake, options: Options, planned: Planned, verdict: str
) -> Load:
    """Load one landed partition; one that is loaded already costs a look at its footer.

    Where a person accepts, the table's columns follow only if a hold on columns was shown before.

    Args:
        warehouse: Where its table is.
        lake: Where it is landed.
        options: With the rules, and whether a person accepts what is held.
        planned: The dataset, with its hold.
        verdict: Why it was landed, for the record of loads.

    Raises:
        HeldBack: Its columns differ, and the contract keeps the table as it was.
        WarehouseError: The table stays as it was.
    """
    shown = planned.hold is not None and planned.hold.verdict in COLUMN_HOLDS
    contract = options.rules.contract(planned.dataset_id)
    # Columns that a user selects are no change by the publisher.
    follows = (options.accept and shown) or verdict == Kind.FILTER
    load = warehouse.load(
        lake.partition(*planned.partition),
        verdict=verdict,
        contract="evolve" if follows else contract,
        again=options.mode is Mode.full,
    )
    if load.action == "quarantined":
        name, change = planned.dataset_id, str(load.change)
        held = HeldBack(str(Kind.QUARANTINED), load.quarantine, change=change, dataset=name)
        held.views = load.views
        raise held
    return load


def is_loaded(tables: Mapping[str, LoadedTable], names: TableNames, planned: Planned) -> bool:
    """Whether a table is exactly as its partition is landed.

    Args:
        tables: What the warehouse says is loaded.
        names: What tables are called there.
        planned: The dataset.
    """
    landed = planned.landed
    table = tables.get(names.table_of(planned.dataset_id, planned.extractor.kind))
    return bool(table and landed and table.version == landed.version)


def unloaded(
    opened: OpenWarehouse, lake: Lake, names: TableNames, steps: Sequence[Planned]
) -> frozenset[PartitionKey]:
    """The partitions of a plan that are landed, and not loaded as they are landed.

    Args:
        opened: Opens the warehouse.
        lake: Where they are landed.
        names: What tables are called.
        steps: The plan.

    Raises:
        WarehouseError: The warehouse cannot be opened.
    """
    landed = [step for step in steps if step.landed]
    if not landed:
        return frozenset()
    with opened() as warehouse:
        tables = warehouse.loaded(lake.root.name)
    return frozenset(step.partition for step in landed if not is_loaded(tables, names, step))


def landed_steps(lake: Lake, extractor: Extractor, names: Iterable[str]) -> dict[str, Planned]:
    """Partitions to load, of which nothing is planned but that, with their holds."""
    held: Mapping[PartitionKey, Hold] = read_holds(lake)
    landed = Verdict(Kind.UNCHANGED, "landed before")
    return {
        name: Planned(
            extractor,
            name,
            None,
            receipt(lake.partition(extractor.kind, name)),
            landed,
            hold=held.get((extractor.kind, name)),
        )
        for name in names
    }


class Loader:
    """Collects what has landed and loads it, several tables in a session."""

    def __init__(
        self,
        opened: OpenWarehouse,
        lake: Lake,
        options: Options,
        on_end: Callable[[Planned, Outcome], object],
        look: LastLook | None = None,
    ) -> None:
        """Prepare to load; nothing is opened yet.

        Args:
            opened: Opens the warehouse for a session.
            lake: Where the partitions are.
            options: With the rules, and whether a person accepts what is held.
            on_end: Called with each outcome once its table is loaded.
            look: The last look at what is loaded; without it the warehouse is always opened.
        """
        self._look = look
        self._opened, self._lake, self._options, self._on_end = opened, lake, options, on_end
        self._waiting: _Waiting = []
        self._enough, self._since = _SOON, 0.0
        self._tables: Mapping[str, LoadedTable] = {}
        self._first: Sequence[PartitionKey] = ()
        self._catalog_due = False
        self._problem: OdsPipelineError | None = None

    def reach(self) -> None:
        """Read what is loaded of the portal, before anything is asked of it.

        Raises:
            ConfigurationError: The URL names no warehouse.
            WarehouseError: It cannot be opened, or another process has it for long.
        """
        known = self._look.tables() if self._look else None
        if known is not None:
            self._tables = known
            return
        before = self._look.evidence() if self._look else None
        with self._opened() as warehouse:
            self._load_holds(warehouse)
            # Once for all: asking for each of thousands costs more than the rest of a run.
            self._tables = warehouse.loaded(self._lake.root.name)
        if self._look:
            self._look.keep(before, self._tables)

    def begin(self, first: Iterable[PartitionKey] = ()) -> None:
        """Have the catalog loaded with the next tables, if it is another one.

        Args:
            first: Partitions to load before others, in this order: renamed ones, since other
                datasets may have their former names now.
        """
        catalog, table = self._lake.catalog_receipt(), self._tables.get(CATALOG)
        self._first = tuple(first)
        self._catalog_due = catalog is not None and (
            table is None or table.version != catalog.version
        )

    def has(self, planned: Planned) -> bool:
        """Whether the warehouse had a dataset exactly as it is landed when the run began."""
        return is_loaded(self._tables, self._options.names, planned)

    def add(self, planned: Planned, outcome: Outcome) -> None:
        """Load a partition in the next session, which may begin now."""
        self._since = self._since if self._waiting else time.monotonic()
        self._waiting.append((planned, outcome))
        full = len(self._waiting) % self._enough == 0
        if full or time.monotonic() - self._since >= _SECONDS:
            self._session(last=False)

    def flush(self) -> None:
        """Load all that waits; where the warehouse stays closed, each fails in one sentence."""
        while self._waiting:
            self._session(last=True)
            if self._waiting:
                time.sleep(_PAUSE)

    def _session(self, *, last: bool) -> None:
        queue = sorted(self._waiting, key=self._order)
        batch, self._waiting = queue[:_WAITING], queue[_WAITING:]
        self._since = time.monotonic()
        import pyarrow as pa

        # Memory that landing needed goes back first: loads need theirs on top of it.
        pa.default_memory_pool().release_unused()
        try:
            with self._opened() as warehouse:
                self._load_catalog(warehouse)
                for planned, outcome in batch:
                    self._on_end(planned, self._loaded(warehouse, planned, outcome))
            self._enough = min(2 * self._enough, _WAITING)
        except WarehouseError as error:  # At its opening: each load tells of its own.
            if not last:
                self._waiting += batch
                return
            reason = f"it is landed, but not loaded: {error}; the next run loads it"
            for planned, outcome in [*batch, *self._waiting]:
                sound = outcome.action in SOUND
                lost = replace(outcome, action="failed", reason=reason) if sound else outcome
                self._on_end(planned, lost)
            self._waiting = []

    def finish(self, *, holds_changed: bool) -> None:
        """Load catalog and holds where they differ; the next run does it where this one cannot.

        Args:
            holds_changed: Whether something else is held than before.

        Raises:
            WarehouseError: The catalog could not be loaded; everything else was.
        """
        if holds_changed or self._catalog_due:
            with contextlib.suppress(WarehouseLocked), self._opened() as warehouse:
                self._load_catalog(warehouse)
                self._load_holds(warehouse)
        if self._problem:
            raise self._problem

    def _load_catalog(self, warehouse: Warehouse) -> None:
        """Load it; if that fails, the datasets are loaded first and the error raised at the end."""
        if not self._catalog_due:
            return
        try:
            warehouse.load_catalog(self._lake.catalog)
        except OdsPipelineError as error:
            self._problem = error
        self._catalog_due = False

    def _load_holds(self, warehouse: Warehouse) -> None:
        # A damaged list is written again at the end of the run.
        if receipt(self._lake.holds_file) or not self._lake.holds_file.exists():
            warehouse.load_holds(self._lake.holds_file)

    def _order(self, waiting: tuple[Planned, Outcome]) -> int:
        key = waiting[0].partition
        return self._first.index(key) if key in self._first else len(self._first)

    def _loaded(self, warehouse: Warehouse, planned: Planned, outcome: Outcome) -> Outcome:
        try:
            load = load_dataset(warehouse, self._lake, self._options, planned, outcome.verdict)
        except HeldBack as error:
            outcome = replace(outcome, loaded=error.verdict, change=error.change, views=error.views)
            sound = outcome.action in SOUND
            return held_outcome(outcome, Kind.QUARANTINED, error.message) if sound else outcome
        except OdsPipelineError as error:
            return replace(outcome, action="failed", reason=str(error))
        renamed = f"the table {load.renamed_from} is called {load.table} now"
        note = "; ".join(
            filter(None, [outcome.note, load.note, renamed if load.renamed_from else ""])
        )
        return replace(outcome, loaded=load.action, change=str(load.change), note=note)
