"""Finds out who sends a request: reads its credentials, and names its user and quota or refuses it.

How tokens and sessions come to be is not decided here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import unquote

from ods_pipeline.emulator.access import html_pages
from ods_pipeline.emulator.access.accounts import Accounts
from ods_pipeline.emulator.access.browser_sessions import BrowserSessions, form, path_with_query
from ods_pipeline.emulator.access.issued_tokens import IssuedTokens
from ods_pipeline.emulator.access.quota import Quota
from ods_pipeline.emulator.http.errors import (
    ApiError,
    bad_access_token,
    bad_key,
    private_portal,
    two_credentials,
)
from ods_pipeline.emulator.http.reply import Reply, error_reply
from ods_pipeline.emulator.http.request import Request
from ods_pipeline.emulator.quirks import AccessQuirks

_OF_DATASET = re.compile(r"/catalog/datasets/([^/]+)/(?:records|exports)")


class RefusedWithPage(Exception):
    """A request that is answered with a page instead of an error envelope."""

    def __init__(self, reply: Reply):
        """Keep the page."""
        super().__init__("refused with a page")
        self.reply = reply


class CombinedQuota:
    """The quota of the caller together with that of the dataset requested."""

    def __init__(self, portal: Quota, dataset: Quota):
        """Combine the two."""
        self._portal, self._dataset = portal, dataset

    def spend(self) -> tuple[tuple[str, str], ...]:
        """Count one request in both; the 429 of either shows what is left of both."""
        headers_of_portal = self._portal.spend()
        try:
            return (*headers_of_portal, *self._dataset.spend())
        except ApiError as error:
            reply = error_reply(error)
            headers = (*headers_of_portal, *self._dataset.headers, *reply.headers)
            raise RefusedWithPage(replace(reply, headers=headers)) from error


@dataclass(frozen=True)
class Caller:
    """Who sends a request: the private datasets they may see, as globs, and their quota."""

    datasets: tuple[str, ...]
    quota: Quota | CombinedQuota


def credentials(request: Request) -> list[tuple[str, str]]:
    """Every credential that a request carries, as ``key`` or ``bearer`` and its value."""
    found = []
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    kinds = {"apikey": "key", "bearer": "bearer"}
    if scheme.lower() in kinds and value.strip():
        found.append((kinds[scheme.lower()], value.strip()))
    found += [("key", value) for value in request.many("apikey")]
    found += [("bearer", value) for value in request.many("access_token")]
    if form(request).get("access_token"):
        found.append(("bearer", form(request)["access_token"]))
    return found


@dataclass
class Authenticator:
    """Identifies the caller of a request, or refuses it."""

    accounts: Accounts
    tokens: IssuedTokens
    sessions: BrowserSessions
    quirks: AccessQuirks
    anonymous: Quota
    private: bool = False
    dataset_quotas: Mapping[str, Quota] = field(default_factory=dict)

    def caller(self, request: Request) -> Caller:
        """The caller of a request.

        Raises:
            ApiError: The request is refused with an error envelope.
            RefusedWithPage: It is refused with a page.
        """
        caller = self._admitted(request)
        found = _OF_DATASET.search(request.path)
        quota = self.dataset_quotas.get(unquote(found[1])) if found else None
        if quota is None or isinstance(caller.quota, CombinedQuota):
            return caller
        return replace(caller, quota=CombinedQuota(caller.quota, quota))

    def _admitted(self, request: Request) -> Caller:
        found = credentials(request)
        if len(found) > 1:
            raise two_credentials()
        caller = self._identified(request, found)
        if caller:
            return caller
        if self.private:
            if self.quirks.private == "login":
                raise RefusedWithPage(html_pages.to_login(path_with_query(request)))
            raise private_portal()
        return Caller((), self.anonymous)

    def _identified(self, request: Request, found: list[tuple[str, str]]) -> Caller | None:
        if not found:
            session = self.sessions.of(request)
            return self._user(session.user) if session else None
        kind, value = found[0]
        return self._of_key(value) if kind == "key" else self._of_bearer(request, value)

    def _user(self, name: str, quota: Quota | None = None) -> Caller:
        user = self.accounts.users[name]
        return Caller(user.datasets, quota or user.quota)

    def _of_key(self, value: str) -> Caller | None:
        key = self.accounts.keys.get(value)
        if key and key.state == "good":
            return self._user(key.user, key.quota)
        if self.quirks.wrong_key == "anonymous":
            return None
        state = (key.state if key else "unknown") if self.quirks.tells else ""
        raise bad_key(int(self.quirks.wrong_key), state)

    def _of_bearer(self, request: Request, value: str) -> Caller | None:
        name = self.tokens.user_of(value)
        if name is not None:
            return self._user(name)
        if self.quirks.expired == "login":
            raise RefusedWithPage(html_pages.login(path_with_query(request)))
        if self.quirks.expired == "401":
            raise bad_access_token()
        return None
