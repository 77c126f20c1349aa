"""One dataset from the portal into the lake: fetch, prove, publish, or leave everything as it was.

The command line and the Dagster assets both land datasets through this module, by either lane.
Choosing which ones is `sync`'s and Dagster's work, loading them the warehouse's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from ods_pipeline.dataset import Dataset, same_moment
from ods_pipeline.errors import (
    NothingToLand,
    OdsPipelineError,
    PortalFailure,
    PortalUnreachable,
    SchemaMismatch,
    ServiceException,
    Unproven,
)
from ods_pipeline.lane import RECORDS, Lane
from ods_pipeline.portal.exports import Export
from ods_pipeline.portal.portal import Portal
from ods_pipeline.tables.geometry import primary
from ods_pipeline.tables.lake import Lake, explained
from ods_pipeline.tables.partition import PartitionWriter, rewrite
from ods_pipeline.tables.receipt import Receipt
from ods_pipeline.tables.verdict import Kind, Verdict

# A second try costs a whole download, so it is spent on failures that may pass: a broken
# connection, a server that breaks off amid its features, a publisher at work while we read.
_PASSING = (PortalFailure, PortalUnreachable, SchemaMismatch, ServiceException, Unproven)
_ATTEMPTS = 2


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


def land(
    portal: Portal,
    dataset: Dataset,
    lake: Lake,
    *,
    lane: Lane = RECORDS,
    previous: Receipt | None = None,
    received: Callable[[int], object] = lambda size: None,
    publish: bool = True,
) -> Landing:
    """Fetch a dataset's records or features, prove them whole and publish them as its partition.

    Args:
        portal: The portal.
        dataset: The dataset as the catalog describes it.
        lake: Where it lands.
        lane: The way by which the rows come.
        previous: Receipt of what is landed, to tell a false change.
        received: Told the size of each piece that arrives, in bytes.
        publish: False to compare only and leave the partition as it is.

    Raises:
        AccessDenied: Its records are not visible.
        NothingToLand: It has none, or WFS has no layer of it.
        DataError: What arrived cannot be trusted; the old partition stays.
        PortalError: The portal does not give it; the old partition stays.
        LakeError: The disk does not take it; the old partition stays.
    """
    lane.require(dataset)
    try:
        lane.schema(dataset)
    except OdsPipelineError as error:
        raise named(error, dataset) from error
    started = time.monotonic()
    total = 0

    def count(size: int) -> None:
        nonlocal total
        total += size
        received(size)

    for attempt in range(1, _ATTEMPTS + 1):
        try:
            receipt = _once(portal, dataset, lake, lane, count, publish, previous)
            break
        except _PASSING as error:
            hopeless = attempt == _ATTEMPTS or getattr(error, "repeated", False)
            if hopeless or portal.client.cancelled.is_set():
                raise named(error, dataset) from error
            dataset = portal.dataset(dataset.dataset_id)
            lane.require(dataset)
        except OdsPipelineError as error:
            raise named(error, dataset) from error
    same = previous is not None and (
        (previous.content_hash, previous.schema_hash) == (receipt.content_hash, receipt.schema_hash)
    )
    return Landing(receipt, not same, total, time.monotonic() - started)


def redescribe(dataset: Dataset, lake: Lake, previous: Receipt, *, lane: Lane = RECORDS) -> Receipt:
    """Bring labels, licence and title of a landed partition up to date, without a request.

    Args:
        dataset: The dataset as the catalog describes it, with the names and types that are landed.
        lake: Where it is landed.
        previous: Receipt of what is landed.
        lane: The way by which it came.
    """
    known = replace(
        Receipt.of(dataset, lane.kind),
        source_url=previous.source_url,
        format=previous.format,
        fetched_at=previous.fetched_at,
        proof=previous.proof,
        note=previous.note,
    )
    target = lake.partition(lane.kind, dataset.dataset_id)
    return rewrite(lake, target, lane.schema(dataset), known, primary(dataset.fields))


def _once(
    portal: Portal,
    dataset: Dataset,
    lake: Lake,
    lane: Lane,
    received: Callable[[int], object],
    publish: bool,
    previous: Receipt | None,
) -> Receipt:
    fetched_at = datetime.now(UTC).isoformat(timespec="seconds")
    target = lake.partition(lane.kind, dataset.dataset_id)
    with (
        explained(target),
        lane.opened(portal.client, dataset, lake.spool(), received) as export,
        PartitionWriter(lake, target, export.schema, primary(dataset.fields)) as writer,
    ):
        for batch in export.batches:
            writer.write(batch)
        proof = lane.prove(portal.client, dataset, writer.content.rows)
        _require_rows(dataset, writer.content.rows, previous)
        _require_unmoved(dataset, portal.dataset(dataset.dataset_id))
        receipt = Receipt.of(
            dataset,
            lane.kind,
            format=export.format,
            source_url=export.url,
            fetched_at=fetched_at,
            proof=str(proof),
            note=_note(export, lane),
        )
        return writer.publish(receipt) if publish else writer.summary(receipt)


def _note(export: Export, lane: Lane) -> str:
    other = f"read as {export.format}: {lane.reads} joins its lists"
    return "; ".join([*export.notes, *([other] if export.format != lane.reads else [])])


def _require_rows(dataset: Dataset, rows: int, previous: Receipt | None) -> None:
    if previous and previous.rows and not rows:
        raise NothingToLand(
            f"the portal now gives no rows where {previous.rows} are landed, which stay; "
            "delete the partition if the dataset is meant to be empty",
            portal=dataset.portal,
        )


def _require_unmoved(before: Dataset, after: Dataset) -> None:
    moved = not same_moment(before.data_processed, after.data_processed)
    if moved or before.schema_hash != after.schema_hash:
        raise Unproven(
            "the publisher was republishing it while it was read "
            f"(data_processed {before.data_processed} → {after.data_processed}); "
            "it will be read at the next run",
            portal=before.portal,
        )


def named(error: OdsPipelineError, dataset: Dataset) -> OdsPipelineError:
    """The error with the dataset's name, where it was raised by something that knew none."""
    error.dataset = error.dataset or dataset.dataset_id
    error.portal = error.portal or dataset.portal
    return error


def bring_up_to_date(
    portal: Portal,
    dataset: Dataset,
    lake: Lake,
    found: Verdict,
    previous: Receipt | None,
    *,
    lane: Lane = RECORDS,
) -> Landing | None:
    """Do what a verdict asks for; None where it asks for nothing."""
    if found.fetches:
        return land(portal, dataset, lake, lane=lane, previous=previous)
    if found.kind is Kind.METADATA and previous is not None:
        redescribed = redescribe(dataset, lake, previous, lane=lane)
        return Landing(redescribed, changed=False, bytes=0, seconds=0)
    return None
