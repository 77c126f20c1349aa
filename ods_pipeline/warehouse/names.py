"""Names of schemas, tables and columns in a warehouse, and SQL's way to quote them.

Pure text, the same for every engine: no connection and no statements.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Literal

CATALOG = "_catalog"
HELD = "_held"
LOADS = "_loads"
STAGING = "_loading"
_LONGEST_IN_MESSAGES = 100
RESERVED = frozenset({CATALOG, HELD, LOADS, STAGING})
FEATURES = "__features"
# PostgreSQL keeps 63 bytes of a name, and a dataset's features need some of them.
LONGEST = 63
_LONGEST_TABLE = LONGEST - len(FEATURES)
_DIGITS = 8
_TABLES = {"records": "{}", "features": f"{{}}{FEATURES}", "catalog": CATALOG, "held": HELD}

#: How tables are named after their datasets: by the identifier as it is, or so that SQL needs no
#: quotes around it.
Style = Literal["as_is", "snake"]


def schema_name(portal: str) -> str:
    """The schema of a portal: its slug, every run of other characters than a-z and 0-9 one `_`."""
    return re.sub(r"[^a-z0-9]+", "_", portal.lower())


def table_name(dataset_id: str, kind: str) -> str:
    """The table of a dataset's records, of its features, of the catalog, or of the holds.

    Raises:
        ValueError: The kind is none of these four.
    """
    if kind not in _TABLES:
        raise ValueError(f"{kind!r} is no kind of partition: {', '.join(_TABLES)} are")
    return _TABLES[kind].format(dataset_id)


@dataclass(frozen=True)
class TableNames:
    """What one portal's schema and tables are called, where a user decides it.

    Attributes:
        schema: The schema; empty for the one that is made of the portal's address.
        style: How tables are named after their datasets.
        tables: Names of single tables, by the identifiers of their datasets.
        longest: Bytes of the longest name that the engine can have; 0 where there is no limit.
    """

    schema: str = ""
    style: Style = "as_is"
    tables: Mapping[str, str] = field(default_factory=dict)
    longest: int = 0

    def schema_of(self, portal: str) -> str:
        """The schema of the portal that these names are for."""
        return self.schema or schema_name(portal)

    def table_of(self, dataset_id: str, kind: str) -> str:
        """The table of a dataset, as `table_name` has it where nothing else is decided.

        Raises:
            ValueError: There is no such kind of partition.
        """
        snake = self.style == "snake"
        name = self.tables.get(dataset_id) or (_snake(dataset_id) if snake else dataset_id)
        table = table_name(name, kind)
        if not self.longest or len(table.encode()) <= self.longest:
            return table
        return table_name(shortened(name, self.longest - len(table_name("", kind))), kind)


AS_IS = TableNames()


def _snake(dataset_id: str) -> str:
    name = re.sub(r"[^a-z0-9]+", "_", dataset_id.lower())
    # SQL takes no name that begins with a digit.
    return f"_{name}" if name[:1].isdigit() else name


def schema_problem(schema: str) -> str:
    """Why a user cannot have a schema of this name; empty if they can."""
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", schema):
        return (
            f"the schema {short(schema)!r} is not made of up to 63 lower-case letters, digits and "
            "_, with no digit first"
        )
    if schema in {"information_schema", "pg_catalog", "system", "temp"}:
        return f"the schema {schema} is the database's own"
    return ""


def table_problem(table: str) -> str:
    """Why a user cannot have a table of this name; empty if they can."""
    if not table.isprintable() or not 0 < len(table.encode()) <= _LONGEST_TABLE:
        return f"the name of a table has 1 to {_LONGEST_TABLE} bytes and no control characters"
    if folded(table) in RESERVED:
        return f"the table {table} is kept for the warehouse's own use"
    if folded(table).endswith(FEATURES):
        return f"a name that ends in {FEATURES} is the table's of a dataset's features"
    return ""


def quoted(identifier: str) -> str:
    """An identifier as SQL writes it.

    Raises:
        ValueError: It is empty or holds a NUL, which no engine can name.
    """
    if not identifier or "\0" in identifier:
        raise ValueError(f"{short(identifier)!r} cannot be an SQL identifier")
    return '"' + identifier.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Text as an SQL literal, for the statements that take no bound values.

    Raises:
        ValueError: It holds a NUL, which no statement can.
    """
    if "\0" in text:
        raise ValueError(f"{short(text)!r} cannot be written in SQL")
    return "'" + text.replace("'", "''") + "'"


def short(name: str) -> str:
    """A name for messages, cut where it is long."""
    return name if len(name) <= _LONGEST_IN_MESSAGES else f"{name[:_LONGEST_IN_MESSAGES]}…"


def column_names(names: Iterable[str], existing: Collection[str] = ()) -> tuple[str, ...]:
    """Column names that differ for every engine, in the order given.

    Of names that differ by case alone one stays as it is: the one that the table has a column of
    already, else the first. The others get the first suffix `_1`, `_2`, … that makes a name of no
    other column.

    Args:
        names: Names of fields.
        existing: The columns that the table has.
    """
    fields = [*names]
    wanted = [name.replace("\0", "_") or "_" for name in fields]
    original = {folded(name) for name in wanted}
    used: set[str] = set()

    def rank(index: int) -> tuple[bool, bool]:
        return wanted[index] not in existing, wanted[index] != fields[index]

    # Where there is no table, the first one stays, whatever its name had to become.
    for index in sorted(range(len(wanted)), key=rank) if existing else range(len(wanted)):
        name = wanted[index]
        if folded(name) in used:
            taken, candidates = original | used, (f"{name}_{number}" for number in count(1))
            wanted[index] = next(other for other in candidates if folded(other) not in taken)
        used.add(folded(wanted[index]))
    return tuple(wanted)


def shortened(name: str, longest: int) -> str:
    """A name of so many bytes at most: a longer one is cut, and gets a digest of all of it.

    Names that begin alike stay apart, and the same name always becomes the same.
    """
    if len(name.encode()) <= longest:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:_DIGITS]
    begin = name.encode()[: longest - _DIGITS - 1].decode(errors="ignore")
    return f"{begin}_{digest}"


def fitting(
    names: Sequence[str], longest: int, taken: Iterable[str] = (), existing: Collection[str] = ()
) -> tuple[str, ...]:
    """Column names that an engine can have: none too long, and none that is the engine's own.

    Args:
        names: Names that differ, as `column_names` gives them.
        longest: Bytes of the longest one.
        taken: Names that the engine keeps for itself.
        existing: The columns that the table has.
    """
    own, kept = frozenset(taken), set(names)
    free = []
    for name in names:
        # Another field may have the name with a number, and keeps it.
        numbered = (f"{name}_{number}" for number in count(1))
        fit = next(n for n in numbered if n not in kept) if name in own else name
        free.append(shortened(fit, longest))
    return tuple(shortened(name, longest) for name in column_names(free, existing))


def folded(name: str) -> str:
    """The name as DuckDB compares it: only ASCII letters lose their case."""
    if name.isascii():
        return name.lower()
    return re.sub("[A-Z]+", lambda capitals: capitals[0].lower(), name)
