"""What the rules that all warehouses share need of their tables, and those of SQL of a connection.

No engine and no rules: each engine's connection does what is listed here in its own dialect.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from ods_pipeline.warehouse.protocol import LoadedTable


class Tables(Protocol):
    """The tables of an open warehouse. Schemas and tables are given by their plain names.

    Attributes:
        shared: Whether other processes write at the same time, so that nothing that was read may
            be taken for true later.
    """

    shared: bool

    def exists(self, schema: str, table: str) -> bool:
        """Whether there is such a table."""

    def count(self, schema: str, table: str) -> int:
        """How many rows a table has."""

    def altered(self, schema: str, tables: Mapping[str, LoadedTable]) -> frozenset[str]:
        """The tables, of some that exist, whose rows somebody else changed, where that shows.

        It costs little for thousands of tables, so it is no comparison of rows: each engine has
        another sign. A table that is named has other rows, or may have; one that is not may too.

        Args:
            schema: Their schema.
            tables: What was loaded into them.
        """

    def types(self, schema: str, table: str) -> dict[str, str] | None:
        """Type of each column of a table, in order; None if there is no such table."""

    def table_comment(self, schema: str, table: str) -> str | None:
        """The comment of a table, empty if it has none; None if there is no such table."""

    def column_comments(self, schema: str, table: str) -> dict[str, str]:
        """The comments of a table's columns that have one."""

    def rename(self, schema: str, table: str, name: str) -> None:
        """Give a table another name; to be called in a transaction."""

    def drop(self, schema: str, table: str) -> None:
        """Drop a table; to be called in a transaction."""

    def failures(self, portal: str = "", dataset: str = "") -> AbstractContextManager[None]:
        """Turn errors of the engine into one sentence about a portal's dataset."""

    def transaction(self) -> AbstractContextManager[None]:
        """Keep all changes of the block, or none where it raises."""

    def close(self) -> None:
        """Let others open what this has open."""


class Session(Tables, Protocol):
    """An open connection of a SQL engine.

    Attributes:
        rollbacks: How many transactions were rolled back; caches of what they wrote are invalid.
        log_order: Column of a load log by which its entries are in the order of their making.
        log_columns: Definitions of the columns that a load log has beside those of its entries.
        utc_day: SQL for the day of a moment in UTC, as text, with `{}` in the moment's place.
    """

    rollbacks: int
    log_order: str
    log_columns: tuple[str, ...]
    utc_day: str

    def run(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Execute a statement, with a `?` for each bound value, and return its rows."""

    def named(self, *names: str) -> str:
        """The quoted name of a schema, or of a table in it."""

    def table_comments(self, schema: str) -> dict[str, str]:
        """The comment of every table of a schema, empty for those that have none."""

    def make_schema(self, schema: str) -> None:
        """Make a schema if there is none; to be called in a transaction."""

    def add_columns(self, schema: str, table: str, columns: Sequence[str]) -> None:
        """Add the columns of these definitions that a table lacks, if there is such a table."""
