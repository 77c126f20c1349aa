"""`doctor`: whether everything that a run needs is in order, and what to do where it is not.

Each finding is one line. Nothing is repaired or landed here.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import get_args

from ods_pipeline.errors import (
    DatasetNotFound,
    GmlRefused,
    NotAPortal,
    OdsPipelineError,
    RequestRefused,
    ServiceException,
)
from ods_pipeline.portal.portal import Portal
from ods_pipeline.portal.wfs import VERSIONS, Version
from ods_pipeline.tables.lake import Lake, PartitionKind, explained
from ods_pipeline.warehouse.base import open_warehouse, shown


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    good: bool
    text: str


def examine(portal: Portal, lake: Lake, warehouse: str) -> Iterator[Finding]:
    """Look at portal, WFS, quota, lake and warehouse, in that order; five requests at most."""
    reached = _finding("portal", lambda: _catalog(portal))
    yield reached
    if reached.good:
        yield _finding("wfs", lambda: _wfs(portal))
    yield _finding("quota", lambda: _quota(portal))
    yield Finding("credentials", True, "none set; public datasets need none")
    yield _finding("lake", lambda: _lake(lake))
    yield _finding("warehouse", lambda: _warehouse(warehouse))


def _finding(subject: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(subject, True, look())
    except OdsPipelineError as error:
        return Finding(subject, False, str(error))


def _catalog(portal: Portal) -> str:
    datasets = portal.datasets()
    visible = sum(dataset.data_visible and dataset.has_records for dataset in datasets)
    return (
        f"{portal.client.address.base} speaks Explore API v2.1: "
        f"{len(datasets)} datasets, {visible} of them with records that you may read"
    )


def _wfs(portal: Portal) -> str:
    """Not to have one is no fault: a portal without it still gives all records."""
    spoken = [version for version in VERSIONS if _speaks(portal, version)]
    if not spoken:
        return "the portal answers in no version of WFS, so --features has nothing to read"
    return f"the portal speaks WFS {' and '.join(spoken)}, for --features"


def _speaks(portal: Portal, version: Version) -> bool:
    try:
        portal.wfs(version).capabilities(["OperationsMetadata"])
    except (NotAPortal, DatasetNotFound, RequestRefused, ServiceException, GmlRefused):
        return False
    return True


def _quota(portal: Portal) -> str:
    quota = portal.client.quota
    if quota is None:
        return "the portal states none"
    return f"{quota.remaining} of {quota.limit} requests left until {quota.reset or 'its reset'}"


def _lake(lake: Lake) -> str:
    with lake.incoming("doctor") as path, explained(path):
        path.write_bytes(b"written to see whether it can be")
    landed = " and ".join(f"{len(lake.receipts(k))} {k}" for k in get_args(PartitionKind))
    free = shutil.disk_usage(lake.root).free / 1e9
    return f"{lake.root} can be written, {free:.1f} GB free, {landed} landed"


def _warehouse(url: str) -> str:
    with open_warehouse(url):
        return f"{shown(url)} can be opened"
