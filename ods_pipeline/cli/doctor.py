"""`doctor`: whether everything that a run needs works, and what to do where it does not.

Each finding is one line. Nothing is repaired or landed here.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar, get_args

from ods_pipeline.cli.layout import number_of
from ods_pipeline.cli.whoami import Opened, kind, public
from ods_pipeline.dataset import Dataset
from ods_pipeline.errors import (
    AccessDenied,
    DatasetNotFound,
    GmlRefused,
    NotAPortal,
    OdsPipelineError,
    RequestRefused,
    ServiceException,
    StateError,
    TokenStoreError,
)
from ods_pipeline.lake.bucket import ObjectPath
from ods_pipeline.lake.lake import Lake, PartitionKind, disk_errors
from ods_pipeline.portal.auth import ApiKey, OAuth2
from ods_pipeline.portal.catalog import dialects
from ods_pipeline.portal.http.versions import NEWEST
from ods_pipeline.portal.portal import Portal
from ods_pipeline.portal.wfs import VERSIONS, Version
from ods_pipeline.state.advisory import DatabaseLocks
from ods_pipeline.warehouse.names import AS_IS, TableNames
from ods_pipeline.warehouse.opening import open_warehouse, public_url

_T = TypeVar("_T")
# What is wrong with the credentials rather than with the portal.
_REFUSALS = (AccessDenied, TokenStoreError)


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    good: bool
    text: str


@dataclass(frozen=True)
class CatalogSize:
    """What the catalog shows: how many datasets, how many with records, and those refused."""

    total: int
    readable: int
    refused: tuple[Dataset, ...]


def examine(
    portal: Portal,
    credentials: ApiKey | OAuth2 | None,
    lake: Lake,
    warehouse: str,
    names: TableNames = AS_IS,
) -> Iterator[Finding]:
    """Look at portal, WFS, quota, credentials, lake, warehouse and state, in that order.

    Six requests at most, and a seventh where credentials are to be compared with none. Where the
    portal has no catalog of v2.1, up to four tell what it speaks instead.
    """
    catalog = _attempt(lambda: _catalog_size(portal))
    if isinstance(catalog, NotAPortal):
        catalog = dialects.better_error(portal.client, catalog, lake.receipts("records"))
    yield _portal(portal, catalog)
    if isinstance(catalog, CatalogSize):
        yield from _ending(portal)
        yield _finding("wfs", lambda: _wfs(portal))
    yield _finding("quota", lambda: _quota(portal))
    yield _credentials(portal, credentials, catalog)
    yield _finding("lake", lambda: _lake(lake))
    yield _finding("warehouse", lambda: _warehouse(warehouse, names, lake.root.name))
    yield _finding("state", lambda: _state(lake))


def _attempt(look: Callable[[], _T]) -> _T | OdsPipelineError:
    try:
        return look()
    except OdsPipelineError as error:
        return error


def _finding(subject: str, look: Callable[[], str]) -> Finding:
    answer = _attempt(look)
    return Finding(subject, isinstance(answer, str), str(answer))


def _catalog_size(portal: Portal) -> CatalogSize:
    datasets = portal.datasets()
    refused = [item for item in datasets if item.refused]
    readable = (item.data_visible and item.has_records for item in datasets if not item.refused)
    return CatalogSize(len(datasets), sum(readable), tuple(refused))


def _ending(portal: Portal) -> Iterator[Finding]:
    """What the portal says of the end of its API, where it says anything."""
    with contextlib.suppress(OdsPipelineError):
        warning = dialects.deprecation(portal.client)
        if warning:
            text = f"the portal announces changes: {warning}; look for a newer ods-pipeline"
            yield Finding("api", True, text)


def _portal(portal: Portal, catalog: CatalogSize | OdsPipelineError) -> Finding:
    base = portal.client.address.base
    if isinstance(catalog, _REFUSALS):
        return Finding("portal", False, f"the catalog of {base} was not read; see credentials")
    if isinstance(catalog, StateError):
        return Finding("portal", False, f"the catalog of {base} was not read; see state")
    if isinstance(catalog, OdsPipelineError):
        return Finding("portal", False, str(catalog))
    text = (
        f"{base} speaks Explore API {portal.client.api.name}: "
        f"{catalog.total} datasets, {catalog.readable} of them with records that you may read"
    )
    if portal.client.api is not NEWEST:
        text += f"; it has no {NEWEST.name}, which gives more: ask those who run it to update it"
    if catalog.refused:
        first = catalog.refused[0]
        text += f"; {len(catalog.refused)} refused, such as {first.dataset_id}: {first.refused}"
    return Finding("portal", not catalog.refused, text)


def _credentials(
    portal: Portal,
    credentials: ApiKey | OAuth2 | None,
    catalog: CatalogSize | OdsPipelineError,
) -> Finding:
    """Whether the portal took them: it did if it answered, unless it takes no notice of any."""
    if isinstance(catalog, _REFUSALS):
        return Finding("credentials", False, str(catalog))
    if credentials is None:
        return Finding("credentials", True, "none set; public datasets need none")
    if isinstance(catalog, OdsPipelineError):
        text = f"{kind(credentials)}, not tried: the portal gives no answer to judge by"
        return Finding("credentials", False, text)
    opened = Opened(catalog.total, public(portal))
    return Finding("credentials", True, f"{kind(credentials)}: {opened}")


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
    if isinstance(lake.root, ObjectPath):
        probe = lake.root / ".doctor"
        probe.write_bytes(b"written to see whether it can be")
        probe.unlink()
        return f"{lake.root} can be written, {_landed(lake)} landed"
    with lake.incoming("doctor") as path, disk_errors(path):
        path.write_bytes(b"written to see whether it can be")
    free = shutil.disk_usage(lake.root).free / 1e9
    return f"{lake.root} can be written, {free:.1f} GB free, {_landed(lake)} landed"


def _landed(lake: Lake) -> str:
    return " and ".join(
        f"{k} of {number_of(len(lake.receipts(k)), 'dataset')}" for k in get_args(PartitionKind)
    )


def _warehouse(url: str, names: TableNames, portal: str) -> str:
    with open_warehouse(url, names=names) as opened:
        return f"{public_url(url)} {opened.check(portal)}"


def _state(lake: Lake) -> str:
    if lake.state is None:
        with lake.lock("lake", "doctor"):
            return "local files, for the processes of this host; for several set ODS_STATE"
    with DatabaseLocks(lake.state, lake.root.name).lock("doctor", lambda: False):
        return f"{lake.state.where} holds quota, locks and logins for all hosts"
