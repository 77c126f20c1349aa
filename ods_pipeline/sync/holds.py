"""What a run in Dagster leaves held: whose last good rows stay, and whose no longer have to.

The decisions are `outcome`'s, the list is `tables.holds`'. Here they meet what became of a run.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from ods_pipeline.errors import (
    AccessDenied,
    DatasetNotFound,
    HeldBack,
    NothingToLand,
    OdsPipelineError,
)
from ods_pipeline.lake.holds import Hold, PartitionKey, update_holds
from ods_pipeline.lake.lake import Lake
from ods_pipeline.sync.outcome import Outcome, held_after, held_outcome, outcome_of
from ods_pipeline.sync.plan import Planned
from ods_pipeline.sync.verdict import ALARMING, Kind
from ods_pipeline.warehouse.protocol import Warehouse

# What a portal says of a dataset; any other error says nothing of it.
_SAID = (AccessDenied, DatasetNotFound, NothingToLand)

Changes = dict[PartitionKey, Hold | None]


def after_landing(
    steps: Mapping[str, Planned], done: Collection[str], failed: Mapping[str, OdsPipelineError]
) -> Changes:
    """What is held of the datasets that a run has worked on.

    Args:
        steps: What the run did, by dataset.
        done: The datasets that are as the portal has them.
        failed: What went wrong with the others.
    """
    changes: Changes = {}
    for name, step in steps.items():
        if name in done and not _quarantined(step.hold):
            changes |= held_after(step, outcome_of(step, "unchanged", ""))
        elif name in failed:
            changes |= held_after(step, _outcome(step, failed[name]))
    return changes


def after_loading(
    steps: Mapping[str, Planned], done: Collection[str], failed: Mapping[str, OdsPipelineError]
) -> Changes:
    """What is held of the tables that a run has loaded: those that may not follow their fields.

    Args:
        steps: The partitions, by dataset.
        done: The tables that are as their partitions.
        failed: What went wrong with the others.
    """
    changes: Changes = {}
    for name, step in steps.items():
        if name in done and _quarantined(step.hold):
            changes[step.place] = None
        elif isinstance(failed.get(name), HeldBack):
            changes |= held_after(step, _outcome(step, failed[name]))
    return changes


def by_the_catalog(steps: Iterable[Planned]) -> Changes:
    """What is held by the catalog's word alone, without a fetch: withdrawn, restricted and so on.

    Nobody else says so of datasets that Dagster is asked nothing about.
    """
    changes: Changes = {}
    for step in steps:
        kind, hold = step.verdict.kind, step.hold
        if _quarantined(hold):
            continue  # Only a load settles that, whatever else happens to the dataset meanwhile.
        if step.verdict.skips and step.landed:
            outcome = held_outcome(outcome_of(step, "", ""), kind, step.verdict.reason)
            changes |= held_after(step, outcome)
        elif kind is Kind.UNCHANGED and hold and hold.verdict not in ALARMING:
            changes[step.place] = None
    return changes


def write_down(lake: Lake, changes: Changes, warehouse: Warehouse) -> None:
    """Write what is held into the lake, and from there into the warehouse.

    Raises:
        LakeError: The data folder cannot be written.
        WarehouseError: The table `_held` stays as it was.
    """
    update_holds(lake, changes)
    if lake.holds_file.exists():
        warehouse.load_holds(lake.holds_file)


def _quarantined(hold: Hold | None) -> bool:
    # The rows may be right and the table still behind: loading alone ends that.
    return hold is not None and hold.verdict == Kind.QUARANTINED


def _outcome(step: Planned, error: OdsPipelineError) -> Outcome:
    failed = outcome_of(step, "failed", str(error))
    if isinstance(error, HeldBack):
        return held_outcome(failed, Kind(error.verdict), str(error))
    if step.verdict.skips and isinstance(error, _SAID):
        return held_outcome(failed, step.verdict.kind, step.verdict.reason)
    if isinstance(error, NothingToLand):
        return held_outcome(failed, Kind.NO_RECORDS, str(error))
    return failed
