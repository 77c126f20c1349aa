"""A request's clauses over a relation, as one SQL query; writing its rows is not done here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ods_pipeline.emulator.datasets.dataset import Column
from ods_pipeline.emulator.explore.facet_filters import refinements
from ods_pipeline.emulator.explore.odsql import clauses
from ods_pipeline.emulator.explore.odsql.scope import Scope
from ods_pipeline.emulator.http.request import Request


@dataclass(frozen=True)
class Query:
    """A relation, filtered, grouped, sorted and cut."""

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
        return tuple(c.at(f"q.x{i}") for i, c in enumerate(self.columns))

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

    def written(self, expressions: list[str]) -> str:
        """SQL for expressions over the rows, in their order."""
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


def compiled(
    request: Request,
    relation: str,
    columns: tuple[Column, ...],
    *,
    disjunctive: frozenset[str] = frozenset(),
    forbidden: Callable[[str], bool] = _nothing,
    prefix: str = "",
) -> Query:
    """All the clauses of a request; whatever can not be answered truly is an error."""
    scope = Scope(columns, request.timezone, request.lang, forbidden=forbidden, prefix=prefix)
    conditions = [clauses.where(text, scope) for text in request.many("where")]
    conditions += refinements(request, scope, disjunctive)
    where = " AND ".join(conditions) or "true"
    keys = tuple(k for text in request.many("group_by") for k in clauses.group_by(text, scope))
    query = Query(relation, (), where)
    return _grouped(request, scope, query, keys) if keys else _plain(request, scope, query)


def _plain(request: Request, scope: Scope, query: Query) -> Query:
    selection = clauses.select(_joined(request, "select"), replace(scope, forbidden=_nothing))
    scope = scope.aliased(selection.columns)
    order = _order(request, scope)
    columns = selection.columns
    if selection.aggregated:
        # A bare field beside an aggregate is any of its values: there is one group.
        columns = tuple(c if "(" in c.sql else c.at(f"any_value({c.sql})") for c in columns)
        order = ()
    return replace(query, columns=columns, order=order, aggregated=selection.aggregated)


def _grouped(request: Request, scope: Scope, query: Query, keys: tuple[Column, ...]) -> Query:
    lists = [key for key in keys if key.multivalued]
    relation = query.relation
    if lists:
        # A row is in the group of each of its values; without values, in the null group.
        spread = ", ".join(
            f"unnest(CASE WHEN len(coalesce({key.sql}, [])) = 0 THEN [NULL] ELSE {key.sql} END)"
            f" AS u{i}"
            for i, key in enumerate(lists)
        )
        relation = f"(SELECT r.*, {spread} FROM {relation} AS r WHERE {query.where})"
        query = replace(query, relation=relation, where="true")
        names = {key.name: f"r.u{i}" for i, key in enumerate(lists)}
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
