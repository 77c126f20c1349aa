"""Who asks: the credentials of a request, and the person behind them or the portal's refusal."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import unquote

from ods_pipeline.emulator.access import html_pages
from ods_pipeline.emulator.access.accounts import Accounts
from ods_pipeline.emulator.access.browser_sessions import Sessions, form, target
from ods_pipeline.emulator.access.issued_tokens import Ledger
from ods_pipeline.emulator.access.quirks import AccessQuirks
from ods_pipeline.emulator.access.quota import Quota
from ods_pipeline.emulator.http.errors import ApiError, ambiguous, bad_bearer, bad_key, private
from ods_pipeline.emulator.http.reply import Reply, of_error
from ods_pipeline.emulator.http.request import Request

_OF_DATASET = re.compile(r"/catalog/datasets/([^/]+)/(?:records|exports)")


class TurnedAway(Exception):
    """A request that is answered with a page instead of an error envelope."""

    def __init__(self, reply: Reply):
        """Keep the page."""
        super().__init__("turned away")
        self.reply = reply


class Both:
    """The portal's quota, and that of the dataset asked for."""

    def __init__(self, portal: Quota, dataset: Quota):
        """Name them."""
        self._portal, self._dataset = portal, dataset

    def spend(self) -> tuple[tuple[str, str], ...]:
        """Count one request with both; the 429 of either says what is left of both."""
        ours = self._portal.spend()
        try:
            return (*ours, *self._dataset.spend())
        except ApiError as error:
            reply = of_error(error)
            headers = (*ours, *self._dataset.headers, *reply.headers)
            raise TurnedAway(replace(reply, headers=headers)) from error


@dataclass(frozen=True)
class Caller:
    """Whoever asks: the private datasets that they may see, and the quota that pays."""

    datasets: tuple[str, ...]
    quota: Quota | Both


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
class Gate:
    """Lets callers in, or turns them away."""

    accounts: Accounts
    ledger: Ledger
    sessions: Sessions
    quirks: AccessQuirks
    anonymous: Quota
    shut: bool = False
    rationed: Mapping[str, Quota] = field(default_factory=dict)

    def caller(self, request: Request) -> Caller:
        """Whoever asks, or the refusal that they get."""
        caller = self._let_in(request)
        found = _OF_DATASET.search(request.path)
        its = self.rationed.get(unquote(found[1])) if found else None
        if its is None or isinstance(caller.quota, Both):
            return caller
        return replace(caller, quota=Both(caller.quota, its))

    def _let_in(self, request: Request) -> Caller:
        found = credentials(request)
        if len(found) > 1:
            raise ambiguous()
        caller = self._known(request, found)
        if caller:
            return caller
        if self.shut:
            if self.quirks.private == "login":
                raise TurnedAway(html_pages.to_login(target(request)))
            raise private()
        return Caller((), self.anonymous)

    def _known(self, request: Request, found: list[tuple[str, str]]) -> Caller | None:
        if not found:
            session = self.sessions.of(request)
            return self._person(session.user) if session else None
        kind, value = found[0]
        return self._of_key(value) if kind == "key" else self._of_bearer(request, value)

    def _person(self, name: str, quota: Quota | None = None) -> Caller:
        user = self.accounts.users[name]
        return Caller(user.datasets, quota or user.quota)

    def _of_key(self, value: str) -> Caller | None:
        key = self.accounts.keys.get(value)
        if key and key.state == "good":
            return self._person(key.user, key.quota)
        if self.quirks.wrong_key == "anonymous":
            return None
        state = (key.state if key else "unknown") if self.quirks.tells else ""
        raise bad_key(int(self.quirks.wrong_key), state)

    def _of_bearer(self, request: Request, value: str) -> Caller | None:
        name = self.ledger.holder(value)
        if name is not None:
            return self._person(name)
        if self.quirks.expired == "login":
            raise TurnedAway(html_pages.login(target(request)))
        if self.quirks.expired == "401":
            raise bad_bearer()
        return None
