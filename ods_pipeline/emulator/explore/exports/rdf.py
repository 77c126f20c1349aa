"""RDF of records, in the four notations that portals offer: a resource for each row.

The catalog's RDF describes datasets, and does not belong here.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from ods_pipeline.emulator.datasets.dataset import Dataset
from ods_pipeline.emulator.explore.exports.rows import Rows

#: The portal's name of a notation, and rdflib's.
NOTATIONS = {"rdfxml": "xml", "turtle": "turtle", "n3": "n3", "jsonld": "json-ld"}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


def records(rows: Rows, identifiers: list[str], dataset: Dataset, base: str, name: str) -> bytes:
    """The whole graph.

    UNCERTAIN: never recorded. Portals publish each record under `/ld/resources` and each field
    under `/ld/ontologies`; datatypes are those that XML Schema has for the values.
    """
    from rdflib import Graph, Literal, Namespace, URIRef
    from rdflib.namespace import RDF

    identifier = quote(dataset.dataset_id, safe="")
    ontology = Namespace(f"{base}/ld/ontologies/{identifier}/")
    graph = Graph()
    graph.bind("field", ontology)
    for row, record in enumerate(identifiers):
        resource = URIRef(f"{base}/ld/resources/records/{identifier}/{record}/")
        graph.add((resource, RDF.type, ontology["Record"]))
        for column, values in zip(rows.columns, rows.values, strict=True):
            value: Any = values[row].as_py()
            if value is not None:
                graph.add((resource, ontology[_local(column.name)], Literal(value)))
    return graph.serialize(format=NOTATIONS[name], encoding="utf-8")


def _local(name: str) -> str:
    """A field's name as the last part of an address that RDF/XML can abbreviate."""
    safe = quote(name, safe="").replace("%", "_")
    return safe if _NAME.fullmatch(safe) else f"_{safe}"
