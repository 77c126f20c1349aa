"""Answers oauthlib's questions about clients, codes and tokens, by accounts and issued tokens.

It is only called under the lock of the issued tokens, so that no token can be used twice. The
endpoints themselves do not belong here.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any
from urllib.parse import unquote_plus

from oauthlib.oauth2 import RequestValidator

from ods_pipeline.emulator.access.accounts import Accounts, Application
from ods_pipeline.emulator.access.issued_tokens import (
    CODE_LIFETIME,
    AccessToken,
    AuthorizationCode,
    IssuedTokens,
    RefreshToken,
)
from ods_pipeline.emulator.quirks import AccessQuirks

SCOPES = ["all"]


def basic_credentials(authorization: str) -> tuple[str, str] | None:
    """Name and password of an Authorization header, if it is a Basic one."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, _, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return name, password


def client_credentials(
    authorization: str, client_id: str | None, secret: str | None
) -> tuple[str, set[str]]:
    """The client that a request names, and what its secret may be.

    By RFC 6749 both are form-encoded before they go into the header; many clients do not do so.
    """
    named = basic_credentials(authorization)
    if named is None:
        return client_id or "", {secret or ""}
    return unquote_plus(named[0]), {named[1], unquote_plus(named[1])}


class Validator(RequestValidator):  # type: ignore[misc] # oauthlib ships no types
    """The rules of this portal; the protocol is in oauthlib."""

    def __init__(self, accounts: Accounts, tokens: IssuedTokens, quirks: AccessQuirks):
        """Answer by these accounts, tokens and quirks."""
        self.accounts = accounts
        self.tokens = tokens
        self.quirks = quirks

    def client_authentication_required(self, request: Any, *_: Any, **__: Any) -> bool:
        """Yes, for public applications too: a secret that they send must be theirs."""
        return True

    def authenticate_client(self, request: Any, *_: Any, **__: Any) -> bool:
        """By the request's body or its Basic header."""
        header = request.headers.get("authorization", "")
        client_id, secrets = client_credentials(header, request.client_id, request.client_secret)
        application = self.accounts.applications.get(client_id)
        if application is None or not application.accepts(secrets):
            return False
        request.client = application
        request.client_id = client_id
        return True

    def validate_client_id(self, client_id: str, request: Any, *_: Any, **__: Any) -> bool:
        """Whether it is registered here."""
        return client_id in self.accounts.applications

    def validate_redirect_uri(
        self, client_id: str, redirect_uri: str, request: Any, *_: Any, **__: Any
    ) -> bool:
        """Whether it is the one that was registered."""
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
        """All applications may use both."""
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
        """No; a challenge that was given is checked."""
        return False

    def save_authorization_code(
        self, client_id: str, code: dict[str, str], request: Any, *_: Any, **__: Any
    ) -> None:
        """Keep what the exchange of the code must match."""
        self.tokens.codes[code["code"]] = AuthorizationCode(
            request.user,
            client_id,
            request.redirect_uri,
            request.code_challenge,
            request.code_challenge_method,
            self.tokens.now() + CODE_LIFETIME,
        )

    def validate_code(
        self, client_id: str, code: str, client: Application, request: Any, *_: Any, **__: Any
    ) -> bool:
        """Whether it is still good, and was given to this client."""
        found = self.tokens.code(code)
        if found is None or found.client_id != client.client_id:
            return False
        request.user, request.scopes = found.user, SCOPES
        return True

    def get_code_challenge(self, code: str, request: Any) -> str | None:
        """For a code that was validated."""
        return self.tokens.codes[code].challenge

    def get_code_challenge_method(self, code: str, request: Any) -> str | None:
        """For a code that was validated."""
        return self.tokens.codes[code].method

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
        """Whether it is the same as at the consent."""
        return self.tokens.codes[code].redirect_uri == redirect_uri

    def invalidate_authorization_code(
        self, client_id: str, code: str, request: Any, *_: Any, **__: Any
    ) -> None:
        """A code can be used once."""
        self.tokens.codes.pop(code, None)

    def validate_refresh_token(
        self, refresh_token: str, client: Application, request: Any, *_: Any, **__: Any
    ) -> bool:
        """Whether it is neither spent nor revoked, and was given to this client."""
        found = self.tokens.refresh.get(refresh_token)
        if found is None or found.grant.client_id != client.client_id:
            return False
        if found.spent and self.quirks.reuse_revokes_family:
            self.tokens.revoke_grant(found.grant)
        return not found.spent and self.tokens.is_valid(found.grant)

    def save_bearer_token(self, token: dict[str, Any], request: Any, *_: Any, **__: Any) -> None:
        """Keep the issued tokens, and mark the refresh token that was used as spent."""
        used = request.refresh_token if request.grant_type == "refresh_token" else None
        if used is None:
            grant = self.tokens.new_grant(request.user, request.client.client_id)
        else:
            grant = self.tokens.refresh[used].grant
            if self.quirks.revokes_old_access:
                self.tokens.revoke_access(grant)
        expires_at = self.tokens.now() + token["expires_in"]
        self.tokens.access[token["access_token"]] = AccessToken(grant, expires_at)
        if "refresh_token" in token:
            if used is not None:
                self.tokens.mark_spent(used)
            self.tokens.refresh[token["refresh_token"]] = RefreshToken(grant)
