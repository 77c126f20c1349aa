"""The ``records`` endpoints: pages of records, groups, and one record by its identifier."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ods_pipeline.emulator.datasets.dataset import Column, Dataset
from ods_pipeline.emulator.datasets.formatting import quoted
from ods_pipeline.emulator.datasets.state import State
from ods_pipeline.emulator.explore.query import Query, compiled
from ods_pipeline.emulator.explore.rows import dictionaries
from ods_pipeline.emulator.http.errors import coded, forbidden, invalid_parameter
from ods_pipeline.emulator.http.reply import Reply, as_json, of_document
from ods_pipeline.emulator.http.request import Request

PAGE, PAGES, GROUPS = 100, 10_000, 20_000


def paged(request: Request, query: Query) -> Query:
    """The page asked for, within the limits of the API."""
    most, deepest = (GROUPS, GROUPS) if query.grouped else (PAGE, PAGES)
    limit = request.integer("limit", 10, -1, most)
    offset = request.integer("offset", 0, 0)
    limit = most if limit == -1 else limit
    if offset + limit > deepest:
        expected = f"<= {deepest} is expected"
        raise invalid_parameter("sum of offset + limit", offset + limit, expected)
    return replace(query, limit=limit, offset=offset)


def exported(request: Request, query: Query) -> Query:
    """What an export asks for: all, or so many. Its offset is undocumented and bounded."""
    limit = request.integer("limit", -1, -1)
    offset = request.integer("offset", 0, 0)
    if offset and (limit == -1 or offset + limit > PAGES):
        expected = f"<= {PAGES} is expected"
        raise invalid_parameter("sum of offset + limit", offset + limit, expected)
    return replace(query, limit=limit, offset=offset)


def record_id(dataset: Dataset) -> str:
    """SQL for the identifier of a record: a hash of all its values."""
    values = ", ".join(f"({column.sql})::VARCHAR" for column in dataset.columns())
    return f"sha1(concat_ws('|', {values}))"


def disjunctive(dataset: Dataset) -> frozenset[str]:
    """The facets whose values are alternatives."""
    marked = (f for f in dataset.fields if f.annotations.get("disjunctive") not in (None, False))
    return frozenset(field.name for field in marked)


def over(request: Request, dataset: Dataset) -> Query:
    """The clauses of a request over the records of a dataset."""
    return compiled(request, dataset.relation, dataset.columns(), disjunctive=disjunctive(dataset))


def page(request: Request, state: State, dataset: Dataset) -> Reply:
    """GET …/records."""
    if not dataset.data_visible:
        raise forbidden()
    query = paged(request, over(request, dataset))
    if query.grouped:
        groups = list(dictionaries(state.store, query, request.timezone))
        return of_document({"results": groups})
    total = state.store.number(query.matching())
    if query.aggregated:
        results = _broadcast(request, state, query, total)
    else:
        results = list(_decorated(request, state, dataset, query))
    return Reply(200, [as_json({"total_count": total, "results": results})])


def _broadcast(request: Request, state: State, query: Query, total: int) -> list[dict[str, Any]]:
    """Aggregates without groups are repeated for every record of the page, as on real portals."""
    one = replace(query, limit=1, offset=0)
    row = list(dictionaries(state.store, one, request.timezone))
    return row * max(0, min(query.limit, total - query.offset))


def _decorated(
    request: Request, state: State, dataset: Dataset, query: Query
) -> Iterator[dict[str, Any]]:
    links = request.flag("include_links", False)
    app = request.flag("include_app_metas", False)
    identified = replace(
        query, columns=(*query.columns, Column("\0id", "text", record_id(dataset)))
    )
    chosen = identified if links or app else query
    for row in dictionaries(state.store, chosen, request.timezone):
        found = row.pop("\0id", "")
        head: dict[str, Any] = {}
        if links:
            head["_links"] = _links(request, dataset, found)
        if app:
            timestamp = dataset.metas["default"].get("data_processed")
            head |= {"_id": found, "_timestamp": timestamp, "_size": len(as_json(row))}
        yield head | row


def _links(request: Request, dataset: Dataset, identifier: str) -> list[dict[str, str]]:
    home = f"{request.root}/catalog/datasets"
    return [
        {"rel": "self", "href": f"{home}/{dataset.dataset_id}/records/{identifier}"},
        {"rel": "datasets", "href": home},
        {"rel": "dataset", "href": f"{home}/{dataset.dataset_id}"},
    ]


def one(request: Request, state: State, dataset: Dataset, identifier: str) -> Reply:
    """GET …/records/{record_id}."""
    if not dataset.data_visible:
        raise forbidden()
    query = over(request, dataset)
    where = f"{record_id(dataset)} = {quoted(identifier)}"
    query = replace(query, where=where, limit=1)
    rows = list(dictionaries(state.store, query, request.timezone))
    if not rows:
        message = f"The requested record {identifier} does not exist."
        raise coded(404, "NotFoundResource", message)
    return of_document(rows[0])
