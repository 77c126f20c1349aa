"""Explore API v2.0, as recorded in 2021: the endpoints of v2.1 at older paths, in older shapes.

APIs that are no older versions of this one do not belong here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import unquote

from ods_pipeline.emulator.datasets.dataset import Dataset
from ods_pipeline.emulator.explore import exports, facets, records
from ods_pipeline.emulator.explore.catalog import Catalog, dataset_attachments
from ods_pipeline.emulator.http.errors import unknown_uri
from ods_pipeline.emulator.http.reply import Reply, json_reply
from ods_pipeline.emulator.http.request import Request

PREFIXES = ("/api/explore/v2.0", "/api/v2")
#: Of the OpenAPI of 2022, but for xls, which nothing here writes.
FORMATS = ("json", "geojson", "shp", "csv", "jsonl", "jsonld", "rdfxml", "turtle", "n3")
CATALOG_FORMATS = ("json", "csv", "rdf", "ttl", "data.json", "rss", "dcat")
_Links = Sequence[Mapping[str, str]]


def answer(request: Request, catalog: Catalog) -> Reply:
    """The reply of a portal that has v2.0 alone."""
    prefix = next((p for p in PREFIXES if request.path.startswith(p + "/")), None)
    if prefix is None:
        raise unknown_uri()
    request = replace(request, prefix=prefix)
    parts = [unquote(part) for part in request.path[len(prefix) :].strip("/").split("/")]
    match parts:
        case ["catalog", "datasets"]:
            return _datasets(request, catalog)
        case ["catalog", "facets"]:
            return catalog.facets(request)
        case ["catalog", "exports"]:
            return _offered(catalog.exports(request), CATALOG_FORMATS)
        case ["catalog", "exports", name] if name in CATALOG_FORMATS:
            return _catalog_export(request, catalog, name)
        case ["catalog", "datasets", dataset_id, *rest]:
            return _dataset(request, catalog, catalog.state.dataset(dataset_id), rest)
    raise unknown_uri()


def _datasets(request: Request, catalog: Catalog) -> Reply:
    home = f"{request.root}/catalog/datasets"
    page = _document(catalog.page(_in_page(request)))
    links = [{"rel": rel, "href": home} for rel in ("self", "first", "last")]
    wrapped = [_wrapped(request, document) for document in page["results"]]
    total = {"total_count": page["total_count"]} if "total_count" in page else {}
    return json_reply({**total, "links": links, "datasets": wrapped})


def _in_page(request: Request) -> Request:
    """The request; the recorded links have a `limit` for what the first documents call `rows`."""
    renamed = {"rows": "limit", "start": "offset"}
    return replace(request, pairs=tuple((renamed.get(k, k), v) for k, v in request.pairs))


def _wrapped(request: Request, document: dict[str, Any]) -> dict[str, Any]:
    """A dataset with its links; what was selected of one has none of its own."""
    if "dataset_id" not in document:
        return {"links": [], "dataset": document}
    home = f"{request.root}/catalog/datasets"
    own = f"{home}/{document['dataset_id']}"
    parts = ("records", "exports", "aggregates", "facets")
    links = [{"rel": "self", "href": own}, {"rel": "datasets", "href": home}]
    links += [{"rel": part, "href": f"{own}/{part}"} for part in parts]
    return {"links": links, "dataset": _with_lists(document)}


def _with_lists(document: dict[str, Any]) -> dict[str, Any]:
    """Annotations were lists then, empty where only their presence counts."""
    for declared in document.get("fields", []):
        values = declared["annotations"].items()
        declared["annotations"] = {k: _listed(v) for k, v in values if v is not False}
    return document


def _listed(value: Any) -> list[Any]:
    return [] if value is True else value if isinstance(value, list) else [value]


def _dataset(request: Request, catalog: Catalog, dataset: Dataset, rest: list[str]) -> Reply:
    state = catalog.state
    match rest:
        case []:
            return json_reply(_wrapped(request, _document(catalog.one(request, dataset))))
        case ["records"]:
            return _records(request, catalog, dataset)
        case ["records", identifier]:
            found = records.single_record(request, state, dataset, identifier)
            return json_reply({"links": [], "record": {"fields": _fields(_document(found))}})
        case ["facets"]:
            return facets.facets(request, state, dataset)
        case ["attachments"]:
            return dataset_attachments(request, state, dataset)
        case ["exports"]:
            return _offered(exports.links(request, state, dataset), FORMATS)
        case ["exports", name] if name in FORMATS:
            return exports.export(_in_export(request), state, dataset, name)
    raise unknown_uri()


def _in_export(request: Request) -> Request:
    """The request as v2.1 has it.

    Groups were no parameter then, and CSV began without a mark. UNCERTAIN: the OpenAPI of 2022
    names no other parameter of CSV, that of v2.1 says that v2.0 has them. That datetimes were
    numbers in GeoJSON is documented, and left out: no number was recorded.
    """
    pairs = [(k, v) for k, v in request.pairs if k != "group_by"]
    if not request.one("with_bom"):
        pairs.append(("with_bom", "false"))
    return replace(request, pairs=tuple(pairs))


def _catalog_export(request: Request, catalog: Catalog, name: str) -> Reply:
    """An export of the catalog. UNCERTAIN for JSON: whether it was wrapped then is not known."""
    chosen = replace(_in_export(request), headers={})
    reply = catalog.export(chosen, name)
    if name != "json":
        return reply
    documents = [_with_lists(document) for document in _document(reply)]
    return replace(reply, body=[json.dumps(documents).encode()])


def _records(request: Request, catalog: Catalog, dataset: Dataset) -> Reply:
    asked = (*_in_page(request).pairs, ("include_app_metas", "true"), ("include_links", "true"))
    page = _document(records.records(replace(request, pairs=asked), catalog.state, dataset))
    home = f"{request.root}/catalog/datasets/{dataset.dataset_id}"
    links = [{"rel": rel, "href": f"{home}/records"} for rel in ("self", "first", "last")]
    wrapped = [_record(row) for row in page["results"]]
    if not all("record" in each and "id" in each["record"] for each in wrapped):
        # As recorded: groups have neither links nor a count.
        return json_reply({"links": links, "records": wrapped})
    return json_reply({"total_count": page["total_count"], "links": links, "records": wrapped})


def _record(row: dict[str, Any]) -> dict[str, Any]:
    if "_id" not in row:
        return {"record": {"fields": _fields(row)}}
    links: _Links = row.pop("_links")
    moment = row.pop("_timestamp") or "1970-01-01T00:00:00+00:00"
    timestamp = datetime.fromisoformat(moment).strftime("%Y-%m-%dT%H:%M:%SZ")
    named = {"id": row.pop("_id"), "timestamp": timestamp, "size": row.pop("_size")}
    return {"links": links, "record": {**named, "fields": _fields(row)}}


def _fields(row: dict[str, Any]) -> dict[str, Any]:
    """The values, of points the latitude first."""
    return {
        name: {"lat": value["lat"], "lon": value["lon"]}
        if isinstance(value, dict) and value.keys() == {"lon", "lat"}
        else value
        for name, value in row.items()
    }


def _offered(reply: Reply, known: Sequence[str]) -> Reply:
    """A list of formats without those that came later."""
    found = _document(reply)
    others: Callable[[str], bool] = {"self", "dataset", *known}.__contains__
    found["links"] = [link for link in found["links"] if others(link["rel"])]
    return json_reply(found)


def _document(reply: Reply) -> Any:
    return json.loads(b"".join(bytes(piece) for piece in reply.body))
