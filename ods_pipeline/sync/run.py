"""A whole run of the command line: plan, update datasets side by side, load them in sessions.

Dagster drives the same engine step by step. What is printed belongs to `cli`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ods_pipeline.errors import OdsPipelineError
from ods_pipeline.lake.holds import read_holds, update_holds
from ods_pipeline.lake.lake import PartitionKind
from ods_pipeline.sync.holds import HoldChanges, forgotten, hold_after
from ods_pipeline.sync.loading import Loader, OpenWarehouse
from ods_pipeline.sync.options import RunContext
from ods_pipeline.sync.outcome import (
    SOUND,
    Outcome,
    outcome_of_error,
    outcome_of_result,
)
from ods_pipeline.sync.plan import Planned
from ods_pipeline.sync.planner import by_priority, prepare
from ods_pipeline.sync.selection import EVERYTHING, Selection
from ods_pipeline.sync.side_by_side import Ended, SideBySide
from ods_pipeline.warehouse.last_look import LastLook

_LANDED = SOUND - {"unchanged"}


class Watcher:
    """Is called with what happens in a run; this one does nothing."""

    def planned(self, steps: Sequence[Planned]) -> None:
        """The catalog is read; these datasets will be fetched."""

    def received(self, kind: PartitionKind, dataset_id: str, size: int) -> None:
        """Some bytes of a dataset arrived."""

    def ended(self, outcome: Outcome) -> None:
        """A dataset is done."""


class Run:
    """One run over a portal."""

    def __init__(
        self,
        context: RunContext,
        warehouse: OpenWarehouse | None,
        watcher: Watcher | None = None,
        look: LastLook | None = None,
    ) -> None:
        """Prepare a run.

        Args:
            context: What it works with.
            warehouse: Opens the warehouse for a session of loads; a comparison needs none.
            watcher: Is called with what happens.
            look: The last look at what the warehouse has loaded, where one can be had.
        """
        self._watcher = watcher or Watcher()
        self._context = replace(context, on_bytes=self._watcher.received)
        self._options, self._lake = context.options, context.lake
        self._outcomes: list[Outcome] = []
        self._changes: HoldChanges = {}
        loads = warehouse and not self._options.verifies
        self._loader = (
            Loader(warehouse, self._lake, self._options, self._ended, look)
            if warehouse and loads
            else None
        )

    def __call__(self, selection: Selection = EVERYTHING) -> list[Outcome]:
        """Run over some datasets, or all, and return what came of each.

        Raises:
            OdsPipelineError: The run as a whole is impossible; a dataset's failure is an outcome.
        """
        if self._loader:
            self._loader.reach()
        plan = prepare(self._context, selection)
        if self._loader:
            self._loader.begin(first=plan.formerly)
        updates = SideBySide(self._context)
        fetched = [step for step in plan.steps if updates.fetches(step)]
        self._watcher.planned(fetched)
        for step in plan.steps:
            if not updates.fetches(step):
                self._load(step, self._outcome(updates.one(step)), fresh=False)
        for ended in updates.all(by_priority(fetched)) if fetched else ():
            # Another run may have landed it since the plan.
            self._load(ended.step, self._outcome(ended), fresh=True)
        if selection.whole:
            kinds = {extractor.kind for extractor in self._options.extractors}
            self._changes |= forgotten(read_holds(self._lake), plan.steps, kinds)
        self._finish()
        return sorted(self._outcomes, key=lambda outcome: (outcome.dataset_id, outcome.name))

    def _outcome(self, ended: Ended) -> Outcome:
        step, result = ended.step, ended.result
        if isinstance(result, OdsPipelineError):
            return replace(outcome_of_error(step, result), requests=ended.requests)
        return outcome_of_result(step, result, ended.requests)

    def _load(self, step: Planned, outcome: Outcome, *, fresh: bool) -> None:
        """Load what the warehouse lacks of it, also where today's update failed."""
        if self._loader is None or not (step.landed or outcome.action in SOUND):
            self._ended(step, outcome)
        elif outcome.action in _LANDED or (fresh or not self._loader.has(step)):
            self._loader.add(step, outcome)
        else:
            loaded = "unchanged" if outcome.action == "unchanged" else ""
            self._ended(step, replace(outcome, loaded=loaded))

    def _ended(self, step: Planned, outcome: Outcome) -> None:
        self._outcomes.append(outcome)
        self._changes |= hold_after(step, outcome)
        self._watcher.ended(outcome)

    def _finish(self) -> None:
        """Load what waits, and write down what is held."""
        if self._loader:
            self._loader.flush()
        if not self._options.verifies:
            changed = update_holds(self._lake, self._changes)
            if self._loader:
                self._loader.finish(holds_changed=changed)
