"""What came of each dataset of a run: the words for it, and the exit status of the whole.

Values and pure functions. Printing them belongs to `cli`, showing them in the UI to `dagster`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from ods_pipeline.errors import (
    AccessDenied,
    Contradicted,
    DataError,
    DatasetNotFound,
    HeldBack,
    NothingToCompare,
    NothingToLand,
    OdsPipelineError,
    QuotaExhausted,
)
from ods_pipeline.lake.lake import PartitionKind
from ods_pipeline.sync.plan import Planned
from ods_pipeline.sync.update import UpdateResult
from ods_pipeline.sync.verdict import ALARMING, Kind

#: Actions of datasets that are as the portal has them.
SOUND = frozenset({"landed", "same content", "described anew", "unchanged"})
# The portal itself says that there is nothing to fetch; any other error says nothing of the kind.
_CONFIRMS = (AccessDenied, DatasetNotFound, NothingToLand)


@dataclass(frozen=True)
class Outcome:
    """What came of one dataset's records or features.

    Attributes:
        dataset_id: Identifier of the dataset.
        title: Its title, for people.
        verdict: What it needed.
        action: `landed`, `same content` (the portal's date moved, its rows did not),
            `described anew` (only labels and the like), `unchanged`, `differs` (in a comparison),
            `held` (the last good rows stay), `skipped`, `failed` or `deferred`.
        reason: The verdict's reason, or the failure in one sentence.
        rows: Rows in the partition.
        bytes: Received for it, unpacked.
        requests: Sent for it.
        seconds: Wall time of landing.
        loaded: What the warehouse did: `loaded`, `commented`, `unchanged`, `quarantined` or
            nothing.
        change: Fields added, removed or retyped, for people.
        note: Anything else the reader should know.
        kind: `records` or `features`.
        refusal: Why its data were refused, where the same would come of fetching them again.
        views: Views that keep its table as it is; accepting helps nothing before they are dropped.
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
    refusal: str = ""
    views: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The dataset for people, with a word for its features."""
        return display_name(self.dataset_id, self.kind)


def display_name(dataset_id: str, kind: PartitionKind) -> str:
    """The name of a dataset's records or features, for people."""
    return dataset_id if kind == "records" else f"{dataset_id} ({kind})"


def outcome_of(planned: Planned, action: str, reason: str, **known: Any) -> Outcome:
    """The outcome of a dataset, of which nothing was fetched unless more is known."""
    rows = planned.landed.rows if planned.landed else 0
    return Outcome(
        planned.dataset_id,
        planned.title,
        str(planned.verdict.kind),
        action,
        reason,
        kind=planned.extractor.kind,
        **{"rows": rows, **known},
    )


def outcome_of_result(planned: Planned, result: UpdateResult, requests: int) -> Outcome:
    """The outcome of a dataset that was updated or compared, by so many requests."""
    known: dict[str, Any] = {"rows": result.receipt.rows, "requests": requests}
    if landing := result.landing:
        known |= {
            "rows": landing.receipt.rows,
            "bytes": landing.bytes,
            "seconds": landing.seconds,
            "note": landing.receipt.note,
        }
    return outcome_of(planned, result.action, result.reason, **known)


def outcome_of_error(planned: Planned, error: OdsPipelineError) -> Outcome:
    """The outcome of a dataset that could not be updated.

    Where rows are landed and stay it is held. Where nothing is landed it is skipped, or failed if
    it was asked for by name.
    """
    failed = replace(outcome_of(planned, "failed", str(error)), bytes=error.received)
    decided = planned.verdict
    match error:
        case QuotaExhausted():
            return replace(failed, action="deferred", reason=error.message)
        case HeldBack():
            return held_outcome(failed, Kind(error.verdict), error.message)
        case NothingToCompare():
            return replace(failed, action="skipped", reason=error.message)
    if decided.skips and isinstance(error, _CONFIRMS):
        withdrawn = planned.landed is not None and decided.kind is Kind.WITHDRAWN
        if planned.named and not withdrawn and decided.kind is not Kind.NO_GEOMETRY:
            return failed
        if planned.landed:
            return held_outcome(failed, decided.kind, decided.reason)
        return replace(failed, action="skipped", reason=decided.reason)
    if isinstance(error, NothingToLand):
        action = "failed" if planned.named else "skipped"
        return replace(failed, action=action, verdict=str(Kind.NO_RECORDS))
    kind = _remembered(error) if decided.fetches else None
    return replace(failed, verdict=str(kind), refusal=error.message) if kind else failed


def _remembered(error: OdsPipelineError) -> Kind | None:
    """The kind of refusal that later runs know of, since fetching again may not help."""
    if isinstance(error, DataError) and error.lasting:
        return Kind.REFUSED
    return Kind.CONTRADICTED if isinstance(error, Contradicted) else None


def held_outcome(outcome: Outcome, kind: Kind, reason: str) -> Outcome:
    """The outcome of a dataset whose last good rows stay, whatever the portal says now."""
    return replace(outcome, action="held", verdict=str(kind), reason=reason)


def waits_for_a_person(outcome: Outcome) -> bool:
    """Whether it is held until a person accepts it, unless the portal changes again."""
    return outcome.action == "held" and outcome.verdict in ALARMING


def can_be_accepted(outcome: Outcome) -> bool:
    """Whether it waits for a person, and would be as the portal has it once accepted."""
    return waits_for_a_person(outcome) and not outcome.views


def needs_attention(outcome: Outcome) -> bool:
    """Whether somebody has to look at what came of a dataset."""
    return bool(exit_status([outcome]))


def exit_status(outcomes: Iterable[Outcome]) -> int:
    """The exit status of a run.

    Returns:
        0 if all is well, 1 if some failed, differ or wait for a person, 3 if some were put off and
        none failed.
    """
    ended = list(outcomes)
    actions = {outcome.action for outcome in ended}
    waiting = any(map(waits_for_a_person, ended))
    if waiting or actions & {"failed", "differs"}:
        return 1
    return 3 if "deferred" in actions else 0
