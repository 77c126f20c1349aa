"""The verbs of a portal's administrator: accounts, keys, rights, quotas and the time they run on.

What publishers do to datasets, and HTTP, are elsewhere.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from ods_pipeline.emulator.access.accounts import Accounts, Application, Key, User
from ods_pipeline.emulator.access.authentication import Authenticator
from ods_pipeline.emulator.access.browser_sessions import BrowserSessions
from ods_pipeline.emulator.access.issued_tokens import IssuedTokens, Renewal
from ods_pipeline.emulator.access.oauth2_endpoints import LoginRoutes, OAuth2Endpoints
from ods_pipeline.emulator.access.quota import Quota, QuotaClock, Terms, dataset_quota
from ods_pipeline.emulator.datasets.dataset import Dataset
from ods_pipeline.emulator.http.errors import ANONYMOUS_QUOTA, DOMAIN_QUOTA
from ods_pipeline.emulator.publisher_verbs import PublisherVerbs
from ods_pipeline.emulator.quirks import Quirks


class AdminVerbs(PublisherVerbs):
    """What the administrator of a portal can do, besides what its publishers can.

    Attributes:
        token_lifetime: Seconds that access tokens issued from now on live.
        now: The clock by which codes and tokens expire.
        quota: What all anonymous callers share.
        quota_clock: The clock by which quotas start again.
    """

    def __init__(self, quirks: Quirks, quota: int):
        """A portal that is open to all."""
        super().__init__(quirks)
        self.token_lifetime: float = 3600
        self.now: Callable[[], float] = time.time
        exceeded = ANONYMOUS_QUOTA if quirks.access.anonymous_quota else DOMAIN_QUOTA
        self.quota_clock = QuotaClock()
        self.quota = Quota(quota, exceeded, self.quota_clock)
        self._dataset_quotas: dict[str, Quota] = {}
        self._accounts = Accounts()
        self._tokens = IssuedTokens(self._moment)
        sessions = BrowserSessions(self._accounts)
        self._oauth2 = OAuth2Endpoints(
            self._accounts, self._tokens, quirks.access, lambda: self.token_lifetime
        )
        self._authenticator = Authenticator(
            self._accounts, self._tokens, sessions, quirks.access, self.quota
        )
        self._authenticator.dataset_quotas = self._dataset_quotas
        self._login_routes = LoginRoutes(sessions, self._oauth2, quirks.access)

    def _moment(self) -> float:
        return self.now()

    @property
    def renewals(self) -> list[Renewal]:
        """Every refresh request that reached the token endpoint, in the order of its decision."""
        return self._tokens.renewals

    def hide(self, dataset_id: str, hidden: bool = True) -> Dataset:
        """Make a dataset private, or public again: those without the right do not find it."""
        with self.state.lock:
            return self._put_metadata(replace(self.state.dataset(dataset_id), hidden=hidden))

    def shut(self, shut: bool = True) -> None:
        """Make the whole portal private, or public again."""
        self._authenticator.private = shut

    def add_user(self, name: str, password: str, datasets: Iterable[str] = ("*",)) -> None:
        """Add a person who may see the private datasets that match these globs."""
        globs = (datasets,) if isinstance(datasets, str) else tuple(datasets)
        self._accounts.users[name] = User(name, password, globs, self._own_quota(self.quota.limit))

    def add_key(self, key: str, user: str, quota: int | None = None) -> None:
        """Give a person an API key with a quota of its own: the portal's, if none is told."""
        limit = self.quota.limit if quota is None else quota
        self._accounts.keys[key] = Key(self._accounts.user(user).name, self._own_quota(limit))

    def _own_quota(self, limit: int) -> Quota:
        return Quota(limit, clock=self.quota_clock)

    def ration(
        self,
        limit: int,
        unit: str = "day",
        reset: str = "text",
        headers: bool = True,
        key: str | None = None,
    ) -> None:
        """Change the quota of strangers, or of a key: by day or month, told in one way or another.

        Args:
            limit: Requests allowed.
            unit: ``day`` or ``month``.
            reset: Its end as ``text``, ``iso``, ``epoch``, ``none``, or any text, verbatim.
            headers: Whether replies say anything of it.
            key: The key.
        """
        quota = self.quota if key is None else self._accounts.keys[key].quota
        quota.set_terms(Terms(limit, unit, reset, headers))

    def ration_dataset(self, dataset_id: str, limit: int, unit: str = "month") -> None:
        """Give a dataset a quota of its own, for its records and exports, shared by all callers."""
        self._dataset_quotas[dataset_id] = dataset_quota(limit, unit, self.quota_clock)

    def pass_time(self, days: float = 0, seconds: float = 0) -> None:
        """Let time pass for quotas, and for nothing else."""
        self.quota_clock.jump(days * 86_400 + seconds)

    def use_up(self, requests: int) -> None:
        """Let other people send requests from the quota of strangers."""
        self.quota.use(requests)

    def revoke_key(self, key: str) -> None:
        """Take an API key away."""
        self._accounts.set_key_state(key, "revoked")

    def expire_key(self, key: str) -> None:
        """Let an API key have expired."""
        self._accounts.set_key_state(key, "expired")

    def add_application(
        self, client_id: str, client_secret: str, redirect_uri: str, public: bool = False
    ) -> None:
        """Register an OAuth2 application; a public one needs no secret."""
        application = Application(client_id, client_secret, redirect_uri, public)
        self._accounts.applications[client_id] = application

    def issue(self, user: str, client_id: str) -> dict[str, Any]:
        """A token reply without a browser, as if the person had consented."""
        application = self._accounts.application(client_id)
        return self._oauth2.issue(self._accounts.user(user), application)

    def expire_access_tokens(self) -> None:
        """Let every access token have expired; refresh tokens stay good."""
        self._tokens.expire_access()

    def revoke_logins(self, user: str | None = None) -> None:
        """End all tokens of a person, or of everyone, at once."""
        self._tokens.revoke(user)
