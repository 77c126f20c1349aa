"""The error replies of the Explore API as real portals were recorded; no HTTP plumbing here."""

from __future__ import annotations

import json
from typing import Any


class ApiError(Exception):
    """A request that the portal answers with an error envelope."""

    def __init__(self, status: int, envelope: dict[str, Any], retry_after: int | None = None):
        """Keep what the reply needs."""
        super().__init__(str(envelope))
        self.status = status
        self.envelope = envelope
        self.retry_after = retry_after

    def body(self) -> bytes:
        """Pretty-printed with two spaces, as on the wire."""
        return json.dumps(self.envelope, indent=2).encode()


def coded(status: int, code: str, message: str) -> ApiError:
    """The envelope of every error but the quota's."""
    return ApiError(status, {"error_code": code, "message": message})


def unknown_dataset(dataset_id: str) -> ApiError:
    """What a withdrawn, renamed or never published dataset answers."""
    return coded(404, "NotFoundResource", f"The requested dataset {dataset_id} does not exist.")


def unknown_uri() -> ApiError:
    """What any other path answers."""
    return coded(404, "NotFoundURI", "The requested URI does not exist.")


def forbidden() -> ApiError:
    """What the records of a restricted dataset answer."""
    message = "You don't have permission to access the requested resource"
    return coded(403, "ForbiddenAccess", message)


def invalid_parameter(name: str, found: object, expected: str) -> ApiError:
    """A parameter outside its declared range or enumeration."""
    message = f"Invalid value for {name} API parameter: {found} was found but {expected}."
    return coded(400, "InvalidRESTParameterError", message)


def odsql_error(problem: str, clause: str) -> ApiError:
    """A query that parses and means nothing."""
    message = f"ODSQL query is malformed: {problem} Clause(s) containing the error(s): {clause}."
    return coded(400, "ODSQLError", message)


def odsql_syntax_error(problem: str, clause: str) -> ApiError:
    """A query that does not parse."""
    message = f"ODSQL syntax exception: {problem}. Clause(s) containing the error(s): {clause}."
    return coded(400, "ODSQLSyntaxError", message)


def incompatible_types(left: str, right: str, clause: str) -> ApiError:
    """A comparison between types that do not compare."""
    message = (
        f"Incompatible types in comparison filter: {left} can not be compared with {right}. "
        f"Clause(s) containing the error(s): {clause}."
    )
    return coded(400, "IncompatibleTypesInComparisonFilter", message)


def quota_spent(limit: int, reset_time: str, unit: str, retry_after: int | None = None) -> ApiError:
    """The odd envelope: a number under ``errorcode`` and the text under ``error``."""
    envelope = {
        "errorcode": 10002,
        "reset_time": reset_time,
        "limit_time_unit": unit,
        "call_limit": limit,
        "error": "Too many requests on the domain. Please contact the domain administrator.",
    }
    return ApiError(429, envelope, retry_after)
