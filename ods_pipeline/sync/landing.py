"""Land one dataset: fetch its rows, prove them complete, publish the partition.

If any step fails, the old partition stays as it was. Which datasets are landed is decided by the
planner; loading tables belongs to `warehouse`.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa

from ods_pipeline.dataset import Dataset, instant, same_moment
from ods_pipeline.errors import (
    HeldBack,
    Miscounted,
    NotAPortal,
    NoXml,
    OdsPipelineError,
    PortalFailure,
    PortalUnreachable,
    SchemaMismatch,
    ServiceException,
    Uncounted,
    Unproven,
)
from ods_pipeline.lake.content_hash import content_of, is_current
from ods_pipeline.lake.lake import Lake, disk_errors
from ods_pipeline.lake.receipt import Receipt
from ods_pipeline.lake.rejected import RejectedValues
from ods_pipeline.lake.writer import PartitionWriter
from ods_pipeline.portal.exports.export import Export
from ods_pipeline.portal.portal import Portal
from ods_pipeline.portal.proof import Proof, live_count, prove_by_catalog
from ods_pipeline.sync.extractor import RECORDS, Extractor
from ods_pipeline.sync.rules import DEFAULT, Rules
from ods_pipeline.tables.geometry import primary

# A second try costs a whole download, so it is spent on failures that may pass: a broken
# connection, a server that breaks off amid its features, a web page that a proxy put between, a
# publisher at work while we read.
_PASSING = (
    NoXml,
    NotAPortal,
    PortalFailure,
    PortalUnreachable,
    SchemaMismatch,
    ServiceException,
    Unproven,
)
_ATTEMPTS = 2
# After its data are processed a portal needs a moment until every export has them.
_SETTLED = timedelta(seconds=5)
# How many datasets may have rows in memory at once, whatever the number of threads: of those read
# from the disk as many as there are processors, of those that come in a stream a few more.
_READERS = threading.BoundedSemaphore(min(os.cpu_count() or 1, 4))
_STREAMS = threading.BoundedSemaphore(4)
_ACCEPT = "look at it, and accept it if it is right"


@dataclass(frozen=True)
class LandingResult:
    """What came of landing one dataset.

    Attributes:
        receipt: The receipt in the partition's footer.
        changed: Whether rows or columns differ from what was landed before. False where the
            portal's date moved and the content did not.
        bytes: Size of what was received, unpacked.
        seconds: Wall time.
    """

    receipt: Receipt
    changed: bool
    bytes: int
    seconds: float


@dataclass(frozen=True)
class LandingRequest:
    """What to land, and under which rules.

    Attributes:
        dataset: As the catalog describes it.
        extractor: How its rows are fetched.
        previous: Receipt of what is landed, which new rows are compared with.
        rules: How the portal is trusted.
        accept: Whether a person accepts rows that would otherwise be held back.
        publish: False to compare only, and leave the partition as it is.
        on_bytes: Called with the size of each piece that arrives.
    """

    dataset: Dataset
    extractor: Extractor = RECORDS
    previous: Receipt | None = None
    rules: Rules = DEFAULT
    accept: bool = False
    publish: bool = True
    on_bytes: Callable[[int], object] = lambda size: None

    def frozen(self) -> HeldBack | None:
        """The reason not to take a dataset whose fields changed while it was read, if any."""
        contract = self.rules.contract(self.dataset.dataset_id)
        moved = self.previous and self.previous.schema_hash != self.dataset.schema_hash
        if contract != "freeze" or self.accept or not moved:
            return None
        return self.held_back(
            "frozen",
            f"the publisher changed its fields just now; the contract is freeze: {_ACCEPT}",
        )

    def guarded(self, rows: int) -> HeldBack | None:
        """The reason not to replace what is landed by so many rows, if any."""
        same = self.previous and self.dataset.dataset_uid in {"", self.previous.dataset_uid}
        before = self.previous.rows if self.previous and same else 0
        if self.accept or not self.publish or not before:
            return None
        stay = f"where {before} are landed, which stay"
        if not rows:
            return self.held_back("emptied", f"the portal now gives no rows {stay}; {_ACCEPT}")
        if self.rules.shrunk(before, rows):
            return self.held_back("shrunk", f"the portal now gives {rows} rows {stay}; {_ACCEPT}")
        return None

    def held_back(self, verdict: str, message: str) -> HeldBack:
        """The reason to keep what is landed, as an error."""
        where = {"portal": self.dataset.portal, "dataset": self.dataset.dataset_id}
        return HeldBack(verdict, message, **where)


def land(portal: Portal, request: LandingRequest, lake: Lake) -> LandingResult:
    """Fetch a dataset's records or features, prove them complete and publish its partition.

    Args:
        portal: The portal.
        request: What to land, and how.
        lake: Where it lands.

    Raises:
        AccessDenied: Its records are not visible.
        NothingToLand: It has no records, or no layer in WFS.
        HeldBack: It has no rows any more, or far fewer; the old partition stays.
        DataError: What arrived cannot be trusted; the old partition stays.
        PortalError: The portal does not give it; the old partition stays.
        LakeError: The partition cannot be written; the old one stays.
    """
    dataset = request.dataset
    started = time.monotonic()
    total = 0

    def count(size: int) -> None:
        nonlocal total
        total += size
        request.on_bytes(size)

    before = _content_before(request, lake)
    counting = replace(request, on_bytes=count)
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            request.extractor.require(dataset)
            request.extractor.schema(dataset)
            receipt = _attempt(portal, counting, lake, last=attempt == _ATTEMPTS)
            break
        except OdsPipelineError as error:
            error.received = total
            if attempt == _ATTEMPTS and isinstance(error, SchemaMismatch):
                error = _disagreement(error, request.dataset, dataset)
            hopeless = attempt == _ATTEMPTS or getattr(error, "repeated", False)
            passing = isinstance(error, _PASSING) and not hopeless
            if not passing or portal.client.cancelled.is_set():
                raise with_names(error, dataset) from error
            counting = replace(counting, dataset=_again(portal, counting, error))
            dataset = counting.dataset
    previous = request.previous
    same = previous is not None and (
        (before, previous.schema_hash) == (receipt.content_hash, receipt.schema_hash)
    )
    return LandingResult(receipt, not same, total, time.monotonic() - started)


def _content_before(request: LandingRequest, lake: Lake) -> str:
    """The digest of what is landed, computed anew where an older version wrote another kind."""
    digest = request.previous.content_hash if request.previous else ""
    if not digest or is_current(digest):
        return digest
    try:
        return content_of(lake.partition(request.extractor.kind, request.dataset.dataset_id))
    except (OSError, pa.ArrowException):
        return ""  # It is damaged, and what comes now is new.


def _again(portal: Portal, request: LandingRequest, error: OdsPipelineError) -> Dataset:
    """The dataset as it is now, to fetch it once more.

    Raises:
        HeldBack: Its fields changed, and the contract forbids that.
    """
    dataset = request.rules.retyped(portal.dataset(request.dataset.dataset_id))
    frozen = replace(request, dataset=dataset).frozen()
    if frozen:
        raise frozen from error
    return dataset


def _disagreement(error: SchemaMismatch, before: Dataset, dataset: Dataset) -> SchemaMismatch:
    """The error of columns that contradict the catalog twice; final if nothing was edited."""
    if before.stamp != dataset.stamp:
        return error
    final = SchemaMismatch(
        f"{error.message}; nothing was edited meanwhile, so export and catalog disagree: ask the "
        "publisher to process the dataset again"
    )
    final.lasting, final.received = True, error.received
    return final


def _attempt(portal: Portal, request: LandingRequest, lake: Lake, *, last: bool) -> Receipt:
    dataset, extractor = request.dataset, request.extractor
    fetched_at = datetime.now(UTC).isoformat(timespec="seconds")
    target = lake.partition(extractor.kind, dataset.dataset_id)
    _require_rows(portal, request)
    asked_at = portal.client.portal_time
    received = _received(portal, request, lake, target)
    with disk_errors(target), received as (export, writer, rejected):
        # A cache may have kept the export since before it was asked for.
        made_at = min(filter(None, (asked_at, export.made_at)), default=None)
        proof = _proven(portal, request, made_at, writer.rows, last=last)
        held = request.guarded(writer.rows)
        if held:
            raise held
        notes = [*export.notes, rejected.note, proof.pop("note", "")]
        receipt = Receipt.of(
            dataset,
            extractor.kind,
            format=export.format,
            source_url=export.url,
            fetched_at=fetched_at,
            note="; ".join(filter(None, notes)),
            formerly=request.previous.formerly if request.previous else "",
            rejected=_digits(rejected.counts.total() or None),
        )
        receipt = replace(receipt, **proof)
        if not request.publish:
            return writer.summary(receipt)
        published = writer.publish(receipt)
        rejected.publish(published)
        return published


@contextlib.contextmanager
def _received(
    portal: Portal, request: LandingRequest, lake: Lake, target: Path
) -> Iterator[tuple[Export, PartitionWriter, RejectedValues]]:
    """All rows of a dataset, written to the disk: none are in memory while they are proven."""
    dataset, extractor = request.dataset, request.extractor
    with contextlib.ExitStack() as stack, contextlib.ExitStack() as room:
        # One of the portal's slots is taken for the download alone, not for proof and publishing.
        room.enter_context(portal.client.download_slot())
        if extractor.reads != "parquet":
            room.enter_context(_STREAMS)
        rejected = stack.enter_context(RejectedValues(lake, target))
        tolerant = request.rules.table(dataset.dataset_id).bad_values == "null"
        opened = extractor.opened(
            portal.client,
            dataset,
            lake.staging_dir(),
            request.on_bytes,
            rejected.add if tolerant else None,
        )
        export = stack.enter_context(opened)
        writer = PartitionWriter(lake, target, export.schema, primary(dataset.fields))
        stack.enter_context(writer)
        if export.format == "parquet":
            room.close()  # All of it is on the disk.
            room.enter_context(_READERS)
        for batch in export.batches:
            writer.write(batch)
        writer.content_hash()
        room.close()
        yield export, writer, rejected


def _require_rows(portal: Portal, request: LandingRequest) -> None:
    """Save the download where the catalog counts hardly any rows, and the live count agrees."""
    dataset = request.dataset
    count = dataset.records_count
    if request.accept or not request.publish or count is None or not request.guarded(count):
        return
    live = live_count(portal.client, dataset.dataset_id)
    held = request.guarded(live) if live is not None else None
    if held:
        raise held


def _proven(
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
    miscount: Miscounted | None = None
    proof: Proof | None = None
    try:
        proof = request.extractor.prove(portal.client, dataset, rows)
    except Miscounted as error:
        miscount = error
    after = request.rules.retyped(portal.dataset(name))
    drift = request.rules.drift_of(name)
    stood = _stood(dataset, after, made_at)
    if dataset.schema_hash != after.schema_hash or not (stood or (last and drift)):
        raise miscount or _moved(dataset, after)
    if stood and miscount:
        raise miscount
    if stood:
        return _entries(proof or _by_catalog(request, after, rows), dataset, after)
    counted = miscount.counted if miscount else rows
    if request.rules.drifted(name, rows, counted):
        raise miscount or _moved(dataset, after)
    sentence = f"{rows} rows where the portal counts {counted}, within the tolerance of {drift:g} %"
    moving = f"{dataset.data_processed} → {after.data_processed}"
    note = f"the publisher was republishing it while it was read ({moving}): {sentence}"
    return {
        "proof": sentence,
        "note": note,
        "counted": str(counted),
        "proven_by": "live count",
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
        return prove_by_catalog(after, rows)
    except Uncounted as error:
        if request.accept or not request.publish:
            return Proof(rows, None)
        raise request.held_back("unproven", f"{error.message}; {_ACCEPT}") from error


def _entries(proof: Proof, dataset: Dataset, after: Dataset) -> dict[str, str]:
    date = after.data_processed
    entries = {
        "proof": f"{proof}; data_processed stood at {date or 'nothing'}",
        "counted": _digits(proof.counted),
        "proven_by": proof.by,
    }
    if not same_moment(date, dataset.data_processed):
        count = _digits(after.records_count)
        entries |= {"data_processed": date, "records_count": count}
        entries["listed"] = dataset.data_processed
    if proof.by == "catalog count":
        entries["note"] = "the portal does not count its records: compared with its catalog's count"
    elif proof.by == "nothing":
        entries["note"] = "the portal has no count of its records: taken by name, without a proof"
    return entries


def _digits(count: int | None) -> str:
    return "" if count is None else str(count)


def _moved(before: Dataset, after: Dataset) -> Unproven:
    return Unproven(
        "the publisher was republishing it while it was read "
        f"(data_processed {before.data_processed} → {after.data_processed}); "
        "the next run reads it again, and `--drift` sets a tolerance for datasets that always move",
        portal=before.portal,
    )


def with_names(error: OdsPipelineError, dataset: Dataset) -> OdsPipelineError:
    """The error with names of portal and dataset, where it was raised without."""
    error.dataset = error.dataset or dataset.dataset_id
    error.portal = error.portal or dataset.portal
    return error
