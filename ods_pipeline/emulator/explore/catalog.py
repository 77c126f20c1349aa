"""The catalog endpoints: datasets in pages or as an export, their links, facets and attachments.

The rows of datasets do not belong here.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import replace
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any
from zoneinfo import ZoneInfo

from ods_pipeline.emulator.datasets.dataset import Dataset
from ods_pipeline.emulator.datasets.state import State
from ods_pipeline.emulator.explore import catalog_exports, facets
from ods_pipeline.emulator.explore.catalog_table import (
    SELECT_ONLY,
    CatalogTable,
    catalog_table,
)
from ods_pipeline.emulator.explore.exports import with_rows_missing
from ods_pipeline.emulator.explore.odsql.scope import Scope
from ods_pipeline.emulator.explore.query import Query, compile_query, json_rows
from ods_pipeline.emulator.explore.records import with_export_limits, with_page_limits
from ods_pipeline.emulator.http.errors import unknown_uri
from ods_pipeline.emulator.http.reply import (
    COMMON_HEADERS,
    JSON,
    Reply,
    as_json,
    file_reply,
    gzip_stream,
    json_reply,
)
from ods_pipeline.emulator.http.request import Request

CLAUSES = ("where", "select", "order_by", "group_by", "refine", "exclude")
MOMENTS = ("modified", "data_processed", "metadata_processed")
DEFAULT_FACETS = ("features", "default.theme", "default.keyword")


class Catalog:
    """The catalog of some datasets; its table and export are kept until the datasets change."""

    def __init__(self, state: State):
        """List the datasets of a state."""
        self.state = state
        self._table: tuple[int, CatalogTable] | None = None
        self._export: tuple[int, bytes] | None = None

    def table(self) -> CatalogTable:
        """The catalog as a table, made when it is first needed."""
        with self.state.lock:
            version = self.state.version
            if self._table is None or self._table[0] != version:
                datasets = self.state.datasets()
                identifier = "datasetid" if self.state.quirks.dialect else "dataset_id"
                table = catalog_table(self.state.store, datasets, identifier)
                self._table = (version, table)
            return self._table[1]

    def _compiled(self, request: Request) -> tuple[CatalogTable, Query]:
        table = self.table()
        query = compile_query(
            request,
            table.relation,
            table.columns,
            forbidden=SELECT_ONLY.__contains__,
            prefix="default.",
        )
        return table, query

    def page(self, request: Request) -> Reply:
        """GET /catalog/datasets."""
        table, query = self._compiled(request)
        query = with_page_limits(request, query)
        results = self._results(request, table, query)
        if query.grouped:
            return json_reply({"results": results})
        total = self.state.store.number(query.matching())
        return json_reply({"total_count": total, "results": results})

    def _results(self, request: Request, table: CatalogTable, query: Query) -> list[Any]:
        if query.grouped or request.one("select"):
            return list(json_rows(self.state.store, query, request.timezone))
        chosen = replace(query, columns=(table.position,))
        rows = json_rows(self.state.store, chosen, "UTC")
        return [dataset_document(request, table.datasets[row["\0position"]]) for row in rows]

    def one(self, request: Request, dataset: Dataset) -> Reply:
        """GET /catalog/datasets/{id}."""
        if not request.one("select"):
            return json_reply(dataset_document(request, dataset))
        table, query = self._compiled(request)
        position = table.datasets.index(dataset)
        query = replace(query, where=f"{table.position.sql} = {position}")
        return json_reply(next(iter(json_rows(self.state.store, query, request.timezone))))

    def export(self, request: Request, name: str) -> Reply:
        """GET /catalog/exports/{format}."""
        if name not in self._formats():
            raise unknown_uri()
        given = {key for key, _ in request.pairs}
        if name == "json" and not given & {*CLAUSES, "limit", "offset"} and _in_utc(request):
            return self._whole(request)
        table, query = self._compiled(request)
        query = with_export_limits(request, query)
        if name == "json":
            body = json.dumps(self._results(request, table, query)).encode()
            return file_reply("datasets.json", JSON, [body])
        query = with_rows_missing(request, self.state, query)
        chosen = replace(query, columns=(table.position,))
        rows = json_rows(self.state.store, chosen, "UTC")
        datasets = [table.datasets[row["\0position"]] for row in rows]
        return catalog_exports.reply(request, datasets, name)

    @staticmethod
    def _formats() -> list[str]:
        return sorted(["json", *catalog_exports.formats()])

    def _whole(self, request: Request) -> Reply:
        """The whole catalog, compressed once per version."""
        with self.state.lock:
            version = self.state.version
            if self._export is None or self._export[0] != version:
                documents = [dataset.document() for dataset in self.state.datasets()]
                self._export = (version, b"".join(gzip_stream([as_json(documents)])))
            compressed = self._export[1]
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers = (
                ("content-disposition", 'attachment; filename="datasets.json"'),
                ("content-encoding", "gzip"),
                *COMMON_HEADERS,
            )
            return Reply(200, [compressed], JSON, headers, compressible=False)
        return file_reply("datasets.json", JSON, [zlib.decompress(compressed, 31)])

    def exports(self, request: Request) -> Reply:
        """GET /catalog/exports."""
        home = f"{request.root}/catalog/exports"
        links = [{"rel": "self", "href": home}]
        links += [{"rel": name, "href": f"{home}/{name}"} for name in self._formats()]
        return json_reply({"links": links})

    def facets(self, request: Request) -> Reply:
        """GET /catalog/facets."""
        table, query = self._compiled(request)
        scope = Scope(table.columns, request.timezone, request.lang, prefix="default.")
        custom = tuple(c.name for c in table.columns if c.multivalued and c.name[:7] == "custom.")
        names = [n for n in (*DEFAULT_FACETS, *custom) if scope.find(n)]
        short = [name.removeprefix("default.") for name in names]
        defaults = {} if request.many("facet") else {n: facets.Facet(n, "alphanum") for n in short}
        found = facets.count_facets(
            self.state.store, query, query, scope, facets.requested_facets(request, defaults)
        )
        links = [
            {"rel": "self", "href": f"{request.root}/catalog/facets"},
            {"rel": "source", "href": f"{request.root}/catalog"},
        ]
        return json_reply({"links": links, "facets": found})


def _in_utc(request: Request) -> bool:
    return request.timezone == "UTC"


def dataset_document(request: Request, dataset: Dataset) -> dict[str, Any]:
    """A dataset object, with the parts that a request may add."""
    document = dataset.document()
    if not _in_utc(request):
        document["metas"]["default"] |= _local_dates(document["metas"]["default"], request.timezone)
    if request.flag("include_app_metas", False):
        document["metas"]["explore"] = {"download_count": 0, "api_call_count": 0}
    if request.flag("include_links", False):
        document = {"_links": _links(request, dataset), **document}
    return document


def _local_dates(values: dict[str, Any], timezone: str) -> dict[str, str]:
    moments = {name: values[name] for name in MOMENTS if values.get(name)}
    zone = ZoneInfo(timezone)
    return {n: datetime.fromisoformat(v).astimezone(zone).isoformat() for n, v in moments.items()}


def _links(request: Request, dataset: Dataset) -> list[dict[str, str]]:
    home = f"{request.root}/catalog/datasets"
    own = f"{home}/{dataset.dataset_id}"
    links = [{"rel": "self", "href": own}, {"rel": "datasets", "href": home}]
    parts = ("records", "exports", "facets", "attachments")
    return links + [{"rel": part, "href": f"{own}/{part}"} for part in parts]


def dataset_attachments(request: Request, _: State, dataset: Dataset) -> Reply:
    """GET …/attachments."""
    home = f"{request.root}/catalog/datasets/{dataset.dataset_id}/attachments"
    attachments = [
        {
            "href": f"{home}/{attached['id']}",
            "metas": {"mime-type": attached.get("mimetype"), "title": attached.get("title")},
        }
        for attached in dataset.attachments
    ]
    return json_reply({"links": [{"rel": "self", "href": home}], "attachments": attachments})


class VisibleCatalogs:
    """The catalogs that callers with different rights see, each kept until a dataset changes."""

    def __init__(self, state: State):
        """None yet."""
        self._state = state
        self._version = -1
        self._catalogs: dict[tuple[str, ...], Catalog] = {}

    def visible_to(self, globs: tuple[str, ...]) -> Catalog:
        """The catalog for callers who may see the private datasets that match these globs."""
        with self._state.lock:
            if self._version != self._state.version:
                self._version, self._catalogs = self._state.version, {}
            if globs not in self._catalogs:
                visible = self._state.visible_to(
                    lambda name: any(fnmatchcase(name, glob) for glob in globs)
                )
                self._catalogs[globs] = Catalog(visible)
            return self._catalogs[globs]
