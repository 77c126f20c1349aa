"""Codes, access tokens and refresh tokens that were issued, and whether they are still good.

The OAuth2 protocol does not belong here.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace

CODE_LIFETIME = 3600


@dataclass(frozen=True)
class Renewal:
    """One refresh request: ``renewed``, or the token was ``spent``, or it was ``refused``."""

    client_id: str
    presented: str
    outcome: str


@dataclass(frozen=True)
class Grant:
    """One consent of a user to an application, to which all tokens issued for it belong."""

    number: int
    user: str
    client_id: str


@dataclass(frozen=True)
class AuthorizationCode:
    """An authorization code with everything that its exchange must match."""

    user: str
    client_id: str
    redirect_uri: str
    challenge: str | None
    method: str | None
    expires_at: float


@dataclass(frozen=True)
class AccessToken:
    """An access token."""

    grant: Grant
    expires_at: float


@dataclass(frozen=True)
class RefreshToken:
    """A refresh token: it does not expire, but can be used once."""

    grant: Grant
    spent: bool = False


@dataclass
class IssuedTokens:
    """Everything issued on one portal; hold ``lock`` while reading and then writing."""

    now: Callable[[], float]
    codes: dict[str, AuthorizationCode] = field(default_factory=dict)
    access: dict[str, AccessToken] = field(default_factory=dict)
    refresh: dict[str, RefreshToken] = field(default_factory=dict)
    renewals: list[Renewal] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)
    _revoked: set[int] = field(default_factory=set)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def new_grant(self, user: str, client_id: str) -> Grant:
        """A new grant, for a consent just given."""
        return Grant(next(self._numbers), user, client_id)

    def code(self, code: str) -> AuthorizationCode | None:
        """A code that is still good."""
        found = self.codes.get(code)
        return found if found and found.expires_at > self.now() else None

    def user_of(self, access_token: str) -> str | None:
        """The user of an access token, if it is good at this moment."""
        with self.lock:
            found = self.access.get(access_token)
            if found is None or found.expires_at <= self.now() or not self.is_valid(found.grant):
                return None
            return found.grant.user

    def is_valid(self, grant: Grant) -> bool:
        """Whether a grant was not revoked."""
        return grant.number not in self._revoked

    def revoke_grant(self, grant: Grant) -> None:
        """Revoke a grant with all its tokens."""
        self._revoked.add(grant.number)

    def mark_spent(self, refresh_token: str) -> None:
        """Mark a refresh token as used."""
        self.refresh[refresh_token] = replace(self.refresh[refresh_token], spent=True)

    def revoke_access(self, grant: Grant) -> None:
        """Remove the access tokens of a grant; its refresh token stays."""
        self.access = {k: v for k, v in self.access.items() if v.grant != grant}

    def expire_access(self) -> None:
        """Expire every access token."""
        with self.lock:
            self.access = {k: replace(v, expires_at=-math.inf) for k, v in self.access.items()}

    def revoke(self, user: str | None) -> None:
        """Revoke the grants of a user, or of all, and the codes not yet exchanged."""
        with self.lock:
            issued = {token.grant for token in self.access.values()}
            issued |= {token.grant for token in self.refresh.values()}
            self._revoked |= {grant.number for grant in issued if user in (None, grant.user)}
            self.codes = {k: c for k, c in self.codes.items() if user not in (None, c.user)}
