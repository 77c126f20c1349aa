"""Facets: the values of a field, or of the catalog's metadata, with how often each occurs.

The filters that a facet's value can be used in are `refine` and `exclude` of every query.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from ods_pipeline.errors import NotAPortal
from ods_pipeline.portal.http.client import Client
from ods_pipeline.portal.query import Query

SCHEMA = pa.schema(
    {
        "facet": pa.string(),
        "value": pa.string(),
        "name": pa.string(),
        "count": pa.int64(),
        "state": pa.string(),
        "parent": pa.string(),
    }
)


def table_of_facets(client: Client, path: str, query: Query, facet: Sequence[str] = ()) -> pa.Table:
    """The values of facets, one row each.

    Args:
        client: The client of the portal.
        path: The endpoint.
        query: Which records, or datasets, are counted.
        facet: Names, or `facet(name="x", limit=500, sort="count")`; without it those that the
            publisher declares. A portal gives 100 values of each without a limit.

    Returns:
        A table of `SCHEMA`. The values below a value that was refined, such as the months of a
        year, have it as `parent`. Excluded ones have no count.

    Raises:
        NotAPortal: The reply has no facets.
        PortalError: The portal does not answer.
    """
    asked = {**query.filters(), "facet": list(facet) or None}
    body = client.json(path, asked)
    groups = body.get("facets") if isinstance(body, dict) else None
    try:
        if not isinstance(groups, list):
            raise TypeError
        rows = [row for group in groups for row in _values(group["name"], group["facets"], None)]
        return pa.Table.from_pylist(rows, SCHEMA)
    except (KeyError, TypeError, AttributeError, pa.ArrowException) as error:
        raise NotAPortal(
            "the reply has no facets as the Explore API v2.1 writes them",
            portal=client.slug,
            url=client.url(path, asked),
        ) from error


def _values(
    facet: str, values: Sequence[Mapping[str, Any]], parent: str | None
) -> Iterator[dict[str, Any]]:
    for item in values:
        yield {"facet": facet, "parent": parent, **{k: item.get(k) for k in SCHEMA.names[1:5]}}
        yield from _values(facet, item.get("facets") or (), item["value"])
