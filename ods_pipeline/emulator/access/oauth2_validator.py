"""What oauthlib asks about clients, codes and tokens, answered from the accounts and the ledger.

It is only ever asked under the ledger's lock, so that no token can be consumed twice.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any
from urllib.parse import unquote_plus

from oauthlib.oauth2 import RequestValidator

from ods_pipeline.emulator.access.accounts import Accounts, Application
from ods_pipeline.emulator.access.issued_tokens import CODE_LIFETIME, Access, Code, Ledger, Refresh
from ods_pipeline.emulator.access.quirks import AccessQuirks

SCOPES = ["all"]


def basic(authorization: str) -> tuple[str, str] | None:
    """Name and password of an Authorization header, if it is a Basic one."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, _, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return name, password


def presented(
    authorization: str, client_id: str | None, secret: str | None
) -> tuple[str, set[str]]:
    """The client that a request names, and the readings of its secret.

    By RFC 6749 both are form-encoded before they go into the header; many clients do not.
    """
    named = basic(authorization)
    if named is None:
        return client_id or "", {secret or ""}
    return unquote_plus(named[0]), {named[1], unquote_plus(named[1])}


class Validator(RequestValidator):  # type: ignore[misc] # oauthlib ships no types
    """The rules of this portal; the protocol is oauthlib's."""

    def __init__(self, accounts: Accounts, ledger: Ledger, quirks: AccessQuirks):
        """Answer from these."""
        self.accounts = accounts
        self.ledger = ledger
        self.quirks = quirks

    def client_authentication_required(self, request: Any, *_: Any, **__: Any) -> bool:
        """Public applications are looked at as well: a secret that they send must be theirs."""
        return True

    def authenticate_client(self, request: Any, *_: Any, **__: Any) -> bool:
        """By body or by Basic."""
        header = request.headers.get("authorization", "")
        client_id, secrets = presented(header, request.client_id, request.client_secret)
        application = self.accounts.applications.get(client_id)
        if application is None or not application.accepts(secrets):
            return False
        request.client = application
        request.client_id = client_id
        return True

    def validate_client_id(self, client_id: str, request: Any, *_: Any, **__: Any) -> bool:
        """Registered here?"""
        return client_id in self.accounts.applications

    def validate_redirect_uri(
        self, client_id: str, redirect_uri: str, request: Any, *_: Any, **__: Any
    ) -> bool:
        """The very one that was registered?"""
        return self.accounts.applications[client_id].redirect_uri == redirect_uri

    def get_default_redirect_uri(self, client_id: str, request: Any, *_: Any, **__: Any) -> None:
        """None: the parameter is documented as required."""

    def validate_response_type(
        self, client_id: str, response_type: str, client: Any, request: Any, *_: Any, **__: Any
    ) -> bool:
        """Always ``code``."""
        return response_type == "code"

    def validate_grant_type(
        self, client_id: str, grant_type: str, client: Any, request: Any, *_: Any, **__: Any
    ) -> bool:
        """All applications may do all that there is."""
        return grant_type in ("authorization_code", "refresh_token")

    def get_default_scopes(self, client_id: str, request: Any, *_: Any, **__: Any) -> list[str]:
        """Only one is supported."""
        return SCOPES

    def validate_scopes(
        self, client_id: str, scopes: list[str], client: Any, request: Any, *_: Any, **__: Any
    ) -> bool:
        """Only one is supported."""
        return list(scopes) == SCOPES

    def get_original_scopes(
        self, refresh_token: str, request: Any, *_: Any, **__: Any
    ) -> list[str]:
        """Only one is supported."""
        return SCOPES

    def is_pkce_required(self, client_id: str, request: Any) -> bool:
        """Checked where a challenge was given."""
        return False

    def save_authorization_code(
        self, client_id: str, code: dict[str, str], request: Any, *_: Any, **__: Any
    ) -> None:
        """Keep what the exchange must match."""
        self.ledger.codes[code["code"]] = Code(
            request.user,
            client_id,
            request.redirect_uri,
            request.code_challenge,
            request.code_challenge_method,
            self.ledger.now() + CODE_LIFETIME,
        )

    def validate_code(
        self, client_id: str, code: str, client: Application, request: Any, *_: Any, **__: Any
    ) -> bool:
        """Still good, and given to this client?"""
        found = self.ledger.code(code)
        if found is None or found.client_id != client.client_id:
            return False
        request.user, request.scopes = found.user, SCOPES
        return True

    def get_code_challenge(self, code: str, request: Any) -> str | None:
        """Of a code that was validated."""
        return self.ledger.codes[code].challenge

    def get_code_challenge_method(self, code: str, request: Any) -> str | None:
        """Of a code that was validated."""
        return self.ledger.codes[code].method

    def confirm_redirect_uri(
        self,
        client_id: str,
        code: str,
        redirect_uri: str,
        client: Any,
        request: Any,
        *_: Any,
        **__: Any,
    ) -> bool:
        """The same as at the consent?"""
        return self.ledger.codes[code].redirect_uri == redirect_uri

    def invalidate_authorization_code(
        self, client_id: str, code: str, request: Any, *_: Any, **__: Any
    ) -> None:
        """It serves once."""
        self.ledger.codes.pop(code, None)

    def validate_refresh_token(
        self, refresh_token: str, client: Application, request: Any, *_: Any, **__: Any
    ) -> bool:
        """Unspent, unrevoked, and given to this client?"""
        found = self.ledger.refresh.get(refresh_token)
        if found is None or found.grant.client_id != client.client_id:
            return False
        if found.spent and self.quirks.reuse_revokes_family:
            self.ledger.end(found.grant)
        return not found.spent and self.ledger.alive(found.grant)

    def save_bearer_token(self, token: dict[str, Any], request: Any, *_: Any, **__: Any) -> None:
        """Keep what was issued; the refresh token that paid for it is spent from now on."""
        paid = request.refresh_token if request.grant_type == "refresh_token" else None
        if paid is None:
            grant = self.ledger.consented(request.user, request.client.client_id)
        else:
            grant = self.ledger.refresh[paid].grant
            if self.quirks.revokes_old_access:
                self.ledger.forget_access(grant)
        expires_at = self.ledger.now() + token["expires_in"]
        self.ledger.access[token["access_token"]] = Access(grant, expires_at)
        if "refresh_token" in token:
            if paid is not None:
                self.ledger.spend(paid)
            self.ledger.refresh[token["refresh_token"]] = Refresh(grant)
