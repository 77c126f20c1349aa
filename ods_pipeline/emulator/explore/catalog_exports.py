"""Exports of the catalog in every format but JSON, written from the metadata of datasets.

Which datasets are exported is decided by who asks; the RDF has a file of its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from email.utils import format_datetime
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

from ods_pipeline.emulator.datasets.dataset import Dataset
from ods_pipeline.emulator.explore import catalog_rdf
from ods_pipeline.emulator.explore.catalog_table import metadata_names
from ods_pipeline.emulator.explore.exports import XLSX, is_there, workbook
from ods_pipeline.emulator.explore.exports.csv import CsvOptions, csv_header
from ods_pipeline.emulator.http.reply import JSON, Piece, Reply, file_reply
from ods_pipeline.emulator.http.request import Request

RDF_XML = "application/rdf+xml; charset=utf-8"
PROFILES = ("ch", "de", "se", "sp", "it", "vl", "benap")
PROJECT_OPEN_DATA = "https://project-open-data.cio.gov/v1.1/schema"

_Writer = Callable[[Request, Sequence[Dataset]], Iterable[Piece]]


@dataclass(frozen=True)
class CatalogFormat:
    """A format of the catalog: how it is written, and with which library, if not our own."""

    content_type: str
    extension: str
    write: _Writer
    library: str = ""


def formats() -> list[str]:
    """The formats of this catalog; a portal offers a profile of DCAT-AP where it is activated."""
    return [name for name, format in FORMATS.items() if is_there(format.library)]


def reply(request: Request, datasets: Sequence[Dataset], name: str) -> Reply:
    """The export of some datasets, in one of `formats`."""
    format = FORMATS[name]
    body = format.write(request, datasets)
    return file_reply(
        f"datasets.{format.extension}", format.content_type, body, compressible=name != "xlsx"
    )


def _csv(request: Request, datasets: Sequence[Dataset]) -> Iterator[bytes]:
    """Metadata under dotted names, ``datasetid`` last."""
    dialect = CsvOptions.of(request)
    names = metadata_names(datasets)
    plain = replace(dialect, with_bom=False)

    def lines() -> Iterator[bytes]:
        yield csv_header([*(f"{t}.{n}" for t, n in names), "datasetid"], dialect)
        for dataset in datasets:
            yield csv_header(_line(dataset, names, dialect.list_separator), plain)

    return lines()


def _xlsx(_: Request, datasets: Sequence[Dataset]) -> list[bytes]:
    """The columns of the CSV. UNCERTAIN: never recorded."""
    names = metadata_names(datasets)
    lines = (_line(dataset, names, ",") for dataset in datasets)
    return [workbook.sheet([*(f"{t}.{n}" for t, n in names), "datasetid"], lines)]


def _line(dataset: Dataset, names: list[tuple[str, str]], separator: str) -> list[str]:
    values = [_cell(dataset.metas.get(t, {}).get(n), separator) for t, n in names]
    return [*values, dataset.dataset_id]


def _cell(value: Any, separator: str) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return separator.join(map(str, value))
    if isinstance(value, dict):
        return json.dumps(value.get("geometry", value))
    return str(value)


def _rss(request: Request, datasets: Sequence[Dataset]) -> list[bytes]:
    """RSS 2.0. UNCERTAIN: never recorded."""
    feed = Element("rss", version="2.0")
    channel = SubElement(feed, "channel")
    _texts(channel, title="Emulated portal", link=f"{request.base}/explore/", description="")
    for dataset in datasets:
        default = dataset.metas["default"]
        page = catalog_rdf.page_of(request, dataset)
        item = SubElement(channel, "item")
        _texts(
            item,
            title=str(default.get("title") or dataset.dataset_id),
            link=page,
            description=str(default.get("description") or ""),
            guid=page,
        )
        if default.get("modified"):
            moment = datetime.fromisoformat(default["modified"])
            _texts(item, pubDate=format_datetime(moment))
    return [tostring(feed, encoding="utf-8", xml_declaration=True)]


def _texts(parent: Element, **texts: str) -> None:
    for name, text in texts.items():
        SubElement(parent, name).text = text


def _data_json(request: Request, datasets: Sequence[Dataset]) -> list[bytes]:
    """The catalog as Project Open Data has it. UNCERTAIN: never recorded."""
    document = {
        "@context": f"{PROJECT_OPEN_DATA}/catalog.jsonld",
        "@id": f"{request.root}/catalog/exports/data.json",
        "@type": "dcat:Catalog",
        "conformsTo": PROJECT_OPEN_DATA,
        "describedBy": f"{PROJECT_OPEN_DATA}/catalog.json",
        "dataset": [_open_data(request, dataset) for dataset in datasets],
    }
    return [json.dumps(document).encode()]


def _open_data(request: Request, dataset: Dataset) -> dict[str, Any]:
    default = dataset.metas["default"]
    page = catalog_rdf.page_of(request, dataset)
    found = {
        "@type": "dcat:Dataset",
        "identifier": page,
        "landingPage": page,
        "title": default.get("title") or dataset.dataset_id,
        "description": default.get("description") or "",
        "keyword": default.get("keyword") or [],
        "theme": default.get("theme") or [],
        "modified": default.get("modified"),
        "license": default.get("license_url"),
        "publisher": {"@type": "org:Organization", "name": default.get("publisher") or ""},
        "accessLevel": "public" if dataset.data_visible else "restricted public",
        "distribution": [
            {
                "@type": "dcat:Distribution",
                "downloadURL": address,
                "mediaType": kind,
                "format": name,
            }
            for name, kind, address in catalog_rdf.distributions(request, dataset)
        ],
    }
    return {key: value for key, value in found.items() if value is not None}


_DCAT = CatalogFormat(RDF_XML, "rdf", catalog_rdf.dcat, "rdflib")
FORMATS: dict[str, CatalogFormat] = {
    "csv": CatalogFormat("text/csv; charset=utf-8", "csv", _csv),
    "data.json": CatalogFormat(JSON, "json", _data_json),
    "dcat": _DCAT,
    # UNCERTAIN: none was recorded, so what a profile adds is left out.
    **{f"dcat_ap_{profile}": _DCAT for profile in PROFILES},
    "dublin_core": CatalogFormat(RDF_XML, "rdf", catalog_rdf.dublin_core, "rdflib"),
    "rdf": _DCAT,
    "rss": CatalogFormat("application/rss+xml; charset=utf-8", "rss", _rss),
    "ttl": CatalogFormat("text/turtle; charset=utf-8", "ttl", catalog_rdf.turtle, "rdflib"),
    "xlsx": CatalogFormat(XLSX, "xlsx", _xlsx, "openpyxl"),
}
