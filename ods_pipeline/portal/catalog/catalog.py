"""The catalog: every dataset of a portal in one request, and as one Arrow table.

Deciding what has changed is `tables.verdict`'s work; here the catalog is only read.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import json
import marshal
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa

from ods_pipeline.dataset import Dataset, instant
from ods_pipeline.errors import NotAPortal, PortalError, PortalFailure, RequestRefused
from ods_pipeline.portal.catalog import dialects, entries
from ods_pipeline.portal.http.client import Client

_PAGE = 100
_LAST_PAGED = 10_000  # offset + limit may not exceed it; recorded in the portals' own message.


def datasets(client: Client, where: str | None = None) -> list[Dataset]:
    """All datasets that the caller may see, restricted ones included.

    One request, whatever the catalog's size; a portal that refuses the export is read in pages.
    An entry that cannot be trusted is among them with its `refused` set, and costs the others
    nothing.

    Args:
        client: The conversation with the portal.
        where: ODSQL filter on metadata, such as `modified > date'2026-01-01'`.

    Raises:
        NotAPortal: The reply is no catalog; what the portal speaks instead is said, if it is known.
        PortalFailure: The pages do not add up to the total that the portal states.
        DataError: The catalog is larger than any honest one.
        PortalError: Any other failure.
    """
    try:
        return _found(client, where)
    except NotAPortal as error:
        other = dialects.recognised(client)
        if other is None:
            raise
        raise other from error


def _found(client: Client, where: str | None) -> list[Dataset]:
    try:
        body = client.json("/catalog/exports/json", {"where": where})
    except (NotAPortal, RequestRefused) as refusal:
        return _paged(client, where, refusal)
    found = _read(client, body) if _complete(body) else None
    # No datasets at all is what a failing portal says too: ask once more before believing it.
    doubtful = found is None or not (found or where)
    return _paged(client, where, None) if doubtful else found or []


def completed(client: Client, found: list[Dataset]) -> list[Dataset]:
    """The same datasets, or those of the catalog's pages where these are as many as it counts.

    An export that leaves datasets out looks like a whole one; the portal's own count tells.

    Args:
        client: The conversation with the portal.
        found: What the export gave.
    """
    try:
        body = client.json("/catalog/datasets", {"limit": 0})
        total = body.get("total_count") if isinstance(body, dict) else None
        if isinstance(total, int) and total > len(found):
            return _paged(client, None, None)
    except PortalError:
        pass  # Portals are known whose count differs from what their export shows to everybody.
    return found


def _entries(body: Any) -> list[Any] | None:
    """The dataset objects of a reply: a bare array, or one wrapped as pages are."""
    found = body.get("results", body.get("datasets")) if isinstance(body, dict) else body
    return found if isinstance(found, list) else None


def _complete(body: Any) -> bool:
    """Whether an export holds all that it says, and all of a dataset that decisions need.

    Where some lack it and others do not, it is the entries that are odd, not the export.
    """
    found = _entries(body)
    if found is None:
        return False
    if isinstance(body, dict) and body.get("total_count", len(found)) != len(found):
        return False
    inner = [item.get("dataset", item) for item in found if isinstance(item, dict)]
    whole = ["fields" in item and "metas" in item for item in inner if isinstance(item, dict)]
    return not whole or 2 * sum(whole) > len(whole)


def _read(client: Client, body: Any) -> list[Dataset] | None:
    """Datasets of an export's body; None when its objects lack what makes a dataset."""
    found = _entries(body)
    with _all_stay():
        return None if found is None else entries.read(client.slug, found)


@contextlib.contextmanager
def _all_stay() -> Iterator[None]:
    """Make objects by the thousand that all stay: looking for garbage would take half the time."""
    looked = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if looked:
            gc.enable()


def _paged(client: Client, where: str | None, refusal: Exception | None) -> list[Dataset]:
    found: list[Any] = []
    while True:
        query = {"where": where, "limit": _PAGE, "offset": len(found), "order_by": "dataset_id"}
        try:
            body = client.json("/catalog/datasets", query)
        except NotAPortal as error:
            if refusal is None:
                raise
            raise refusal from error
        page, total = _entries(body), _total(body)
        if page is None or total is None:
            raise _no_catalog(client)
        # A portal that takes no notice of the offset would give the same page for ever.
        again = bool(page) and page == found[-len(page) :]
        found += page
        if len(found) >= total or not page or again or len(found) >= _LAST_PAGED:
            return _whole(client, entries.read(client.slug, found), total)


