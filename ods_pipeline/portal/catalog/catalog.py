"""The catalog: every dataset of a portal in one request, and as one Arrow table.

What has changed in it is decided in `sync`; here it is only read.
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
    An entry that cannot be trusted is among them, with its `refused` set.

    Args:
        client: The client of the portal.
        where: ODSQL filter on metadata, such as `modified > date'2026-01-01'`.

    Raises:
        NotAPortal: The reply is not a catalog; the message names the portal's API, if it is known.
        PortalFailure: The pages do not add up to the total that the portal states.
        DataError: The catalog is larger than any honest one.
        PortalError: Any other failure.
    """
    try:
        return _exported(client, where)
    except NotAPortal as error:
        other = dialects.recognised(client)
        if other is None:
            raise
        raise other from error


def _exported(client: Client, where: str | None) -> list[Dataset]:
    try:
        # Its pages are asked next, and tell whether there is an older version.
        body = client.json("/catalog/exports/json", {"where": where}, look=False)
    except (NotAPortal, RequestRefused) as refusal:
        return _paged(client, where, refusal)
    datasets = _read(client, body) if _complete(body) else None
    # A failing portal lists no datasets either: check the pages before believing that.
    doubtful = datasets is None or not (datasets or where)
    return _paged(client, where, None) if doubtful else datasets or []


def completed(client: Client, exported: list[Dataset]) -> list[Dataset]:
    """The same datasets, or those of the catalog's pages if the portal counts more.

    An export that leaves datasets out looks like a complete one; only the portal's count shows it.

    Args:
        client: The client of the portal.
        exported: The datasets of the export.
    """
    try:
        body = client.json("/catalog/datasets", {"limit": 0})
        total = body.get("total_count") if isinstance(body, dict) else None
        if isinstance(total, int) and total > len(exported):
            return _paged(client, None, None)
    except PortalError:
        pass  # Some portals refuse the count to those who may read the export.
    return exported


def _entries(body: Any) -> list[Any] | None:
    """The dataset objects of a reply: a bare array, or one wrapped as pages are."""
    objects = body.get("results", body.get("datasets")) if isinstance(body, dict) else body
    return objects if isinstance(objects, list) else None


def _complete(body: Any) -> bool:
    """Whether an export has as many datasets as it says, with fields and metas.

    If only some datasets lack these, the export is complete and its entries are odd.
    """
    objects = _entries(body)
    if objects is None:
        return False
    if isinstance(body, dict) and body.get("total_count", len(objects)) != len(objects):
        return False
    inner = [item.get("dataset", item) for item in objects if isinstance(item, dict)]
    whole = ["fields" in item and "metas" in item for item in inner if isinstance(item, dict)]
    return not whole or 2 * sum(whole) > len(whole)


def _read(client: Client, body: Any) -> list[Dataset] | None:
    """The datasets of an export's body; None if its objects are not datasets."""
    objects = _entries(body)
    with _without_gc():
        return None if objects is None else entries.read(client.slug, objects)


@contextlib.contextmanager
def _without_gc() -> Iterator[None]:
    """Pause the garbage collector, which takes half the time where thousands of objects stay."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _paged(client: Client, where: str | None, refusal: Exception | None) -> list[Dataset]:
    found: list[Any] = []
    api = client.api
    while True:
        query = {"where": where, "limit": _PAGE, "offset": len(found), "order_by": "dataset_id"}
        try:
            body = client.json("/catalog/datasets", query)
        except NotAPortal as error:
            if refusal is None:
                raise
            raise refusal from error
        if client.api is not api:
            # An older version, found by this very request: its export has all in one piece.
            return _exported(client, where)
        page, total = _entries(body), _total(body)
        if page is None or total is None:
            raise _no_catalog(client)
        # A portal that ignores the offset gives the same page for ever.
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


def identity(datasets: Iterable[Dataset]) -> str:
    """Identity of all that `as_table` takes from some datasets, without making the table.

    Equal datasets may have different ones, for instance under another version of Python.
    """
    content = [
        (
            *(d.dataset_id, d.dataset_uid, d.has_records, d.data_visible, d.features, d.metas),
            [(f.name, f.type, f.label, f.description) for f in d.fields],
        )
        for d in sorted(datasets, key=lambda item: item.dataset_id)
        if not d.refused
    ]
    # Version 2: later ones depend on how many references a value has.
    return hashlib.sha256(marshal.dumps(content, 2)).hexdigest()[:32]


def as_table(datasets: Iterable[Dataset]) -> pa.Table:
    """The catalog as a table, one row per dataset, in the order of the identifiers.

    Args:
        datasets: Of one portal; those that are refused are left out.

    Returns:
        A table of `SCHEMA`; `metas` holds all metadata templates as JSON text.
    """
    good = [dataset for dataset in datasets if not dataset.refused]
    with _without_gc():
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
