"""The ``exports`` endpoints of a dataset: its formats, and the rows that an export has.

How a format is written belongs to its own file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec

from ods_pipeline.emulator.datasets.dataset import Column, Dataset
from ods_pipeline.emulator.datasets.state import State
from ods_pipeline.emulator.explore.exports import (
    csv,
    gpx,
    json,
    layers,
    ov2,
    parquet,
    rdf,
    rows,
    workbook,
)
from ods_pipeline.emulator.explore.query import Query
from ods_pipeline.emulator.explore.records import dataset_query, record_id, with_export_limits
from ods_pipeline.emulator.faults.row_faults import (
    changed_columns,
    mixed_versions,
    with_repeated_row,
)
from ods_pipeline.emulator.http.errors import forbidden, unknown_uri
from ods_pipeline.emulator.http.reply import JSON, Piece, Reply, file_reply, gzip_stream, json_reply
from ods_pipeline.emulator.http.request import Request

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
#: As documented: what GDAL writes of more records is no shapefile any more.
SHAPEFILE = 50_000


@dataclass(frozen=True)
class Format:
    """A format of exports.

    Attributes:
        content_type: As recorded for csv, json, geojson and fgb; UNCERTAIN for all others.
        extension: What the names of its files end with.
        places: Whether it needs a geometry.
        library: The module that writes it; without it, the portal does not offer the format.
        packed: Whether its bytes are compressed already.
    """

    content_type: str
    extension: str
    places: bool = False
    library: str = ""
    packed: bool = False


FORMATS = {
    "csv": Format("text/csv; charset=utf-8", "csv"),
    "fgb": Format("application/octet-stream; charset=utf-8", "fgb", True, "pyogrio", True),
    "geojson": Format("application/geo+json; charset=utf-8", "geojson", True),
    "gpx": Format("application/gpx+xml; charset=utf-8", "gpx", True),
    "json": Format(JSON, "json"),
    "jsonl": Format("application/jsonl; charset=utf-8", "jsonl"),
    "jsonld": Format("application/ld+json; charset=utf-8", "jsonld", library="rdflib"),
    "kml": Format("application/vnd.google-earth.kml+xml", "kml", True, "pyogrio"),
    "n3": Format("text/n3; charset=utf-8", "n3", library="rdflib"),
    "ov2": Format("application/octet-stream", "ov2", True),
    "parquet": Format("application/vnd.apache.parquet", "parquet", packed=True),
    "rdfxml": Format("application/rdf+xml; charset=utf-8", "rdf", library="rdflib"),
    "shp": Format("application/zip", "zip", True, "pyogrio", True),
    "turtle": Format("text/turtle; charset=utf-8", "ttl", library="rdflib"),
    "xlsx": Format(XLSX, "xlsx", library="openpyxl", packed=True),
}


def formats_of(dataset: Dataset) -> list[str]:
    """The formats of a dataset: some need a geometry, a shapefile few records as well."""
    geographic = any(field.type in rows.GEO for field in dataset.fields)
    large = (dataset.metas["default"].get("records_count") or 0) > SHAPEFILE
    return [
        name
        for name, format in FORMATS.items()
        if (geographic or not format.places)
        and is_there(format.library)
        and not (large and name == "shp")
    ]


@cache
def is_there(library: str) -> bool:
    """Whether a library is installed, without loading it."""
    return not library or find_spec(library) is not None


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
    format = FORMATS[name]
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
    query = with_rows_missing(request, state, query)
    body = _body(request, state, dataset, query, name)
    filename = f"{dataset.dataset_id}.{format.extension}"
    if request.flag("compressed", False):
        compressed = gzip_stream(body)
        return file_reply(filename + ".gzip", "application/gzip", compressed, compressible=False)
    return file_reply(filename, format.content_type, body, compressible=not format.packed)


def with_rows_missing(request: Request, state: State, query: Query) -> Query:
    """The query without the rows that a fault leaves out."""
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
    streamed = {"json": json.array, "jsonl": json.lines, "geojson": json.features}
    if name in streamed:
        return streamed[name](state.store, query, request)
    if name in rdf.NOTATIONS:
        return [_graph(request, state, dataset, query, name)]
    epsg = request.integer("epsg", 4326, 1) if name in {"fgb", "shp"} else 4326
    found = rows.read(state.store, query, request, files, places=name != "xlsx", epsg=epsg)
    if name in {"gpx", "ov2"}:
        return gpx.stream(found, request) if name == "gpx" else ov2.stream(found)
    identifier = dataset.dataset_id
    whole: dict[str, Callable[[], bytes]] = {
        "fgb": lambda: layers.flatgeobuf(found, epsg),
        "kml": lambda: layers.kml(found, identifier),
        "shp": lambda: layers.shapefile(found, identifier, epsg),
        "xlsx": lambda: workbook.records(found, use_labels=request.flag("use_labels", False)),
    }
    return [whole[name]()]


def _graph(request: Request, state: State, dataset: Dataset, query: Query, name: str) -> bytes:
    """The rows as resources: a record has its identifier, a group its number alone."""
    files = f"{request.root}/catalog/datasets/{dataset.dataset_id}/files/"
    identified = query
    if not (query.grouped or query.aggregated):
        named = Column("\0id", "text", record_id(dataset))
        identified = replace(query, columns=(*query.columns, named))
    found = rows.read(state.store, identified, request, files, places=False)
    if identified is query:
        return rdf.records(
            found, [str(i) for i in range(len(found.shapes))], dataset, request.base, name
        )
    names = found.values[-1].to_pylist()
    kept = replace(found, columns=found.columns[:-1], values=found.values[:-1])
    return rdf.records(kept, names, dataset, request.base, name)
