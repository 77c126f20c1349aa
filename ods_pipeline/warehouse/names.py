"""What things are called in a warehouse: pure text, the same for every engine.

No connection and no statement; `quoted` and `literal` only make text safe to put in one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

CATALOG = "_catalog"
HELD = "_held"
LOADS = "_loads"
STAGING = "_loading"
_LONGEST_SHOWN = 100
RESERVED = frozenset({CATALOG, HELD, LOADS, STAGING})
_TABLES = {"records": "{}", "features": "{}__features", "catalog": CATALOG, "held": HELD}


def schema_name(portal: str) -> str:
    """The schema of a portal: its slug, every run of other characters than a-z and 0-9 one `_`."""
    return re.sub(r"[^a-z0-9]+", "_", portal.lower())


def table_name(dataset_id: str, kind: str) -> str:
    """The table of a dataset's records, of its features, of the catalog, or of what is held.

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
    """A name as sentences show it: its beginning where it is longer than names are."""
    return name if len(name) <= _LONGEST_SHOWN else f"{name[:_LONGEST_SHOWN]}…"


def column_names(names: Iterable[str]) -> tuple[str, ...]:
    """Column names that no engine takes for one another, in the order given.

    A name stays as it is unless one before it differs by case alone; then it gets the first free
    suffix `_1`, `_2`, … and never one that another column has by birth.
    """
    wanted = [name.replace("\0", "_") or "_" for name in names]
    born = {folded(name) for name in wanted}
    taken: set[str] = set()
    for place, name in enumerate(wanted):
        if folded(name) in taken:
            wanted[place] = _suffixed(name, born | taken)
        taken.add(folded(wanted[place]))
    return tuple(wanted)


def folded(name: str) -> str:
    """The name as DuckDB compares it: ASCII letters without their case, all others with it."""
    return re.sub("[A-Z]+", lambda capitals: capitals[0].lower(), name)


def _suffixed(name: str, taken: set[str]) -> str:
    number = 1
    while folded(f"{name}_{number}") in taken:
        number += 1
    return f"{name}_{number}"
