"""What the UI shows of a partition that was updated or loaded: metadata and data version.

Rendering only. The work is done in `sync`, and what Dagster does with it in `assets` and `job`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ods_pipeline.dagster.metadata import (
    column_schema,
    data_version,
    dataset_page,
    of_load,
    of_map,
    of_partition,
    of_whole_asset,
)
from ods_pipeline.lake.bucket import LakePath
from ods_pipeline.lake.footers import columns_of
from ods_pipeline.lake.receipt import Receipt
from ods_pipeline.sync.plan import Planned
from ods_pipeline.sync.update import UpdateResult
from ods_pipeline.sync.verdict import Kind
from ods_pipeline.warehouse.protocol import Load


@dataclass(frozen=True)
class Updated:
    """A partition that was brought up to date: what it needed, what came of it, its web page."""

    planned: Planned
    result: UpdateResult
    page: str

    @classmethod
    def of(cls, planned: Planned, result: UpdateResult, base: str) -> Updated:
        """The same with the dataset's page on the portal of this base URL."""
        return cls(planned, result, dataset_page(base, planned.dataset_id))

    @property
    def moved(self) -> bool:
        """Whether anything had to be done."""
        return self.result.action != "unchanged"

    @property
    def version(self) -> str:
        """The data version of what is landed now."""
        receipt = self.result.receipt
        version = data_version(receipt, columns_of(self.result.path))
        # Dagster may remember these rows from before there was a filter; the table has others.
        return f"{version}.{receipt.fetched_at}" if self._asked_otherwise else version

    @property
    def _asked_otherwise(self) -> bool:
        return self.planned.verdict.kind is Kind.FILTER and self.result.receipt.filter == ""

    def did(self) -> dict[str, Any]:
        """What the run did, and why."""
        result, landing = self.result, self.result.landing
        change = str(result.change)
        return {
            "verdict": str(self.planned.verdict.kind),
            "reason": result.reason,
            "requests": result.requests,
            "bytes": landing.bytes if landing else 0,
            "seconds": round(landing.seconds, 3) if landing else 0.0,
            "same_content": bool(landing and not landing.changed),
            **({"schema_change": change} if change else {}),
        }

    def metadata(self) -> dict[str, Any]:
        """What the UI shows of it."""
        path, receipt = self.result.path, self.result.receipt
        # Records have none: a portal has ten times as many of them, and each map is a second.
        drawn = of_map(path) if receipt.kind == "features" else {}
        return self.did() | drawn | of_partition(path, receipt, self.page)


@dataclass(frozen=True)
class Loaded:
    """A table that was loaded from a partition, of `records` or `features`."""

    load: Load
    path: LakePath
    kind: str

    @property
    def version(self) -> str:
        """The data version of the table: the identity of its rows."""
        return self.load.content_hash

    def metadata(self) -> dict[str, Any]:
        """What the UI shows of it."""
        columns = column_schema(columns_of(self.path))
        return {
            **(of_map(self.path) if self.kind == "features" else {}),
            **of_load(self.load),
            "dagster/column_schema": columns,
        }


@dataclass(frozen=True)
class Own:
    """A dataset that is an asset of its own: what is landed of it, and what its run did.

    Attributes:
        path: The landed partition.
        receipt: Its receipt.
        page: The dataset's page on the portal.
        did: What landing it did, and why.
        load: What loading it came to; None where it was only compared.
    """

    path: LakePath
    receipt: Receipt
    page: str
    did: Mapping[str, Any]
    load: Load | None

    @property
    def version(self) -> str:
        """The data version of what is landed."""
        return data_version(self.receipt, columns_of(self.path))

    def metadata(self) -> dict[str, Any]:
        """What the UI shows of it: the dataset first, then the run."""
        about = of_whole_asset(of_partition(self.path, self.receipt, self.page))
        did = {**self.did, **(of_load(self.load) if self.load else {})}
        did.pop("dagster/partition_row_count", None)
        if self.load:
            did["seconds"] = round(self.did.get("seconds", 0) + self.load.seconds, 3)
        notes = "; ".join(dict.fromkeys(filter(None, (about.get("note"), did.get("note")))))
        return of_map(self.path) | about | did | ({"note": notes} if notes else {})
