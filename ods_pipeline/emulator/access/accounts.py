"""Accounts of a portal: users, their API keys, and OAuth2 applications; no HTTP here."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field, replace

from ods_pipeline.emulator.access.quota import Quota


@dataclass(frozen=True)
class User:
    """A person, and the private datasets that they may see, as globs."""

    name: str
    password: str = field(repr=False)
    datasets: tuple[str, ...]
    quota: Quota = field(repr=False)


@dataclass(frozen=True)
class Key:
    """An API key: its state is ``good``, ``revoked`` or ``expired``."""

    user: str
    quota: Quota = field(repr=False)
    state: str = "good"


@dataclass(frozen=True)
class Application:
    """An OAuth2 application; oauthlib needs the name ``client_id``."""

    client_id: str
    secret: str = field(repr=False)
    redirect_uri: str
    public: bool = False

    def accepts(self, secrets: set[str]) -> bool:
        """Whether one of these is its secret, or it needs none."""
        if self.public and secrets <= {""}:
            return True
        return any(hmac.compare_digest(self.secret.encode(), s.encode()) for s in secrets)


class Accounts:
    """All accounts of one portal."""

    def __init__(self) -> None:
        """None yet."""
        self.users: dict[str, User] = {}
        self.keys: dict[str, Key] = {}
        self.applications: dict[str, Application] = {}

    def user(self, name: str) -> User:
        """The user of this name, or an error."""
        if name not in self.users:
            raise ValueError(f"there is no user {name}; add them with add_user")
        return self.users[name]

    def application(self, client_id: str) -> Application:
        """The application of this identifier, or an error."""
        if client_id not in self.applications:
            raise ValueError(f"there is no application {client_id}; add it with add_application")
        return self.applications[client_id]

    def set_key_state(self, key: str, state: str) -> None:
        """Revoke a key, or let it expire."""
        if key not in self.keys:
            raise ValueError("there is no such key; add it with add_key")
        self.keys[key] = replace(self.keys[key], state=state)

    def login(self, name: str, password: str) -> User | None:
        """The user with this name and password, if there is one."""
        user = self.users.get(name)
        if user and hmac.compare_digest(user.password.encode(), password.encode()):
            return user
        return None
