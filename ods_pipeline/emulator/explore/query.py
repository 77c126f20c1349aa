"""The parameters of a request compiled to one SQL query, and its rows as JSON values.

The endpoints and their limits do not belong here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from ods_pipeline.emulator.datasets.dataset import Column
from ods_pipeline.emulator.datasets.formatting import JSON_CONVERTERS, json_value, sql_text
from ods_pipeline.emulator.datasets.store import Store
from ods_pipeline.emulator.explore.odsql import clauses, functions
from ods_pipeline.emulator.explore.odsql.scope import Scope
from ods_pipeline.emulator.http.errors import invalid_parameter, odsql_error
from ods_pipeline.emulator.http.request import Request


@dataclass(frozen=True)
class Query:
    """A relation, filtered, grouped, sorted and limited."""

    relation: str
    columns: tuple[Column, ...]
    where: str = "true"
    keys: tuple[Column, ...] = ()
    order: tuple[str, ...] = ()
    grouped: bool = False
    aggregated: bool = False
    limit: int = -1
    offset: int = 0

    def outer(self) -> tuple[Column, ...]:
        """The columns as the rows of this query name them."""
        return tuple(c.with_sql(f"q.x{i}") for i, c in enumerate(self.columns))

    def rows(self) -> str:
        """SQL for the rows, columns named by position."""
        names = ", ".join(f"{c.sql} AS x{i}" for i, c in enumerate(self.columns)) or "1 AS x0"
        sql = f"SELECT {names} FROM {self.relation} AS r WHERE {self.where}"
        if self.keys:
            sql += " GROUP BY " + ", ".join(c.sql for c in self.keys)
            ranges = [f"{c.sql} IS NOT NULL" for c in self.keys if c.type == "range"]
            sql += f" HAVING {' AND '.join(ranges)}" if ranges else ""
        if self.order:
            sql += " ORDER BY " + ", ".join(self.order)
        if self.limit >= 0:
            sql += f" LIMIT {self.limit}"
        return sql + (f" OFFSET {self.offset}" if self.offset else "")

    def select(self, expressions: list[str]) -> str:
        """SQL for expressions over the rows of this query, in their order."""
        return f"SELECT {', '.join(expressions) or '1'} FROM ({self.rows()}) AS q"

    def matching(self) -> str:
        """SQL for the number of records that match, before grouping and paging."""
        return f"SELECT count(*) FROM {self.relation} AS r WHERE {self.where}"

    def total(self) -> str:
        """SQL for the number of rows of this query, unpaged."""
        whole = replace(self, limit=-1, offset=0, order=())
        return f"SELECT count(*) FROM ({whole.rows()})"


def _nothing(_: str) -> bool:
    return False


def compile_query(
    request: Request,
    relation: str,
    columns: tuple[Column, ...],
    *,
    disjunctive: frozenset[str] = frozenset(),
    forbidden: Callable[[str], bool] = _nothing,
    prefix: str = "",
) -> Query:
    """All the clauses of a request; what cannot be answered correctly is an error."""
    scope = Scope(columns, request.timezone, request.lang, forbidden=forbidden, prefix=prefix)
    conditions = [clauses.where(text, scope) for text in request.many("where")]
    conditions += facet_conditions(request, scope, disjunctive)
    where = " AND ".join(conditions) or "true"
    keys = tuple(k for text in request.many("group_by") for k in clauses.group_by(text, scope))
    query = Query(relation, (), where)
    return _grouped(request, scope, query, keys) if keys else _ungrouped(request, scope, query)


def _ungrouped(request: Request, scope: Scope, query: Query) -> Query:
    selection = clauses.select(_joined(request, "select"), replace(scope, forbidden=_nothing))
    scope = scope.aliased(selection.columns)
    order = _order(request, scope)
    columns = selection.columns
    if selection.aggregated:
        # A bare field beside an aggregate is any of its values: there is one group.
        columns = tuple(c if "(" in c.sql else c.with_sql(f"any_value({c.sql})") for c in columns)
        order = ()
    return replace(query, columns=columns, order=order, aggregated=selection.aggregated)


def _grouped(request: Request, scope: Scope, query: Query, keys: tuple[Column, ...]) -> Query:
    multivalued = [key for key in keys if key.multivalued]
    relation = query.relation
    if multivalued:
        # A row is in the group of each of its values; without values, in the null group.
        spread = ", ".join(
            f"unnest(CASE WHEN len(coalesce({key.sql}, [])) = 0 THEN [NULL] ELSE {key.sql} END)"
            f" AS u{i}"
            for i, key in enumerate(multivalued)
        )
        relation = f"(SELECT r.*, {spread} FROM {relation} AS r WHERE {query.where})"
        query = replace(query, relation=relation, where="true")
        names = {key.name: f"r.u{i}" for i, key in enumerate(multivalued)}
        keys = tuple(
            replace(key, sql=names[key.name], multivalued=False) if key.multivalued else key
            for key in keys
        )
    scope = scope.aliased(keys)
    text = _joined(request, "select")
    chosen = clauses.select(text, scope).columns if text and text.strip() != "*" else ()
    taken = {key.name for key in keys} | {key.sql for key in keys}
    columns = keys + tuple(c for c in chosen if c.name not in taken and c.sql not in taken)
    order = _order(request, scope.aliased(columns)) or tuple(
        f"{key.sql} NULLS FIRST" for key in keys
    )
    return replace(query, columns=columns, keys=keys, order=order, grouped=True)


def _joined(request: Request, name: str) -> str | None:
    return ", ".join(request.many(name)) or None


def _order(request: Request, scope: Scope) -> tuple[str, ...]:
    text = _joined(request, "order_by")
    return clauses.order_by(text, scope) if text else ()


DATE_LEVELS = ("%Y", "%Y/%m", "%Y/%m/%d")


def facet_values(request: Request, name: str) -> list[tuple[str, str]]:
    """The facet names and values of a parameter."""
    found = []
    for text in request.many(name):
        field, colon, value = text.partition(":")
        if not colon:
            raise invalid_parameter(name, text, f"{name}=<FACETNAME>:<FACETVALUE> is expected")
        found.append((field.strip(), value.strip().strip('"')))
    return found


def facet_conditions(request: Request, scope: Scope, disjunctive: frozenset[str]) -> list[str]:
    """Conditions of refine and exclude; values of a disjunctive facet are alternatives."""
    refined: dict[str, list[str]] = {}
    for name, value in facet_values(request, "refine"):
        refined.setdefault(name, []).append(_condition(scope, "refine", name, value))
    refined_conditions = [
        f"({(' OR ' if name in disjunctive else ' AND ').join(conditions)})"
        for name, conditions in refined.items()
    ]
    excluded = facet_values(request, "exclude")
    return refined_conditions + [f"(NOT {_condition(scope, 'exclude', n, v)})" for n, v in excluded]


def _condition(scope: Scope, clause: str, name: str, value: str) -> str:
    column = scope.find(name)
    if column is None:
        raise odsql_error(f"Unknown field: {name}.", clause)
    return f"coalesce({_equals(column, value, scope)}, false)"


def _equals(column: Column, value: str, scope: Scope) -> str:
    if column.multivalued:
        return f"list_contains({column.sql}, {sql_text(value)})"
    if column.type in ("date", "datetime"):
        time = functions.local_time(column, scope)
        level = DATE_LEVELS[min(value.replace("-", "/").count("/"), 2)]
        return f"strftime({time}, '{level}') = {sql_text(value.replace('-', '/'))}"
    if column.type in ("int", "double"):
        return f"{column.sql} = TRY_CAST({sql_text(value)} AS DOUBLE)"
    return f"({column.sql})::VARCHAR = {sql_text(value)}"


def json_rows(store: Store, query: Query, timezone: str) -> Iterator[dict[str, Any]]:
    """One dictionary per row, every selected key present."""
    columns = query.outer()
    names = [column.name for column in columns]
    wraps = [JSON_CONVERTERS.get(column.type) for column in columns]
    batches = store.batches(query.select([json_value(c, timezone) for c in columns]))

    def rows() -> Iterator[dict[str, Any]]:
        for batch in batches:
            values = [batch.column(i).to_pylist() for i in range(len(names))]
            for i, wrap in enumerate(wraps):
                if wrap:
                    values[i] = [wrap(value) for value in values[i]]
            if not names:
                yield from ({} for _ in range(batch.num_rows))
            for row in zip(*values, strict=True):
                yield dict(zip(names, row, strict=True))

    return rows()
