"""The catalog endpoints: datasets in pages or in one piece, links and facets."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from ods_pipeline.emulator.datasets.dataset import Dataset
from ods_pipeline.emulator.datasets.state import State
from ods_pipeline.emulator.explore import facets
from ods_pipeline.emulator.explore.catalog_table import (
    UNFILTERED,
    CatalogTable,
    catalog_table,
    keys,
)
from ods_pipeline.emulator.explore.exports.csv import Dialect, header
from ods_pipeline.emulator.explore.odsql.scope import Scope
from ods_pipeline.emulator.explore.query import Query, compiled
from ods_pipeline.emulator.explore.records import exported, paged
from ods_pipeline.emulator.explore.rows import dictionaries
from ods_pipeline.emulator.http.errors import unknown_uri
from ods_pipeline.emulator.http.reply import COMMON, JSON, Reply, as_json, of_document, of_file
from ods_pipeline.emulator.http.request import Request

CLAUSES = ("where", "select", "order_by", "group_by", "refine", "exclude")
MOMENTS = ("modified", "data_processed", "metadata_processed")
FORMATS = ("csv", "json")
DEFAULT_FACETS = ("features", "default.theme", "default.keyword")


class Catalog:
    """The datasets of a state as the API lists them; what is costly is kept until they change."""

    def __init__(self, state: State):
        """Look at a state."""
        self.state = state
        self._table: tuple[int, CatalogTable] | None = None
        self._export: tuple[int, bytes] | None = None

    def table(self) -> CatalogTable:
        """The catalog as a relation, made when first asked for."""
        with self.state.lock:
            version = self.state.version
            if self._table is None or self._table[0] != version:
                datasets = self.state.datasets()
                self._table = (version, catalog_table(self.state.store, datasets))
            return self._table[1]

    def _compiled(self, request: Request) -> tuple[CatalogTable, Query]:
        table = self.table()
        query = compiled(
            request,
            table.relation,
            table.columns,
            forbidden=UNFILTERED.__contains__,
            prefix="default.",
        )
        return table, query

    def page(self, request: Request) -> Reply:
        """GET /catalog/datasets."""
        table, query = self._compiled(request)
        query = paged(request, query)
        results = self._results(request, table, query)
        if query.grouped:
            return of_document({"results": results})
        total = self.state.store.number(query.matching())
        return of_document({"total_count": total, "results": results})

    def _results(self, request: Request, table: CatalogTable, query: Query) -> list[Any]:
        if query.grouped or request.one("select"):
            return list(dictionaries(self.state.store, query, request.timezone))
        chosen = replace(query, columns=(table.position,))
        rows = dictionaries(self.state.store, chosen, "UTC")
        return [shown(request, table.datasets[row["\0position"]]) for row in rows]

    def one(self, request: Request, dataset: Dataset) -> Reply:
        """GET /catalog/datasets/{id}."""
        if not request.one("select"):
            return of_document(shown(request, dataset))
        table, query = self._compiled(request)
        place = table.datasets.index(dataset)
        query = replace(query, where=f"{table.position.sql} = {place}")
        return of_document(next(iter(dictionaries(self.state.store, query, request.timezone))))

    def export(self, request: Request, name: str) -> Reply:
        """GET /catalog/exports/{format}."""
        if name not in FORMATS:
            raise unknown_uri()
        asked = {key for key, _ in request.pairs}
        if name == "json" and not asked & {*CLAUSES, "limit", "offset"} and _utc(request):
            return self._whole(request)
        table, query = self._compiled(request)
        query = exported(request, query)
        if name == "json":
            body = json.dumps(self._results(request, table, query)).encode()
            return of_file("datasets.json", JSON, [body])
        return of_file("datasets.csv", "text/csv; charset=utf-8", self._csv(request, table, query))

    def _whole(self, request: Request) -> Reply:
        """The whole catalog, packed once per version."""
        with self.state.lock:
            version = self.state.version
            if self._export is None or self._export[0] != version:
                documents = [dataset.document() for dataset in self.state.datasets()]
                self._export = (version, _packed(as_json(documents)))
            packed = self._export[1]
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers = (
                ("content-disposition", 'attachment; filename="datasets.json"'),
                ("content-encoding", "gzip"),
                *COMMON,
            )
            return Reply(200, [packed], JSON, headers, zippable=False)
        return of_file("datasets.json", JSON, [zlib.decompress(packed, 31)])

    def _csv(self, request: Request, table: CatalogTable, query: Query) -> Iterator[bytes]:
        chosen = replace(query, columns=(table.position,))
        rows = dictionaries(self.state.store, chosen, "UTC")
        datasets = [table.datasets[row["\0position"]] for row in rows]
        return dotted(datasets, Dialect.of(request))

    def exports(self, request: Request) -> Reply:
        """GET /catalog/exports."""
        home = f"{request.root}/catalog/exports"
        links = [{"rel": "self", "href": home}]
        links += [{"rel": name, "href": f"{home}/{name}"} for name in FORMATS]
        return of_document({"links": links})

    def facets(self, request: Request) -> Reply:
        """GET /catalog/facets."""
        table, query = self._compiled(request)
        scope = Scope(table.columns, request.timezone, request.lang, prefix="default.")
        custom = tuple(c.name for c in table.columns if c.multivalued and c.name[:7] == "custom.")
        names = [n for n in (*DEFAULT_FACETS, *custom) if scope.find(n)]
        short = [name.removeprefix("default.") for name in names]
        defaults = {} if request.many("facet") else {n: facets.Facet(n, "alphanum") for n in short}
        found = facets.enumerated(
            self.state.store, query, query, scope, facets.asked(request, defaults)
        )
        links = [
            {"rel": "self", "href": f"{request.root}/catalog/facets"},
            {"rel": "source", "href": f"{request.root}/catalog"},
        ]
        return of_document({"links": links, "facets": found})


def _utc(request: Request) -> bool:
    return request.timezone == "UTC"


def _packed(body: bytes) -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    return packer.compress(body) + packer.flush()


def shown(request: Request, dataset: Dataset) -> dict[str, Any]:
    """A dataset object with what the request adds to it."""
    document = dataset.document()
    if not _utc(request):
        document["metas"]["default"] |= _local(document["metas"]["default"], request.timezone)
    if request.flag("include_app_metas", False):
        document["metas"]["explore"] = {"download_count": 0, "api_call_count": 0}
    if request.flag("include_links", False):
        document = {"_links": _links(request, dataset), **document}
    return document


def _local(values: dict[str, Any], timezone: str) -> dict[str, str]:
    moments = {name: values[name] for name in MOMENTS if values.get(name)}
    zone = ZoneInfo(timezone)
    return {n: datetime.fromisoformat(v).astimezone(zone).isoformat() for n, v in moments.items()}


def _links(request: Request, dataset: Dataset) -> list[dict[str, str]]:
    home = f"{request.root}/catalog/datasets"
    own = f"{home}/{dataset.dataset_id}"
    links = [{"rel": "self", "href": own}, {"rel": "datasets", "href": home}]
    parts = ("records", "exports", "facets", "attachments")
    return links + [{"rel": part, "href": f"{own}/{part}"} for part in parts]


def dotted(datasets: Sequence[Dataset], dialect: Dialect) -> Iterator[bytes]:
    """The lossy CSV of the catalog: metadata under dotted names, ``datasetid`` last."""
    names = keys(datasets)
    plain = replace(dialect, with_bom=False)
    yield header([*(f"{t}.{n}" for t, n in names), "datasetid"], dialect)
    for dataset in datasets:
        values = [_cell(dataset.metas.get(t, {}).get(n), dialect) for t, n in names]
        yield header([*values, dataset.dataset_id], plain)


def _cell(value: Any, dialect: Dialect) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return dialect.list_separator.join(map(str, value))
    if isinstance(value, dict):
        return json.dumps(value.get("geometry", value))
    return str(value)
