"""The ``records`` endpoints, and the limits that the API sets to pages and exports.

The clauses of a request are compiled elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ods_pipeline.emulator.datasets.dataset import Column, Dataset
from ods_pipeline.emulator.datasets.formatting import sql_text
from ods_pipeline.emulator.datasets.state import State
from ods_pipeline.emulator.explore.query import Query, compile_query, json_rows
from ods_pipeline.emulator.http.errors import api_error, forbidden, invalid_parameter
from ods_pipeline.emulator.http.reply import Reply, as_json, json_reply
from ods_pipeline.emulator.http.request import Request

MAX_LIMIT, MAX_RECORDS, MAX_GROUPS = 100, 10_000, 20_000


def with_page_limits(request: Request, query: Query) -> Query:
    """The query with the page that is requested, within the limits of the API."""
    max_limit, max_end = (MAX_GROUPS, MAX_GROUPS) if query.grouped else (MAX_LIMIT, MAX_RECORDS)
    limit = request.integer("limit", 10, -1, max_limit)
    offset = request.integer("offset", 0, 0)
    limit = max_limit if limit == -1 else limit
    if offset + limit > max_end:
        expected = f"<= {max_end} is expected"
        raise invalid_parameter("sum of offset + limit", offset + limit, expected)
    return replace(query, limit=limit, offset=offset)


def with_export_limits(request: Request, query: Query) -> Query:
    """The query with an export's limit, if any. Its offset is undocumented and bounded."""
    limit = request.integer("limit", -1, -1)
    offset = request.integer("offset", 0, 0)
    if offset and (limit == -1 or offset + limit > MAX_RECORDS):
        expected = f"<= {MAX_RECORDS} is expected"
        raise invalid_parameter("sum of offset + limit", offset + limit, expected)
    return replace(query, limit=limit, offset=offset)


def record_id(dataset: Dataset) -> str:
    """SQL for the identifier of a record: a hash of all its values."""
    values = ", ".join(f"({column.sql})::VARCHAR" for column in dataset.columns())
    return f"sha1(concat_ws('|', {values}))"


def disjunctive_facets(dataset: Dataset) -> frozenset[str]:
    """The facets whose values are alternatives."""
    marked = (f for f in dataset.fields if f.annotations.get("disjunctive") not in (None, False))
    return frozenset(field.name for field in marked)


def dataset_query(request: Request, dataset: Dataset) -> Query:
    """The clauses of a request over the records of a dataset."""
    return compile_query(
        request, dataset.relation, dataset.columns(), disjunctive=disjunctive_facets(dataset)
    )


def records(request: Request, state: State, dataset: Dataset) -> Reply:
    """GET …/records."""
    if not dataset.data_visible:
        raise forbidden()
    query = with_page_limits(request, dataset_query(request, dataset))
    if query.grouped:
        groups = list(json_rows(state.store, query, request.timezone))
        return json_reply({"results": groups})
    total = state.store.number(query.matching())
    if query.aggregated:
        results = _aggregates(request, state, query, total)
    else:
        results = list(_records(request, state, dataset, query))
    return Reply(200, [as_json({"total_count": total, "results": results})])


def _aggregates(request: Request, state: State, query: Query, total: int) -> list[dict[str, Any]]:
    """Aggregates without groups are repeated for every record of the page, as on real portals."""
    single_record = replace(query, limit=1, offset=0)
    row = list(json_rows(state.store, single_record, request.timezone))
    return row * max(0, min(query.limit, total - query.offset))


def _records(
    request: Request, state: State, dataset: Dataset, query: Query
) -> Iterator[dict[str, Any]]:
    links = request.flag("include_links", False)
    app = request.flag("include_app_metas", False)
    identified = replace(
        query, columns=(*query.columns, Column("\0id", "text", record_id(dataset)))
    )
    chosen = identified if links or app else query
    for row in json_rows(state.store, chosen, request.timezone):
        found = row.pop("\0id", "")
        added: dict[str, Any] = {}
        if links:
            added["_links"] = _links(request, dataset, found)
        if app:
            timestamp = dataset.metas["default"].get("data_processed")
            added |= {"_id": found, "_timestamp": timestamp, "_size": len(as_json(row))}
        yield added | row


def _links(request: Request, dataset: Dataset, identifier: str) -> list[dict[str, str]]:
    home = f"{request.root}/catalog/datasets"
    return [
        {"rel": "self", "href": f"{home}/{dataset.dataset_id}/records/{identifier}"},
        {"rel": "datasets", "href": home},
        {"rel": "dataset", "href": f"{home}/{dataset.dataset_id}"},
    ]


def single_record(request: Request, state: State, dataset: Dataset, identifier: str) -> Reply:
    """GET …/records/{record_id}."""
    if not dataset.data_visible:
        raise forbidden()
    query = dataset_query(request, dataset)
    where = f"{record_id(dataset)} = {sql_text(identifier)}"
    query = replace(query, where=where, limit=1)
    rows = list(json_rows(state.store, query, request.timezone))
    if not rows:
        message = f"The requested record {identifier} does not exist."
        raise api_error(404, "NotFoundResource", message)
    return json_reply(rows[0])
