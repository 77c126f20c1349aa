"""One dataset from the portal into the lake: fetch, prove, publish, or leave everything as it was.

The command line and the Dagster assets both land datasets through this module, by either lane.
Choosing which ones is `sync`'s and Dagster's work, loading them the warehouse's; what is done to
a landed partition without the portal is `upkeep`'s.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from ods_pipeline.dataset import Dataset, same_moment
from ods_pipeline.errors import (
    HeldBack,
    Miscounted,
    NotAPortal,
    NothingToLand,
    NoXml,
    OdsPipelineError,
    PortalFailure,
    PortalUnreachable,
    SchemaMismatch,
    ServiceException,
    Unproven,
)
from ods_pipeline.lake.lake import Lake, disk_errors
from ods_pipeline.lake.receipt import Receipt
from ods_pipeline.lake.writer import PartitionWriter
from ods_pipeline.portal.exports.export import Export
from ods_pipeline.portal.portal import Portal
from ods_pipeline.portal.proof import Proof, live_count
from ods_pipeline.sync.extractor import RECORDS, Lane
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
# Datasets whose rows are in memory at once, whatever the number of threads: of those that lie on
# the disk as many as there are processors, of those that come in a stream a few more.
_READERS = threading.BoundedSemaphore(min(os.cpu_count() or 1, 4))
_STREAMS = threading.BoundedSemaphore(4)
_ACCEPT = "look at it, and run `ods-pipeline sync --accept` for it if that is how it is meant"


@dataclass(frozen=True)
class Landing:
    """What landing one dataset came to.

    Attributes:
        receipt: The receipt in the partition's footer.
        changed: Whether rows or columns differ from what was landed before; False for a false
            change, in which the portal's date moved and the content did not.
        bytes: Size of what was received, unpacked.
        seconds: Wall time.
    """

    receipt: Receipt
    changed: bool
    bytes: int
    seconds: float


@dataclass(frozen=True)
class Wanted:
    """What is to be landed, and under which rules.

    Attributes:
        dataset: As the catalog describes it.
        lane: The way by which its rows come.
        previous: Receipt of what is landed, to tell a false change, and to guard it.
        rules: How the portal is trusted.
        accept: Whether a person takes rows that would otherwise be held back.
        publish: False to compare only, and leave the partition as it is.
        received: Told the size of each piece that arrives, in bytes.
    """

    dataset: Dataset
    lane: Lane = RECORDS
    previous: Receipt | None = None
    rules: Rules = DEFAULT
    accept: bool = False
    publish: bool = True
    received: Callable[[int], object] = lambda size: None

    def frozen(self) -> HeldBack | None:
        """Why a dataset whose fields changed while it was read is not taken, if it is not."""
        contract = self.rules.contract(self.dataset.dataset_id)
        moved = self.previous and self.previous.schema_hash != self.dataset.schema_hash
        if contract != "freeze" or self.accept or not moved:
            return None
        told = f"the publisher changed its fields at this moment; the contract is freeze: {_ACCEPT}"
        where = {"portal": self.dataset.portal, "dataset": self.dataset.dataset_id}
        return HeldBack("frozen", told, **where)

    def guarded(self, rows: int) -> HeldBack | None:
        """Why so many rows may not replace those that are landed, if they may not."""
        same = self.previous and self.dataset.dataset_uid in {"", self.previous.dataset_uid}
        before = self.previous.rows if self.previous and same else 0
        if self.accept or not self.publish or not before:
            return None
        where = {"portal": self.dataset.portal, "dataset": self.dataset.dataset_id}
        stay = f"where {before} are landed, which stay"
        if not rows:
            told = f"the portal now gives no rows {stay}; {_ACCEPT}"
            return HeldBack("emptied", told, **where)
        if self.rules.shrunk(before, rows):
            told = f"the portal now gives {rows} rows {stay}; {_ACCEPT}"
            return HeldBack("shrunk", told, **where)
        return None


def land(portal: Portal, wanted: Wanted, lake: Lake) -> Landing:
    """Fetch a dataset's records or features, prove them whole and publish them as its partition.

    Args:
        portal: The portal.
        wanted: What is to be landed, and how.
        lake: Where it lands.

    Raises:
        AccessDenied: Its records are not visible.
        NothingToLand: It has none, or WFS has no layer of it.
        HeldBack: It has none any more, or far fewer; the old partition stays.
        DataError: What arrived cannot be trusted; the old partition stays.
        PortalError: The portal does not give it; the old partition stays.
        LakeError: The disk does not take it; the old partition stays.
    """
    dataset = wanted.dataset
    started = time.monotonic()
    total = 0

    def count(size: int) -> None:
        nonlocal total
        total += size
        wanted.received(size)

    counting = replace(wanted, received=count)
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            wanted.lane.require(dataset)
            wanted.lane.schema(dataset)
            receipt = _once(portal, counting, lake, last=attempt == _ATTEMPTS)
            break
        except OdsPipelineError as error:
            hopeless = attempt == _ATTEMPTS or getattr(error, "repeated", False)
            passing = isinstance(error, _PASSING) and not hopeless
            if not passing or portal.client.cancelled.is_set():
                raise named(error, dataset) from error
            dataset = portal.dataset(dataset.dataset_id)
            counting = replace(counting, dataset=dataset)
            frozen = counting.frozen()
            if frozen:
                raise frozen from error
    previous = wanted.previous
    same = previous is not None and (
        (previous.content_hash, previous.schema_hash) == (receipt.content_hash, receipt.schema_hash)
    )
    return Landing(receipt, not same, total, time.monotonic() - started)


def _once(portal: Portal, wanted: Wanted, lake: Lake, *, last: bool) -> Receipt:
    dataset, lane = wanted.dataset, wanted.lane
    fetched_at = datetime.now(UTC).isoformat(timespec="seconds")
    target = lake.partition(lane.kind, dataset.dataset_id)
    _require_some(portal, wanted)
    with disk_errors(target), _received(portal, wanted, lake, target) as (export, writer):
        rows = writer.rows
        proof, note = _proven(portal, wanted, rows, last=last)
        held = wanted.guarded(rows)
        if held:
            raise held
        receipt = Receipt.of(
            dataset,
            lane.kind,
            format=export.format,
            source_url=export.url,
            fetched_at=fetched_at,
            proof=proof,
            note="; ".join(filter(None, [_note(export, lane), note])),
            formerly=wanted.previous.formerly if wanted.previous else "",
        )
        return writer.publish(receipt) if wanted.publish else writer.summary(receipt)


@contextlib.contextmanager
def _received(
    portal: Portal, wanted: Wanted, lake: Lake, target: Path
) -> Iterator[tuple[Export, PartitionWriter]]:
    """All rows of a dataset, packed: nothing of them is in memory while they are proven."""
    dataset, lane = wanted.dataset, wanted.lane
    with contextlib.ExitStack() as stack, contextlib.ExitStack() as room:
        # The portal's place is the download's: who proves and publishes leaves it to the next.
        room.enter_context(portal.client.placed())
        if lane.reads != "parquet":
            room.enter_context(_STREAMS)
        opened = lane.opened(portal.client, dataset, lake.staging_dir(), wanted.received)
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
        yield export, writer


def _require_some(portal: Portal, wanted: Wanted) -> None:
    """Spare the download where the catalog counts hardly any rows, and the live count agrees."""
    dataset = wanted.dataset
    count = dataset.records_count
    if (
        wanted.accept
        or not wanted.publish
        or count is None
        or (count and not wanted.guarded(count))
    ):
        return
    live = live_count(portal.client, dataset.dataset_id)
    held = wanted.guarded(live)
    if held:
        raise held
    if not live:
        told = f"{dataset.dataset_id} holds no records to land"
        raise NothingToLand(told, portal=dataset.portal, dataset=dataset.dataset_id)


def _proven(portal: Portal, wanted: Wanted, rows: int, *, last: bool) -> tuple[str, str]:
    """The proof in one sentence, and what the reader should know of it.

    Raises:
        Unproven: The rows are not all, or the publisher was at work while they were read.
    """
    dataset, drift = wanted.dataset, wanted.rules.drift
    miscount: Miscounted | None = None
    proof: Proof | None = None
    try:
        proof = wanted.lane.prove(portal.client, dataset, rows)
    except Miscounted as error:
        miscount = error
    after = portal.dataset(dataset.dataset_id)
    stood = same_moment(dataset.data_processed, after.data_processed)
    if dataset.schema_hash != after.schema_hash or not (stood or (last and drift)):
        raise miscount or _moved(dataset, after)
    if stood and miscount:
        raise miscount
    if stood:
        return f"{proof}; data_processed stood at {dataset.data_processed or 'nothing'}", ""
    counted = miscount.counted if miscount else rows
    if wanted.rules.drifted(rows, counted):
        raise miscount or _moved(dataset, after)
    told = f"{rows} rows where the portal counts {counted}, within the tolerance of {drift:g} %"
    moving = f"{dataset.data_processed} → {after.data_processed}"
    return told, f"the publisher was republishing it while it was read ({moving}): {told}"


def _moved(before: Dataset, after: Dataset) -> Unproven:
    return Unproven(
        "the publisher was republishing it while it was read "
        f"(data_processed {before.data_processed} → {after.data_processed}); "
        "it will be read at the next run, and a tolerance for datasets that always move "
        "can be set with `--drift`",
        portal=before.portal,
    )


def _note(export: Export, lane: Lane) -> str:
    other = f"read as {export.format}: {lane.reads} joins its lists"
    return "; ".join([*export.notes, *([other] if export.format != lane.reads else [])])


def named(error: OdsPipelineError, dataset: Dataset) -> OdsPipelineError:
    """The error with the dataset's name, where it was raised by something that knew none."""
    error.dataset = error.dataset or dataset.dataset_id
    error.portal = error.portal or dataset.portal
    return error