def _no_catalog(client: Client) -> NotAPortal:
    return NotAPortal(
        "the reply is no catalog of the Explore API v2.1",
        portal=client.slug,
        url=client.url("/catalog/datasets"),
    )


def _total(body: Any) -> int | None:
    total = body.get("total_count") if isinstance(body, dict) else None
    if isinstance(total, bool) or not isinstance(total, int):
        return None
    return total if total >= 0 else None


def _whole(client: Client, found: list[Dataset] | None, total: int) -> list[Dataset]:
    if found is None:
        raise _no_catalog(client)
    if len(found) != total:
        raise PortalFailure(
            f"the catalog came in pages with {len(found)} datasets where the portal states "
            f"{total}, and it refuses its export in one piece; try later",
            portal=client.slug,
        )
    return found


SCHEMA = pa.schema(
    {
        "dataset_id": pa.string(),
        "dataset_uid": pa.string(),
        "title": pa.string(),
        "description": pa.string(),
        "publisher": pa.string(),
        "theme": pa.string(),
        "keyword": pa.string(),
        "license": pa.string(),
        "license_url": pa.string(),
        "attributions": pa.string(),
        "language": pa.string(),
        "update_frequency": pa.string(),
        "records_count": pa.int64(),
        "data_processed": pa.timestamp("ms", "UTC"),
        "modified": pa.timestamp("ms", "UTC"),
        "metadata_processed": pa.timestamp("ms", "UTC"),
        "has_records": pa.bool_(),
        "data_visible": pa.bool_(),
        "features": pa.list_(pa.string()),
        "fields": pa.list_(
            pa.struct({key: pa.string() for key in ("name", "type", "label", "description")})
        ),
        "metas": pa.string(),
    }
)


def identity(found: Iterable[Dataset]) -> str:
    """Identity of all that `as_table` takes from some datasets; much sooner told than the table.

    The same datasets may have two: with other entries first, or under another Python.
    """
    told = [
        (
            *(d.dataset_id, d.dataset_uid, d.has_records, d.data_visible, d.features, d.metas),
            [(f.name, f.type, f.label, f.description) for f in d.fields],
        )
        for d in sorted(found, key=lambda item: item.dataset_id)
        if not d.refused
    ]
    # The second version, for the later ones depend on what else a value is used for.
    return hashlib.sha256(marshal.dumps(told, 2)).hexdigest()[:32]


def as_table(found: Iterable[Dataset]) -> pa.Table:
    """The catalog as a table, one row per dataset, in the order of the identifiers.

    Args:
        found: Datasets of one portal; those that are refused are left out.

    Returns:
        A table of `SCHEMA`; `metas` holds all metadata templates as JSON text.
    """
    good = [dataset for dataset in found if not dataset.refused]
    with _all_stay():
        rows = [_row(dataset) for dataset in sorted(good, key=lambda item: item.dataset_id)]
        return pa.Table.from_pylist(rows, SCHEMA)


def _row(dataset: Dataset) -> Mapping[str, Any]:
    texts = ("publisher", "theme", "keyword", "license", "license_url", "attributions", "language")
    dates = ("data_processed", "modified", "metadata_processed")
    return {
        **{key: dataset.meta(key) or None for key in (*texts, "description", "update_frequency")},
        **{key: instant(dataset.meta(key)) for key in dates},
        "dataset_id": dataset.dataset_id,
        "dataset_uid": dataset.dataset_uid or None,
        "title": dataset.title,
        "records_count": dataset.records_count,
        "has_records": dataset.has_records,
        "data_visible": dataset.data_visible,
        "features": list(dataset.features),
        "fields": [
            {"name": f.name, "type": f.type, "label": f.label, "description": f.description}
            for f in dataset.fields
        ],
        "metas": json.dumps(dataset.metas, ensure_ascii=False, sort_keys=True),
    }
