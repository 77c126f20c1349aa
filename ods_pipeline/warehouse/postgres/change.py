"""How a table gets other columns, where views of users depend on it or not.

Pure: no statements.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum


class Way(Enum):
    """What is done with the table that readers know, while its rows are replaced."""

    make = "there is none yet"
    keep = "it stays, and gets other rows"
    alter = "it stays, and gets other columns: views depend on it that use none of those that go"
    replace = "another one takes its place, for nothing depends on it"


@dataclass(frozen=True)
class Dependent:
    """A view that depends on a table.

    Attributes:
        name: Its schema and name.
        columns: The columns that it uses.
    """

    name: str
    columns: frozenset[str]


def way(
    current: Mapping[str, str] | None,
    wanted: Mapping[str, str],
    dependents: Collection[Dependent],
    *,
    sound: bool = True,
) -> Way:
    """What to do with a table.

    Args:
        current: Column name to type, as they are; None where there is no table.
        wanted: The same, as they should be.
        dependents: The views that depend on the table.
        sound: Whether its rows are in a part of it that can be replaced.
    """
    if current is None:
        return Way.make
    if sound and dict(current) == dict(wanted):
        return Way.keep
    return Way.alter if dependents and sound else Way.replace


def obstacles(
    current: Mapping[str, str],
    wanted: Mapping[str, str],
    dependents: Collection[Dependent],
    key: str = "",
) -> tuple[str, ...]:
    """The views that keep a table from getting other columns, in order of their names.

    Args:
        current: Column name to type, as they are.
        wanted: The same, as they should be.
        dependents: The views that depend on the table.
        key: The column that the table is divided by, which cannot change while the table lives.
    """
    gone = {name for name, kind in current.items() if wanted.get(name) != kind}
    if not gone:
        return ()
    using = {view.name for view in dependents if key in gone or view.columns & gone}
    return tuple(sorted(using))


def key_of(types: Mapping[str, str]) -> str:
    """The column that a table is divided by, into a single part: one of plain values if it can."""
    rich = ("geometry", "jsonb", "[]")
    good = (name for name, kind in types.items() if not any(word in kind for word in rich))
    return next(good, next(iter(types)))
