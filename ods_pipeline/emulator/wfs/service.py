"""The endpoint: which operation answers, and how a refusal is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ods_pipeline.emulator.datasets.state import State
from ods_pipeline.emulator.http.reply import COMMON, Piece, Reply
from ods_pipeline.emulator.http.request import Request
from ods_pipeline.emulator.wfs.capabilities import capabilities
from ods_pipeline.emulator.wfs.description import description
from ods_pipeline.emulator.wfs.exception_report import Refused, invalid
from ods_pipeline.emulator.wfs.get_feature import features
from ods_pipeline.emulator.wfs.operation_request import Asked, of_parameters
from ods_pipeline.emulator.wfs.post_body import of_body
from ods_pipeline.emulator.wfs.stored_queries import by_id, described, listed
from ods_pipeline.emulator.wfs.xml import DIALECTS, LATEST, OLD, XML

Operation = Callable[[Request, State, Asked], Iterable[Piece]]
OPERATIONS: dict[str, Operation] = {
    "getcapabilities": capabilities,
    "describefeaturetype": description,
    "getfeature": features,
}
MODERN: dict[str, Operation] = {"liststoredqueries": listed, "describestoredqueries": described}


def reply(request: Request, state: State) -> Reply:
    """The answer to a GET or POST of the WFS."""
    quirks = state.quirks.wfs
    version = quirks.version or _reported(request)
    try:
        asked = _asked(request, quirks.version)
        version = asked.dialect.version
        return Reply(200, _operation(asked)(request, state, asked), XML)
    except Refused as refused:
        status = quirks.exception_status
        return Reply(status, [refused.report(version)], XML, COMMON, True, False)


def _asked(request: Request, stubborn: str) -> Asked:
    if request.method == "POST":
        return of_body(request, stubborn)
    return of_parameters(request, stubborn)


def _operation(asked: Asked) -> Operation:
    if asked.stored_query and asked.operation == "getfeature":
        return by_id
    known = OPERATIONS | (MODERN if asked.dialect.modern else {})
    if asked.operation not in known:
        raise invalid("request", f"Operation {asked.operation} is not supported.")
    return known[asked.operation]


def _reported(request: Request) -> str:
    """The version of a report about a question that was not understood."""
    if request.method == "POST":
        return OLD.version
    given = {name.lower(): value for name, value in request.pairs}
    version = given.get("version", LATEST)
    return version if version in DIALECTS else LATEST
