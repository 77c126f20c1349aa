"""Portals that speak none of the APIs that are read: which one they speak, in one sentence.

Asked only after the catalog has failed, with at most three requests, and one more for an
imitation. No data are read through these APIs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ods_pipeline.errors import NotAPortal, OdsPipelineError
from ods_pipeline.markup import plain
from ods_pipeline.portal.http import replies
from ods_pipeline.portal.http.address import dataset_path
from ods_pipeline.portal.http.client import Client
from ods_pipeline.portal.http.versions import NEWEST, OLDER, is_page_of_older

_MOST = 1 << 20
_DEPRECATION = "ODS-Explore-API-Deprecation"


class OtherDialect(NotAPortal):
    """A portal answers, but with an API that is not supported; the message says which."""


def _search(body: Any) -> bool:
    """The first API's search: hits, the parameters as understood, and `datasetid`."""
    return isinstance(body, dict) and "nhits" in body and isinstance(body.get("datasets"), list)


_V1 = "/api/datasets/1.0/search/"


def recognised(client: Client) -> OtherDialect | None:
    """The API of a portal that has no catalog of those that are read; None if it is unknown.

    Args:
        client: The client of the portal.
    """
    base = client.address.base
    for version in () if client.looked_for_older else OLDER:
        if is_page_of_older(_document(client, f"{base}{version.catalog}?limit=1")):
            return OtherDialect(
                f"{base} speaks the Explore API {version.name} of Opendatasoft at "
                f"{version.catalog}, but answers {NEWEST.name} with something else than that it "
                "has none; try later, or ask those who run the portal",
                portal=client.slug,
            )
    if _search(_document(client, f"{base}{_V1}?rows=1")):
        return OtherDialect(
            f"{base} speaks the first API (v1) of Opendatasoft alone, at {_V1}, and only v2 is "
            "read; ask those who run the portal to update it",
            portal=client.slug,
        )
    return None


def better_error(client: Client, error: NotAPortal, landed: Iterable[str]) -> NotAPortal:
    """An error that names what a portal without a catalog is, if that is known; else the same.

    Args:
        client: The client of the portal.
        error: The error of reading the catalog.
        landed: Datasets that were landed from there; the first is requested.
    """
    dataset_id = next(iter(landed), "")
    if not dataset_id or isinstance(error, OtherDialect):
        return error
    return look_alike(client, dataset_id) or error


def look_alike(client: Client, dataset_id: str) -> OtherDialect | None:
    """The error of a portal without a catalog that still gives the records of a dataset.

    Args:
        client: The client of the portal.
        dataset_id: A dataset that was landed from there.
    """
    address = client.url(dataset_path(dataset_id, "/records"), {"limit": 0})
    body = _document(client, address)
    if not (isinstance(body, dict) and "total_count" in body and "results" in body):
        return None
    base = client.address.base
    return OtherDialect(
        f"{base} only imitates the Explore API: it gives records, of {dataset_id} for instance, "
        "but has no catalog, so nothing from it can be proven up to date or rightly typed; it has "
        "probably moved to other software: look there for its new API, what is landed stays",
        portal=client.slug,
    )


def deprecation(client: Client) -> str:
    """What the portal says of the end of its API, in its own words; mostly nothing.

    Raises:
        PortalError: The portal does not answer.
    """
    warnings: list[str] = []

    def opening(
        status: int, headers: Mapping[str, str], chunks: Iterator[bytes], where: dict[str, str]
    ) -> bytes:
        warnings.append(headers.get(_DEPRECATION, ""))
        return replies.opening(status, headers, chunks, where)

    client.whole(client.url("/catalog/datasets", {"limit": 0}), opening, None, _MOST)
    return plain(warnings[-1])


def _document(client: Client, url: str) -> Any:
    """A JSON document at an address of the portal; None if there is none."""
    with contextlib.suppress(OdsPipelineError, ValueError, RecursionError):
        return replies.document(client.whole(url, replies.opening, None, _MOST))
    return None
