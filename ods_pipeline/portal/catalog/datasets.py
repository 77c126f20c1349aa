"""Datasets as a list that shows itself: short on a line, a table in a notebook.

How they are asked for and read does not belong here.
"""

from __future__ import annotations

from ods_pipeline.dataset import Dataset
from ods_pipeline.markup import card, table

_LISTED = 50


class Datasets(list[Dataset]):
    """Datasets of a portal, as any list."""

    def __repr__(self) -> str:
        """How many, and the first of them."""
        first = ", ".join(repr(item.dataset_id) for item in self[:3])
        more = ", …" if len(self) > 3 else ""
        return f"<{len(self):,} datasets: {first}{more}>" if self else "<no datasets>"

    def _repr_html_(self) -> str:
        heads = ("dataset", "title", "publisher", "records", "data as of")
        rows = (
            (
                item.dataset_id,
                item.title,
                item.publisher,
                "?" if item.records_count is None else f"{item.records_count:,}",
                item.data_processed[:16].replace("T", " "),
            )
            for item in self[:_LISTED]
        )
        more = f", the first {_LISTED} of them" if len(self) > _LISTED else ""
        return card(f"{len(self):,} datasets{more}", table(heads, rows))
