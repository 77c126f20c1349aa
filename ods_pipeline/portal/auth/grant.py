"""A login as a value: its tokens, how long they are valid, and the state of its renewal.

Pure functions of it; storing and renewing it are done elsewhere in this folder.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from ods_pipeline.portal.http.signing import Sealed
from ods_pipeline.redaction import keep_secret

#: What a header and a form can carry (RFC 6749, appendix A).
CARRIED = re.compile(r"[\x20-\x7e]*")
# A moment that a calendar knows.
_LATEST = 1e11
ClientAuth = Literal["body", "basic"]

#: A token is renewed so many seconds before it runs out, or after nine tenths of a short life.
LEEWAY = 300
_SHARE = 0.1


@dataclass(frozen=True, repr=False)
class Grant(Sealed):
    """One login of one application at one portal.

    Attributes:
        portal: Base URL of the portal; tokens of one portal are never shown to another.
        client_id: The application.
        access_token: What is shown with each request.
        refresh_token: What the next access token is got with. It serves once.
        obtained_at: When the access token was asked for, in seconds since 1970.
        expires_at: When it runs out; None where the portal did not say.
        scope: What the portal granted.
        client_auth: How the application proves itself: `body` or `basic`.
        generation: How many tokens there were before.
        logged_in_at: When a person consented, in seconds since 1970.
        pending: When a renewal was begun whose end is unknown; None without one.
        pending_by: Which process began it, and where.
        refused: Why a person is needed; empty while the login is good.
    """

    portal: str
    client_id: str
    access_token: str
    refresh_token: str
    obtained_at: float
    expires_at: float | None = None
    scope: str = ""
    client_auth: ClientAuth = "body"
    generation: int = 0
    logged_in_at: float = 0
    pending: float | None = None
    pending_by: str = ""
    refused: str = ""

    def __post_init__(self) -> None:
        keep_secret(self.access_token, self.refresh_token, passing=True)

    def __repr__(self) -> str:
        """Whose and how many, never a token."""
        return f"Grant({self.client_id!r} at {self.portal!r}, generation {self.generation})"

    def serves(self, now: float, *, rejected: str | None = None, leeway: bool = True) -> bool:
        """Whether the access token can be shown.

        Args:
            now: Seconds since 1970.
            rejected: A token that the portal has refused.
            leeway: Whether it must serve a while yet.
        """
        if self.refused or self.access_token == rejected:
            return False
        if self.obtained_at > now + LEEWAY:
            # By a clock that is ahead of ours, or ours is behind: its end says nothing.
            return False
        if self.expires_at is None:
            return True
        spare = min(LEEWAY, _SHARE * (self.expires_at - self.obtained_at)) if leeway else 0
        return now < self.expires_at - spare

    def dump(self) -> str:
        """As the stores keep it: JSON, with the secrets in it."""
        return json.dumps(asdict(self))

    @classmethod
    def parse(cls, text: str) -> Grant:
        """Read what `dump` wrote; what a later version added is left out.

        Raises:
            ValueError: It is not a login.
        """
        grant = _read(cls, text)
        if grant is None:
            raise ValueError("no record of a login")
        return grant


def _read(kind: type[Grant], text: str) -> Grant | None:
    # No error leaves here: a decoder's carries the text, and with it the tokens.
    try:
        known: dict[str, Any] = json.loads(text)
        names = {field.name for field in fields(kind)}
        grant = kind(**{key: value for key, value in known.items() if key in names})
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None
    whole = all(_fits(types, getattr(grant, name)) for name, types in _SHAPE.items())
    carried = whole and CARRIED.fullmatch(grant.access_token + grant.refresh_token)
    return grant if carried else None


_SHAPE: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("portal", "client_id", "access_token", "refresh_token"), (str,)),
    **dict.fromkeys(("scope", "client_auth", "pending_by", "refused"), (str,)),
    **dict.fromkeys(("obtained_at", "logged_in_at", "generation"), (int, float)),
    **dict.fromkeys(("expires_at", "pending"), (int, float, type(None))),
}


def _fits(types: tuple[type, ...], value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, types):
        return False
    return not isinstance(value, int | float) or 0 <= value < _LATEST
