"""What a token endpoint's reply means: tokens, or one of our errors. Pure functions of a reply.

Nothing is sent here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin

import requests

from ods_pipeline.errors import AccessDenied, LoginNeeded, PortalFailure
from ods_pipeline.portal.auth.grant import CARRIED
from ods_pipeline.portal.http import replies
from ods_pipeline.portal.http.address import Address, host_of
from ods_pipeline.redaction import keep_secret

_LATER = frozenset({"server_error", "temporarily_unavailable"})
# Of the client's errors, those that are the server's troubles.
_TROUBLES = frozenset({408, 425})
_TOO_MANY = 429
_NO_ENDPOINT = frozenset({404, 405, 410})


def tokens(
    reply: requests.Response, address: Address, client_id: str, endpoint: str
) -> dict[str, Any]:
    """The tokens of a reply, whatever stands beside them: what was spent for them is spent.

    The error's name decides and not the status: older servers send `invalid_grant` with 401.

    Raises:
        LoginNeeded: The portal refuses the code or the refresh token.
        AccessDenied: It refuses the application or the request; nothing is spent.
        QuotaExhausted: It has been asked too often; nothing is spent.
        PortalFailure: It failed, and the token may have been used up or not.
    """
    where = {"portal": address.slug, "url": address.base + endpoint}
    said = _document(reply.content)
    name = said.get("error") if isinstance(said.get("error"), str) else ""
    if reply.ok and not name and _bearer(said):
        found = {**said, **{key: str(said[key]) for key in _TOKENS if said.get(key)}}
        keep_secret(*(found[key] for key in _TOKENS if found.get(key)), passing=True)
        return found
    if 300 <= reply.status_code < 400:
        raise _redirected(reply, where)
    if reply.status_code == _TOO_MANY:
        raise replies.quota(reply.headers, said, **where)
    detail = str(said.get("error_description") or said.get("message") or "").rstrip(".")
    what = name or f"status {reply.status_code}"
    reason = f"{what}: {detail}" if detail else what
    if name == "invalid_grant":
        raise LoginNeeded(f"the portal takes this login no more ({reason})", **where)
    if name in {"invalid_client", "unauthorized_client"}:
        raise AccessDenied(
            f"the portal does not take the application {client_id} or its secret ({reason}); "
            "check ODS_CLIENT_ID and ODS_CLIENT_SECRET against the portal's account page",
            **where,
        )
    refused = 400 <= reply.status_code < 500 and reply.status_code not in _TROUBLES
    if reply.status_code in _NO_ENDPOINT and not name:
        raise AccessDenied(
            f"there is no token endpoint there ({reason}); check ODS_PORTAL", **where
        )
    if name not in _LATER and (name or refused):
        raise AccessDenied(f"the token endpoint refuses the request ({reason})", **where)
    raise PortalFailure(f"the token endpoint gave no tokens ({reason}); try later", **where)


_TOKENS = ("access_token", "refresh_token")


def _redirected(reply: requests.Response, where: dict[str, str]) -> AccessDenied:
    try:
        target = urljoin(where["url"], reply.headers.get("Location", ""))
    except ValueError:
        target = ""
    return AccessDenied(
        f"the token endpoint passes requests on to {host_of(target) or 'no address'}, "
        "where no secret is sent; if the portal has moved, set ODS_PORTAL to its new address",
        **where,
    )


def _document(body: bytes) -> dict[str, Any]:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _bearer(said: Mapping[str, Any]) -> bool:
    kinds = all(isinstance(said.get(key), str | int | None) for key in _TOKENS)
    bearer = str(said.get("token_type") or "bearer").strip().lower() == "bearer"
    carried = all(CARRIED.fullmatch(str(said[key])) for key in _TOKENS if said.get(key))
    return kinds and bearer and carried and bool(said.get("access_token"))
