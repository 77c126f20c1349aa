"""Which path is which endpoint of the APIs, and errors of the engine as errors of the API.

Login and the control API have routes of their own.
"""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import unquote

import duckdb

from ods_pipeline.emulator.datasets.state import State
from ods_pipeline.emulator.explore import exports, facets, files, older_api, other_apis, records
from ods_pipeline.emulator.explore.catalog import Catalog, dataset_attachments
from ods_pipeline.emulator.http.errors import odsql_error, unknown_uri
from ods_pipeline.emulator.http.reply import Reply
from ods_pipeline.emulator.http.request import PREFIX, Request
from ods_pipeline.emulator.wfs import service
from ods_pipeline.emulator.wfs.xml import WFS_PATH

DATASET_ENDPOINTS = {
    "records": records.records,
    "exports": exports.links,
    "facets": facets.facets,
    "attachments": dataset_attachments,
}


def answer(request: Request, catalog: Catalog) -> Reply:
    """The reply of the Explore API or the WFS, of which the caller may see this catalog."""
    state = catalog.state
    if request.path == WFS_PATH:
        return service.reply(request, state)
    if state.quirks.dialect in other_apis.APIS:
        return other_apis.answer(request, state)
    reply = _explore_reply(request, catalog)
    warning = state.quirks.deprecation
    deprecation = (("ODS-Explore-API-Deprecation", warning),) if warning else ()
    return replace(reply, headers=(*deprecation, *reply.headers))


def _explore_reply(request: Request, catalog: Catalog) -> Reply:
    try:
        if catalog.state.quirks.dialect:
            return older_api.answer(request, catalog)
        if not request.path.startswith(PREFIX + "/"):
            raise unknown_uri()
        parts = [unquote(p) for p in request.path[len(PREFIX) :].strip("/").split("/")]
        return _catalog_reply(request, catalog, parts)
    except duckdb.InterruptException:
        raise
    except duckdb.Error as error:
        # Types that ODSQL does not let mix are only noticed by the engine.
        reason = str(error).splitlines()[0].partition(": ")[2]
        raise odsql_error(f"{reason}.", "select") from error


def _catalog_reply(request: Request, catalog: Catalog, parts: list[str]) -> Reply:
    state = catalog.state
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
            return _dataset_reply(request, state, dataset_id, rest)
    raise unknown_uri()


def _dataset_reply(request: Request, state: State, dataset_id: str, rest: list[str]) -> Reply:
    dataset = state.dataset(dataset_id)
    match rest:
        case [endpoint] if endpoint in DATASET_ENDPOINTS:
            return DATASET_ENDPOINTS[endpoint](request, state, dataset)
        case ["records", identifier]:
            return records.single_record(request, state, dataset, identifier)
        case ["exports", name]:
            return exports.export(request, state, dataset, name)
        case [kind, name] if kind in files.KINDS:
            return files.file(request, state, dataset, f"{kind}/{name}")
    raise unknown_uri()
