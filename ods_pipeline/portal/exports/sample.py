"""Reads a few records of a dataset as JSON, to see what an export or the WFS leaves open.

Some portals refuse the endpoint of records to the anonymous and give exports to everybody: then an
export of as many records is read. Whole datasets do not belong here.
"""

from __future__ import annotations

from typing import Any

from ods_pipeline.dataset import Dataset
from ods_pipeline.errors import AccessDenied, DatasetNotFound, NoEndpoint, PortalFailure
from ods_pipeline.portal.http.address import dataset_path
from ods_pipeline.portal.http.client import Client

# What a portal answers at an endpoint that it does not give to everybody.
_CLOSED = (AccessDenied, DatasetNotFound, NoEndpoint)


def sample(client: Client, dataset: Dataset, query: dict[str, Any]) -> list[dict[str, Any]]:
    """Some records, in one request or two.

    Args:
        client: The portal's client.
        dataset: The dataset.
        query: Parameters of the request: `select`, `where`, `limit`.

    Raises:
        RequestRefused: The portal refuses the query.
        PortalFailure: The portal gives no records either way.
    """
    try:
        body = client.json(dataset_path(dataset.dataset_id, "/records"), query)
        records = body.get("results") if isinstance(body, dict) else None
    except _CLOSED:
        records = None
    if not isinstance(records, list):
        try:
            records = client.json(dataset_path(dataset.dataset_id, "/exports/json"), query)
        except _CLOSED:
            records = None
    if not isinstance(records, list):
        raise PortalFailure(
            "the portal gives no records to compare with",
            portal=client.slug,
            dataset=dataset.dataset_id,
        )
    return [record for record in records if isinstance(record, dict)]
