"""Facets: the values of a field with their counts, and the ``facets`` endpoint of a dataset.

``refine`` and ``exclude`` as conditions of a query belong to the query.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ods_pipeline.emulator.datasets.dataset import Column, Dataset, Field
from ods_pipeline.emulator.datasets.formatting import sql_text
from ods_pipeline.emulator.datasets.state import State
from ods_pipeline.emulator.datasets.store import Store
from ods_pipeline.emulator.explore.odsql import functions
from ods_pipeline.emulator.explore.odsql.scope import Scope
from ods_pipeline.emulator.explore.query import DATE_LEVELS, Query, facet_values
from ods_pipeline.emulator.explore.records import dataset_query
from ods_pipeline.emulator.http.errors import forbidden, invalid_parameter, odsql_error
from ods_pipeline.emulator.http.reply import Reply, json_reply
from ods_pipeline.emulator.http.request import Request

MAX_VALUES = 100
CALL = re.compile(r"facet\((.*)\)\s*$", re.S)
ARGUMENT = re.compile(r"""(\w+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([\w.-]+))\s*,?\s*""")
ORDERS = {
    "count": "n, v",
    "-count": "n DESC, v",
    "alphanum": "v",
    "-alphanum": "v DESC",
    "num": "TRY_CAST(v AS DOUBLE)",
    "-num": "TRY_CAST(v AS DOUBLE) DESC",
}


@dataclass(frozen=True)
class Facet:
    """A facet to count, and how."""

    name: str
    sort: str = "-count"
    limit: int = MAX_VALUES
    disjunctive: bool = False
    refined: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    separator: str | None = field(default=None)


def requested_facets(request: Request, defaults: Mapping[str, Facet]) -> list[Facet]:
    """The facets of a request: those named, else the declared ones."""
    texts = request.many("facet")
    found = (
        [_requested_facet(text, defaults) for text in texts] if texts else list(defaults.values())
    )
    refined, excluded = facet_values(request, "refine"), facet_values(request, "exclude")
    return [
        replace(
            facet,
            refined=tuple(v for n, v in refined if n == facet.name),
            excluded=tuple(v for n, v in excluded if n == facet.name),
        )
        for facet in found
    ]


def _requested_facet(text: str, defaults: Mapping[str, Facet]) -> Facet:
    call = CALL.match(text.strip())
    if not call:
        return defaults.get(text) or Facet(text)
    given = {m[1]: m[2] or m[3] or m[4] for m in ARGUMENT.finditer(call[1])}
    facet = defaults.get(given.get("name", "")) or Facet(given.get("name", ""))
    sort = given.get("sort", facet.sort)
    if sort not in ORDERS:
        raise invalid_parameter("facet", sort, f"one of {', '.join(ORDERS)} is expected")
    return replace(
        facet,
        sort=sort,
        limit=int(given.get("limit", facet.limit)),
        disjunctive=given.get("disjunctive", str(facet.disjunctive)).lower() == "true",
        separator=given.get("separator") if given.get("hierarchical") == "true" else None,
    )


def declared_facets(dataset: Dataset) -> dict[str, Facet]:
    """The facets that the publisher declared, by name."""
    marked = [f for f in dataset.fields if _has_annotation(f, "facet")]
    return {
        f.name: Facet(f.name, _sort(f), disjunctive=_has_annotation(f, "disjunctive"))
        for f in marked
    }


def _has_annotation(declaration: Field, name: str) -> bool:
    return declaration.annotations.get(name) not in (None, False)


def _sort(declaration: Field) -> str:
    given = declaration.annotations.get("facetsort")
    sort = given[0] if isinstance(given, list) and given else given
    return sort if sort in ORDERS else "-count"


@dataclass(frozen=True)
class FacetCounter:
    """Counts one facet of one column over the rows of a query."""

    store: Store
    query: Query
    scope: Scope
    facet: Facet
    column: Column

    @property
    def separator(self) -> str | None:
        """The separator between the levels of a hierarchy."""
        return "/" if self.column.type in ("date", "datetime") else self.facet.separator

    def values(self, level: int = 0, under: str = "") -> list[dict[str, Any]]:
        """The values of a level that are below another value."""
        value = self._level(level)
        inner = f"SELECT {value} AS v FROM {self.query.relation} AS r WHERE {self.query.where}"
        below = f" AND starts_with(v, {sql_text(under)})" if under else ""
        rows = self.store.table(
            f"SELECT v, count(*) AS n FROM ({inner}) WHERE v <> ''{below} GROUP BY v"
            f" ORDER BY {ORDERS[self.facet.sort]} LIMIT {self.facet.limit}"
        ).to_pylist()
        found = [self._value_document(level, row["v"], row["n"]) for row in rows]
        if level == 0:
            excluded = self.facet.excluded
            found += [{"name": v, "state": "excluded", "value": v} for v in excluded]
        return found

    def _level(self, level: int) -> str:
        """SQL for the value of a row at one level."""
        sql = self.column.sql
        if self.column.multivalued:
            return f"unnest({sql})"
        if self.column.type in ("date", "datetime"):
            return (
                f"strftime({functions.local_time(self.column, self.scope)}, '{DATE_LEVELS[level]}')"
            )
        if self.facet.separator:
            separator = sql_text(self.facet.separator)
            parts = f"list_slice(string_split({sql}, {separator}), 1, {level + 1})"
            return f"array_to_string({parts}, {separator})"
        return f"({sql})::VARCHAR"

    def _value_document(self, level: int, value: str, count: int) -> dict[str, Any]:
        separator, refined = self.separator, self.facet.refined
        has_refined_child = separator and any(v.startswith(value + separator) for v in refined)
        state = "refined" if has_refined_child or value in refined else "displayed"
        name = value.rsplit(separator, 1)[-1] if separator else value
        document = {"name": name, "count": count, "state": state, "value": value}
        dated = self.column.type in ("date", "datetime")
        if separator and state == "refined" and not (dated and level == len(DATE_LEVELS) - 1):
            inner = [v for v in self.values(level + 1, value + separator) if v["value"] != value]
            return document | ({"facets": inner} if inner else {})
        return document


def count_facets(
    store: Store, query: Query, unrefined: Query, scope: Scope, facets: list[Facet]
) -> list[dict[str, Any]]:
    """All facets counted; a disjunctive one as if it were not refined."""
    counted = []
    for facet in facets:
        column = scope.find(facet.name)
        if column is None:
            raise odsql_error(f"Unknown field: {facet.name}.", "facet")
        over = unrefined if facet.disjunctive else query
        values = FacetCounter(store, over, scope, facet, column).values()
        counted.append({"name": facet.name, "facets": values})
    return counted


def facets(request: Request, state: State, dataset: Dataset) -> Reply:
    """GET …/facets."""
    if not dataset.data_visible:
        raise forbidden()
    query = dataset_query(request, dataset)
    without = tuple(pair for pair in request.pairs if pair[0] != "refine")
    unrefined = dataset_query(replace(request, pairs=without), dataset)
    scope = Scope(dataset.columns(), request.timezone, request.lang)
    requested = requested_facets(request, declared_facets(dataset))
    found = count_facets(state.store, query, unrefined, scope, requested)
    home = f"{request.root}/catalog/datasets/{dataset.dataset_id}"
    links = [{"rel": "self", "href": f"{home}/facets"}, {"rel": "dataset", "href": home}]
    return json_reply({"links": links, "facets": found})
