"""One dataset brought up to date and told about: the step that assets and job have in common.

The decision is `tables.verdict`'s, the work `landing`'s; here they become metadata, data version
and check figures. What Dagster does with these is `assets`' and `job`'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow.parquet as pq

from ods_pipeline.dataset import Dataset
from ods_pipeline.errors import DataError, NothingToLand
from ods_pipeline.landing import Landing, bring_up_to_date, land
from ods_pipeline.lane import RECORDS, Lane
from ods_pipeline.metadata import (
    column_schema,
    of_load,
    of_map,
    of_partition,
    schema_change,
    version,
)
from ods_pipeline.portal.portal import Portal
from ods_pipeline.tables.lake import Lake, receipt
from ods_pipeline.tables.receipt import Receipt
from ods_pipeline.tables.verdict import Kind, Verdict, verdict
from ods_pipeline.warehouse.base import Load, SchemaChange, Warehouse


class Mode(StrEnum):
    """How a run treats what is landed."""

    incremental = "incremental"
    full = "full"
    verify = "verify"


class RunMode(dg.Config):
    """Run configuration: fetch what changed, fetch everything, or fetch and compare alone."""

    mode: Mode = Mode.incremental


@dataclass(frozen=True)
class Brought:
    """What bringing one dataset up to date came to.

    Attributes:
        receipt: Receipt of what is landed now.
        verdict: What the dataset needed, and why.
        path: The partition.
        change: How its columns differ from those landed before.
        landing: What the fetch came to; None where nothing was fetched.
        requests: Sent for it.
        differs: Whether a comparison found other content on the portal.
        page: The dataset's page on the portal.
    """

    receipt: Receipt
    verdict: Verdict
    path: Path
    change: SchemaChange
    landing: Landing | None
    requests: int
    differs: bool
    page: str

    def difference(self) -> DataError:
        """The failure that a comparison ends with where the contents differ."""
        return DataError(
            "the portal has other rows than what is landed; run it in the mode full",
            portal=self.receipt.portal,
            dataset=self.receipt.dataset_id,
        )

    @property
    def moved(self) -> bool:
        """Whether anything was to be done."""
        return self.verdict.kind is not Kind.UNCHANGED

    @property
    def version(self) -> str:
        """The data version of what is landed now."""
        return version(self.receipt, pq.read_schema(self.path))

    def metadata(self) -> dict[str, Any]:
        """What the UI shows of it."""
        done = self.landing
        return {
            "verdict": str(self.verdict.kind),
            "reason": self.verdict.reason,
            "requests": self.requests,
            "bytes": done.bytes if done else 0,
            "seconds": round(done.seconds, 3) if done else 0.0,
            "same_content": bool(done and not done.changed),
            **({"schema_change": str(self.change)} if str(self.change) else {}),
            **of_map(self.path, self.receipt.kind),
            **of_partition(self.path, self.receipt, self.page),
        }


@dataclass(frozen=True)
class Loaded:
    """What loading one partition came to.

    Attributes:
        load: The warehouse's own account.
        path: The partition.
        kind: `records` or `features`.
    """

    load: Load
    path: Path
    kind: str

    @property
    def version(self) -> str:
        """The data version of the table: the identity of its rows."""
        return self.load.content_hash

    def metadata(self) -> dict[str, Any]:
        """What the UI shows of it."""
        columns = column_schema(pq.read_schema(self.path))
        return {
            **of_map(self.path, self.kind),
            **of_load(self.load),
            "dagster/column_schema": columns,
        }


def load_partition(
    warehouse: Warehouse, lake: Lake, name: str, why: str, lane: Lane = RECORDS
) -> Loaded:
    """Load one landed dataset; one that the warehouse holds already costs a look at its footer.

    Raises:
        WarehouseError: The table stays as it was.
    """
    path = lake.partition(lane.kind, name)
    return Loaded(warehouse.load(path, verdict=why), path, lane.kind)


def bring(
    portal: Portal,
    lake: Lake,
    dataset: Dataset,
    mode: Mode,
    lane: Lane = RECORDS,
) -> Brought:
    """Bring one dataset up to date with what the portal says of it.

    The verdict compares with the receipt in the landed file, so that a lost Dagster instance
    fetches nothing again.

    Raises:
        OdsPipelineError: It cannot be; the old partition stays.
    """
    before = portal.client.requests_by_this_thread
    path = lake.partition(lane.kind, dataset.dataset_id)
    previous = receipt(path)
    known = pq.read_schema(path) if previous else None
    found = verdict(previous, dataset, full=mode is Mode.full)
    if found.skips:
        lane.require(dataset)
    landing = _done(portal, lake, dataset, mode, lane, found, previous)
    verifies = mode is Mode.verify
    standing = landing.receipt if landing and not verifies else previous
    if standing is None:
        raise NothingToLand(found.reason, portal=dataset.portal, dataset=dataset.dataset_id)
    return Brought(
        receipt=standing,
        verdict=found,
        path=path,
        change=schema_change(known, pq.read_schema(path)),
        landing=landing,
        requests=portal.client.requests_by_this_thread - before,
        differs=bool(verifies and landing and landing.changed),
        page=f"{portal.client.address.base}/explore/dataset/{dataset.dataset_id}/",
    )


def _done(
    portal: Portal,
    lake: Lake,
    dataset: Dataset,
    mode: Mode,
    lane: Lane,
    found: Verdict,
    previous: Receipt | None,
) -> Landing | None:
    if mode is not Mode.verify:
        return bring_up_to_date(portal, dataset, lake, found, previous, lane=lane)
    if found.kind is Kind.NEW:
        raise NothingToLand(
            "nothing is landed that could be verified; run it in the mode incremental first",
            portal=dataset.portal,
            dataset=dataset.dataset_id,
        )
    return land(portal, dataset, lake, lane=lane, previous=previous, publish=False)
