"""GetFeature: the collection of features, each written by SQL and streamed.

Which features match, and how geometries and properties are written, is elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from urllib.parse import urlencode
from xml.sax.saxutils import quoteattr

from ods_pipeline.emulator.datasets.dataset import Field
from ods_pipeline.emulator.datasets.formatting import sql_text
from ods_pipeline.emulator.datasets.state import State
from ods_pipeline.emulator.explore.exports.csv import joined_texts
from ods_pipeline.emulator.faults.row_faults import (
    changed_columns,
    changed_features,
    embedded_report,
    mixed_versions,
)
from ods_pipeline.emulator.http.errors import forbidden
from ods_pipeline.emulator.http.reply import Piece
from ods_pipeline.emulator.http.request import Request
from ods_pipeline.emulator.quirks import WfsQuirks
from ods_pipeline.emulator.wfs.exception_report import WfsError, missing_parameter
from ods_pipeline.emulator.wfs.feature_types import Layer, layer
from ods_pipeline.emulator.wfs.gml_properties import PropertyWriter
from ods_pipeline.emulator.wfs.operation_request import OperationRequest, TypeQuery
from ods_pipeline.emulator.wfs.selection import Selection, parse_bbox
from ods_pipeline.emulator.wfs.xml import (
    WFS_PATH,
    XML_DECLARATION,
    XSI_NAMESPACE,
    WfsVersion,
    namespace,
)

# Large geometries make large rows: the engine gives few at a time.
BATCH = 2048


@dataclass(frozen=True)
class Window:
    """Which of the matching features a reply holds: ``rows`` of them, from ``start`` on."""

    matched: int
    start: int
    rows: int

    @property
    def end(self) -> int:
        """Where the next window starts."""
        return self.start + self.rows


def window(operation: OperationRequest, matched: int, quirks: WfsQuirks) -> Window:
    """The window of one reply, by its parameters and the portal's limits."""
    start = min(operation.start, matched) if operation.version.is_2_0 and quirks.page else 0
    page = quirks.page if operation.version.is_2_0 else None
    bounds = [bound for bound in (operation.limit, quirks.cap, page) if bound is not None]
    return Window(matched, start, min([matched - start, *bounds]))


def get_feature(request: Request, state: State, operation: OperationRequest) -> Iterator[Piece]:
    """The document, or its count alone; errors are raised before the first piece."""
    quirks = state.quirks.wfs
    chosen = selections(request, state, operation, quirks)
    matched = sum(state.store.number(s.count()) for s in chosen)
    if operation.hits:
        return iter([_hits_document(request, operation, matched, quirks).encode()])
    page = window(operation, matched, quirks)
    sent = _sent_window(request, page, quirks)
    declared = page
    if request.fault.flag and request.fault.rows_missing != 0:
        matched = page.matched - page.rows + sent.rows
        declared = replace(page, matched=matched, rows=sent.rows)
    head = _start_tag(request, operation, _counts(request, operation, declared, quirks))
    pieces = _members(request, state, operation, chosen, sent)
    return _document(
        operation, quirks, head, changed_features(request.fault, operation.version, pieces)
    )


def selections(
    request: Request, state: State, operation: OperationRequest, quirks: WfsQuirks
) -> list[Selection]:
    """What matches in each feature type; the ids alone may name the types."""
    wanted = operation.types or tuple(
        TypeQuery(name) for name in dict.fromkeys(i.rpartition(".")[0] for i in operation.ids)
    )
    if not wanted:
        raise missing_parameter(operation.version.type_name)
    bounds = parse_bbox(operation.bbox) if operation.bbox else None
    layers = [_readable(request, state, layer(state, w)) for w in wanted]
    return [Selection(chosen, quirks, operation.ids, bounds) for chosen in layers]


def _readable(request: Request, state: State, chosen: Layer) -> Layer:
    if not chosen.dataset.data_visible:
        raise forbidden()
    return replace(chosen, dataset=mixed_versions(request, state.store, chosen.dataset))


def _sent_window(request: Request, page: Window, quirks: WfsQuirks) -> Window:
    """What is really sent, by a fault or a quirk."""
    withheld = page.rows if request.fault.rows_missing is None else request.fault.rows_missing
    overlap = 1 if quirks.next_link == "overlap" and page.start else 0
    return Window(page.matched, page.start - overlap, max(0, page.rows - withheld))


def feature_sql(selection: Selection, state: State, request: Request) -> str:
    """SQL for a whole feature."""
    dataset = selection.layer.dataset
    name = f"ods:{dataset.dataset_id}"
    files = f"{request.base}/api/explore/v2.1/catalog/datasets/{dataset.dataset_id}/files/"
    writer = PropertyWriter(selection.quirks, files, state.collection_depth(dataset))
    identified = selection.quirks.ids != "absent"
    opening = sql_text(f'<{name} gml:id="{dataset.dataset_id}.') + " || r.n || '\">'"
    parts = [opening if identified else sql_text(f"<{name}>")]
    columns = dataset.columns()
    declared = {columns[i]: dataset.fields[i] for i in selection.layer.positions}
    for column in changed_columns(request.fault, declared):
        added = Field(column.name, column.type, column.label)
        parts.append(writer.element(declared.get(column, added), column.sql))
    return " || ".join([*parts, sql_text(f"</{name}>")])


