"""The stored queries of 2.0.0: the one that every server has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ods_pipeline.emulator.datasets.state import State
from ods_pipeline.emulator.explore.exports.csv import joined
from ods_pipeline.emulator.http.reply import Piece
from ods_pipeline.emulator.http.request import Request
from ods_pipeline.emulator.wfs.exception_report import invalid, missing
from ods_pipeline.emulator.wfs.feature_types import PREFIX, layers
from ods_pipeline.emulator.wfs.get_feature import composed, namespaces, selected
from ods_pipeline.emulator.wfs.operation_request import Asked
from ods_pipeline.emulator.wfs.tags import tag, text
from ods_pipeline.emulator.wfs.xml import NEW, PROLOGUE

BY_ID = "urn:ogc:def:query:OGC-WFS::GetFeatureById"
TITLE = "Get feature by identifier"
LANGUAGE = "urn:ogc:def:queryLanguage:OGC-WFS::WFS_QueryExpression"


def listed(_: Request, state: State, asked: Asked) -> list[bytes]:
    """ListStoredQueries."""
    types = [tag("wfs:ReturnFeatureType", text(PREFIX + d.dataset_id)) for d in layers(state)]
    query = tag("wfs:StoredQuery", tag("wfs:Title", TITLE), *types, id=BY_ID)
    return _framed("wfs:ListStoredQueriesResponse", query, _.base)


def described(request: Request, state: State, asked: Asked) -> list[bytes]:
    """DescribeStoredQueries: all, or the one asked for."""
    if asked.stored_query not in ("", BY_ID):
        raise _unknown(asked)
    expression = tag(
        "wfs:QueryExpressionText",
        returnFeatureTypes=" ".join(PREFIX + d.dataset_id for d in layers(state)),
        language=LANGUAGE,
        isPrivate="true",
    )
    query = tag(
        "wfs:StoredQueryDescription",
        tag("wfs:Title", TITLE),
        tag("wfs:Parameter", name="id", type="xs:string"),
        expression,
        id=BY_ID,
    )
    return _framed("wfs:DescribeStoredQueriesResponse", query, request.base)


def by_id(request: Request, state: State, asked: Asked) -> Iterator[Piece]:
    """GetFeatureById: the feature itself is the document."""
    if asked.stored_query != BY_ID:
        raise _unknown(asked)
    if len(asked.ids) != 1:
        raise missing("id")
    selection = selected(request, state, replace(asked, wanted=()), state.quirks.wfs)[0]
    if not state.store.number(selection.count()):
        raise invalid("id", f"Feature {asked.ids[0]} does not exist.")
    names = namespaces(NEW, request.base, ())
    told = "".join(f' {name}="{value.replace("&", "&amp;")}"' for name, value in names.items())
    sql = f"SELECT {composed(selection, state, request)} FROM ({selection.rows()}) AS r"
    feature = bytes(joined(state.store.table(sql).column(0).combine_chunks())).decode()
    opening = f"<{PREFIX}{selection.layer.dataset.dataset_id}"
    return iter([(PROLOGUE + opening + told + feature.removeprefix(opening)).encode()])


def _unknown(asked: Asked) -> Exception:
    return invalid("storedQuery_Id", f"Stored query {asked.stored_query} does not exist.")


def _framed(name: str, inner: str, base: str) -> list[bytes]:
    attributes = {key.replace(":", "__"): v for key, v in namespaces(NEW, base, ()).items()}
    attributes["xmlns__xs"] = "http://www.w3.org/2001/XMLSchema"
    return [(PROLOGUE + tag(name, inner, **attributes) + "\n").encode()]
