"""The proof: whether what arrived is all that the portal has.

Exports carry neither length nor checksum, and a publisher may edit in the middle, so the portal's
counts and the date of the data are asked for once the rows are in. What a proof is worth depends on
what could be had, in this order:

1. `live count`: the portal counts the same query now. Rows that are missing or too many show.
2. `catalog count`: the portal does not count for this caller, but its catalog says how many
   records the dataset has. That number is made when the data are processed, and can be behind.
3. `nothing`: no count can be had, or the catalog's contradicts the rows. Such rows are refused,
   with the figures; a person may take them by name.

Deciding what to do about a failed proof is the caller's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ods_pipeline.dataset import Dataset
from ods_pipeline.errors import (
    AccessDenied,
    DatasetNotFound,
    Miscounted,
    NoEndpoint,
    RequestRefused,
    Uncounted,
)
from ods_pipeline.portal.http.address import dataset_path
from ods_pipeline.portal.http.client import Client
from ods_pipeline.portal.query import ALL, Query

ProvenBy = Literal["live count", "catalog count", "nothing"]

_NOT_COUNTED = (AccessDenied, DatasetNotFound, NoEndpoint, RequestRefused)


@dataclass(frozen=True)
class Proof:
    """What the rows were compared with.

    Attributes:
        rows: Rows that arrived.
        live_count: Records that the portal counted for the same query afterwards; None where it
            does not count, or cannot, as with `group_by`.
        catalog_count: Records by the catalog, where that had to do.
    """

    rows: int
    live_count: int | None
    catalog_count: int | None = None

    @property
    def counted(self) -> int | None:
        """The portal's count that the rows were compared with; None for none."""
        return self.catalog_count if self.live_count is None else self.live_count

    @property
    def by(self) -> ProvenBy:
        """What kind of proof it is."""
        if self.live_count is not None:
            return "live count"
        return "nothing" if self.catalog_count is None else "catalog count"

    def __str__(self) -> str:
        """For people, and for the receipt."""
        if self.counted is None:
            return f"{self.rows} rows, which the portal has no count for"
        return f"{self.rows} rows = {self.by} {self.counted}"


def live_count(client: Client, dataset_id: str, query: Query = ALL) -> int | None:
    """How many records a query has at this moment; one request, no records.

    Returns:
        None where the portal does not say: some give exports to everybody, and records to few.

    Raises:
        PortalError: The portal does not answer.
    """
    where = dataset_path(dataset_id, "/records")
    try:
        body = client.json(where, {**query.filters(), "limit": 0})
    except _NOT_COUNTED:
        return None
    total = body.get("total_count") if isinstance(body, dict) else None
    return total if isinstance(total, int) and not isinstance(total, bool) else None


def prove(client: Client, dataset: Dataset, rows: int, query: Query = ALL) -> Proof | None:
    """Compare the rows that arrived with the portal's live count of the same query.

    Returns:
        None where the portal does not count for this caller; see `prove_by_catalog`.

    Raises:
        AccessDenied: Only a header came for a dataset that has records: they are restricted.
        Miscounted: The numbers differ.
    """
    if query.aggregates:
        return Proof(rows, None)
    total = live_count(client, dataset.dataset_id, query)
    if total is None:
        return None
    expected = total if query.most is None else min(total, query.most)
    where = {"portal": client.slug, "dataset": dataset.dataset_id}
    if rows == 0 and expected == 0 and hidden(client, dataset, query):
        raise AccessDenied(
            f"the portal shows 0 of the {dataset.records_count} records that its catalog counts; "
            "they are restricted or being republished",
            **where,
        )
    if rows != expected:
        raise Miscounted(
            f"{rows} rows came where the portal counts {expected}; nothing was kept of them",
            rows=rows,
            counted=expected,
            **where,
        )
    return Proof(rows, total)


def hidden(client: Client, dataset: Dataset, query: Query) -> bool:
    """Whether the portal shows no record at all of a dataset for which its catalog has some."""
    if not dataset.records_count or query.limit == 0:
        return False
    return not query.chooses or live_count(client, dataset.dataset_id) == 0


def prove_by_catalog(dataset: Dataset, rows: int, query: Query = ALL) -> Proof:
    """Compare the rows that arrived with the catalog's count of the whole dataset.

    Args:
        dataset: The dataset as the portal describes it after the rows came.
        rows: Rows that arrived.
        query: What was asked for; of anything but the whole dataset the catalog has no count.

    Raises:
        AccessDenied: Only a header came for a dataset that has records: they are restricted.
        Uncounted: There is no count, or it differs: whether these are all rows cannot be known.
    """
    where = {"portal": dataset.portal, "dataset": dataset.dataset_id}
    whole = not (query.chooses or query.aggregates)
    count = dataset.records_count if whole else None
    if rows == 0 and count:
        raise AccessDenied(
            f"the portal shows 0 of the {count} records that its catalog counts; they are "
            "restricted",
            **where,
        )
    if count is None:
        other = "and its catalog gives no number" if whole else "for this query"
        raise Uncounted(
            f"{rows} rows came, which the portal does not count {other}; whether they are all "
            "cannot be known",
            rows=rows,
            **where,
        )
    if rows != count:
        raise Uncounted(
            f"{rows} rows came, which the portal does not count, and its catalog says {count}; "
            "whether they are all cannot be known",
            rows=rows,
            **where,
        )
    return Proof(rows, None, count)
