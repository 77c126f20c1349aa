"""The ``exports`` endpoints of a dataset: its formats, and the rows that an export has.

How a format is written belongs to its own file.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ods_pipeline.emulator.datasets.dataset import Dataset
from ods_pipeline.emulator.datasets.state import State
from ods_pipeline.emulator.explore.exports import csv, json, parquet
from ods_pipeline.emulator.explore.query import Query
from ods_pipeline.emulator.explore.records import dataset_query, with_export_limits
from ods_pipeline.emulator.faults.row_faults import (
    changed_columns,
    mixed_versions,
    with_repeated_row,
)
from ods_pipeline.emulator.http.errors import forbidden, unknown_uri
from ods_pipeline.emulator.http.reply import JSON, Piece, Reply, file_reply, gzip_stream, json_reply
from ods_pipeline.emulator.http.request import Request

FORMATS = {
    "csv": "text/csv; charset=utf-8",
    "json": JSON,
    "jsonl": "application/jsonl; charset=utf-8",
    "geojson": "application/geo+json; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}


def formats_of(dataset: Dataset) -> list[str]:
    """The formats of a dataset: GeoJSON needs a geometry."""
    geographic = any(field.type.startswith("geo_") for field in dataset.fields)
    return [name for name in FORMATS if geographic or name != "geojson"]


def links(request: Request, _: State, dataset: Dataset) -> Reply:
    """GET …/exports."""
    home = f"{request.root}/catalog/datasets/{dataset.dataset_id}"
    found = [{"rel": "self", "href": f"{home}/exports"}, {"rel": "dataset", "href": home}]
    found += [{"rel": name, "href": f"{home}/exports/{name}"} for name in formats_of(dataset)]
    return json_reply({"links": found})


def export(request: Request, state: State, dataset: Dataset, name: str) -> Reply:
    """GET …/exports/{format}."""
    if name not in formats_of(dataset):
        raise unknown_uri()
    if not dataset.data_visible and name != "csv":
        raise forbidden()
    dataset = with_repeated_row(
        request.fault, state.store, mixed_versions(request, state.store, dataset)
    )
    query = with_export_limits(request, dataset_query(request, dataset))
    query = replace(query, columns=changed_columns(request.fault, query.columns))
    if not dataset.data_visible:
        # As a real portal does: 200 and a header, as if there were no rows.
        query = replace(query, limit=0)
    query = _with_rows_missing(request, state, query)
    body = _body(request, state, dataset, query, name)
    filename = f"{dataset.dataset_id}.{name}"
    if request.flag("compressed", False):
        compressed = gzip_stream(body)
        return file_reply(filename + ".gzip", "application/gzip", compressed, compressible=False)
    return file_reply(filename, FORMATS[name], body, compressible=name != "parquet")


def _with_rows_missing(request: Request, state: State, query: Query) -> Query:
    withheld = request.fault.rows_missing
    if withheld == 0:
        return query
    total = state.store.number(query.total())
    rows = min(total, query.limit) if query.limit >= 0 else total
    kept = 0 if withheld is None else max(0, rows - withheld)
    return replace(query, limit=kept)


def _body(
    request: Request, state: State, dataset: Dataset, query: Query, name: str
) -> Iterable[Piece]:
    files = f"{request.root}/catalog/datasets/{dataset.dataset_id}/files/"
    if name == "csv":
        return csv.stream(state.store, query, request, files)
    if name == "parquet":
        return parquet.stream(state.store, query, request, state.quirks, files)
    writers = {"json": json.array, "jsonl": json.lines, "geojson": json.features}
    return writers[name](state.store, query, request)
