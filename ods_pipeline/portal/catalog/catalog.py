"""The catalog: every dataset of a portal in one request, read from its export or from its pages.

What has changed in it is decided in `sync`, and a table is made of it elsewhere.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import marshal
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from ods_pipeline.dataset import Dataset
from ods_pipeline.errors import NotAPortal, PortalError, PortalFailure, RequestRefused
from ods_pipeline.portal.catalog import dialects, entries
from ods_pipeline.portal.catalog.entries import Entry
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
        each = partial(entries.parsed, client.slug)
        with without_gc():
            body = client.json("/catalog/exports/json", {"where": where}, look=False, each=each)
    except (NotAPortal, RequestRefused) as refusal:
        return _paged(client, where, refusal)
    found = body if isinstance(body, list) else _parsed(client, body)
    datasets = entries.combined(found) if found is not None and _complete(body, found) else None
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


def _complete(body: Any, found: Sequence[Entry]) -> bool:
    """Whether an export has as many datasets as it says, with fields and metas.

    If only some datasets lack these, the export is complete and its entries are odd.
    """
    if isinstance(body, dict) and body.get("total_count", len(found)) != len(found):
        return False
    whole = [entry.whole for entry in found if entry.whole is not None]
    return not whole or 2 * sum(whole) > len(whole)


def _parsed(client: Client, body: Any) -> list[Entry] | None:
    """The entries of an export that is no bare array; None if there are none in it."""
    objects = _entries(body)
    if objects is None:
        return None
    return [entries.parsed(client.slug, number, item) for number, item in enumerate(objects, 1)]


@contextlib.contextmanager
def without_gc() -> Iterator[None]:
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


def identity(datasets: Iterable[Dataset]) -> str:
    """Identity of all that the catalog's table has of some datasets, without making the table.

    Equal datasets may have different ones, for instance under another version of Python.
    """
    good = sorted((d for d in datasets if not d.refused), key=lambda item: item.dataset_id)
    # Piece by piece what `marshal` makes of the whole list, which may be as long as the catalog.
    digest = hashlib.sha256(b"[" + len(good).to_bytes(4, "little"))
    for d in good:
        content: Any = (
            *(d.dataset_id, d.dataset_uid, d.has_records, d.data_visible, d.features, d.metas),
            [(f.name, f.type, f.label, f.description) for f in d.fields],
        )
        # Version 2: later ones depend on how many references a value has.
        digest.update(marshal.dumps(content, 2))
    return digest.hexdigest()[:32]
