"""The smaller endpoints of one dataset: facets and attachments."""

from __future__ import annotations

from dataclasses import replace

from ods_pipeline.emulator.datasets.dataset import Dataset
from ods_pipeline.emulator.datasets.state import State
from ods_pipeline.emulator.explore import facets
from ods_pipeline.emulator.explore.odsql.scope import Scope
from ods_pipeline.emulator.explore.records import over
from ods_pipeline.emulator.http.errors import forbidden
from ods_pipeline.emulator.http.reply import Reply, of_document
from ods_pipeline.emulator.http.request import Request


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
