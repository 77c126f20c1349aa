"""What became of the datasets of a run: the words for it, and the exit status that they come to.

Pure values. What a run does is `sync`'s work, how it is printed `report`'s.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from ods_pipeline.lake.holds import Hold, PartitionKey
from ods_pipeline.lake.lake import PartitionKind
from ods_pipeline.sync.landing import Landing
from ods_pipeline.sync.plan import Planned
from ods_pipeline.sync.verdict import ALARMING, Kind

#: Outcomes of datasets of which all is well.
SOUND = frozenset({"landed", "same content", "described anew", "unchanged"})
_ASKED = frozenset({Kind.EMPTIED, Kind.SHRUNK, Kind.NO_RECORDS})
_HELD = _ASKED | {
    *(Kind.WITHDRAWN, Kind.RESTRICTED, Kind.NO_GEOMETRY),
    *(Kind.FROZEN, Kind.QUARANTINED),
}


@dataclass(frozen=True)
class Outcome:
    """What became of one dataset's records or features.

    Attributes:
        kind: `records` or `features`.
        action: `landed`, `same content` (a false change), `described anew`, `unchanged`,
            `differs` (in a comparison), `held` (the rows of before stay), `skipped`, `failed` or
            `deferred`.
        reason: The verdict's reason, or the failure in one sentence.
        rows: Rows in the partition.
        bytes: Received for it, unpacked.
        requests: Sent for it.
        seconds: Wall time of landing.
        loaded: What the warehouse did: `loaded`, `commented`, `unchanged`, `quarantined` or
            nothing.
        change: Fields added, removed or retyped, for people.
        note: Anything else the reader should know.
    """

    dataset_id: str
    title: str
    verdict: str
    action: str
    reason: str
    rows: int = 0
    bytes: int = 0
    requests: int = 0
    seconds: float = 0.0
    loaded: str = ""
    change: str = ""
    note: str = ""
    kind: PartitionKind = "records"

    @property
    def name(self) -> str:
        """The dataset for people, with a word for its features."""
        return shown(self.dataset_id, self.kind)


def shown(dataset_id: str, kind: PartitionKind) -> str:
    """A dataset's records or features as people read of them."""
    return dataset_id if kind == "records" else f"{dataset_id} ({kind})"


def outcome_of(step: Planned, action: str, reason: str) -> Outcome:
    """What became of a dataset of which nothing was fetched."""
    return Outcome(
        step.dataset_id,
        step.title,
        str(step.verdict.kind),
        action,
        reason,
        rows=step.landed.rows if step.landed else 0,
        kind=step.lane.kind,
    )


def held_outcome(outcome: Outcome, kind: Kind, reason: str) -> Outcome:
    """What became of a dataset whose rows of before stay, whatever the portal says now."""
    return replace(outcome, action="held", verdict=str(kind), reason=reason)


def skipped_outcome(step: Planned) -> Outcome:
    """Held where rows are landed; else skipped among all, and failed when asked for by name.

    Raises:
        OdsPipelineError: It was asked for by name, and cannot be landed.
    """
    kind = step.verdict.kind
    if kind in ALARMING:
        return held_outcome(outcome_of(step, "", ""), kind, step.verdict.reason)
    if kind is Kind.REFUSED:
        return outcome_of(step, "failed", step.verdict.reason)
    if step.named and kind is not Kind.NO_GEOMETRY:
        step.lane.require(step.present)
        return outcome_of(step, "failed", step.verdict.reason)
    if step.landed:
        return held_outcome(outcome_of(step, "", ""), kind, step.verdict.reason)
    return outcome_of(step, "skipped", step.verdict.reason)


def held_after(step: Planned, outcome: Outcome) -> dict[PartitionKey, Hold | None]:
    """What is to be written down as held of a dataset; None for what is held no more.

    Nothing is said of a dataset that failed or was put off: what was held of it still is.
    """
    if outcome.action in SOUND:
        return {step.place: None}
    if outcome.action not in {"held", "skipped"}:
        return {}
    asked = outcome.verdict == Kind.NO_RECORDS and step.dataset and step.dataset.has_records
    if outcome.verdict not in _HELD or not (step.landed or asked):
        return {}
    before = step.hold
    stamp = step.dataset.stamp if step.dataset and step.dataset.has_records else ""
    since = before.since if before and before.verdict == outcome.verdict else ""
    hold = Hold(
        step.dataset_id,
        step.lane.kind,
        outcome.verdict,
        outcome.reason,
        since or datetime.now(UTC).isoformat(timespec="seconds"),
        rows=step.landed.rows if step.landed else 0,
        # Only what had to be asked for is not asked for again.
        stamp=stamp if outcome.verdict in _ASKED else "",
    )
    return {step.place: hold}


def forgotten(
    held: Iterable[PartitionKey], steps: Iterable[Planned], kinds: Collection[str]
) -> dict[PartitionKey, Hold | None]:
    """What is held of datasets that are neither landed nor listed any more.

    Args:
        held: What is held.
        steps: The plan of everything.
        kinds: The lanes that it is of.
    """
    planned = {step.place for step in steps}
    return dict.fromkeys(place for place in held if place[0] in kinds and place not in planned)


def landed_outcome(step: Planned, landing: Landing, *, verify: bool) -> Outcome:
    """What became of a dataset that was fetched, to be landed or to be compared."""
    if verify:
        action = "differs" if landing.changed else "unchanged"
    else:
        action = "landed" if landing.changed else "same content"
    return replace(
        outcome_of(step, action, step.verdict.reason),
        rows=landing.receipt.rows,
        bytes=landing.bytes,
        seconds=landing.seconds,
        note=landing.receipt.note,
    )


def exit_status(outcomes: Iterable[Outcome]) -> int:
    """0 all good; 1 some failed or differ, or wait for a person; 3 some put off, none failed."""
    known = list(outcomes)
    actions = {outcome.action for outcome in known}
    waiting = any(item.action == "held" and item.verdict in ALARMING for item in known)
    if waiting or actions & {"failed", "differs"}:
        return 1
    return 3 if "deferred" in actions else 0