def _members(
    request: Request,
    state: State,
    operation: OperationRequest,
    selections: list[Selection],
    page: Window,
) -> Iterator[Piece]:
    """The features of all types, one after the other, in pieces of many."""
    one = operation.version.is_2_0 or state.quirks.wfs.members == "one"
    member = "wfs:member" if operation.version.is_2_0 else "gml:featureMember"
    left, skipped = page.rows, page.start
    for selection in selections:
        total = state.store.number(selection.count())
        here = max(0, min(left, total - skipped))
        text = feature_sql(selection, state, request)
        framed = f"'<{member}>' || {text} || '</{member}>'" if one else text
        sql = f"SELECT {framed} || chr(10) FROM ({selection.rows()}) AS r"
        window = f" LIMIT {here} OFFSET {skipped}" if here < total else ""
        if here:
            for batch in state.store.batches(sql + window, BATCH):
                yield joined_texts(batch.column(0))
        left, skipped = left - here, max(0, skipped - total)


def _document(
    operation: OperationRequest, quirks: WfsQuirks, head: str, pieces: Iterator[Piece]
) -> Iterator[Piece]:
    together = not operation.version.is_2_0 and quirks.members == "all"
    yield (head + ">\n" + ("<gml:featureMembers>\n" if together else "")).encode()
    try:
        yield from pieces
    except WfsError as error:
        # The document is left incomplete.
        yield embedded_report(error, operation.version)
        return
    yield (b"</gml:featureMembers>\n" if together else b"") + b"</wfs:FeatureCollection>\n"


def _hits_document(
    request: Request, operation: OperationRequest, matched: int, quirks: WfsQuirks
) -> str:
    if quirks.hits == "refused":
        raise WfsError("OperationNotSupported", "resultType", "resultType hits is not supported.")
    count = "unknown" if quirks.hits == "unknown" else str(matched + quirks.hits_off)
    if operation.version.is_2_0:
        return (
            _start_tag(request, operation, {"numberMatched": count, "numberReturned": "0"}) + "/>\n"
        )
    counts = {} if quirks.hits == "unknown" else {"numberOfFeatures": count}
    return _start_tag(request, operation, counts) + "/>\n"


def _counts(
    request: Request, operation: OperationRequest, page: Window, quirks: WfsQuirks
) -> dict[str, str]:
    """The counts that the collection declares, and the link to its next page."""
    lying = quirks.cap_count == "lying" and quirks.cap is not None
    returned = min(page.matched, operation.limit or page.matched) if lying else page.rows
    if not operation.version.is_2_0:
        return {} if quirks.counts != "told" else {"numberOfFeatures": str(returned)}
    counts = {"numberMatched": str(page.matched), "numberReturned": str(returned)}
    if quirks.counts == "unknown":
        counts["numberMatched"] = "unknown"
    if quirks.counts == "absent":
        counts = {}
    return counts | _next_link(request, operation, page, quirks)


def _next_link(
    request: Request, operation: OperationRequest, page: Window, quirks: WfsQuirks
) -> dict[str, str]:
    """The link to the next page, where replies are pages and there is one."""
    left = min(page.matched - page.end, (operation.limit or page.matched) - page.rows)
    endless = quirks.next_link == "endless"
    if not quirks.page or (left <= 0 and not endless) or quirks.next_link == "missing":
        return {}
    parameters = [(k, v) for k, v in request.pairs if k.lower() not in ("startindex", "count", "k")]
    start = page.start if quirks.next_link == "loop" else page.end
    if endless:
        start, turn = 0, int(dict(request.pairs).get("k", "0"))
        parameters.append(("k", str(turn + 1)))
    parameters += [("startIndex", str(start))] + ([("count", str(left))] if operation.limit else [])
    base = "http://elsewhere.invalid" if quirks.next_link == "elsewhere" else request.base
    return {"next": f"{base}{WFS_PATH}?{urlencode(parameters)}"}


def _start_tag(request: Request, operation: OperationRequest, counts: dict[str, str]) -> str:
    """The start tag of the collection, without its closing bracket."""
    version = operation.version
    names = namespaces(version, request.base, operation.types)
    moment = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    attributes = {**names, **counts, "timeStamp": moment}
    written = " ".join(f"{name}={quoteattr(value)}" for name, value in attributes.items())
    return f"{XML_DECLARATION}<wfs:FeatureCollection {written}"


def namespaces(version: WfsVersion, base: str, wanted: tuple[TypeQuery, ...]) -> dict[str, str]:
    """The namespaces of a collection, and where their schemas are."""
    asking = {"service": "WFS", "version": version.number, "request": "DescribeFeatureType"}
    types = {version.type_name: ",".join(w.type_name for w in wanted)} if wanted else {}
    home = f"{base}{WFS_PATH}?{urlencode(asking | types)}"
    return {
        "xmlns:wfs": version.wfs,
        "xmlns:gml": version.gml,
        "xmlns:ods": namespace(base),
        "xmlns:xsi": XSI_NAMESPACE,
        "xsi:schemaLocation": f"{namespace(base)} {home} {version.wfs} {version.wfs_schema}",
    }
