"""Proves landed rows: by the best count that can be had, and by the date before and after.

The counts are asked for in `portal.proof`; what they are worth is said there. What follows from a
proof or from the lack of one is decided here.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from ods_pipeline.dataset import Dataset, instant, same_moment
from ods_pipeline.errors import Miscounted, Uncounted, Unproven
from ods_pipeline.portal.portal import Portal
from ods_pipeline.portal.proof import Proof, prove_by_catalog
from ods_pipeline.sync.landing_request import ACCEPT, LandingRequest

# After its data are processed a portal needs a moment until every export has them.
_SETTLED = timedelta(seconds=15)


def proven(
    portal: Portal,
    request: LandingRequest,
    made_at: datetime | None,
    rows: int,
    *,
    last: bool,
) -> dict[str, str]:
    """The entries of the receipt that say what the rows were compared with.

    Raises:
        Unproven: Rows are missing, or the publisher was at work while they were read.
        HeldBack: No count can be had, so a person has to look at the rows.
    """
    dataset, name = request.dataset, request.dataset.dataset_id
    query = request.table.query
    miscount: Miscounted | None = None
    proof: Proof | None = None
    try:
        proof = request.extractor.prove(portal.client, dataset, rows, query)
    except Miscounted as error:
        miscount = error
    after = request.rules.applied(portal.dataset(name))
    drift = request.rules.drift_of(name)
    stood = _stood(dataset, after, made_at)
    if dataset.schema_hash != after.schema_hash or not (stood or (last and drift)):
        raise miscount or _moved(dataset, after)
    if stood and miscount:
        raise miscount
    if stood:
        return _entries(proof or _by_catalog(request, after, rows), dataset, after)
    live = miscount.counted if miscount else rows if proof else None
    listed = None if query.chooses else after.records_count
    counted = listed if live is None else live
    if counted is None or request.rules.drifted(name, rows, counted):
        raise miscount or _moved(dataset, after)
    sentence = f"{rows} rows where the portal counts {counted}, within the tolerance of {drift:g} %"
    moving = f"{dataset.data_processed} → {after.data_processed}"
    note = f"the publisher was republishing it while it was read ({moving}): {sentence}"
    return {
        "proof": sentence,
        "note": note,
        "counted": str(counted),
        "proven_by": "catalog count" if live is None else "live count",
        "moved_to": after.data_processed,
        "tolerance": f"{drift:g}",
    }


def _stood(before: Dataset, after: Dataset, made_at: datetime | None) -> bool:
    """Whether the data stood while they were read.

    The catalog's date may be an hour old, or come from the beginning of a long run. Where the
    portal processed the data before it made the export, it stood as well.
    """
    if same_moment(before.data_processed, after.data_processed):
        return True
    processed = instant(after.data_processed)
    return bool(processed and made_at and processed + _SETTLED <= made_at)


def _by_catalog(request: LandingRequest, after: Dataset, rows: int) -> Proof:
    """The next best proof, where the portal does not count; or none, where a person takes it.

    Raises:
        HeldBack: There is none.
    """
    try:
        return prove_by_catalog(after, rows, request.table.query)
    except Uncounted as error:
        if request.accept or not request.publish:
            return Proof(rows, None)
        raise request.held_back("unproven", f"{error.message}; {ACCEPT}") from error


def _entries(proof: Proof, dataset: Dataset, after: Dataset) -> dict[str, str]:
    date = after.data_processed
    entries = {
        "proof": f"{proof}; data_processed stood at {date or 'nothing'}",
        "counted": digits(proof.counted),
        "proven_by": proof.by,
    }
    if not same_moment(date, dataset.data_processed):
        count = digits(after.records_count)
        entries |= {"data_processed": date, "records_count": count}
        entries["listed"] = dataset.data_processed
    if proof.by == "catalog count":
        entries["note"] = "the portal does not count its records: compared with its catalog's count"
    elif proof.by == "nothing":
        entries["note"] = "the portal has no count of its records: taken by name, without a proof"
    return entries


def digits(count: int | None) -> str:
    """A number as an entry of the receipt; empty for none."""
    return "" if count is None else str(count)


def _moved(before: Dataset, after: Dataset) -> Unproven:
    return Unproven(
        "the publisher was republishing it while it was read "
        f"(data_processed {before.data_processed} → {after.data_processed}); "
        "the next run reads it again, and `--drift` sets a tolerance for datasets that always move",
        portal=before.portal,
    )
