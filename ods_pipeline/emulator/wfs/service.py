"""The endpoint of the WFS: which operation answers a request, and errors as ExceptionReports.

The operations are elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ods_pipeline.emulator.datasets.state import State
from ods_pipeline.emulator.http.reply import COMMON_HEADERS, Piece, Reply
from ods_pipeline.emulator.http.request import Request
from ods_pipeline.emulator.wfs.capabilities import get_capabilities
from ods_pipeline.emulator.wfs.exception_report import WfsError, invalid_parameter
from ods_pipeline.emulator.wfs.feature_types import describe_feature_type
from ods_pipeline.emulator.wfs.get_feature import get_feature
from ods_pipeline.emulator.wfs.operation_request import OperationRequest, from_body, from_parameters
from ods_pipeline.emulator.wfs.stored_queries import (
    describe_stored_queries,
    get_feature_by_id,
    list_stored_queries,
)
from ods_pipeline.emulator.wfs.xml import LATEST, V1_1, VERSIONS, XML_TYPE

Operation = Callable[[Request, State, OperationRequest], Iterable[Piece]]
OPERATIONS: dict[str, Operation] = {
    "getcapabilities": get_capabilities,
    "describefeaturetype": describe_feature_type,
    "getfeature": get_feature,
}
OPERATIONS_2_0: dict[str, Operation] = {
    "liststoredqueries": list_stored_queries,
    "describestoredqueries": describe_stored_queries,
}


def reply(request: Request, state: State) -> Reply:
    """The answer to a GET or POST of the WFS."""
    quirks = state.quirks.wfs
    version = quirks.version or _version_of_report(request)
    try:
        operation = _operation_request(request, quirks.version)
        version = operation.version.number
        return Reply(200, _operation(operation)(request, state, operation), XML_TYPE)
    except WfsError as error:
        status = quirks.exception_status
        return Reply(status, [error.report(version)], XML_TYPE, COMMON_HEADERS, True, False)


def _operation_request(request: Request, forced_version: str) -> OperationRequest:
    if request.method == "POST":
        return from_body(request, forced_version)
    return from_parameters(request, forced_version)


def _operation(operation: OperationRequest) -> Operation:
    if operation.stored_query and operation.name == "getfeature":
        return get_feature_by_id
    known = OPERATIONS | (OPERATIONS_2_0 if operation.version.is_2_0 else {})
    if operation.name not in known:
        raise invalid_parameter("request", f"Operation {operation.name} is not supported.")
    return known[operation.name]


def _version_of_report(request: Request) -> str:
    """The version of a report about a request that could not be read."""
    if request.method == "POST":
        return V1_1.number
    given = {name.lower(): value for name, value in request.pairs}
    version = given.get("version", LATEST)
    return version if version in VERSIONS else LATEST
