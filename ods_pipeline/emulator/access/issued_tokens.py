"""What was issued and what became of it: codes, access tokens, refresh tokens; no protocol here."""

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
    """One consent; all tokens that come from it belong together."""

    number: int
    user: str
    client_id: str


@dataclass(frozen=True)
class Code:
    """An authorization code with everything that its exchange must match."""

    user: str
    client_id: str
    redirect_uri: str
    challenge: str | None
    method: str | None
    expires_at: float


@dataclass(frozen=True)
class Access:
    """An access token."""

    grant: Grant
    expires_at: float


@dataclass(frozen=True)
class Refresh:
    """A refresh token: it does not expire, but serves once."""

    grant: Grant
    spent: bool = False


@dataclass
class Ledger:
    """Everything issued on one portal. Whoever reads and then writes holds the lock between."""

    now: Callable[[], float]
    codes: dict[str, Code] = field(default_factory=dict)
    access: dict[str, Access] = field(default_factory=dict)
    refresh: dict[str, Refresh] = field(default_factory=dict)
    renewals: list[Renewal] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)
    _dead: set[int] = field(default_factory=set)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def consented(self, user: str, client_id: str) -> Grant:
        """A new grant."""
        return Grant(next(self._numbers), user, client_id)

    def code(self, code: str) -> Code | None:
        """A code that is still good."""
        found = self.codes.get(code)
        return found if found and found.expires_at > self.now() else None

    def holder(self, access_token: str) -> str | None:
        """The person for whom an access token is good at this moment."""
        with self.lock:
            found = self.access.get(access_token)
            if found is None or found.expires_at <= self.now() or not self.alive(found.grant):
                return None
            return found.grant.user

    def alive(self, grant: Grant) -> bool:
        """Whether a grant was not revoked."""
        return grant.number not in self._dead

    def end(self, grant: Grant) -> None:
        """Revoke all that came of a consent."""
        self._dead.add(grant.number)

    def spend(self, refresh_token: str) -> None:
        """Let a refresh token have served."""
        self.refresh[refresh_token] = replace(self.refresh[refresh_token], spent=True)

    def forget_access(self, grant: Grant) -> None:
        """End the access tokens of a grant; its refresh token stays."""
        self.access = {k: v for k, v in self.access.items() if v.grant != grant}

    def expire_access(self) -> None:
        """Let every access token have expired."""
        with self.lock:
            self.access = {k: replace(v, expires_at=-math.inf) for k, v in self.access.items()}

    def revoke(self, user: str | None) -> None:
        """End the grants of a person, or of all, and the codes not yet exchanged."""
        with self.lock:
            issued = {token.grant for token in self.access.values()}
            issued |= {token.grant for token in self.refresh.values()}
            self._dead |= {grant.number for grant in issued if user in (None, grant.user)}
            self.codes = {k: c for k, c in self.codes.items() if user not in (None, c.user)}
