"""OAuth2: an application acts for a person who has consented once, until the consent is withdrawn.

The steps of a login and of its renewal are in files of their own.
"""

from __future__ import annotations

import copy
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args
from urllib.parse import urlencode

import requests

from ods_pipeline.errors import ConfigurationError, OdsPipelineError
from ods_pipeline.portal.auth.grant import ClientAuth, Grant
from ods_pipeline.portal.auth.store import TokenStore, default_file
from ods_pipeline.portal.http.address import Address
from ods_pipeline.portal.http.signing import (
    Credentials,
    Signer,
    quota_owner_of,
    quoted,
    require_private,
    with_parameter,
)
from ods_pipeline.redaction import keep_secret

if TYPE_CHECKING:
    from ods_pipeline.portal.auth.consent import Consent
    from ods_pipeline.portal.auth.endpoint import Application
    from ods_pipeline.portal.auth.renewal import Renewal

Placement = Literal["header", "query", "body"]
#: Seconds of a token's life in which a web page says nothing of it.
_YOUNG = 60
#: Seconds after which a renewal that failed is tried again, while the token still serves.
_REST = 30
_POSTGRES = frozenset({"postgresql", "postgres"})
_FORM = "application/x-www-form-urlencoded"


class OAuth2(Credentials):
    """An application registered on a portal, and the login that it is used with.

    The login is made once, by `ods-pipeline login` or `consent`, and renews itself from then on.

    Examples:
        >>> OAuth2("my-application", "its secret", "tokens/portal.json")
        OAuth2('my-application', …)
    """

    def __init__(
        self,
        client_id: str,
        client_secret: str = "",
        token_file: str | Path | None = None,
        *,
        client_auth: ClientAuth | None = None,
        placement: Placement = "header",
        pkce: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Name an application and where its login lives.

        Args:
            client_id: Its identifier.
            client_secret: Its secret; empty for a public application without one.
            token_file: File of the login, or a `postgresql://` URL where several hosts share it;
                without it a file under `data/tokens`.
            client_auth: How the application proves itself, `body` or `basic`; without it as the
                login was made.
            placement: Where the token stands in requests. A query is logged by web servers, and a
                body stands beside no body of WFS: prefer the header.
            pkce: Protect a new login by PKCE (S256); no portal documents it.
            clock: Seconds since 1970.

        Raises:
            ConfigurationError: The application has no name, or an option is unknown.
        """
        if not (client_id or "").strip():
            raise ConfigurationError(
                "the OAuth2 application has no identifier; set ODS_CLIENT_ID to the one that the "
                "portal's account page shows under My applications"
            )
        if placement not in get_args(Placement) or client_auth not in (None, *get_args(ClientAuth)):
            raise ConfigurationError(
                f"placement is one of {', '.join(get_args(Placement))}, and client_auth one of "
                f"{', '.join(get_args(ClientAuth))}, not {placement} and {client_auth}"
            )
        self.client_id = client_id.strip()
        self._client_secret = (client_secret or "").strip()
        self._token_file = token_file
        self._client_auth = client_auth
        self._pkce = pkce
        self._placement, self._clock = placement, clock
        keep_secret(self._client_secret)

    def __repr__(self) -> str:
        """The application's identifier, which is no secret."""
        return f"OAuth2({self.client_id!r}, …)"

    def store(self, address: Address) -> TokenStore:
        """Where the login at a portal is kept.

        Raises:
            ConfigurationError: It is neither a file nor a `postgresql://` URL.
        """
        place = self._token_file or default_file(Path("data"), address, self.client_id)
        scheme, found, rest = str(place).partition("://")
        if found and scheme.lower() in _POSTGRES:
            from ods_pipeline.portal.auth.postgres import PostgresStore

            return PostgresStore(f"postgresql://{rest}", address.base, self.client_id)
        if found:
            raise ConfigurationError(
                f"no login can be kept in a place that begins with {scheme}://; "
                "give a file, or a postgresql:// URL, as ODS_TOKEN_FILE"
            )
        from ods_pipeline.portal.auth.files import FileStore

        try:
            file = Path(place).expanduser()
        except RuntimeError as error:
            raise ConfigurationError(f"ODS_TOKEN_FILE is {place}, and {error}") from error
        return FileStore(file, address.base, self.client_id)

    def consent(self, address: Address, redirect_uri: str) -> Consent:
        """Begin a login: a page to open in a browser, and what to do with where it leads.

        Args:
            address: The portal.
            redirect_uri: The address that was registered with the application.

        Raises:
            ConfigurationError: The portal is asked by plain http.
            TokenStoreError: The login could not be kept.
        """
        from ods_pipeline.portal.auth.consent import Consent

        require_private(address)
        store = self.store(address)
        store.ready()
        application, pkce = self._application(), self._pkce
        return Consent(address, application, store, redirect_uri, pkce=pkce, clock=self._clock)

    def at(self, address: Address) -> Signer:
        """What signs the requests to a portal.

        Raises:
            ConfigurationError: The portal is asked by plain http.
        """
        require_private(address)
        return _Bearer(self, address)

    def renewal(self, address: Address) -> Renewal:
        """What keeps the login at a portal alive."""
        from ods_pipeline.portal.auth.renewal import Renewal

        return Renewal(address, self._application(), self.store(address), self._clock)

    def _application(self) -> Application:
        # requests-oauthlib takes a tenth of a second to import: only who needs the endpoint pays.
        from ods_pipeline.portal.auth.endpoint import Application

        return Application(self.client_id, self._client_secret, self._client_auth)


class _Bearer(Signer):
    """Shows the login's access token; asks the store, and the portal, only when it must."""

    def __init__(self, credentials: OAuth2, address: Address) -> None:
        self._credentials, self._address = credentials, address
        self._placement, self._clock = credentials._placement, credentials._clock
        self.quota_owner = quota_owner_of("application", credentials.client_id)
        self._held: Grant | None = None
        self._given = self._taken = ""
        self._rests_until = 0.0
        self._failed_at, self._failure = 0.0, OdsPipelineError("")
        self._process, self._lock = os.getpid(), threading.Lock()

    def secret(self) -> str:
        return self._grant().access_token

    def another(self, rejected: str, *, certainly: bool) -> str | None:
        if not certainly and self._recent(rejected):
            return None
        if rejected == self._given != self._taken:
            # It answered a refusal and was never taken: another renewal would give no better one,
            # unless another process has renewed it since.
            with self._turn():
                kept = self._credentials.renewal(self._address).kept()
                if not kept.serves(self._clock(), rejected=rejected):
                    return None
                self._held = kept
        given = self._given = self._grant(rejected).access_token
        return given

    def accepted(self, secret: str) -> None:
        # Not one that another thread showed before it was renewed.
        if self._held and self._held.access_token == secret:
            self._taken = secret

    def show(self, request: requests.PreparedRequest, secret: str) -> None:
        if self._placement == "header":
            request.headers["Authorization"] = f"Bearer {secret}"
        elif self._placement == "query":
            request.url = with_parameter(request.url or "", "access_token", secret)
        elif request.body:
            raise ConfigurationError(
                "a request of WFS by POST has a body of its own, beside which no token can stand; "
                "show the token in the header, or use GET"
            )
        else:
            request.headers["Content-Type"] = _FORM
            request.prepare_body(urlencode({"access_token": secret}), None)

    def refusal(self, status: int, said: str) -> str:
        if status == 403:
            return (
                f"the login is good, but its user has no right to this{quoted(said)}; "
                f"ask the administrators of {self._address.base}"
            )
        return (
            f"the portal refuses this even to a token that was just renewed{quoted(said)}: the "
            f"user or the application {self._credentials.client_id} may have lost the right to "
            f"it; run `ods-pipeline login` once more, or ask the administrators of "
            f"{self._address.base}"
        )

    def at_a_login_page(self) -> str:
        return "the login may serve no more: run `ods-pipeline login` once more"

    def _recent(self, token: str) -> bool:
        """Whether a token is too young to have run out: a web page alone is no proof of that."""
        held = self._held
        age = self._clock() - held.obtained_at if held else 0
        return bool(held and held.access_token == token and 0 <= age < _YOUNG)

    def _usable(self, rejected: str | None) -> Grant | None:
        held, now = self._held, self._clock()
        if held is None:
            return None
        # An endpoint that is down is left in peace for a while, as long as the token still serves.
        leeway = now >= self._rests_until
        return held if held.serves(now, rejected=rejected, leeway=leeway) else None

    def _grant(self, rejected: str | None = None) -> Grant:
        came = time.monotonic()
        usable = self._usable(rejected)
        if usable:
            return usable
        with self._turn():
            usable = self._usable(rejected)
            if usable:
                return usable
            if self._failed_at > came:
                # It failed while this thread waited: the next one would fail no better.
                raise copy.copy(self._failure)
            try:
                held = self._credentials.renewal(self._address).grant(rejected)
            except OdsPipelineError as error:
                # Not the error itself, which holds on to all that was at work when it was raised.
                self._failed_at, self._failure = time.monotonic(), copy.copy(error)
                raise
            now = self._clock()
            self._rests_until = 0.0 if held.serves(now, rejected=rejected) else now + _REST
            self._held = held
            return held

    def _turn(self) -> threading.Lock:
        # A forked process has none of the threads that could release the lock.
        if self._process != os.getpid():
            self._process, self._lock = os.getpid(), threading.Lock()
        return self._lock
