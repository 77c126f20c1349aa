"""Sessions of browsers that have logged in, each with a cookie, and the login form that opens them.

API keys and tokens do not belong here.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl

from oauthlib.common import generate_token

from ods_pipeline.emulator.access import html_pages
from ods_pipeline.emulator.access.accounts import Accounts
from ods_pipeline.emulator.http.reply import Reply
from ods_pipeline.emulator.http.request import Request

COOKIE = "sessionid"
FORM = "application/x-www-form-urlencoded"
WRONG = "Please enter a correct user name and password."


@dataclass(frozen=True)
class Session:
    """A logged-in browser, with the CSRF token that its forms must carry."""

    user: str
    csrf: str = field(default_factory=generate_token, repr=False)

    def has_sent(self, form: dict[str, str]) -> bool:
        """Whether a form carries the CSRF token of this session."""
        token = form.get("csrfmiddlewaretoken", "")
        return hmac.compare_digest(self.csrf.encode(), token.encode())


def form(request: Request) -> dict[str, str]:
    """The fields of a form-encoded body; none of any other."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != FORM:
        return {}
    return dict(parse_qsl(request.body.decode(errors="replace"), keep_blank_values=True))


def path_with_query(request: Request) -> str:
    """Path and query of a request, as they came."""
    return f"{request.path}?{request.query}" if request.query else request.path


def _local_address(address: str) -> str:
    """Where to go after the login: never to another host."""
    foreign = not address.startswith("/") or address[1:2] in ("/", "\\")
    printable = all(" " < c <= "~" for c in address)
    return "/" if foreign or not printable else address


class BrowserSessions:
    """All sessions of one portal."""

    def __init__(self, accounts: Accounts):
        """Nobody is logged in."""
        self._accounts = accounts
        self._open: dict[str, Session] = {}

    def of(self, request: Request) -> Session | None:
        """The session whose cookie a request carries."""
        try:
            cookie = SimpleCookie(request.headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return None
        return self._open.get(cookie.value) if cookie else None

    def login(self, request: Request) -> Reply:
        """GET and POST /login/."""
        fields = form(request)
        after = _local_address(fields.get("next") or request.one("next") or "/")
        if request.method != "POST":
            return html_pages.login(after)
        user = self._accounts.login(fields.get("username", ""), fields.get("password", ""))
        if user is None:
            return html_pages.login(after, WRONG)
        session_id = generate_token()
        self._open[session_id] = Session(user.name)
        cookie = f"{COOKIE}={session_id}; Path=/; HttpOnly; SameSite=Lax"
        return html_pages.redirect(after, ("set-cookie", cookie))
