"""The clauses of ODSQL, select, where, group_by and order_by, from text to typed SQL.

Expressions and conditions inside them are parsed elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from ods_pipeline.emulator.datasets.dataset import Column
from ods_pipeline.emulator.explore.odsql.conditions import Conditions
from ods_pipeline.emulator.explore.odsql.expressions import Expressions
from ods_pipeline.emulator.explore.odsql.ranges import parse_range
from ods_pipeline.emulator.explore.odsql.scanner import BACKQUOTED, WORD, OdsqlSyntaxError, Scanner
from ods_pipeline.emulator.explore.odsql.scope import Scope

PATTERN = re.compile(r"`?([A-Za-z0-9_.-]+)(\*?)`?|\*")
Parsed = TypeVar("Parsed")


@dataclass(frozen=True)
class Selection:
    """The columns of a select clause."""

    columns: tuple[Column, ...]
    aggregated: bool = False


def _parse_all(scanner: Scanner, parse: Callable[[], Parsed]) -> Parsed:
    """Parse to the end; a syntax error is raised before any other."""
    try:
        parsed = parse()
        if not scanner.at_end():
            raise OdsqlSyntaxError
    except OdsqlSyntaxError:
        raise scanner.unexpected() from None
    if scanner.problem:
        raise scanner.problem
    return parsed


def where(text: str, scope: Scope) -> str:
    """SQL for a where clause."""
    scanner = Scanner(text, "where")
    return _parse_all(scanner, Conditions(scanner, scope).condition)


def _alias(scanner: Scanner) -> str | None:
    if not scanner.word("as"):
        return None
    quoted = scanner.take(BACKQUOTED)
    bare = None if quoted else scanner.take(WORD)
    if not quoted and not bare:
        raise OdsqlSyntaxError
    return quoted[1] if quoted else bare.group()  # type: ignore[union-attr]


def _named(column: Column, label: str | None, text: str) -> Column:
    name = label or (column.name if column.label != "literal" else "") or text
    return replace(column, name=name, label=label or column.label or name)


def select(text: str | None, scope: Scope) -> Selection:
    """The columns of a select clause; all fields when there is none."""
    if text is None or not text.strip():
        return Selection(scope.columns)
    scanner = Scanner(text, "select")
    reader = Expressions(scanner, scope, aggregates=True)
    return _parse_all(scanner, lambda: _selection(scanner, reader, scope))


def _selection(scanner: Scanner, reader: Expressions, scope: Scope) -> Selection:
    columns: list[Column] = []
    excluded: list[Column] = []
    only_excludes = True
    while True:
        start = scanner.position
        mode = scanner.word("include", "exclude")
        if mode and scanner.symbol("("):
            (columns if mode == "include" else excluded).extend(_matching(scanner, scope))
            only_excludes = only_excludes and mode == "exclude"
        else:
            scanner.position, only_excludes = start, False
            columns.extend(_selected(scanner, reader, scope))
        if not scanner.symbol(","):
            break
    excluded_names = {c.name for c in excluded}
    kept = scope.columns if only_excludes else columns
    unique = {c.name: c for c in kept if c.name not in excluded_names}
    return Selection(tuple(unique.values()), reader.aggregated)


def _selected(scanner: Scanner, reader: Expressions, scope: Scope) -> tuple[Column, ...]:
    if scanner.symbol("*"):
        return scope.columns
    start = scanner.position
    column = reader.expression()
    text = scanner.since(start)
    return (_named(column, _alias(scanner), text),)


def _matching(scanner: Scanner, scope: Scope) -> list[Column]:
    found: list[Column] = []
    while True:
        at = scanner.take(PATTERN)
        if not at:
            raise OdsqlSyntaxError
        name, star = at[1] or "", at.group() == "*" or at[2] == "*"
        matches = [c for c in scope.columns if c.name == name or (star and c.name.startswith(name))]
        if not matches and not star:
            scanner.record_error(f"Unknown field: {name}.")
        found += matches
        if not scanner.symbol(","):
            break
    scanner.require_symbol(")")
    return found


def group_by(text: str, scope: Scope) -> tuple[Column, ...]:
    """The keys of a group_by clause."""
    scanner = Scanner(text, "group_by")
    reader = Expressions(scanner, scope)

    def keys() -> tuple[Column, ...]:
        columns = [_key(scanner, reader)]
        while scanner.symbol(","):
            columns.append(_key(scanner, reader))
        return tuple(columns)

    return _parse_all(scanner, keys)


def _key(scanner: Scanner, reader: Expressions) -> Column:
    start = scanner.position
    if scanner.word("range") and scanner.symbol("("):
        column = parse_range(scanner, reader)
    else:
        scanner.position = start
        column = reader.expression()
    if column.type in ("geo_point_2d", "geo_shape", "file", "json"):
        scanner.record_error(f"Grouping by field {column.name} is not supported.")
    text = scanner.since(start)
    return _named(column, _alias(scanner), text)


def order_by(text: str, scope: Scope) -> tuple[str, ...]:
    """SQL sort terms; nulls come last in both directions."""
    scanner = Scanner(text, "order_by")
    reader = Expressions(scanner, scope, aggregates=True)

    def terms() -> tuple[str, ...]:
        found = [_term(scanner, reader)]
        while scanner.symbol(","):
            found.append(_term(scanner, reader))
        return tuple(found)

    return _parse_all(scanner, terms)


def _term(scanner: Scanner, reader: Expressions) -> str:
    start = scanner.position
    if scanner.word("random") and scanner.symbol("("):
        seed = scanner.number()
        if not isinstance(seed, int):
            raise OdsqlSyntaxError
        scanner.require_symbol(")")
        return f"hash(r, {seed})"
    scanner.position = start
    column = reader.expression()
    direction = scanner.word("asc", "desc") or "asc"
    return f"{column.sql} {direction.upper()} NULLS LAST"
