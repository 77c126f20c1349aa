"""The interface of every warehouse, and the values that it returns.

No SQL, no engine and no files: code that only reports on loads imports nothing heavy from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, Self

if TYPE_CHECKING:
    from ods_pipeline.lake.bucket import LakePath
    from ods_pipeline.tables.schema_diff import Difference

#: What happens when a dataset's fields are added, removed or retyped. `evolve` lets the table
#: follow; with the others it keeps its columns.
Contract = Literal["evolve", "freeze", "quarantine"]


@dataclass(frozen=True)
class Load:
    """The result of loading one partition.

    Attributes:
        schema: Schema of the table.
        table: Name of the table.
        action: `loaded`, `commented` (only descriptions differed), `unchanged`, or `quarantined`:
            the columns differ, the contract forbids that, and the table stays as it was.
        rows: Rows in the table.
        change: How the partition's columns differ from the table's before.
        seconds: How long it took.
        content_hash: Identity of the table's rows.
        note: Sentences for readers of the table, such as on columns that could not keep their
            names; empty for none.
        renamed_from: Name that the table had until now; empty if it kept its name.
        views: Views that keep the table from getting other columns, where that is why it stays.
    """

    schema: str
    table: str
    action: str
    rows: int
    change: Difference
    seconds: float
    content_hash: str
    note: str = ""
    renamed_from: str = ""
    views: tuple[str, ...] = ()

    @property
    def quarantine(self) -> str:
        """The sentence on a table that stays as it was."""
        change = f" ({self.change})" if str(self.change) else ""
        if self.views:
            return (
                f"its columns would change{change}, and views use them as they are "
                f"({', '.join(self.views)}): the data are landed, the table stays as it was until "
                "these views are dropped"
            )
        return (
            f"the publisher changed its fields{change}: the data are landed, the table "
            "stays as it was until a person accepts that"
        )


@dataclass(frozen=True)
class LoadedTable:
    """What one table contains, as of its newest load.

    Attributes:
        content_hash: Identity of the rows.
        rows: How many there are.
        version: Identity of rows, columns and descriptions; the receipt's of what was loaded.
    """

    content_hash: str
    rows: int
    version: str = ""


class Warehouse(Protocol):
    """A database that partitions are loaded into.

    Whatever happens in the middle of a load, a table is as it was before or as it is after. All
    that is known of a table is in the warehouse itself, so that it can be filled from a lake alone.
    """

    def load(
        self,
        partition: LakePath,
        *,
        verdict: str,
        contract: Contract = "evolve",
        again: bool = False,
    ) -> Load:
        """Make a table of a landed partition, in one transaction or not at all.

        A dataset that has another identifier than before keeps its table, which is renamed first,
        with its entries in the load log. Columns that the contract forbids are no failure: the
        table stays, and the action is `quarantined`.

        Args:
            partition: A landed file of records or features.
            verdict: Why it was landed, for the load log.
            contract: Whether an existing table may get other columns: only with `evolve`.
            again: Whether to load it also where the table has these rows already.

        Raises:
            WarehouseError: The table's rows stay as they were.
        """

    def load_catalog(self, catalog: LakePath) -> Load:
        """Make the table `_catalog` of a portal's landed catalog.

        Raises:
            WarehouseError: The table stays as it was.
        """

    def load_holds(self, holds: LakePath) -> Load:
        """Make the table `_held` of a portal's list of holds, and mark the held tables.

        As long as a table is held, its comment begins with the day and the reason.

        Args:
            holds: The list, in the portal's folder of the lake; where it is missing nothing is
                held.

        Raises:
            WarehouseError: The table stays as it was.
        """

    def loaded(self, portal: str) -> Mapping[str, LoadedTable]:
        """The loaded tables of a portal, without those that somebody dropped or changed since.

        Whether the rows of a table were changed is known as far as the engine shows it cheaply.

        Returns:
            The tables by the names that `names` give them, also where the engine has to shorten
            a name.
        """

    def check(self, portal: str) -> str:
        """Whether a portal could be loaded, in words that follow the warehouse's URL.

        Args:
            portal: The portal's name on disk.

        Raises:
            WarehouseError: It could not, with what to do about it.
        """

    def close(self) -> None:
        """Let other processes open it."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...
