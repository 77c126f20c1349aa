"""A person's consent: the page to open, and the tokens that its redirect is worth.

Opening browsers and receiving redirects is the command line's work.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from urllib.parse import parse_qs

from ods_pipeline.errors import AccessDenied, ConfigurationError, LoginNeeded
from ods_pipeline.portal.auth.endpoint import AUTHORIZE, Application, Session, at, exchange
from ods_pipeline.portal.auth.grant import Grant
from ods_pipeline.portal.auth.renewal import granted
from ods_pipeline.portal.auth.store import TokenStore
from ods_pipeline.portal.http.address import Address
from ods_pipeline.redaction import keep_secret


class NotThisLogin(ConfigurationError):
    """An address that does not answer the consent that was asked for."""


class Consent:
    """One login on its way. The first redirect that fits ends it.

    Attributes:
        url: The page to open in a browser.
        redirect_uri: Where the portal leads the browser afterwards.
    """

    def __init__(
        self,
        address: Address,
        application: Application,
        store: TokenStore,
        redirect_uri: str,
        *,
        pkce: bool,
        clock: Callable[[], float],
    ) -> None:
        self.redirect_uri = redirect_uri
        self._address, self._application = address, application
        self._store, self._clock = store, clock
        self._session = Session(
            address,
            application.client_id,
            redirect_uri=redirect_uri,
            state=secrets.token_urlsafe(24),
            pkce="S256" if pkce else None,
        )
        page, self._state = self._session.authorization_url(at(address, AUTHORIZE))
        self.url = address.base + page[len(at(address, "")) :]

    def login(self, arrived: str) -> Grant:
        """Turn the redirect's address into a login, and keep it.

        Args:
            arrived: The whole address, its path and query, or its query alone.

        Returns:
            The login, on disk already.

        Raises:
            NotThisLogin: It answers another login, or none.
            AccessDenied: The person said no, or the portal did.
            PortalError: The portal gives no tokens for it.
            TokenStoreError: The login cannot be kept.
        """
        code = self._code(arrived)
        asked_at = self._clock()
        try:
            answer = exchange(self._session, self._address, self._application, code)
        except LoginNeeded as error:
            advice = (
                "the code was used already, has run out, or belongs to another redirection URL "
                f"than {self.redirect_uri}; run `ods-pipeline login` once more"
            )
            raise AccessDenied(f"{error.message}: {advice}", portal=self._address.slug) from error
        nothing_yet = Grant(
            self._address.base,
            self._application.client_id,
            access_token="",
            refresh_token="",
            obtained_at=asked_at,
            client_auth=self._application.client_auth or "body",
            logged_in_at=asked_at,
        )
        grant = granted(answer, nothing_yet, asked_at)
        self._store.save(grant)
        return grant

    def _code(self, arrived: str) -> str:
        text = arrived.strip()
        query = text.partition("?")[2].partition("#")[0] or text
        said = {key: values[0] for key, values in parse_qs(query).items() if len(values) == 1}
        if not {"code", "error"} & said.keys():
            raise NotThisLogin(
                "there is no code in this address; give the whole address that the browser shows "
                "after the consent"
            )
        keep_secret(said.get("code", ""), passing=True)
        if "state" not in said:
            raise NotThisLogin(
                "this address is not whole, it has no state; give the whole address that the "
                "browser shows after the consent"
            )
        # Compared as bytes: an address may hold anything.
        if not secrets.compare_digest(said["state"].encode(), self._state.encode()):
            raise NotThisLogin(
                "this address answers another login than the one begun here; open the address "
                "above, and give the one that it leads to"
            )
        if "error" in said:
            detail = f": {said['error_description']}" if "error_description" in said else ""
            message = f"the portal refuses the login ({said['error']}{detail})"
            if said["error"] == "access_denied":
                message = "the consent was denied; no login was made"
            raise AccessDenied(message, portal=self._address.slug)
        return said["code"]
