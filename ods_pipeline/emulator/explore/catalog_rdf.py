"""The catalog as RDF: DCAT as recorded in 2018, and Dublin Core.

Records have RDF of their own, and the other formats of the catalog do not belong here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

from ods_pipeline.emulator.datasets.dataset import Dataset
from ods_pipeline.emulator.explore.exports import FORMATS, formats_of
from ods_pipeline.emulator.http.request import Request

if TYPE_CHECKING:
    from rdflib import Graph, URIRef

LANGUAGES = "http://id.loc.gov/vocabulary/iso639-1/"
MEDIA_TYPES = "https://www.iana.org/assignments/media-types/"
LABELLED = ("csv", "xlsx")


def page_of(request: Request, dataset: Dataset) -> str:
    """The address of a dataset's page, which identifies it in RDF."""
    return f"{request.base}/explore/dataset/{quote(dataset.dataset_id, safe='')}/"


def distributions(request: Request, dataset: Dataset) -> Iterator[tuple[str, str, str]]:
    """The exports of a dataset that the request wants told: format, media type, address."""
    chosen = (request.one("include_exports") or "").split(",")
    labels = request.flag("use_labels_in_exports", True)
    if not (dataset.has_records and dataset.data_visible):
        return
    for name in formats_of(dataset):
        if chosen == [""] or name in chosen:
            home = f"{request.root}/catalog/datasets/{quote(dataset.dataset_id, safe='')}"
            end = "?use_labels=true" if labels and name in LABELLED else ""
            kind = FORMATS[name].content_type.partition(";")[0]
            yield name, kind, f"{home}/exports/{name}{end}"


def dcat(request: Request, datasets: Sequence[Dataset]) -> list[bytes]:
    """DCAT as RDF/XML."""
    return [_dcat(request, datasets).serialize(format="xml", encoding="utf-8")]


def turtle(request: Request, datasets: Sequence[Dataset]) -> list[bytes]:
    """DCAT as Turtle."""
    return [_dcat(request, datasets).serialize(format="turtle", encoding="utf-8")]


def _dcat(request: Request, datasets: Sequence[Dataset]) -> Graph:
    from rdflib import Graph, Literal, URIRef
    from rdflib.namespace import DCAT, DCTERMS, FOAF, RDF

    graph = Graph()
    catalog = URIRef(f"{request.base}/explore/")
    graph.add((catalog, RDF.type, DCAT.Catalog))
    graph.add((catalog, DCTERMS.title, Literal("Emulated portal")))
    graph.add((catalog, FOAF.homepage, URIRef(request.base)))
    for dataset in datasets:
        node = URIRef(page_of(request, dataset))
        graph.add((catalog, DCAT.dataset, node))
        _describe(graph, node, request, dataset)
        for name, kind, address in distributions(request, dataset):
            place = URIRef(address)
            graph.add((node, DCAT.distribution, place))
            graph.add((place, RDF.type, DCAT.Distribution))
            graph.add((place, DCTERMS.title, Literal(f"{dataset.dataset_id}.{name}")))
            graph.add((place, DCAT.accessURL, place))
            graph.add((place, DCAT.downloadURL, place))
            graph.add((place, DCAT.mediaType, URIRef(MEDIA_TYPES + kind)))
    return graph


def _describe(graph: Graph, node: URIRef, request: Request, dataset: Dataset) -> None:
    from rdflib import Literal, URIRef
    from rdflib.namespace import DCAT, DCTERMS, FOAF, RDF, SKOS, XSD

    default: Any = dataset.metas["default"]
    lang = default.get("language") or None
    refined = f"{request.base}/explore/?refine."
    graph.add((node, RDF.type, DCAT.Dataset))
    graph.add((node, DCTERMS.identifier, Literal(str(node))))
    graph.add((node, DCAT.landingPage, node))
    for name in ("title", "description"):
        if default.get(name):
            graph.add((node, DCTERMS[name], Literal(default[name], lang=lang)))
    for keyword in default.get("keyword") or ():
        graph.add((node, DCAT.keyword, Literal(keyword, lang=lang)))
    for theme in default.get("theme") or ():
        concept = URIRef(f"{refined}theme={quote_plus(theme)}")
        graph.add((node, DCAT.theme, concept))
        graph.add((concept, SKOS.prefLabel, Literal(theme)))
    if default.get("publisher"):
        agent = URIRef(f"{refined}publisher={quote_plus(default['publisher'])}")
        graph.add((node, DCTERMS.publisher, agent))
        graph.add((agent, RDF.type, FOAF.Agent))
        graph.add((agent, FOAF.name, Literal(default["publisher"])))
    if default.get("license_url"):
        graph.add((node, DCTERMS.license, URIRef(quote(default["license_url"], safe="%/:?#=&"))))
    if lang:
        graph.add((node, DCTERMS.language, URIRef(LANGUAGES + lang)))
    if default.get("modified"):
        moment = Literal(default["modified"], datatype=XSD.dateTime, normalize=False)
        graph.add((node, DCTERMS.modified, moment))


def dublin_core(request: Request, datasets: Sequence[Dataset]) -> list[bytes]:
    """The elements of Dublin Core as RDF/XML. UNCERTAIN: never recorded."""
    from rdflib import Graph, Literal, URIRef
    from rdflib.namespace import DC

    elements = {
        "title": DC.title,
        "description": DC.description,
        "publisher": DC.publisher,
        "language": DC.language,
        "modified": DC.date,
        "license": DC.rights,
        "keyword": DC.subject,
    }
    graph = Graph()
    for dataset in datasets:
        node = URIRef(page_of(request, dataset))
        graph.add((node, DC.identifier, Literal(dataset.dataset_id)))
        for name, element in elements.items():
            value = dataset.metas["default"].get(name)
            for each in value if isinstance(value, list) else [value]:
                if each is not None:
                    graph.add((node, element, Literal(each)))
    return [graph.serialize(format="xml", encoding="utf-8")]
