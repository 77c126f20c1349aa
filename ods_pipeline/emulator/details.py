"""The smaller endpoints of one dataset: facets and attachments."""

from __future__ import annotations

from dataclasses import replace

from ods_pipeline.emulator import facets
from ods_pipeline.emulator.errors import forbidden
from ods_pipeline.emulator.model import Dataset
from ods_pipeline.emulator.odsql.scope import Scope
from ods_pipeline.emulator.records import over
from ods_pipeline.emulator.reply import Reply, of_document
from ods_pipeline.emulator.request import Request
from ods_pipeline.emulator.state import State


def enumeration(request: Request, state: State, dataset: Dataset) -> Reply:
    """GET …/facets."""
    if not dataset.data_visible:
        raise forbidden()
    query = over(request, dataset)
    without = tuple(pair for pair in request.pairs if pair[0] != "refine")
    unrefined = over(replace(request, pairs=without), dataset)
    scope = Scope(dataset.columns(), request.timezone, request.lang)
    asked = facets.asked(request, facets.declared(dataset))
    found = facets.enumerated(state.store, query, unrefined, scope, asked)
    home = f"{request.root}/catalog/datasets/{dataset.dataset_id}"
    links = [{"rel": "self", "href": f"{home}/facets"}, {"rel": "dataset", "href": home}]
    return of_document({"links": links, "facets": found})


def attachments(request: Request, _: State, dataset: Dataset) -> Reply:
    """GET …/attachments."""
    home = f"{request.root}/catalog/datasets/{dataset.dataset_id}/attachments"
    found = [
        {
            "href": f"{home}/{attached['id']}",
            "metas": {"mime-type": attached.get("mimetype"), "title": attached.get("title")},
        }
        for attached in dataset.attachments
    ]
    return of_document({"links": [{"rel": "self", "href": home}], "attachments": found})
