"""Renews a login with refresh tokens that are valid once, by one of many processes that need it.

The order matters: the token that is about to be used is noted first, and the new one is stored
before it is used. So a process that dies in between loses nothing, except between the portal's
answer and the store: then the next process is refused, and can say why. How a login is stored is
not known here.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from ods_pipeline.errors import (
    AccessDenied,
    LoginNeeded,
    PortalError,
    PortalFailure,
    QuotaExhausted,
    TokenStoreError,
)
from ods_pipeline.portal.auth.endpoint import Application, NotSent, refresh
from ods_pipeline.portal.auth.grant import Grant
from ods_pipeline.portal.auth.store import TokenStore
from ods_pipeline.portal.auth.uninterrupted import unbroken
from ods_pipeline.portal.http.address import Address

#: Seconds to wait for another one's renewal: longer than a store lends out the turn.
PATIENCE = 240
#: What the portal's document shows; some replies leave it out.
USUAL_LIFETIME = 3600
_LONGEST_LIFETIME = 10 * 366 * 86_400
#: Seconds between the note that a renewal begins and its request; a store's turn lasts longer.
_PROMPTLY = 10
_AGAIN = "run `ods-pipeline login` once more"


class Renewal:
    """Renews the login of one application at one portal, in whatever store it is kept."""

    def __init__(
        self,
        address: Address,
        application: Application,
        store: TokenStore,
        clock: Callable[[], float],
    ) -> None:
        self._address, self._application = address, application
        self._store, self._clock = store, clock

    def grant(self, rejected: str | None = None) -> Grant:
        """A login whose token can be shown now, renewed if need be.

        Args:
            rejected: A token that the portal has refused.

        Raises:
            LoginNeeded: A person is needed.
            PortalError: It cannot be renewed now; the login may serve again later.
            TokenStoreError: It cannot be read or kept.
        """
        kept = self.kept()
        if kept.serves(self._clock(), rejected=rejected):
            return kept
        try:
            with self._store.exclusive(PATIENCE):
                return self._renewed(rejected)
        except (PortalError, TokenStoreError) as error:
            # An endpoint that is down, or a full disk, costs nothing while the token still is good.
            serves = kept.serves(self._clock(), rejected=rejected, leeway=False)
            if isinstance(error, AccessDenied) or not serves:
                raise
            return kept

    def kept(self) -> Grant:
        """The login as it is stored; the portal is not asked.

        Raises:
            LoginNeeded: There is none, or it is no longer valid.
            TokenStoreError: It cannot be read.
        """
        kept = self._store.load()
        if kept is None:
            raise self._needed("nobody has logged in yet; run `ods-pipeline login`")
        if kept.refused:
            raise self._needed(kept.refused)
        return kept

    def _renewed(self, rejected: str | None) -> Grant:
        kept = self.kept()
        if kept.serves(self._clock(), rejected=rejected):
            return kept
        if not kept.refresh_token:
            raise self._needed(f"its token has run out and cannot be renewed; {_AGAIN}")
        by = f"process {os.getpid()} on {platform.node()}"
        begun = replace(kept, pending=self._clock(), pending_by=by)
        noted_at = time.monotonic()
        if not self._store.swap(kept, begun):
            return self._others(rejected)
        if time.monotonic() - noted_at > _PROMPTLY:
            # Stopped for so long, this process may have lost its turn to another one.
            message = "this process was stopped amid the renewal of its login; try again"
            raise PortalFailure(message, portal=self._address.slug)
        # From here on Ctrl-C waits for the end: in between, no valid login is stored.
        return unbroken(lambda: self._spent(kept, begun, rejected))

    def _spent(self, kept: Grant, begun: Grant, rejected: str | None) -> Grant:
        """Spend the refresh token, and keep what it was spent for."""
        try:
            auth = self._application.client_auth or kept.client_auth
            application = replace(self._application, client_auth=auth)
            answer = refresh(self._address, application, kept.refresh_token)
        except NotSent as error:
            self._store.swap(begun, kept)
            unsent = error.problem
        except LoginNeeded as error:
            return self._refused(begun, kept, error, rejected)
        except (AccessDenied, QuotaExhausted):
            self._store.swap(begun, kept)
            raise
        else:
            before = replace(kept, generation=kept.generation + 1)
            renewed = granted(answer, before, begun.pending or self._clock())
            # If a person has logged in again meanwhile, that login is the better one.
            return renewed if self._store.swap(begun, renewed) else self._others(rejected)
        raise unsent

    def _refused(
        self, begun: Grant, before: Grant, error: LoginNeeded, rejected: str | None
    ) -> Grant:
        now = self._store.load()
        if now and now.refresh_token != begun.refresh_token:
            return self._others(rejected)
        why = f"{error.message}: {_reason(before)}; {_AGAIN}"
        if not self._store.swap(begun, replace(begun, refused=why)):
            return self._others(rejected)
        raise self._needed(why) from error

    def _others(self, rejected: str | None) -> Grant:
        """What another one has kept meanwhile."""
        kept = self.kept()
        if not kept.serves(self._clock(), rejected=rejected, leeway=False):
            message = "the login was taken over by another process amid its renewal; try again"
            raise PortalFailure(message, portal=self._address.slug)
        return kept

    def _needed(self, why: str) -> LoginNeeded:
        return LoginNeeded(
            f"the login of application {self._application.client_id} at {self._address.base}, kept "
            f"in {self._store.where}, does not serve: {why}",
            portal=self._address.slug,
        )


def granted(answer: Mapping[str, Any], before: Grant, asked_at: float) -> Grant:
    """What a token reply makes of a login.

    Args:
        answer: The reply; without a refresh token in it, the old one stays good (RFC 6749, 6).
        before: The login so far.
        asked_at: When the reply was asked for; its lifetime counts from there.
    """
    scope = answer.get("scope") or ""
    return replace(
        before,
        access_token=answer["access_token"],
        refresh_token=answer.get("refresh_token") or before.refresh_token,
        obtained_at=asked_at,
        expires_at=asked_at + _lifetime(answer.get("expires_in")),
        scope=" ".join(map(str, scope)) if isinstance(scope, list) else str(scope),
        pending=None,
        pending_by="",
        refused="",
    )


def _lifetime(stated: object) -> float:
    try:
        seconds = float(str(stated))
    except ValueError:
        return USUAL_LIFETIME
    return seconds if 0 < seconds < _LONGEST_LIFETIME else USUAL_LIFETIME


def _reason(before: Grant) -> str:
    if before.pending is None:
        return "it was withdrawn, or another program has renewed it and kept the new tokens"
    when = datetime.fromtimestamp(before.pending, UTC)
    return (
        f"the renewal begun at {when:%Y-%m-%d %H:%M:%S} UTC by {before.pending_by} was cut off or "
        "failed, and if the portal gave new tokens for it, they are lost"
    )
