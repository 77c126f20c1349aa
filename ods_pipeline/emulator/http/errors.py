"""The error replies of the Explore API as real portals were recorded; no HTTP plumbing here."""

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
        """Keep what the reply needs; a challenge says how to authenticate."""
        super().__init__(str(envelope))
        self.status = status
        self.envelope = envelope
        self.retry_after = retry_after
        self.challenge = challenge

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


def private() -> ApiError:
    """What a private portal answers strangers."""
    message = "This portal is private: requests must be authenticated."
    return coded(401, "Unauthorized", message)


def bad_key(status: int, state: str) -> ApiError:
    """What an API key that is not good answers; real texts are unknown."""
    told = f"The API key is {state}." if state else "The API key is not valid."
    return coded(status, "Unauthorized" if status == 401 else "ForbiddenAccess", told)


def bad_bearer() -> ApiError:
    """What an access token that is not good answers, with the challenge of RFC 6750."""
    told = "The access token is invalid or has expired."
    challenge = f'Bearer error="invalid_token", error_description="{told}"'
    return ApiError(401, {"error_code": "Unauthorized", "message": told}, challenge=challenge)


def ambiguous() -> ApiError:
    """What two credentials in one request answer."""
    message = "Only one way of authentication may be used in a request."
    return coded(400, "InvalidRequest", message)


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


DOMAIN = (10002, "Too many requests on the domain. Please contact the domain administrator.")
ANONYMOUS = (10005, "You have exceeded the requests limit for anonymous users.")


def quota_spent(
    limit: int,
    reset_time: str,
    unit: str,
    retry_after: int | None = None,
    told: tuple[int, str] = DOMAIN,
) -> ApiError:
    """The odd envelope: a number under ``errorcode`` and the text under ``error``."""
    number, text = told
    envelope = {
        "errorcode": number,
        "reset_time": reset_time,
        "limit_time_unit": unit,
        "call_limit": limit,
        "error": text,
    }
    return ApiError(429, envelope, retry_after)
