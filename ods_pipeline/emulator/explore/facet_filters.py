"""``refine`` and ``exclude``: facet values as SQL conditions; counting them happens in facets."""

from __future__ import annotations

from ods_pipeline.emulator.datasets.dataset import Column
from ods_pipeline.emulator.datasets.formatting import quoted
from ods_pipeline.emulator.explore.odsql import functions
from ods_pipeline.emulator.explore.odsql.scope import Scope
from ods_pipeline.emulator.http.errors import invalid_parameter, odsql_error
from ods_pipeline.emulator.http.request import Request

LEVELS = ("%Y", "%Y/%m", "%Y/%m/%d")


def pairs(request: Request, name: str) -> list[tuple[str, str]]:
    """The facet names and values of a parameter."""
    found = []
    for text in request.many(name):
        field, colon, value = text.partition(":")
        if not colon:
            raise invalid_parameter(name, text, f"{name}=<FACETNAME>:<FACETVALUE> is expected")
        found.append((field.strip(), value.strip().strip('"')))
    return found


def refinements(request: Request, scope: Scope, disjunctive: frozenset[str]) -> list[str]:
    """Conditions of refine and exclude; values of a disjunctive facet are alternatives."""
    refined: dict[str, list[str]] = {}
    for name, value in pairs(request, "refine"):
        refined.setdefault(name, []).append(_condition(scope, "refine", name, value))
    made = [
        f"({(' OR ' if name in disjunctive else ' AND ').join(conditions)})"
        for name, conditions in refined.items()
    ]
    excluded = pairs(request, "exclude")
    return made + [f"(NOT {_condition(scope, 'exclude', n, v)})" for n, v in excluded]


def _condition(scope: Scope, clause: str, name: str, value: str) -> str:
    column = scope.find(name)
    if column is None:
        raise odsql_error(f"Unknown field: {name}.", clause)
    return f"coalesce({_equal(column, value, scope)}, false)"


def _equal(column: Column, value: str, scope: Scope) -> str:
    if column.multivalued:
        return f"list_contains({column.sql}, {quoted(value)})"
    if column.type in ("date", "datetime"):
        time = functions.local(column, scope)
        level = LEVELS[min(value.replace("-", "/").count("/"), 2)]
        return f"strftime({time}, '{level}') = {quoted(value.replace('-', '/'))}"
    if column.type in ("int", "double"):
        return f"{column.sql} = TRY_CAST({quoted(value)} AS DOUBLE)"
    return f"({column.sql})::VARCHAR = {quoted(value)}"
