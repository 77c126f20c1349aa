"""The proof: whether what arrived is all that the portal has.

Exports carry neither length nor checksum, and a publisher may edit in the middle, so the count of
the same query and the date of the data are asked for once the rows are in. Deciding what to do
about a failed proof is the caller's.
"""

from __future__ import annotations

from dataclasses import dataclass

from ods_pipeline.dataset import Dataset
from ods_pipeline.errors import AccessDenied, Miscounted, PortalFailure
from ods_pipeline.portal.http.address import dataset_path
from ods_pipeline.portal.http.client import Client
from ods_pipeline.portal.query import ALL, Query


@dataclass(frozen=True)
class Proof:
    """What the rows were compared with.

    Attributes:
        rows: Rows that arrived.
        live_count: Records that the portal counted for the same query afterwards; None where it
            cannot count, as with `group_by`.
    """

    rows: int
    live_count: int | None

    @property
    def counted(self) -> int | None:
        """The portal's count that the rows were compared with; None for none."""
        return self.live_count

    def __str__(self) -> str:
        """For people, and for the receipt."""
        if self.live_count is None:
            return f"{self.rows} rows, which the portal has no count for"
        return f"{self.rows} rows = live count {self.live_count}"


def live_count(client: Client, dataset_id: str, query: Query = ALL) -> int:
    """How many records a query has at this moment; one request, no records.

    Raises:
        PortalError: The portal does not answer, or without a count.
    """
    where = dataset_path(dataset_id, "/records")
    body = client.json(where, {**query.filters(), "limit": 0})
    total = body.get("total_count") if isinstance(body, dict) else None
    if not isinstance(total, int):
        raise PortalFailure(
            "the portal gives no count of the records", portal=client.slug, url=client.url(where)
        )
    return total


def prove(client: Client, dataset: Dataset, rows: int, query: Query = ALL) -> Proof:
    """Compare the rows that arrived with the portal's live count of the same query.

    Raises:
        AccessDenied: Only a header came for a dataset that has records: they are restricted.
        Miscounted: The numbers differ.
    """
    if query.aggregates:
        return Proof(rows, None)
    total = live_count(client, dataset.dataset_id, query)
    expected = total if query.most is None else min(total, query.most)
    where = {"portal": client.slug, "dataset": dataset.dataset_id}
    if rows == 0 and expected == 0 and dataset.records_count and query == ALL:
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
