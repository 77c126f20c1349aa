"""``/oauth2/authorize/`` and ``/oauth2/token/``: oauthlib's server behind this portal's pages."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from oauthlib.oauth2 import (
    AccessDeniedError,
    FatalClientError,
    OAuth2Error,
    WebApplicationServer,
)

from ods_pipeline.emulator.access import html_pages
from ods_pipeline.emulator.access.accounts import Accounts, Application, User
from ods_pipeline.emulator.access.browser_sessions import FORM, Session, form, target
from ods_pipeline.emulator.access.issued_tokens import Ledger, Renewal
from ods_pipeline.emulator.access.oauth2_validator import Validator, presented
from ods_pipeline.emulator.access.quirks import AccessQuirks
from ods_pipeline.emulator.http.reply import COMMON, Reply
from ods_pipeline.emulator.http.request import Request

AUTHORIZE, TOKEN = "/oauth2/authorize/", "/oauth2/token/"
# Whatever the emulator is served on: oauthlib knows no loopback, it asks for https.
SECURE = "https://portal"
ORDER = ("access_token", "expires_in", "token_type", "state", "scope", "refresh_token")


class Endpoints:
    """OAuth2 of one portal."""

    def __init__(
        self,
        accounts: Accounts,
        ledger: Ledger,
        quirks: AccessQuirks,
        lifetime: Callable[[], float],
    ):
        """Issue tokens that live as long as ``lifetime`` says at that moment."""
        self._accounts = accounts
        self._ledger = ledger
        self._quirks = quirks
        validator = Validator(accounts, ledger, quirks)
        self._server = WebApplicationServer(validator, token_expires_in=lambda _: lifetime())
        self._server.refresh_grant.issue_new_refresh_tokens = quirks.rotates
        for grant in (self._server.auth_grant, self._server.refresh_grant):
            grant.register_token_modifier(self._as_documented)

    def _as_documented(self, token: dict[str, Any], _: Any, request: Any) -> dict[str, Any]:
        """The token reply in the documented order, with the state where it is echoed."""
        told = dict(token)
        if self._quirks.echoes_state and request.state:
            told["state"] = request.state
        return {name: told[name] for name in ORDER if name in told}

    def authorize(self, request: Request, session: Session | None) -> Reply:
        """Ask the person who is logged in."""
        if session is None:
            return html_pages.to_login(target(request))
        address = SECURE + AUTHORIZE + "?" + urlencode(request.pairs)
        try:
            with self._ledger.lock:
                scopes, told = self._server.validate_authorization_request(address)
                if request.method != "POST":
                    return html_pages.consent(told["client_id"], session.user, session.csrf)
                return self._decided(request, session, address, scopes, told)
        except FatalClientError as error:
            return html_pages.refusal(error.description or error.error)
        except OAuth2Error as error:
            return html_pages.redirect(error.in_uri(error.redirect_uri))

    def _decided(
        self,
        request: Request,
        session: Session,
        address: str,
        scopes: list[str],
        told: dict[str, Any],
    ) -> Reply:
        fields = form(request)
        if not session.sent(fields):
            return html_pages.refusal("CSRF verification failed. Request aborted.", 403)
        if fields.get("decision") != "allow":
            raise AccessDeniedError(request=told["request"])
        return html_pages.redirect(self._consented(address, scopes, session.user))

    def _consented(self, address: str, scopes: list[str], user: str) -> str:
        """Where the code goes."""
        headers, _, _ = self._server.create_authorization_response(
            address, "POST", scopes=scopes, credentials={"user": user}
        )
        return str(headers["Location"])

    def token(self, request: Request) -> Reply:
        """Exchange a code, or refresh."""
        if request.method != "POST":
            return Reply(405, [], headers=(("allow", "POST"), *COMMON), whole=True, zippable=False)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        body = request.body.decode(errors="replace") if kind == FORM else ""
        address = SECURE + TOKEN
        if request.pairs:
            address += "?" + urlencode(request.pairs)
        headers, text, status = self._exchanged(address, body, request.headers)
        kept = [(k.lower(), v) for k, v in headers.items() if k.lower() != "content-type"]
        return Reply(status, [text.encode()], "application/json", tuple(kept), True, False)

    def _exchanged(self, address: str, body: str, given: Any) -> tuple[dict[str, str], str, int]:
        """One request at a time: what is consumed is consumed once, and noted in that order."""
        with self._ledger.lock:
            try:
                headers, text, status = self._server.create_token_response(
                    address, "POST", body, dict(given)
                )
            except OAuth2Error as refused:
                headers, text, status = refused.headers, refused.json, refused.status_code
            document = json.loads(text)
            error = document.get("error")
            self._note(body, given, status, error)
        if error:
            # oauthlib repeats the state of the request; no documented error has one.
            text = json.dumps({name: document[name] for name in document if name != "state"})
        if error == "invalid_grant":
            status = self._quirks.invalid_grant_status
        return headers, text, status

    def _note(self, body: str, given: Any, status: int, error: str | None) -> None:
        fields = {name: values[-1] for name, values in parse_qs(body).items()}
        if fields.get("grant_type") != "refresh_token":
            return
        header = given.get("authorization", "")
        client_id, _ = presented(header, fields.get("client_id"), None)
        token = fields.get("refresh_token", "")
        outcome = "renewed" if status == 200 else "refused"
        found = self._ledger.refresh.get(token)
        if error == "invalid_grant" and found and found.spent:
            outcome = "spent" if found.grant.client_id == client_id else "refused"
        self._ledger.renewals.append(Renewal(client_id, token, outcome))

    def issue(self, user: User, application: Application) -> dict[str, Any]:
        """A token reply as if the person had consented in a browser."""
        asked = {
            "client_id": application.client_id,
            "redirect_uri": application.redirect_uri,
            "response_type": "code",
        }
        with self._ledger.lock:
            address = SECURE + AUTHORIZE + "?" + urlencode(asked)
            back = urlsplit(self._consented(address, ["all"], user.name))
            exchange = {
                "grant_type": "authorization_code",
                "code": parse_qs(back.query)["code"][0],
                "client_id": application.client_id,
                "client_secret": application.secret,
                "redirect_uri": application.redirect_uri,
            }
            _, text, _ = self._exchanged(SECURE + TOKEN, urlencode(exchange), {})
        reply: dict[str, Any] = json.loads(text)
        return reply
