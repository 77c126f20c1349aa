"""Prepares what a task starts from: landed partitions, and a warehouse loaded from them.

Fetching thousands of datasets one by one would take most of a benchmark's time, so all get the rows
of the first; a sync at the end adds the rest, such as the catalog. No time is measured here.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import ours

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from ods_pipeline.dataset import Dataset
    from ods_pipeline.lake.lake import Lake

# A warehouse that was changed a moment ago counts as one that is being changed.
_SETTLED_S = 2.5


def all_datasets(url: str, folder: Path) -> Path:
    """Land and load every dataset of the portal, all with the rows of the first.

    Twice, for the first run after a change opens the warehouse, and those that follow do not.
    """
    from ods_pipeline.lake.lake import Lake
    from ods_pipeline.portal.portal import Portal
    from ods_pipeline.warehouse.opening import open_warehouse

    portal = Portal(url)
    lake = Lake.of(folder, portal.slug)
    datasets = portal.datasets()
    rows = portal.records(datasets[0].dataset_id).replace_schema_metadata()
    with open_warehouse(f"duckdb:////{folder}/warehouse.duckdb") as warehouse:
        for dataset in datasets:
            warehouse.load(_land(dataset, rows, lake), verdict="new")
    ours.sync(url, folder)
    time.sleep(_SETTLED_S)
    ours.sync(url, folder)
    return folder


def landed_alike(url: str, folder: Path, datasets: Sequence[Dataset]) -> None:
    """Land some datasets of the portal, all with the rows of the first; no table is loaded."""
    from ods_pipeline.lake.lake import Lake
    from ods_pipeline.portal.portal import Portal

    portal = Portal(url)
    lake = Lake.of(folder, portal.slug)
    rows = portal.records(datasets[0].dataset_id).replace_schema_metadata()
    for dataset in datasets:
        _land(dataset, rows, lake)


def one_partition(url: str, folder: Path) -> Path:
    """Land the one dataset of a portal with many rows."""
    return ours.land_parquet(url, folder).resolve()


def _land(dataset: Dataset, rows: pa.Table, lake: Lake) -> Path:
    from ods_pipeline.lake.receipt import Receipt
    from ods_pipeline.lake.writer import PartitionWriter
    from ods_pipeline.tables.geometry import primary

    target = lake.partition("records", dataset.dataset_id)
    with PartitionWriter(lake, target, rows.schema, primary(dataset.fields)) as writer:
        for batch in rows.to_batches():
            writer.write(batch)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        writer.publish(Receipt.of(dataset, "records", format="parquet", fetched_at=now))
    return target
