"""GetFeature: the collection, streamed feature by feature as the engine composes them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from urllib.parse import urlencode
from xml.sax.saxutils import quoteattr

from ods_pipeline.emulator.datasets.dataset import Field
from ods_pipeline.emulator.datasets.formatting import quoted
from ods_pipeline.emulator.datasets.state import State
from ods_pipeline.emulator.explore.exports.csv import joined
from ods_pipeline.emulator.faults.feature_faults import inline, spoilt
from ods_pipeline.emulator.faults.row_faults import changed, torn
from ods_pipeline.emulator.http.errors import forbidden
from ods_pipeline.emulator.http.reply import Piece
from ods_pipeline.emulator.http.request import Request
from ods_pipeline.emulator.quirks import WfsQuirks
from ods_pipeline.emulator.wfs.exception_report import Refused, missing
from ods_pipeline.emulator.wfs.feature_types import Layer, layer
from ods_pipeline.emulator.wfs.gml_properties import Properties
from ods_pipeline.emulator.wfs.operation_request import Asked, LandingRequest
from ods_pipeline.emulator.wfs.selection import Selection, box
from ods_pipeline.emulator.wfs.xml import PATH, PROLOGUE, XSI, Dialect, namespace

# Large shapes make large rows: what the engine hands over at once is kept small.
BATCH = 2048


@dataclass(frozen=True)
class Share:
    """So many of the features that match, from so far on."""

    matched: int
    start: int
    rows: int

    @property
    def end(self) -> int:
        """Where the next one starts."""
        return self.start + self.rows


def share(asked: Asked, matched: int, quirks: WfsQuirks) -> Share:
    """What one reply gives of the features that match."""
    start = min(asked.start, matched) if asked.dialect.modern and quirks.page else 0
    page = quirks.page if asked.dialect.modern else None
    bounds = [bound for bound in (asked.limit, quirks.cap, page) if bound is not None]
    return Share(matched, start, min([matched - start, *bounds]))


def features(request: Request, state: State, asked: Asked) -> Iterator[Piece]:
    """The whole document, or its count alone; what is wrong is raised before the first piece."""
    quirks = state.quirks.wfs
    selections = selected(request, state, asked, quirks)
    matched = sum(state.store.number(s.count()) for s in selections)
    if asked.hits:
        return iter([_hits(request, asked, matched, quirks).encode()])
    given = share(asked, matched, quirks)
    kept = _kept(request, given, quirks)
    told = given
    if request.fault.flag and request.fault.withheld != 0:
        told = replace(given, matched=given.matched - given.rows + kept.rows, rows=kept.rows)
    head = _head(request, asked, _counts(request, asked, told, quirks))
    pieces = _members(request, state, asked, selections, kept)
    return _document(asked, quirks, head, spoilt(request.fault, asked.dialect, pieces))


def selected(request: Request, state: State, asked: Asked, quirks: WfsQuirks) -> list[Selection]:
    """What matches in each of the types; a type may be known by the ids alone."""
    wanted = asked.wanted or tuple(
        LandingRequest(name) for name in dict.fromkeys(i.rpartition(".")[0] for i in asked.ids)
    )
    if not wanted:
        raise missing(asked.dialect.type_name)
    bounds = box(asked.bbox) if asked.bbox else None
    layers = [_open(request, state, layer(state, w)) for w in wanted]
    return [Selection(chosen, quirks, asked.ids, bounds) for chosen in layers]


def _open(request: Request, state: State, chosen: Layer) -> Layer:
    if not chosen.dataset.data_visible:
        raise forbidden()
    return replace(chosen, dataset=torn(request, state.store, chosen.dataset))


def _kept(request: Request, given: Share, quirks: WfsQuirks) -> Share:
    """What really comes, by a fault or a quirk."""
    withheld = given.rows if request.fault.withheld is None else request.fault.withheld
    back = 1 if quirks.next_link == "overlap" and given.start else 0
    return Share(given.matched, given.start - back, max(0, given.rows - withheld))


def composed(selection: Selection, state: State, request: Request) -> str:
    """SQL for a whole feature."""
    dataset = selection.layer.dataset
    name = f"ods:{dataset.dataset_id}"
    files = f"{request.base}/api/explore/v2.1/catalog/datasets/{dataset.dataset_id}/files/"
    writer = Properties(selection.quirks, files, state.nested(dataset))
    identified = selection.quirks.ids != "absent"
    opening = quoted(f'<{name} gml:id="{dataset.dataset_id}.') + " || r.n || '\">'"
    parts = [opening if identified else quoted(f"<{name}>")]
    columns = dataset.columns()
    declared = {columns[i]: dataset.fields[i] for i in selection.layer.places}
    for column in changed(request.fault, declared):
        made = Field(column.name, column.type, column.label)
        parts.append(writer.element(declared.get(column, made), column.sql))
    return " || ".join([*parts, quoted(f"</{name}>")])


def _members(
    request: Request, state: State, asked: Asked, selections: list[Selection], given: Share
) -> Iterator[Piece]:
    """The features of all types, one after the other, in pieces of many."""
    one = asked.dialect.modern or state.quirks.wfs.members == "one"
    member = "wfs:member" if asked.dialect.modern else "gml:featureMember"
    left, skipped = given.rows, given.start
    for selection in selections:
        total = state.store.number(selection.count())
        here = max(0, min(left, total - skipped))
        text = composed(selection, state, request)
        framed = f"'<{member}>' || {text} || '</{member}>'" if one else text
        sql = f"SELECT {framed} || chr(10) FROM ({selection.rows()}) AS r"
        window = f" LIMIT {here} OFFSET {skipped}" if here < total else ""
        if here:
            for batch in state.store.batches(sql + window, BATCH):
                yield joined(batch.column(0))
        left, skipped = left - here, max(0, skipped - total)


def _document(
    asked: Asked, quirks: WfsQuirks, head: str, pieces: Iterator[Piece]
) -> Iterator[Piece]:
    together = not asked.dialect.modern and quirks.members == "all"
    yield (head + ">\n" + ("<gml:featureMembers>\n" if together else "")).encode()
    try:
        yield from pieces
    except Refused as broken:
        # Nothing more comes: the document is never ended.
        yield inline(broken, asked.dialect)
        return
    yield (b"</gml:featureMembers>\n" if together else b"") + b"</wfs:FeatureCollection>\n"


def _hits(request: Request, asked: Asked, matched: int, quirks: WfsQuirks) -> str:
    if quirks.hits == "refused":
        raise Refused("OperationNotSupported", "resultType", "resultType hits is not supported.")
    told = "unknown" if quirks.hits == "unknown" else str(matched + quirks.hits_off)
    if asked.dialect.modern:
        return _head(request, asked, {"numberMatched": told, "numberReturned": "0"}) + "/>\n"
    counts = {} if quirks.hits == "unknown" else {"numberOfFeatures": told}
    return _head(request, asked, counts) + "/>\n"


def _counts(request: Request, asked: Asked, given: Share, quirks: WfsQuirks) -> dict[str, str]:
    """What the collection says of itself."""
    lying = quirks.cap_count == "lying" and quirks.cap is not None
    returned = min(given.matched, asked.limit or given.matched) if lying else given.rows
    if not asked.dialect.modern:
        return {} if quirks.counts != "told" else {"numberOfFeatures": str(returned)}
    counts = {"numberMatched": str(given.matched), "numberReturned": str(returned)}
    if quirks.counts == "unknown":
        counts["numberMatched"] = "unknown"
    if quirks.counts == "absent":
        counts = {}
    return counts | _next(request, asked, given, quirks)


def _next(request: Request, asked: Asked, given: Share, quirks: WfsQuirks) -> dict[str, str]:
    """The link to the next page, where replies are pages and there is one."""
    left = min(given.matched - given.end, (asked.limit or given.matched) - given.rows)
    endless = quirks.next_link == "endless"
    if not quirks.page or (left <= 0 and not endless) or quirks.next_link == "missing":
        return {}
    kept = [(k, v) for k, v in request.pairs if k.lower() not in ("startindex", "count", "k")]
    start = given.start if quirks.next_link == "loop" else given.end
    if endless:
        start, turn = 0, int(dict(request.pairs).get("k", "0"))
        kept.append(("k", str(turn + 1)))
    kept += [("startIndex", str(start))] + ([("count", str(left))] if asked.limit else [])
    base = "http://elsewhere.invalid" if quirks.next_link == "elsewhere" else request.base
    return {"next": f"{base}{PATH}?{urlencode(kept)}"}


def _head(request: Request, asked: Asked, counts: dict[str, str]) -> str:
    """The start tag of the collection, not closed yet."""
    dialect = asked.dialect
    names = namespaces(dialect, request.base, asked.wanted)
    moment = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    attributes = {**names, **counts, "timeStamp": moment}
    written = " ".join(f"{name}={quoteattr(value)}" for name, value in attributes.items())
    return f"{PROLOGUE}<wfs:FeatureCollection {written}"


def namespaces(dialect: Dialect, base: str, wanted: tuple[LandingRequest, ...]) -> dict[str, str]:
    """The prefixes of a reply with features, and where their schemas are."""
    asking = {"service": "WFS", "version": dialect.version, "request": "DescribeFeatureType"}
    types = {dialect.type_name: ",".join(w.type_name for w in wanted)} if wanted else {}
    home = f"{base}{PATH}?{urlencode(asking | types)}"
    return {
        "xmlns:wfs": dialect.wfs,
        "xmlns:gml": dialect.gml,
        "xmlns:ods": namespace(base),
        "xmlns:xsi": XSI,
        "xsi:schemaLocation": f"{namespace(base)} {home} {dialect.wfs} {dialect.wfs_schema}",
    }
