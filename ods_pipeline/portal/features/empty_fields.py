"""Fields in which no feature has anything: whether the records have nothing there either.

WFS leaves empty properties out, so one that a server forgot looks like one that is empty
everywhere. A few records tell; landing or refusing is the caller's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ods_pipeline.dataset import Dataset, Field
from ods_pipeline.errors import RequestRefused, Unproven
from ods_pipeline.portal.http.address import dataset_path
from ods_pipeline.portal.http.client import Client
from ods_pipeline.portal.query import quoted_field

# So many names make a URL of some kilobytes, which every server takes.
_AT_ONCE = 50
_SAMPLE = 20


def require_empty(client: Client, dataset: Dataset, fields: Sequence[Field], placed: str) -> None:
    """See that no record has a value where no feature had one.

    Args:
        client: The conversation with the portal.
        dataset: The dataset.
        fields: Those of its fields in which no feature had anything.
        placed: ODSQL filter of the records that are features.

    Raises:
        Unproven: A record has a value there.
        PortalError: The portal does not answer.
    """
    for first in range(0, len(fields), _AT_ONCE):
        some = fields[first : first + _AT_ONCE]
        records = _sample(client, dataset, some, placed)
        if records is None or len(records) == _SAMPLE:
            # One field of empty texts, or one that cannot be asked about, must not hide others.
            alone = [_sample(client, dataset, [field], placed) or [] for field in some]
            records = [*(records or []), *(record for found in alone for record in found)]
        forgotten = [f.name for f in some if any(_filled(record.get(f.name)) for record in records)]
        if forgotten:
            raise Unproven(
                f"no feature has anything in the field {forgotten[0]!r}, but records have: the WFS "
                "leaves it out",
                portal=client.slug,
                dataset=dataset.dataset_id,
            )


def _sample(
    client: Client, dataset: Dataset, fields: Sequence[Field], placed: str
) -> list[dict[str, Any]] | None:
    """Some records that have a value in one of the fields; None where that cannot be asked."""
    names = [quoted_field(field.name) for field in fields]
    filled = " or ".join(f"{name} is not null" for name in names)
    where = f"({filled}) and ({placed})"
    query = {"select": ", ".join(names), "where": where, "limit": _SAMPLE}
    try:
        body = client.json(dataset_path(dataset.dataset_id, "/records"), query)
    except RequestRefused:
        return None
    records = body.get("results") if isinstance(body, dict) else None
    return [record for record in records or () if isinstance(record, dict)]


def _filled(value: object) -> bool:
    """Whether a record has anything in a field: 0 and false are something, `[""]` is not."""
    return value not in (None, "", [], {}, [""], [None])
