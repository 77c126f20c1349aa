"""Matches the columns of a reply with the declared fields of a dataset, by their names.

Portals spell a name otherwise than they declare it, and give columns that they do not declare. What
a missing column leads to is decided by the callers; values do not belong here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

# A byte order mark: part of a name that a publisher pasted, or put before it by the export.
_BOM = "\ufeff"


@dataclass(frozen=True)
class Matched:
    """Which column is which field.

    Attributes:
        columns: The column of each field that has one, by the field's name.
        missing: Fields without a column.
        notes: What a reader should know of it, a sentence each.
    """

    columns: Mapping[str, str]
    missing: tuple[str, ...]
    notes: tuple[str, ...]


def match(came: Collection[str], declared: Iterable[str]) -> Matched:
    """Match columns with fields: by the name as it is, else by the name in any case.

    Args:
        came: Names of the columns, each once.
        declared: Names of the fields, each once.
    """
    fields = list(declared)
    columns = {name: name for name in fields if name in set(came)}
    left = {name for name in came if name not in columns}
    loose = _by_key(left)
    wanted = _by_key(name for name in fields if name not in columns)
    notes = []
    for key, name in wanted.items():
        if name and loose.get(key):
            columns[name] = loose[key]
            left.remove(loose[key])
            if name.strip(_BOM) != loose[key].strip(_BOM):
                notes.append(f"column {loose[key]!r} was read as the field {name!r}")
    if left:
        surplus = [name for name in came if name in left]
        notes.append(f"left out {listed(surplus)}, which the catalog does not declare")
    missing = tuple(name for name in fields if name not in columns)
    return Matched(columns, missing, tuple(notes))


def _by_key(names: Iterable[str]) -> dict[str, str]:
    """Names by what they have in common with other spellings; empty where two would be one."""
    keys = [(name.strip(_BOM).casefold(), name) for name in names]
    times = Counter(key for key, _ in keys)
    return {key: name if times[key] == 1 else "" for key, name in keys}


def listed(names: Iterable[str]) -> str:
    """Some names for people, the first five of many."""
    quoted = [repr(name) for name in names]
    more = f" and {len(quoted) - 5} more" if len(quoted) > 5 else ""
    return f"the column{'s' if len(quoted) > 1 else ''} {', '.join(quoted[:5])}{more}"
