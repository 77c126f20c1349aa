"""Checks that fields without a value in any feature have none in the records either.

WFS omits empty properties, so one that the server forgot looks like one that is empty everywhere.
Nothing here decides what happens to the features.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ods_pipeline.dataset import Dataset, Field
from ods_pipeline.errors import Contradicted, RequestRefused
from ods_pipeline.portal.exports.sample import sample
from ods_pipeline.portal.http.client import Client
from ods_pipeline.portal.query import quoted_field

# With so many names, the URL has a few kilobytes, which every server accepts.
_AT_ONCE = 50
_SAMPLE = 20


def require_empty(client: Client, dataset: Dataset, fields: Sequence[Field], where: str) -> None:
    """Check that no record has a value in these fields.

    Args:
        client: The portal's client.
        dataset: The dataset.
        fields: Its fields without a value in any feature.
        where: ODSQL filter for the records that are features.

    Raises:
        Contradicted: A record has a value in one.
        PortalError: A request failed.
    """
    for first in range(0, len(fields), _AT_ONCE):
        some = fields[first : first + _AT_ONCE]
        records = _sample(client, dataset, some, where)
        if records is None or len(records) == _SAMPLE:
            # A field of empty texts, or one that cannot be requested, must not hide others.
            alone = [_sample(client, dataset, [field], where) or [] for field in some]
            records = [*(records or []), *(record for sample in alone for record in sample)]
        forgotten = [f.name for f in some if any(_filled(record.get(f.name)) for record in records)]
        if forgotten:
            raise Contradicted(
                f"no feature has a value in the field {forgotten[0]!r}, but records have: the WFS "
                "omits it",
                portal=client.slug,
                dataset=dataset.dataset_id,
            )


def _sample(
    client: Client, dataset: Dataset, fields: Sequence[Field], where: str
) -> list[dict[str, Any]] | None:
    """Some records with a value in one of the fields; None if the request is refused."""
    names = [quoted_field(field.name) for field in fields]
    filled = " or ".join(f"{name} is not null" for name in names)
    query = {"select": ", ".join(names), "where": f"({filled}) and ({where})", "limit": _SAMPLE}
    try:
        return sample(client, dataset, query)
    except RequestRefused:
        return None


def _filled(value: object) -> bool:
    """Whether a value is not empty: 0 and false are values, `[""]` is empty."""
    return value not in (None, "", [], {}, [""], [None])
