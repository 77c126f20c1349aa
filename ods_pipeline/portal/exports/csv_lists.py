"""Lists in CSV: whether a portal separated the values as it was asked to.

Portals join the values of a list without escaping, so a separator of ours is asked for, one that
text does not hold. A portal that ignored the wish would give `a,b` for two values and for one;
this module notices. Splitting is `tables.columns`' work.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from ods_pipeline.dataset import Dataset, Field
from ods_pipeline.errors import PortalFailure, Unproven
from ods_pipeline.portal.http.address import dataset_path
from ods_pipeline.portal.http.client import Client
from ods_pipeline.portal.query import quoted_field
from ods_pipeline.tables.columns import LIST_SEPARATOR, joiners

_SAMPLE = 100


def watched(
    raw: Iterator[pa.RecordBatch], client: Client, dataset: Dataset, lists: Sequence[Field]
) -> Iterator[pa.RecordBatch]:
    """The same batches; at their end, doubt about a list is put to the portal.

    Args:
        raw: A CSV export as text.
        client: The conversation with the portal.
        dataset: The dataset.
        lists: Its fields of several values.

    Raises:
        Unproven: The portal ignored the separator that it was asked to use.
    """
    separated: set[str] = set()
    doubtful: set[str] = set()
    for batch in raw:
        for field in lists:
            column = batch.column(field.name)
            if pc.any(pc.match_substring(column, LIST_SEPARATOR)).as_py():
                separated.add(field.name)
            elif any(pc.any(pc.match_substring(column, text)).as_py() for text in joiners(field)):
                doubtful.add(field.name)
        yield batch
    for name in sorted(doubtful - separated):
        if _holds_several(client, dataset, name):
            raise Unproven(
                f"the portal joins the values of field {name!r} with text that they may hold "
                "themselves, and ignores the wish for another separator",
                portal=client.slug,
                dataset=dataset.dataset_id,
            )


def _holds_several(client: Client, dataset: Dataset, name: str) -> bool:
    field = quoted_field(name)
    query = {"select": field, "where": f"{field} is not null", "limit": _SAMPLE}
    body = client.json(dataset_path(dataset.dataset_id, "/records"), query)
    results = body.get("results") if isinstance(body, dict) else None
    if not isinstance(results, list):
        raise PortalFailure(
            "the portal gives no records to compare its lists with",
            portal=client.slug,
            dataset=dataset.dataset_id,
        )
    values = [record.get(name) for record in results if isinstance(record, dict)]
    return any(isinstance(value, list) and len(value) > 1 for value in values)
