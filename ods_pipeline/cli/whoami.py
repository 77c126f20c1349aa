"""Whom a portal takes the user for: which credentials, until when, and what they open.

Two small requests. Logins are renewed in `portal`, as by any request.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from ods_pipeline.errors import AccessDenied, NotAPortal, PortalError
from ods_pipeline.portal.auth import ApiKey, OAuth2
from ods_pipeline.portal.auth.grant import Grant
from ods_pipeline.portal.http.client import Client
from ods_pipeline.portal.portal import Portal

_COUNT = "/catalog/datasets"
_MOST = 10**9
_SHOWN = "%Y-%m-%d %H:%M UTC"


@dataclass(frozen=True)
class Opened:
    """How many datasets a portal shows with credentials, and to anybody; None if it did not say."""

    datasets: int
    public: int | None

    def __str__(self) -> str:
        """For people; a portal that takes no notice of credentials shows no more for them."""
        if self.public == self.datasets:
            return f"not refused; the portal shows the same {self.datasets} datasets as to anybody"
        others = "" if self.public is None else f", and {self.public} to anybody"
        return f"accepted; the portal shows {self.datasets} datasets{others}"


@dataclass(frozen=True)
class Login:
    """What may be shown of a stored login.

    Attributes:
        kept_in: File, or server and table.
        logged_in_at: When a person consented.
        token_until: When the access token runs out; None where the portal did not say.
        renewed: How often it was renewed.
        renewed_at: When it was last; None while it never was.
    """

    kept_in: str
    logged_in_at: datetime
    token_until: datetime | None
    renewed: int
    renewed_at: datetime | None

    @classmethod
    def of(cls, grant: Grant, kept_in: str) -> Login:
        """What may be shown of a login: none of its tokens."""
        return cls(
            kept_in,
            _moment(grant.logged_in_at),
            None if grant.expires_at is None else _moment(grant.expires_at),
            grant.generation,
            _moment(grant.obtained_at) if grant.generation else None,
        )

    def __str__(self) -> str:
        """For people."""
        until = f"{self.token_until:{_SHOWN}}" if self.token_until else "the portal refuses it"
        last = f", last at {self.renewed_at:{_SHOWN}}" if self.renewed_at else ""
        times = {0: "never", 1: "once"}.get(self.renewed, f"{self.renewed} times")
        return (
            f"logged in at {self.logged_in_at:{_SHOWN}}; kept in {self.kept_in}\n"
            f"token good until {until}; renewed {times}{last}"
        )


@dataclass(frozen=True)
class Identity:
    """Whom the portal takes the user for, by which credentials; an application has a login."""

    portal: str
    credentials: ApiKey | OAuth2
    opened: Opened
    login: Login | None = None

    def as_dict(self) -> dict[str, Any]:
        """For programs: flat, with times in ISO 8601."""
        entries: dict[str, Any] = {"portal": self.portal, "credentials": "api_key"}
        if isinstance(self.credentials, OAuth2):
            entries |= {"credentials": "oauth2", "client_id": self.credentials.client_id}
        entries |= asdict(self.opened) | (asdict(self.login) if self.login else {})
        return {
            key: value.isoformat() if isinstance(value, datetime) else value
            for key, value in entries.items()
        }

    def __str__(self) -> str:
        """For people; a few lines."""
        first = f"{kind(self.credentials)} at {self.portal}: {self.opened}"
        return f"{first}\n{self.login}" if self.login else first


def kind(credentials: ApiKey | OAuth2) -> str:
    """What credentials are called; no secret is in it."""
    if isinstance(credentials, OAuth2):
        return f"application {credentials.client_id}"
    return "API key"


def identify(portal: Portal, credentials: ApiKey | OAuth2) -> Identity:
    """Ask the portal what it shows, with its credentials and without.

    Raises:
        PortalError: They are not accepted, or the portal does not answer.
        TokenStoreError: The login cannot be read.
    """
    address = portal.client.address
    opened = Opened(datasets(portal.client), public(portal))
    login = None
    if isinstance(credentials, OAuth2):
        store = credentials.store(address)
        grant = store.load()
        login = Login.of(grant, store.where) if grant else None
    return Identity(address.base, credentials, opened, login)


def datasets(client: Client) -> int:
    """How many datasets a portal shows.

    Raises:
        PortalError: It does not say.
    """
    said = client.json(_COUNT, {"limit": 0})
    count = said.get("total_count") if isinstance(said, dict) else None
    # True is an int as well.
    if type(count) is not int or not 0 <= count < _MOST:
        url = client.url(_COUNT)
        raise NotAPortal("the reply counts no datasets", portal=client.slug, url=url)
    return count


def public(portal: Portal) -> int | None:
    """How many datasets a portal shows to those who show nothing; None where it does not say."""
    try:
        return datasets(Client(portal.client.address.base, state=portal.client.state))
    except AccessDenied:
        return 0
    except PortalError:
        return None


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(int(seconds), UTC)
