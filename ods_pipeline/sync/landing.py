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
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import pyarrow as pa

from ods_pipeline.dataset import Dataset
from ods_pipeline.errors import (
    NotAPortal,
    NoXml,
    OdsPipelineError,
    PortalFailure,
    PortalUnreachable,
    SchemaMismatch,
    ServiceException,
    Unproven,
)
from ods_pipeline.lake.bucket import LakePath
from ods_pipeline.lake.content_hash import content_of, is_current
from ods_pipeline.lake.files import require_files
from ods_pipeline.lake.lake import Lake, disk_errors
from ods_pipeline.lake.receipt import Receipt
from ods_pipeline.lake.rejected import RejectedValues
from ods_pipeline.lake.writer import ROWS_PER_GROUP, PartitionWriter
from ods_pipeline.portal.exports.export import Export
from ods_pipeline.portal.portal import Portal
from ods_pipeline.portal.proof import live_count
from ods_pipeline.sync.landing_request import LandingRequest, LandingResult
from ods_pipeline.sync.proving import digits, proven
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
# How many datasets may have rows in memory at once, whatever the number of threads: of those read
# from the disk as many as there are processors, of those that come in a stream a few more.
_READERS = threading.BoundedSemaphore(min(os.cpu_count() or 1, 4))
_STREAMS = threading.BoundedSemaphore(4)
# Fewer rows are written before the portal's first answer could be there.
_LONG = ROWS_PER_GROUP


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
    """The digest of what is landed, computed again where an older version wrote another kind."""
    digest = request.previous.content_hash if request.previous else ""
    if not digest or is_current(digest):
        return digest
    try:
        return content_of(lake.partition(request.extractor.kind, request.dataset.dataset_id))
    except (OSError, pa.ArrowException) as error:
        require_files(error)
        return ""  # It is damaged, and what comes now is new.


def _again(portal: Portal, request: LandingRequest, error: OdsPipelineError) -> Dataset:
    """The dataset as it is now, to fetch it once more.

    Raises:
        HeldBack: Its fields changed, and the contract forbids that.
    """
    dataset = request.rules.applied(portal.dataset(request.dataset.dataset_id))
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

    def prove(export: Export, rows: int) -> dict[str, str]:
        # A cache may have kept the export since before it was asked for.
        made_at = min(filter(None, (asked_at, export.made_at)), default=None)
        return proven(portal, request, made_at, rows, last=last)

    received = _received(portal, request, lake, target, prove)
    with disk_errors(target), received as (export, writer, rejected, proof):
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
            rejected=digits(rejected.counts.total() or None),
            filter=request.table.filter,
        )
        receipt = replace(receipt, **proof)
        if not request.publish:
            return writer.summary(receipt)
        published = writer.publish(receipt)
        rejected.publish(published)
        return published


@contextlib.contextmanager
def _received(
    portal: Portal,
    request: LandingRequest,
    lake: Lake,
    target: LakePath,
    prove: Callable[[Export, int], dict[str, str]],
) -> Iterator[tuple[Export, PartitionWriter, RejectedValues, dict[str, str]]]:
    """All rows of a dataset, written to the disk and proven; nothing is published."""
    dataset, extractor = request.dataset, request.extractor
    with contextlib.ExitStack() as stack, contextlib.ExitStack() as room:
        # One of the portal's slots is taken for the download alone, not for proof and publishing.
        room.enter_context(portal.client.download_slot())
        if extractor.reads != "parquet":
            room.enter_context(_STREAMS)
        rejected = stack.enter_context(RejectedValues(lake, target))
        tolerant = request.table.bad_values == "null"
        opened = extractor.opened(
            portal.client,
            dataset,
            lake.staging_dir(),
            request.on_bytes,
            rejected.add if tolerant else None,
            request.table.query,
        )
        export = stack.enter_context(opened)
        writer = PartitionWriter(lake, target, export.schema, primary(dataset.fields))
        stack.enter_context(writer)
        if export.format == "parquet":
            room.close()  # All of it is on the disk.
            room.enter_context(_READERS)
        if (rows := export.rows or 0) > _LONG:
            proof = _proven_beside(export, rows, writer, prove)
            room.close()
        else:
            _write(export, writer)
            room.close()
            proof = prove(export, writer.rows)
        yield export, writer, rejected, proof


def _write(export: Export, writer: PartitionWriter, stopped: threading.Event | None = None) -> None:
    for batch in export.batches:
        if stopped and stopped.is_set():
            return
        writer.write(batch)
    writer.content_hash()


def _proven_beside(
    export: Export,
    rows: int,
    writer: PartitionWriter,
    prove: Callable[[Export, int], dict[str, str]],
) -> dict[str, str]:
    """Prove the rows that an export says it has while a thread reads and writes them.

    All of it has come, so the portal is asked no earlier than it should be; its replies take as
    long as many rows do. What is wrong with the rows is said first.
    """
    stopped = threading.Event()
    with ThreadPoolExecutor(1, "reading") as pool:
        writing = pool.submit(_write, export, writer, stopped)
        try:
            proof = prove(export, rows)
        except OdsPipelineError:
            writing.result()
            raise
        except BaseException:  # Ctrl-C waits for no rows.
            stopped.set()
            raise
        writing.result()
    if writer.rows != rows:
        raise Unproven(
            f"{writer.rows} rows were read of an export that says it has {rows}; nothing "
            "was kept of them"
        )
    return proof


def _require_rows(portal: Portal, request: LandingRequest) -> None:
    """Save the download where the catalog counts hardly any rows, and the live count agrees."""
    dataset = request.dataset
    count = dataset.records_count
    if request.accept or not request.publish or count is None or request.table.query.chooses:
        return
    if not request.guarded(count):
        return
    live = live_count(portal.client, dataset.dataset_id)
    held = request.guarded(live) if live is not None else None
    if held:
        raise held


def with_names(error: OdsPipelineError, dataset: Dataset) -> OdsPipelineError:
    """The error with names of portal and dataset, where it was raised without."""
    error.dataset = error.dataset or dataset.dataset_id
    error.portal = error.portal or dataset.portal
    return error
