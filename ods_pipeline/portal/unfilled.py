"""Fields in which no feature has anything: whether the records have nothing there either.

WFS leaves empty properties out, so one that a server forgot looks like one that is empty
everywhere. A few records tell; landing or refusing is the caller's.
"""

from __future__ import annotations

from collections.abc import Sequence

from ods_pipeline.dataset import Dataset, Field
from ods_pipeline.errors import RequestRefused, Unproven
from ods_pipeline.portal.address import dataset_path
from ods_pipeline.portal.client import Client
from ods_pipeline.portal.odsql import quoted_field

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
        names = [quoted_field(field.name) for field in some]
        filled = " or ".join(f"{name} is not null" for name in names)
        where = f"({filled}) and ({placed})"
        query = {"select": ", ".join(names), "where": where, "limit": _SAMPLE}
        try:
            body = client.json(dataset_path(dataset.dataset_id, "/records"), query)
        except RequestRefused:
            continue  # Not every type can be asked about in this way everywhere.
        records = body.get("results", ()) if isinstance(body, dict) else ()
        forgotten = [f.name for f in some if any(record.get(f.name) for record in records)]
        if forgotten:
            raise Unproven(
                f"no feature has anything in the field {forgotten[0]!r}, but records have: the WFS "
                "leaves it out",
                portal=client.slug,
                dataset=dataset.dataset_id,
            )
