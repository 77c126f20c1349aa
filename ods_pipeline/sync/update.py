"""Bring the partition of one dataset up to date: the one step of every run, whatever started it.

Which datasets, in which order and how many at once is decided by `cli` and `dagster`; loading a
table is a step of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ods_pipeline.dataset import Dataset, instant
from ods_pipeline.errors import (
    DataError,
    HeldBack,
    NothingToCompare,
    NothingToLand,
    OdsPipelineError,
)
from ods_pipeline.lake.bucket import LakePath
from ods_pipeline.lake.footers import columns_of
from ods_pipeline.lake.lake import Lake, receipt
from ods_pipeline.lake.receipt import Receipt
from ods_pipeline.sync.extractor import RECORDS, Extractor
from ods_pipeline.sync.landing_request import LandingRequest, LandingResult
from ods_pipeline.sync.options import Mode, RunContext
from ods_pipeline.sync.plan import Planned
from ods_pipeline.sync.verdict import ALARMING, Kind, verdict
from ods_pipeline.tables.schema_diff import Difference, difference

if TYPE_CHECKING:
    import pyarrow as pa

# What a change of labels leaves as it was proven.
_PROVEN = (
    *("source_url", "format", "fetched_at", "formerly", "note"),
    *("proof", "counted", "moved_to", "tolerance", "proven_by", "listed", "rejected", "filter"),
)


@dataclass(frozen=True)
class UpdateResult:
    """What came of bringing one partition up to date.

    Attributes:
        action: `landed`, `same content` (the portal's date moved, its rows did not),
            `described anew` (only labels and the like), `unchanged`, or in a comparison `differs`.
        reason: Why, in one sentence.
        path: The partition.
        receipt: What it says of itself now.
        landing: What was fetched; None where nothing was.
        columns_before: Its columns before; None where nothing was landed.
        requests: Sent for it.
    """

    action: str
    reason: str
    path: LakePath
    receipt: Receipt
    landing: LandingResult | None = None
    columns_before: pa.Schema | None = None
    requests: int = 0

    @property
    def change(self) -> Difference:
        """How its columns differ from those before."""
        if self.action in {"unchanged", "differs"}:
            return Difference()
        return difference(self.columns_before, columns_of(self.path))

    @property
    def difference_error(self) -> OdsPipelineError | None:
        """The failure of a comparison that found other rows on the portal; None for none."""
        if self.action != "differs":
            return None
        return DataError(
            "the portal has other rows than what is landed; fetch it again with the mode full",
            portal=self.receipt.portal,
            dataset=self.receipt.dataset_id,
        )


def update_dataset(context: RunContext, planned: Planned) -> UpdateResult:
    """Bring one partition up to date with what the portal says of its dataset.

    The plan compared with the receipt in the landed file, so a lost Dagster instance fetches
    nothing twice. Another run may have landed the dataset since the plan was made: what is landed
    is read again under the partition's lock.

    Raises:
        HeldBack: A person has to look at it first; the old partition stays.
        NothingToCompare: A comparison was asked for, and nothing is landed.
        OdsPipelineError: It cannot be updated; the old partition stays.
    """
    _require_possible(context, planned)
    client, lake = context.portal.client, context.lake
    before, path = client.requests_by_this_thread, lake.partition(*planned.partition)
    if planned.landed and planned.verdict.kind is Kind.UNCHANGED and not context.options.verifies:
        return UpdateResult("unchanged", planned.verdict.reason, path, planned.landed)
    with lake.lock(*planned.partition, stop=client.cancelled.is_set):
        previous = receipt(path)
        kind, reason = _still_needed(context, planned, previous)
        settled = previous and not context.options.verifies
        if previous and settled and kind is Kind.UNCHANGED:
            return UpdateResult("unchanged", reason, path, previous)
        columns = columns_of(path) if previous else None
        if previous and settled and kind is Kind.METADATA:
            reason = f"it was called {planned.formerly}" if planned.formerly else reason
            described = redescribe(planned.present, lake, previous, extractor=planned.extractor)
            return UpdateResult("described anew", reason, path, described, None, columns)
        landing = _land(context, planned, previous)
    requests = client.requests_by_this_thread - before
    if context.options.verifies:
        action, kept = "differs" if landing.changed else "unchanged", previous or landing.receipt
    else:
        action, kept = "landed" if landing.changed else "same content", landing.receipt
    return UpdateResult(action, reason, path, kept, landing, columns, requests)


def redescribe(
    dataset: Dataset, lake: Lake, previous: Receipt, *, extractor: Extractor = RECORDS
) -> Receipt:
    """Bring labels, licence and title of a landed partition up to date.

    Args:
        dataset: The dataset as the catalog describes it, with the names and types that are landed.
        lake: Where it is landed.
        previous: Receipt of what is landed.
        extractor: How its rows were fetched.

    Raises:
        LakeError: The partition cannot be read or written; it stays.
    """
    from ods_pipeline.lake.writer import rewrite
    from ods_pipeline.tables.geometry import primary

    proven = {name: getattr(previous, name) for name in _PROVEN}
    described = Receipt.of(dataset, extractor.kind, **proven)
    target = lake.partition(extractor.kind, dataset.dataset_id)
    return rewrite(lake, target, extractor.schema(dataset), described, primary(dataset.fields))


def _require_possible(context: RunContext, planned: Planned) -> None:
    """Refuse what is not to be fetched, or cannot be compared."""
    decided, names = planned.verdict, {"dataset": planned.dataset_id, "portal": context.portal.slug}
    if decided.kind in ALARMING:
        raise HeldBack(str(decided.kind), decided.reason, **names)
    if decided.kind is Kind.REFUSED:
        raise DataError(decided.reason, **names)
    if planned.missing:
        raise planned.missing
    if decided.skips:
        planned.extractor.require(planned.present)
        raise NothingToLand(decided.reason, **names)
    if context.options.verifies and (planned.landed is None or planned.formerly):
        raise NothingToCompare("nothing is landed that could be compared; land it first", **names)


def _still_needed(
    context: RunContext, planned: Planned, landed: Receipt | None
) -> tuple[Kind, str]:
    """What a partition needs under its lock: the catalog may be newer than another run's landing.

    Args:
        context: What the run works with.
        planned: What was planned.
        landed: Receipt of what is landed now.
    """
    as_planned = planned.verdict.kind, planned.verdict.reason
    if landed is None or context.options.mode is not Mode.incremental:
        return as_planned
    if landed == planned.landed:
        if _catalog_is_behind(context, planned, landed):
            reason = "the catalog shows an older date, the dataset itself the landed one"
            return Kind.UNCHANGED, reason
        return as_planned
    decided = verdict(landed, planned.dataset, rules=context.options.rules)
    if decided.kind is Kind.UNCHANGED:
        return decided.kind, "another run has landed it meanwhile"
    if decided.kind is Kind.METADATA:
        return decided.kind, "another run has landed its data meanwhile; its labels were updated"
    kept = planned.verdict if planned.verdict.fetches else decided
    return kept.kind, kept.reason


def _catalog_is_behind(context: RunContext, planned: Planned, landed: Receipt) -> bool:
    """Whether an older date is that of an old copy of the catalog; costs one small request.

    Portals that serve it from several caches change their mind with each request.
    """
    listed, known = instant(planned.present.data_processed), instant(landed.data_processed)
    older = listed is not None and known is not None and listed < known
    if planned.verdict.kind is not Kind.DATA or not older:
        return False
    rules = context.options.rules
    present = rules.applied(context.portal.dataset(planned.dataset_id))
    return verdict(landed, present, rules=rules).kind in {Kind.UNCHANGED, Kind.METADATA}


def _land(context: RunContext, planned: Planned, previous: Receipt | None) -> LandingResult:
    from ods_pipeline.sync.landing import land

    options, extractor = context.options, planned.extractor
    request = LandingRequest(
        planned.present,
        extractor,
        previous,
        options.rules,
        accept=planned.accepted(options.accept),
        publish=not options.verifies,
        on_bytes=partial(context.on_bytes, *planned.partition),
    )
    with context.portal.client.reserved(extractor.requests, planned.dataset_id):
        return land(context.portal, request, context.lake)
