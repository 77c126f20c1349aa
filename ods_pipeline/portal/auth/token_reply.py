"""What a token endpoint's reply means: tokens, or one of our errors. Pure functions of a reply.

Asking is `endpoint`'s work; what an error means for the login that is kept is `renewal`'s.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import requests

from ods_pipeline.errors import AccessDenied, LoginNeeded, PortalFailure, keep_secret
from ods_pipeline.portal.address import Address

_LATER = frozenset({"server_error", "temporarily_unavailable"})
# Of the client's errors, those that are the server's troubles.
_TROUBLES = frozenset({408, 425, 429})


def tokens(
    reply: requests.Response, address: Address, client_id: str, endpoint: str
) -> dict[str, Any]:
    """The tokens of a reply, whatever stands beside them: what was spent for them is spent.

    The error's name decides and not the status: older servers send `invalid_grant` with 401.

    Args:
        reply: The reply.
        address: The portal.
        client_id: The application, for messages.
        endpoint: Path of the endpoint.

    Raises:
        LoginNeeded: The portal refuses the code or the refresh token.
        AccessDenied: It refuses the application or the request; nothing is spent.
        PortalFailure: It failed, and nobody knows what is spent.
    """
    where = {"portal": address.slug, "url": address.base + endpoint}
    said = _document(reply.content)
    name = said.get("error") if isinstance(said.get("error"), str) else ""
    if reply.ok and not name and _bearer(said):
        found = {**said, **{key: str(said[key]) for key in _TOKENS if said.get(key)}}
        keep_secret(*(found[key] for key in _TOKENS if found.get(key)), passing=True)
        return found
    told = _told(name or f"status {reply.status_code}", said)
    if name == "invalid_grant":
        raise LoginNeeded(f"the portal takes this login no more ({told})", **where)
    if name in {"invalid_client", "unauthorized_client"}:
        raise AccessDenied(
            f"the portal does not take the application {client_id} or its secret ({told}); "
            "check ODS_CLIENT_ID and ODS_CLIENT_SECRET against the portal's account page",
            **where,
        )
    refused = 400 <= reply.status_code < 500 and reply.status_code not in _TROUBLES
    if name not in _LATER and (name or refused):
        raise AccessDenied(f"the token endpoint refuses the request ({told})", **where)
    raise PortalFailure(f"the token endpoint gave no tokens ({told}); try later", **where)


_TOKENS = ("access_token", "refresh_token")


def _document(body: bytes) -> dict[str, Any]:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _bearer(said: Mapping[str, Any]) -> bool:
    kinds = all(isinstance(said.get(key), str | int | None) for key in _TOKENS)
    bearer = str(said.get("token_type") or "bearer").lower() == "bearer"
    return bool(said.get("access_token")) and kinds and bearer


def _told(what: str, said: Mapping[str, Any]) -> str:
    detail = str(said.get("error_description") or said.get("message") or "").rstrip(".")
    return f"{what}: {detail}" if detail else what
