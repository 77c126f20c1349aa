"""Portals without v2, as recorded: API v1, and other software in their place.

What portals with a version of v2 answer does not belong here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from ods_pipeline.emulator.datasets.dataset import Dataset
from ods_pipeline.emulator.datasets.state import State
from ods_pipeline.emulator.explore import exports, records
from ods_pipeline.emulator.http.errors import ApiError, unknown_uri
from ods_pipeline.emulator.http.reply import Piece, Reply, json_reply
from ods_pipeline.emulator.http.request import PREFIX, Request

PLAIN_TEXT = "text/plain; charset=utf-8"
V1_PATH = "/api/datasets/1.0/search/"
UNKNOWN_API = "Cette API n'existe pas."
NO_OFFSET = "offset parameter is not supported for exports"
TIME_ZONE = re.compile(rb"(\d\d:\d\d:\d\d)(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")
CSV_BOOLEAN = re.compile(rb"(?<=;)(?:True|(False))(?=[;\r])")
FORMATS = ("csv", "xlsx", "parquet", "json", "jsonl", "geojson")


def answer(request: Request, state: State) -> Reply:
    """The reply of a portal without v2."""
    return APIS[state.quirks.dialect](request, state)


def v1(request: Request, state: State) -> Reply:
    """The search of the first API; metadata lie flat under `metas`."""
    if request.path.rstrip("/") != V1_PATH.rstrip("/"):
        raise unknown_uri()
    rows, start = request.integer("rows", 10, -1), request.integer("start", 0, 0)
    found = state.datasets()
    page = found[start:] if rows < 0 else found[start : start + rows]
    parameters = {"timezone": "UTC", "rows": rows, "format": "json", "staged": False}
    datasets = [_v1_dataset(dataset) for dataset in page]
    return json_reply({"nhits": len(found), "parameters": parameters, "datasets": datasets})


def _v1_dataset(dataset: Dataset) -> dict[str, Any]:
    kept = ("has_records", "features", "attachments", "fields")
    document = dataset.document()
    metas = {**document["metas"]["default"], "visibility": "domain"}
    rest = {key: document[key] for key in kept}
    return {"datasetid": dataset.dataset_id, "metas": metas, **rest}


def look_alike(request: Request, state: State) -> Reply:
    """Other software under an Opendatasoft portal's old name.

    It has records and exports but no catalog, errors in French, and times without a zone.
    """
    path = request.path.removeprefix(PREFIX + "/catalog/datasets/")
    parts = [unquote(part) for part in path.split("/")] if path != request.path else []
    try:
        match parts:
            case [name, "records"]:
                reply = records.records(request, state, state.dataset(name))
            case [name, "exports", format] if format in FORMATS:
                if request.integer("offset", 0, 0):
                    return _text_reply(400, NO_OFFSET)
                reply = exports.export(request, state, state.dataset(name), format)
            case _:
                return _text_reply(404, UNKNOWN_API)
    except ApiError as error:
        return _text_reply(error.status, _french_message(error))
    if not reply.content_type.startswith(("text/csv", "application/json")):
        return reply
    return replace(reply, body=_rewritten(reply))


def _french_message(error: ApiError) -> str:
    if error.status == 404:
        return "Jeu de données non trouvé"
    return f"requête invalide : {error.envelope.get('message', '')}"


def _text_reply(status: int, text: str) -> Reply:
    return Reply(status, [text.encode()], PLAIN_TEXT, whole=True, compressible=False)


def _rewritten(reply: Reply) -> Iterator[Piece]:
    """The body with times without a zone, and with numbers for booleans in CSV."""
    text = TIME_ZONE.sub(rb"\1", b"".join(bytes(piece) for piece in reply.body))
    if reply.content_type.startswith("text/csv"):
        text = CSV_BOOLEAN.sub(lambda found: b"0" if found[1] else b"1", text)
    yield text


APIS: dict[str, Callable[[Request, State], Reply]] = {
    "v1": v1,
    "look-alike": look_alike,
}
