"""What a warehouse is, whatever its engine: the protocol, what a load reports, how to open one.

No SQL and no engine's import at the top: whoever only reports on loads pays for neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from ods_pipeline.errors import ConfigurationError


@dataclass(frozen=True)
class SchemaChange:
    """How a table's columns differ from those it had before.

    Attributes:
        added: Columns that are new.
        removed: Columns that are gone.
        retyped: Columns of another type, each as name, old type, new type.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    retyped: tuple[tuple[str, str, str], ...] = ()

    def __str__(self) -> str:
        """One line for people; empty when nothing differs."""
        retyped = (f"{name} from {old} to {new}" for name, old, new in self.retyped)
        parts = {"added": self.added, "removed": self.removed, "retyped": tuple(retyped)}
        return "; ".join(f"{verb} {', '.join(names)}" for verb, names in parts.items() if names)


@dataclass(frozen=True)
class Load:
    """What loading one partition came to.

    Attributes:
        schema: Schema of the table.
        table: Name of the table.
        action: `loaded`, `commented` (only descriptions differed) or `unchanged`.
        rows: Rows that the table holds.
        change: How its columns differ from those before.
        seconds: How long it took.
        content_hash: Identity of the table's rows.
    """

    schema: str
    table: str
    action: str
    rows: int
    change: SchemaChange
    seconds: float
    content_hash: str


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

    def load(self, partition: Path, *, verdict: str) -> Load:
        """Make the table what the landed partition says, in one transaction or not at all.

        Args:
            partition: A landed file of records or features.
            verdict: Why it was landed, for the record of loads.

        Raises:
            WarehouseError: The table stays as it was.
        """

    def load_catalog(self, catalog: Path) -> Load:
        """Make the table `_catalog` what the portal's landed catalog says.

        Raises:
            WarehouseError: The table stays as it was.
        """

    def held(self, portal: str) -> Mapping[str, Held]:
        """What is loaded of a portal: table name to what the table holds."""

    def close(self) -> None:
        """Let other processes in."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...


def open_warehouse(url: str) -> Warehouse:
    """Open the warehouse at a URL, made if it does not exist.

    Args:
        url: `duckdb:///PATH`; a path after three slashes is relative, after four absolute.

    Raises:
        ConfigurationError: The URL names no warehouse that can be opened.
        WarehouseLocked: Another process has it open.
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

    return DuckDBWarehouse(Path(path))


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
