"""Stored queries of WFS 2.0.0: GetFeatureById, the one that every server has.

Queries by parameters do not belong here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ods_pipeline.emulator.datasets.state import State
from ods_pipeline.emulator.explore.exports.csv import joined_texts
from ods_pipeline.emulator.http.reply import Piece
from ods_pipeline.emulator.http.request import Request
from ods_pipeline.emulator.wfs.exception_report import invalid_parameter, missing_parameter
from ods_pipeline.emulator.wfs.feature_types import TYPE_PREFIX, feature_types
from ods_pipeline.emulator.wfs.get_feature import feature_sql, namespaces, selections
from ods_pipeline.emulator.wfs.operation_request import OperationRequest
from ods_pipeline.emulator.wfs.xml import V2_0, XML_DECLARATION, tag, xml_text

BY_ID = "urn:ogc:def:query:OGC-WFS::GetFeatureById"
TITLE = "Get feature by identifier"
LANGUAGE = "urn:ogc:def:queryLanguage:OGC-WFS::WFS_QueryExpression"


def list_stored_queries(request: Request, state: State, operation: OperationRequest) -> list[bytes]:
    """ListStoredQueries."""
    types = [
        tag("wfs:ReturnFeatureType", xml_text(TYPE_PREFIX + d.dataset_id))
        for d in feature_types(state)
    ]
    query = tag("wfs:StoredQuery", tag("wfs:Title", TITLE), *types, id=BY_ID)
    return _document("wfs:ListStoredQueriesResponse", query, request.base)


def describe_stored_queries(
    request: Request, state: State, operation: OperationRequest
) -> list[bytes]:
    """DescribeStoredQueries: all, or the one requested."""
    if operation.stored_query not in ("", BY_ID):
        raise _unknown_query(operation)
    expression = tag(
        "wfs:QueryExpressionText",
        returnFeatureTypes=" ".join(TYPE_PREFIX + d.dataset_id for d in feature_types(state)),
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
    return _document("wfs:DescribeStoredQueriesResponse", query, request.base)


def get_feature_by_id(
    request: Request, state: State, operation: OperationRequest
) -> Iterator[Piece]:
    """GetFeatureById: the feature itself is the document."""
    if operation.stored_query != BY_ID:
        raise _unknown_query(operation)
    if len(operation.ids) != 1:
        raise missing_parameter("id")
    selection = selections(request, state, replace(operation, types=()), state.quirks.wfs)[0]
    if not state.store.number(selection.count()):
        raise invalid_parameter("id", f"Feature {operation.ids[0]} does not exist.")
    names = namespaces(V2_0, request.base, ())
    attributes = "".join(
        f' {name}="{value.replace("&", "&amp;")}"' for name, value in names.items()
    )
    sql = f"SELECT {feature_sql(selection, state, request)} FROM ({selection.rows()}) AS r"
    feature = bytes(joined_texts(state.store.table(sql).column(0).combine_chunks())).decode()
    opening = f"<{TYPE_PREFIX}{selection.layer.dataset.dataset_id}"
    return iter([(XML_DECLARATION + opening + attributes + feature.removeprefix(opening)).encode()])


def _unknown_query(operation: OperationRequest) -> Exception:
    return invalid_parameter(
        "storedQuery_Id", f"Stored query {operation.stored_query} does not exist."
    )


def _document(name: str, inner: str, base: str) -> list[bytes]:
    attributes = {key.replace(":", "__"): v for key, v in namespaces(V2_0, base, ()).items()}
    attributes["xmlns__xs"] = "http://www.w3.org/2001/XMLSchema"
    return [(XML_DECLARATION + tag(name, inner, **attributes) + "\n").encode()]
