"""Which path is which endpoint; a failing query is the portal's error, not ours."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import unquote

import duckdb

from ods_pipeline.emulator.datasets.state import State
from ods_pipeline.emulator.explore import details, exports, other_apis, records
from ods_pipeline.emulator.explore.catalog import Catalog
from ods_pipeline.emulator.http.errors import odsql_error, unknown_uri
from ods_pipeline.emulator.http.reply import Reply
from ods_pipeline.emulator.http.request import PREFIX, Request
from ods_pipeline.emulator.wfs import service
from ods_pipeline.emulator.wfs.xml import PATH as WFS

DATASET = {
    "records": records.page,
    "exports": exports.links,
    "facets": details.enumeration,
    "attachments": details.attachments,
}


def answer(request: Request, state: State, catalog: Catalog) -> Reply:
    """The reply to a request of the API, or of the WFS."""
    if request.path == WFS:
        return service.reply(request, state)
    if state.quirks.dialect:
        return other_apis.answer(request, state)
    reply = _answered(request, state, catalog)
    warning = state.quirks.deprecation
    told = (("ODS-Explore-API-Deprecation", warning),) if warning else ()
    return replace(reply, headers=(*told, *reply.headers))


def _answered(request: Request, state: State, catalog: Catalog) -> Reply:
    if not request.path.startswith(PREFIX + "/"):
        raise unknown_uri()
    parts = [unquote(p) for p in request.path[len(PREFIX) :].strip("/").split("/")]
    try:
        return _routed(request, state, catalog, parts)
    except duckdb.InterruptException:
        raise
    except duckdb.Error as error:
        # What compiles here and fails in the engine is a mixture that ODSQL forbids.
        reason = str(error).splitlines()[0].partition(": ")[2]
        raise odsql_error(f"{reason}.", "select") from error


def _routed(request: Request, state: State, catalog: Catalog, parts: list[str]) -> Reply:
    match parts:
        case ["catalog", "datasets"]:
            return catalog.page(request)
        case ["catalog", "exports"]:
            return catalog.exports(request)
        case ["catalog", "exports", name]:
            return catalog.export(request, name)
        case ["catalog", "facets"]:
            return catalog.facets(request)
        case ["catalog", "datasets", dataset_id]:
            return catalog.one(request, state.dataset(dataset_id))
        case ["catalog", "datasets", dataset_id, *rest]:
            return _of_dataset(request, state, dataset_id, rest)
    raise unknown_uri()


def _of_dataset(request: Request, state: State, dataset_id: str, rest: list[str]) -> Reply:
    dataset = state.dataset(dataset_id)
    match rest:
        case [endpoint] if endpoint in DATASET:
            return DATASET[endpoint](request, state, dataset)
        case ["records", identifier]:
            return records.one(request, state, dataset, identifier)
        case ["exports", name]:
            return exports.export(request, state, dataset, name)
    raise unknown_uri()
