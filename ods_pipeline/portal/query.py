"""Which records of a dataset: what an export or a count is asked for, and what that means.

How it is asked is `exports`' and `proof`'s work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Query:
    """Which records, as ODSQL; all of them by default.

    Attributes:
        where: Filter.
        select: Fields or expressions; one that is no declared field keeps the type that the
            export gives it (text in CSV).
        order_by: Order; without it portals promise none.
        group_by: Grouping.
        limit: Number of records; all without it.
        refine: Facet values to keep, each `facet:value`.
        exclude: Facet values to leave out, each `facet:value`.
    """

    where: str | None = None
    select: str | Sequence[str] | None = None
    order_by: str | None = None
    group_by: str | None = None
    limit: int | None = None
    refine: Sequence[str] = ()
    exclude: Sequence[str] = ()

    @property
    def reshapes(self) -> bool:
        """Whether the columns are other than the dataset's fields."""
        return self.select is not None or self.group_by is not None

    @property
    def most(self) -> int | None:
        """The number of records asked for; None for all, which the API also calls -1."""
        return None if self.limit == -1 else self.limit

    @property
    def aggregates(self) -> bool:
        """Whether rows may stand for several records, so that a count says nothing of them."""
        return self.group_by is not None or "(" in ", ".join(self._selected)

    @property
    def _selected(self) -> Sequence[str]:
        return self.select.split(",") if isinstance(self.select, str) else self.select or ()

    def keeps(self, name: str) -> bool:
        """Whether a column of a declared field's name is that field, and no expression's alias."""
        chosen = [*self._selected, *(self.group_by or "").split(",")]
        bare = {text.strip().strip("`") for text in chosen} - {""}
        return name in bare or not bare or "*" in bare

    def filters(self) -> dict[str, object]:
        """The parameters that choose records, as counting understands them too."""
        return {
            "where": self.where,
            "refine": list(self.refine) or None,
            "exclude": list(self.exclude) or None,
        }

    def parameters(self) -> dict[str, object]:
        """All parameters as the API names them."""
        select = self.select
        return {
            **self.filters(),
            "select": select if select is None or isinstance(select, str) else ", ".join(select),
            "order_by": self.order_by,
            "group_by": self.group_by,
            "limit": self.most,
        }


ALL = Query()
