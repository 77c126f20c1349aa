"""What a warehouse is, whatever its engine: the protocol, what a load reports, how to open one.

No SQL and no engine's import at the top: whoever only reports on loads pays for neither.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, Self

from ods_pipeline.errors import ConfigurationError, WarehouseLocked

if TYPE_CHECKING:
    from ods_pipeline.tables.schema_diff import Difference

#: What happens when a dataset's fields are added, removed or retyped. `evolve` lets the table
#: follow; with the others it keeps its columns.
Contract = Literal["evolve", "freeze", "quarantine"]

_FIRST_WAIT = 0.05
_LONGEST_WAIT = 0.2


@dataclass(frozen=True)
class Load:
    """What loading one partition came to.

    Attributes:
        schema: Schema of the table.
        table: Name of the table.
        action: `loaded`, `commented` (only descriptions differed), `unchanged`, or `quarantined`:
            the columns differ, the contract forbids that, and the table stays as it was.
        rows: Rows that the table holds.
        change: How the partition's columns differ from the table's before.
        seconds: How long it took.
        content_hash: Identity of the table's rows.
        note: What a reader of the table should know, such as columns that could not keep their
            names; empty or sentences.
        renamed_from: Name that the table had until now; empty if it kept its name.
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

    def quarantine(self, by: str) -> str:
        """What a user is told of a table that stays behind its partition.

        Args:
            by: How a person accepts the new columns.
        """
        return (
            f"the publisher changed its fields ({self.change}): the data are landed, the table "
            f"stays as it was until a person accepts with {by}"
        )


@dataclass(frozen=True)
class Held:
    """What a warehouse holds of one table, as of its newest load.

    Attributes:
        content_hash: Identity of the rows.
        rows: How many there are.
        version: Identity of rows, columns and descriptions; the receipt's of what was loaded.
    """

    content_hash: str
    rows: int
    version: str = ""


class Warehouse(Protocol):
    """A place that tables are loaded into; one process writes at a time."""

    def load(self, partition: Path, *, verdict: str, contract: Contract = "evolve") -> Load:
        """Make the table what the landed partition says, in one transaction or not at all.

        A dataset that has another identifier than before keeps its table, which is renamed first,
        with its history. Columns that the contract keeps out are no failure: the table stays, and
        the load says `quarantined`.

        Args:
            partition: A landed file of records or features.
            verdict: Why it was landed, for the record of loads.
            contract: Whether a table that stands may get other columns: with `evolve` alone.

        Raises:
            WarehouseError: The table's rows stay as they were.
        """

    def load_catalog(self, catalog: Path) -> Load:
        """Make the table `_catalog` what the portal's landed catalog says.

        Raises:
            WarehouseError: The table stays as it was.
        """

    def load_held(self, held: Path) -> Load:
        """Make the table `_held` what the portal's list of held partitions says, and mark them.

        The comment of a table that is held is led by the day and the reason, until it no longer is.

        Args:
            held: The list, in the portal's folder of the lake; a missing one says that nothing is
                held.

        Raises:
            WarehouseError: The table stays as it was.
        """

    def held(self, portal: str) -> Mapping[str, Held]:
        """What is loaded of a portal: table name to what the table holds."""

    def close(self) -> None:
        """Let other processes in."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...


def open_warehouse(
    url: str, max_wait: float = 0.0, stop: Callable[[], bool] | None = None
) -> Warehouse:
    """Open the warehouse at a URL, made if it does not exist.

    Args:
        url: `duckdb:///PATH`; a path after three slashes is relative, after four absolute.
        max_wait: Seconds to wait for another process to close it.
        stop: Asked between two attempts; the wait ends as soon as it says yes.

    Raises:
        ConfigurationError: The URL names no warehouse that can be opened.
        WarehouseLocked: Another process has it open, still.
        WarehouseError: It cannot be opened for any other reason.
    """
    scheme, _, rest = url.partition("://")
    if scheme.startswith("postgres"):
        raise ConfigurationError(
            f"the warehouse {shown(url)} cannot be used: this version loads into DuckDB alone, "
            "so set ODS_WAREHOUSE to duckdb:///PATH"
        )
    path = rest.removeprefix("/")
    if scheme != "duckdb" or rest == path or path in ("", ":memory:"):
        raise ConfigurationError(
            f"{shown(url)!r} names no warehouse: set ODS_WAREHOUSE to duckdb:///PATH, "
            "with three slashes before a relative path and four before an absolute one"
        )
    from ods_pipeline.warehouse.duckdb import DuckDBWarehouse

    return _patiently(lambda: DuckDBWarehouse(Path(path)), max_wait, stop)


def _patiently(
    opening: Callable[[], Warehouse], max_wait: float, stop: Callable[[], bool] | None
) -> Warehouse:
    end, wait = time.monotonic() + max_wait, _FIRST_WAIT
    while True:
        try:
            return opening()
        except WarehouseLocked:
            left = end - time.monotonic()
            if left <= 0 or (stop and stop()):
                raise
        time.sleep(min(wait, left))
        wait = min(2 * wait, _LONGEST_WAIT)


def shown(url: str) -> str:
    """A warehouse's URL fit to be read by anybody: no password, no parameters.

    A URL that cannot be taken apart with certainty shows its scheme alone.
    """
    scheme, found, rest = url.partition("://")
    if not found:
        return "***" if set("=@:") & set(url) else url
    if scheme == "duckdb":
        return url
    ends = [place for mark in "/?#" if (place := rest.find(mark)) >= 0]
    authority, tail = rest[: min(ends, default=len(rest))], rest[min(ends, default=len(rest)) :]
    if "@" in tail:
        # Either a parameter's, or an unescaped password's, of which the authority is the beginning.
        return f"{scheme}://***"
    user, has_user, host = authority.rpartition("@")
    who = user.partition(":")[0] + (":***" if ":" in user else "") + has_user
    return f"{scheme}://{who}{host}{tail.partition('?')[0].partition('#')[0]}"
