"""Which holds a run leaves: datasets whose last good rows stay, and those whose no longer have to.

Pure functions, and the one place that writes their result down. The list itself belongs to `lake`,
the marks on tables to `warehouse`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime

from ods_pipeline.errors import HeldBack, OdsPipelineError
from ods_pipeline.lake.holds import Hold, PartitionKey, update_holds
from ods_pipeline.lake.lake import Lake
from ods_pipeline.sync.outcome import SOUND, Outcome, held_outcome, outcome_of, outcome_of_error
from ods_pipeline.sync.plan import Planned
from ods_pipeline.sync.update import UpdateResult
from ods_pipeline.sync.verdict import ALARMING, COLUMN_HOLDS, Kind
from ods_pipeline.warehouse.protocol import Warehouse

# A request was needed to find these out: they are not asked for again before the portal changes.
_COUNTED = frozenset({Kind.EMPTIED, Kind.SHRUNK, Kind.NO_RECORDS, Kind.UNPROVEN})
_REFUSED = frozenset({Kind.REFUSED, Kind.CONTRADICTED})
_LOOKED_AT_AGAIN = _REFUSED | {Kind.UNPROVEN}
_HELD = _COUNTED | COLUMN_HOLDS | {Kind.WITHDRAWN, Kind.RESTRICTED, Kind.NO_GEOMETRY}

#: Partitions to the hold that they have now; None for those that are no longer held.
HoldChanges = dict[PartitionKey, Hold | None]


def hold_after(planned: Planned, outcome: Outcome, *, loaded: bool = True) -> HoldChanges:
    """The change of a dataset's hold by what came of it.

    A dataset that failed or was put off keeps the hold that it has, unless its data were refused
    for good: that is remembered.

    Args:
        planned: The dataset.
        outcome: What came of it.
        loaded: Whether its table has followed. A hold on columns ends when it has, not before.
    """
    if outcome.refusal and planned.dataset:
        return {planned.partition: _hold(planned, Kind(outcome.verdict), outcome.refusal)}
    if outcome.action in SOUND:
        waits = planned.hold is not None and _waits_for_load(planned, planned.hold)
        return {} if waits and not loaded else {planned.partition: None}
    counted = outcome.verdict == Kind.NO_RECORDS and planned.dataset and planned.dataset.has_records
    if outcome.action not in {"held", "skipped"} or outcome.verdict not in _HELD:
        return {}
    if not (planned.landed or counted or outcome.verdict == Kind.UNPROVEN):
        return _end_of_empty(planned)
    return {planned.partition: _hold(planned, Kind(outcome.verdict), outcome.reason)}


def _end_of_empty(planned: Planned) -> HoldChanges:
    """The end of a hold on rows that somebody deleted: nothing is kept back any more."""
    empty = planned.hold is not None and planned.hold.rows > 0 and not planned.landed
    return {planned.partition: None} if empty else {}


def _hold(planned: Planned, kind: Kind, reason: str) -> Hold:
    before = planned.hold
    now = datetime.now(UTC).isoformat(timespec="seconds")
    stamp = planned.dataset.stamp if planned.dataset and planned.dataset.has_records else ""
    same = before is not None and before.verdict == kind
    if kind in _LOOKED_AT_AGAIN:
        same = same and before is not None and before.stamp == stamp
    since = before.since if before and same else ""
    # Nothing was fetched, so it is the hold that there was.
    stands = same and not planned.verdict.fetches
    return Hold(
        planned.dataset_id,
        planned.extractor.kind,
        kind,
        reason,
        since or now,
        rows=planned.landed.rows if planned.landed else 0,
        stamp=stamp if kind in _COUNTED | _REFUSED else "",
        by=before.by if before and stands else planned.way if kind in _COUNTED | _REFUSED else "",
        looked=before.looked if before and stands else now if kind in _LOOKED_AT_AGAIN else "",
    )


def _waits_for_load(planned: Planned, hold: Hold) -> bool:
    """Whether a hold is about a table's columns, which only a load can settle."""
    accepted = hold.verdict == Kind.FROZEN and planned.verdict.kind is Kind.SCHEMA
    return accepted or hold.verdict == Kind.QUARANTINED


def holds_after_landing(
    steps: Mapping[str, Planned],
    updated: Mapping[str, UpdateResult],
    failed: Mapping[str, OdsPipelineError],
) -> HoldChanges:
    """The changes by a run that lands and does not load.

    Args:
        steps: What the run did, by dataset.
        updated: The datasets that are as the portal has them.
        failed: The errors of the others.
    """
    changes: HoldChanges = {}
    for name, planned in steps.items():
        if name in failed:
            changes |= hold_after(planned, outcome_of_error(planned, failed[name]), loaded=False)
        elif name in updated:
            outcome = outcome_of(planned, updated[name].action, updated[name].reason)
            changes |= hold_after(planned, outcome, loaded=False)
    return changes


def holds_after_loading(
    steps: Mapping[str, Planned],
    loaded: Collection[str],
    failed: Mapping[str, OdsPipelineError],
) -> HoldChanges:
    """The changes by a run that loads and does not land: only holds on columns.

    Args:
        steps: The partitions, by dataset.
        loaded: The tables that are as their partitions.
        failed: The errors of the others.
    """
    changes: HoldChanges = {}
    for name, planned in steps.items():
        if name in loaded and planned.hold and planned.hold.verdict in COLUMN_HOLDS:
            changes[planned.partition] = None
        elif isinstance(failed.get(name), HeldBack):
            changes |= hold_after(planned, outcome_of_error(planned, failed[name]))
    return changes


def holds_by_catalog(steps: Iterable[Planned]) -> HoldChanges:
    """The changes by the catalog's word alone: withdrawn, restricted, visible again and so on.

    Args:
        steps: Datasets that were planned and not fetched.
    """
    changes: HoldChanges = {}
    for planned in steps:
        kind, hold = planned.verdict.kind, planned.hold
        if hold and hold.verdict == Kind.QUARANTINED:
            continue  # Only a load settles that, whatever else happens to the dataset.
        if planned.verdict.skips and planned.landed:
            held = held_outcome(outcome_of(planned, "", ""), kind, planned.verdict.reason)
            changes |= hold_after(planned, held)
        elif planned.verdict.skips:
            changes |= _end_of_empty(planned)
        elif kind is Kind.UNCHANGED and hold and hold.verdict not in ALARMING:
            changes[planned.partition] = None
    return changes


def forgotten(
    held: Iterable[PartitionKey], steps: Iterable[Planned], kinds: Collection[str]
) -> HoldChanges:
    """The end of holds on datasets that are neither landed nor listed any more.

    Args:
        held: The partitions that are held.
        steps: The plan of everything.
        kinds: `records`, `features` or both: what was planned.
    """
    planned = {step.partition for step in steps}
    return dict.fromkeys(key for key in held if key[0] in kinds and key not in planned)


def write_holds(lake: Lake, changes: HoldChanges, warehouse: Warehouse) -> None:
    """Write the holds into the lake, and from there into the warehouse.

    Raises:
        LakeError: The data folder cannot be written.
        WarehouseError: The table `_held` stays as it was.
    """
    update_holds(lake, changes)
    if lake.holds_file.exists():
        warehouse.load_holds(lake.holds_file)
