"""What became of the datasets of a run: the words for it, and the exit status that they come to.

Pure values. What a run does is `sync`'s work, how it is printed `report`'s.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ods_pipeline.landing import Landing
from ods_pipeline.planning import Planned
from ods_pipeline.tables.lake import PartitionKind


@dataclass(frozen=True)
class Outcome:
    """What became of one dataset's records or features.

    Attributes:
        kind: `records` or `features`.
        action: `landed`, `same content` (a false change), `described anew`, `unchanged`,
            `differs` (in a comparison), `skipped`, `failed` or `deferred`.
        reason: The verdict's reason, or the failure in one sentence.
        rows: Rows in the partition.
        bytes: Received for it, unpacked.
        requests: Sent for it.
        seconds: Wall time of landing.
        loaded: What the warehouse did: `loaded`, `commented`, `unchanged` or nothing.
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
    """0 all good, 1 some failed or differ, 3 some were put off and none failed."""
    actions = {outcome.action for outcome in outcomes}
    if actions & {"failed", "differs"}:
        return 1
    return 3 if "deferred" in actions else 0
