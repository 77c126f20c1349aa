"""The error replies of the Explore API, as recorded from real portals.

The errors of the WFS have documents of their own, and do not belong here.
"""

from __future__ import annotations

import json
from typing import Any


class ApiError(Exception):
    """A request that the portal answers with an error envelope."""

    def __init__(
        self,
        status: int,
        envelope: dict[str, Any],
        retry_after: int | None = None,
        challenge: str = "",
    ):
        """Keep what the reply needs; ``challenge`` is its ``WWW-Authenticate`` header."""
        super().__init__(str(envelope))
        self.status = status
        self.envelope = envelope
        self.retry_after = retry_after
        self.challenge = challenge

    def body(self) -> bytes:
        """Pretty-printed with two spaces, as portals send it."""
        return json.dumps(self.envelope, indent=2).encode()


def api_error(status: int, code: str, message: str) -> ApiError:
    """The envelope of every error but the quota's."""
    return ApiError(status, {"error_code": code, "message": message})


def unknown_dataset(dataset_id: str) -> ApiError:
    """The error for a dataset that is withdrawn, renamed or was never published."""
    return api_error(404, "NotFoundResource", f"The requested dataset {dataset_id} does not exist.")


def unknown_uri() -> ApiError:
    """The error for any other path."""
    return api_error(404, "NotFoundURI", "The requested URI does not exist.")


def forbidden() -> ApiError:
    """The error for the records of a restricted dataset."""
    message = "You don't have permission to access the requested resource"
    return api_error(403, "ForbiddenAccess", message)


def private_portal() -> ApiError:
    """The error of a private portal for anonymous callers."""
    message = "This portal is private: requests must be authenticated."
    return api_error(401, "Unauthorized", message)


def bad_key(status: int, state: str) -> ApiError:
    """The error for an API key that is not valid; real texts are unknown."""
    message = f"The API key is {state}." if state else "The API key is not valid."
    return api_error(status, "Unauthorized" if status == 401 else "ForbiddenAccess", message)


def bad_access_token() -> ApiError:
    """The error for an access token that is not valid, with the challenge of RFC 6750."""
    message = "The access token is invalid or has expired."
    challenge = f'Bearer error="invalid_token", error_description="{message}"'
    return ApiError(401, {"error_code": "Unauthorized", "message": message}, challenge=challenge)


def two_credentials() -> ApiError:
    """The error for two credentials in one request."""
    message = "Only one way of authentication may be used in a request."
    return api_error(400, "InvalidRequest", message)


def invalid_parameter(name: str, found: object, expected: str) -> ApiError:
    """The error for a parameter outside its declared range or enumeration."""
    message = f"Invalid value for {name} API parameter: {found} was found but {expected}."
    return api_error(400, "InvalidRESTParameterError", message)


def odsql_error(problem: str, clause: str) -> ApiError:
    """The error for a query that parses but is invalid."""
    message = f"ODSQL query is malformed: {problem} Clause(s) containing the error(s): {clause}."
    return api_error(400, "ODSQLError", message)


def odsql_syntax_error(problem: str, clause: str) -> ApiError:
    """The error for a query that does not parse."""
    message = f"ODSQL syntax exception: {problem}. Clause(s) containing the error(s): {clause}."
    return api_error(400, "ODSQLSyntaxError", message)


def incompatible_types(left: str, right: str, clause: str) -> ApiError:
    """The error for a comparison between incompatible types."""
    message = (
        f"Incompatible types in comparison filter: {left} can not be compared with {right}. "
        f"Clause(s) containing the error(s): {clause}."
    )
    return api_error(400, "IncompatibleTypesInComparisonFilter", message)


DOMAIN_QUOTA = (10002, "Too many requests on the domain. Please contact the domain administrator.")
ANONYMOUS_QUOTA = (10005, "You have exceeded the requests limit for anonymous users.")


def quota_exceeded(
    limit: int,
    reset_time: str,
    unit: str,
    retry_after: int | None = None,
    exceeded: tuple[int, str] = DOMAIN_QUOTA,
) -> ApiError:
    """The envelope of a spent quota: a number under ``errorcode``, the text under ``error``."""
    number, text = exceeded
    envelope = {
        "errorcode": number,
        "reset_time": reset_time,
        "limit_time_unit": unit,
        "call_limit": limit,
        "error": text,
    }
    return ApiError(429, envelope, retry_after)
