"""The renewal of a login whose refresh tokens serve once, by one of many who need it.

The order matters: what is about to be spent is noted first, what came of it is on disk before
anybody uses it. So a process that dies in between costs nothing, except between the portal's
answer and the disk: then the next one is refused, and can say why.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from ods_pipeline.errors import (
    AccessDenied,
    LoginNeeded,
    PortalError,
    PortalFailure,
    TokenStoreError,
)
from ods_pipeline.portal.address import Address
from ods_pipeline.portal.auth.endpoint import Application, NotSent, refresh
from ods_pipeline.portal.auth.grant import Grant
from ods_pipeline.portal.auth.store import TokenStore

#: Seconds to wait for another process's renewal: longer than one can take.
PATIENCE = 150
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
        kept = self._kept()
        if kept.serves(self._clock(), rejected=rejected):
            return kept
        try:
            with self._store.exclusive(PATIENCE):
                return self._renewed(rejected)
        except (PortalError, TokenStoreError) as error:
            # An endpoint that is down, or a full disk, costs nothing while the token still is good.
            if isinstance(error, AccessDenied) or not kept.serves(
                self._clock(), rejected=rejected, leeway=False
            ):
                raise
            return kept

    def _kept(self) -> Grant:
        kept = self._store.load()
        if kept is None:
            raise self._needed("nobody has logged in yet; run `ods-pipeline login`")
        if kept.refused:
            raise self._needed(kept.refused)
        return kept

    def _renewed(self, rejected: str | None) -> Grant:
        kept = self._kept()
        if kept.serves(self._clock(), rejected=rejected):
            return kept
        if not kept.refresh_token:
            raise self._needed(f"its token has run out and cannot be renewed; {_AGAIN}")
        begun = replace(kept, pending=self._clock(), pending_by=_this_process())
        if not self._store.swap(kept, begun):
            return self._kept()
        try:
            answer = self._asked(kept)
        except NotSent as error:
            self._store.swap(begun, kept)
            raise error.problem from error
        except LoginNeeded as error:
            return self._refused(begun, kept, error)
        except AccessDenied:
            self._store.swap(begun, kept)
            raise
        renewed = granted(
            answer, replace(kept, generation=kept.generation + 1), begun.pending or self._clock()
        )
        # Whoever logged in anew meanwhile has the better login.
        return renewed if self._store.swap(begun, renewed) else self._kept()

    def _asked(self, kept: Grant) -> Mapping[str, Any]:
        auth = self._application.client_auth or kept.client_auth
        return refresh(
            self._address, replace(self._application, client_auth=auth), kept.refresh_token
        )

    def _refused(self, begun: Grant, before: Grant, error: LoginNeeded) -> Grant:
        now = self._store.load()
        if now and now.refresh_token != begun.refresh_token:
            return self._kept()
        why = f"{error.message}: {_reason(before)}; {_AGAIN}"
        self._store.swap(begun, replace(begun, refused=why))
        raise self._needed(why) from error

    def _needed(self, why: str) -> LoginNeeded:
        return LoginNeeded(
            f"the login of application {self._application.client_id} at {self._address.base} "
            f"does not serve: {why}",
            portal=self._address.slug,
        )


def granted(answer: Mapping[str, Any], before: Grant, asked_at: float) -> Grant:
    """What a token reply makes of a login.

    Args:
        answer: The reply; without a refresh token in it, the old one stays good (RFC 6749, 6).
        before: The login so far.
        asked_at: When the reply was asked for; its lifetime counts from there.

    Raises:
        PortalFailure: There is no token in it.
    """
    if not answer.get("access_token"):
        raise PortalFailure("the token endpoint gave no tokens", portal=before.portal)
    lifetime = _seconds(answer.get("expires_in"))
    scope = answer.get("scope") or ""
    return replace(
        before,
        access_token=str(answer["access_token"]),
        refresh_token=str(answer.get("refresh_token") or before.refresh_token),
        obtained_at=asked_at,
        expires_at=asked_at + lifetime if lifetime else None,
        scope=scope if isinstance(scope, str) else " ".join(map(str, scope)),
        pending=None,
        pending_by="",
        refused="",
    )


def _seconds(stated: object) -> float | None:
    try:
        seconds = float(str(stated))
    except ValueError:
        return None
    return seconds if 0 < seconds < float("inf") else None


def _reason(before: Grant) -> str:
    if before.pending is None:
        return "it was withdrawn, or another program has renewed it and kept the new tokens"
    when = datetime.fromtimestamp(before.pending, UTC)
    return (
        f"a renewal begun at {when:%Y-%m-%d %H:%M:%S} UTC by {before.pending_by} was cut off "
        "after the portal had answered and before its answer was kept"
    )


def _this_process() -> str:
    return f"process {os.getpid()} on {platform.node()}"
