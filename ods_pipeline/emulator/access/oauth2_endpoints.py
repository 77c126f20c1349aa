"""The endpoints of login and OAuth2: ``/login/``, ``/oauth2/authorize/`` and ``/oauth2/token/``.

The protocol is oauthlib's server; the endpoints of the APIs do not belong here.
"""

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
from ods_pipeline.emulator.access.browser_sessions import (
    FORM,
    BrowserSessions,
    Session,
    form,
    path_with_query,
)
from ods_pipeline.emulator.access.issued_tokens import IssuedTokens, Renewal
from ods_pipeline.emulator.access.oauth2_validator import Validator, client_credentials
from ods_pipeline.emulator.http.errors import unknown_uri
from ods_pipeline.emulator.http.reply import COMMON_HEADERS, Reply
from ods_pipeline.emulator.http.request import Request
from ods_pipeline.emulator.quirks import AccessQuirks

AUTHORIZE, TOKEN = "/oauth2/authorize/", "/oauth2/token/"
# Whatever the emulator is served on: oauthlib knows no loopback and requires https.
SECURE = "https://portal"
ORDER = ("access_token", "expires_in", "token_type", "state", "scope", "refresh_token")


class OAuth2Endpoints:
    """The OAuth2 server of one portal."""

    def __init__(
        self,
        accounts: Accounts,
        tokens: IssuedTokens,
        quirks: AccessQuirks,
        lifetime: Callable[[], float],
    ):
        """Issue tokens that are good for as many seconds as ``lifetime`` gives at that moment."""
        self._accounts = accounts
        self._tokens = tokens
        self._quirks = quirks
        validator = Validator(accounts, tokens, quirks)
        self._server = WebApplicationServer(validator, token_expires_in=lambda _: lifetime())
        self._server.refresh_grant.issue_new_refresh_tokens = quirks.rotates
        for grant in (self._server.auth_grant, self._server.refresh_grant):
            grant.register_token_modifier(self._as_documented)

    def _as_documented(self, token: dict[str, Any], _: Any, request: Any) -> dict[str, Any]:
        """The token reply in the documented order, with the state where it is echoed."""
        reply = dict(token)
        if self._quirks.echoes_state and request.state:
            reply["state"] = request.state
        return {name: reply[name] for name in ORDER if name in reply}

    def authorize(self, request: Request, session: Session | None) -> Reply:
        """Ask the user who is logged in for consent."""
        if session is None:
            return html_pages.to_login(path_with_query(request))
        address = SECURE + AUTHORIZE + "?" + urlencode(request.pairs)
        try:
            with self._tokens.lock:
                scopes, authorization = self._server.validate_authorization_request(address)
                if request.method != "POST":
                    return html_pages.consent(
                        authorization["client_id"], session.user, session.csrf
                    )
                return self._after_decision(request, session, address, scopes, authorization)
        except FatalClientError as error:
            return html_pages.refusal(error.description or error.error)
        except OAuth2Error as error:
            return html_pages.redirect(error.in_uri(error.redirect_uri))

    def _after_decision(
        self,
        request: Request,
        session: Session,
        address: str,
        scopes: list[str],
        authorization: dict[str, Any],
    ) -> Reply:
        fields = form(request)
        if not session.has_sent(fields):
            return html_pages.refusal("CSRF verification failed. Request aborted.", 403)
        if fields.get("decision") != "allow":
            raise AccessDeniedError(request=authorization["request"])
        return html_pages.redirect(self._redirect_with_code(address, scopes, session.user))

    def _redirect_with_code(self, address: str, scopes: list[str], user: str) -> str:
        """The address of the application with a code for it."""
        headers, _, _ = self._server.create_authorization_response(
            address, "POST", scopes=scopes, credentials={"user": user}
        )
        return str(headers["Location"])

    def token(self, request: Request) -> Reply:
        """Exchange a code or a refresh token for new tokens."""
        if request.method != "POST":
            return Reply(
                405,
                [],
                headers=(("allow", "POST"), *COMMON_HEADERS),
                whole=True,
                compressible=False,
            )
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        body = request.body.decode(errors="replace") if kind == FORM else ""
        address = SECURE + TOKEN
        if request.pairs:
            address += "?" + urlencode(request.pairs)
        headers, text, status = self._exchange(address, body, request.headers)
        kept = [(k.lower(), v) for k, v in headers.items() if k.lower() != "content-type"]
        return Reply(status, [text.encode()], "application/json", tuple(kept), True, False)

    def _exchange(self, address: str, body: str, given: Any) -> tuple[dict[str, str], str, int]:
        """One request at a time: a token is used once, and renewals are recorded in that order."""
        with self._tokens.lock:
            try:
                headers, text, status = self._server.create_token_response(
                    address, "POST", body, dict(given)
                )
            except OAuth2Error as refused:
                headers, text, status = refused.headers, refused.json, refused.status_code
            document = json.loads(text)
            error = document.get("error")
            self._record_renewal(body, given, status, error)
        if error:
            # oauthlib repeats the state of the request; no documented error has one.
            text = json.dumps({name: document[name] for name in document if name != "state"})
        if error == "invalid_grant":
            status = self._quirks.invalid_grant_status
        return headers, text, status

    def _record_renewal(self, body: str, given: Any, status: int, error: str | None) -> None:
        fields = {name: values[-1] for name, values in parse_qs(body).items()}
        if fields.get("grant_type") != "refresh_token":
            return
        header = given.get("authorization", "")
        client_id, _ = client_credentials(header, fields.get("client_id"), None)
        token = fields.get("refresh_token", "")
        outcome = "renewed" if status == 200 else "refused"
        found = self._tokens.refresh.get(token)
        if error == "invalid_grant" and found and found.spent:
            outcome = "spent" if found.grant.client_id == client_id else "refused"
        self._tokens.renewals.append(Renewal(client_id, token, outcome))

    def issue(self, user: User, application: Application) -> dict[str, Any]:
        """A token reply as if the user had consented in a browser."""
        parameters = {
            "client_id": application.client_id,
            "redirect_uri": application.redirect_uri,
            "response_type": "code",
        }
        with self._tokens.lock:
            address = SECURE + AUTHORIZE + "?" + urlencode(parameters)
            back = urlsplit(self._redirect_with_code(address, ["all"], user.name))
            exchange = {
                "grant_type": "authorization_code",
                "code": parse_qs(back.query)["code"][0],
                "client_id": application.client_id,
                "client_secret": application.secret,
                "redirect_uri": application.redirect_uri,
            }
            _, text, _ = self._exchange(SECURE + TOKEN, urlencode(exchange), {})
        reply: dict[str, Any] = json.loads(text)
        return reply


def is_login_path(path: str) -> bool:
    """Whether a path is one of these, and not the APIs'."""
    return path.startswith("/oauth2/") or path.rstrip("/") == html_pages.LOGIN.rstrip("/")


class LoginRoutes:
    """Which path is which endpoint of login and OAuth2."""

    def __init__(self, sessions: BrowserSessions, endpoints: OAuth2Endpoints, quirks: AccessQuirks):
        """Route to these."""
        self._slash = quirks.slash
        self._endpoints: dict[str, Callable[[Request], Reply]] = {
            html_pages.LOGIN: sessions.login,
            AUTHORIZE: lambda request: endpoints.authorize(request, sessions.of(request)),
            TOKEN: endpoints.token,
        }

    def reply(self, request: Request) -> Reply:
        """The endpoint's reply, or a redirect where the trailing slash is missing."""
        if request.path in self._endpoints:
            return self._endpoints[request.path](request)
        with_slash = request.path + "/"
        if with_slash not in self._endpoints or self._slash == "404":
            raise unknown_uri()
        return html_pages.redirect(
            path_with_query(request).replace(request.path, with_slash, 1), status=301
        )
