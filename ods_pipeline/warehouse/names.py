"""Names of schemas, tables and columns in a warehouse, and SQL's way to quote them.

Pure text, the same for every engine: no connection and no statements.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import count

CATALOG = "_catalog"
HELD = "_held"
LOADS = "_loads"
STAGING = "_loading"
_LONGEST_IN_MESSAGES = 100
RESERVED = frozenset({CATALOG, HELD, LOADS, STAGING})
_TABLES = {"records": "{}", "features": "{}__features", "catalog": CATALOG, "held": HELD}


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


def column_names(names: Iterable[str]) -> tuple[str, ...]:
    """Column names that differ for every engine, in the order given.

    A name stays as it is unless an earlier one differs by case alone; then it gets the first suffix
    `_1`, `_2`, … that makes a name of no other column.
    """
    wanted = [name.replace("\0", "_") or "_" for name in names]
    original = {folded(name) for name in wanted}
    used: set[str] = set()
    for index, name in enumerate(wanted):
        if folded(name) in used:
            taken, candidates = original | used, (f"{name}_{number}" for number in count(1))
            wanted[index] = next(other for other in candidates if folded(other) not in taken)
        used.add(folded(wanted[index]))
    return tuple(wanted)


def folded(name: str) -> str:
    """The name as DuckDB compares it: only ASCII letters lose their case."""
    return re.sub("[A-Z]+", lambda capitals: capitals[0].lower(), name)
