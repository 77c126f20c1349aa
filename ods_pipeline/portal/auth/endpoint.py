"""The portal's token endpoint: codes and refresh tokens go in, tokens come out, or one sentence.

Built on requests-oauthlib. What the answer means for the login that is kept is `renewal`'s.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus

import requests
from requests.adapters import HTTPAdapter
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session
from urllib3.exceptions import (
    ConnectTimeoutError,
    MaxRetryError,
    NewConnectionError,
    ProxyError,
    SSLError,
)

from ods_pipeline.errors import (
    AccessDenied,
    LoginNeeded,
    PortalError,
    PortalFailure,
    keep_secret,
)
from ods_pipeline.portal import connection
from ods_pipeline.portal.address import Address
from ods_pipeline.portal.auth.grant import ClientAuth
from ods_pipeline.portal.auth.sealed import Sealed

AUTHORIZE, TOKEN = "/oauth2/authorize/", "/oauth2/token/"
_SCOPE = "all"
# An answer that is not waited for is a login lost, so the second one is long.
TIMEOUTS = (10.0, 60.0)
_LATER = frozenset({"server_error", "temporarily_unavailable"})


@dataclass(frozen=True)
class Application(Sealed):
    """What was registered on the portal's account page.

    Attributes:
        client_id: Its identifier.
        client_secret: Its secret; empty for a public application that was given none.
        client_auth: Whether it proves itself in the body or by HTTP Basic; both are documented.
            None leaves it to what a login was made with, and to the body for a new one.
    """

    client_id: str
    client_secret: str = field(default="", repr=False)
    client_auth: ClientAuth | None = None


class NotSent(Exception):
    """The request has not reached the portal, so nothing can have been spent."""

    def __init__(self, problem: PortalError) -> None:
        super().__init__(str(problem))
        self.problem = problem


class Session(OAuth2Session):  # type: ignore[misc]  # it has no types
    """A session of requests-oauthlib at a portal; see `at` for the addresses to give it.

    Attributes:
        heard: The token reply as it came. oauthlib refuses some that hold good tokens, for an
            odd lifetime or scope; but a refresh token is spent by then, so they are taken.
    """

    def __init__(self, address: Address, client_id: str, **options: Any) -> None:
        super().__init__(client_id, scope=[_SCOPE], **options)
        self.heard: dict[str, Any] = {}
        # A redirected POST would carry the secrets on to wherever it leads.
        self.max_redirects = 0
        if address.local:
            self.trust_env = False
            plain = address.base.startswith("http://")
            self.mount("https://", _Loopback() if plain else HTTPAdapter())

        def judged(reply: requests.Response) -> requests.Response:
            self.heard = _tokens_of(reply, address, client_id)
            return reply

        for kind in ("access_token_response", "refresh_token_response"):
            self.register_compliance_hook(kind, judged)


def at(address: Address, path: str) -> str:
    """An endpoint's address as oauthlib wants it: https, also on loopback."""
    return "https://" + address.base.partition("://")[2] + path


def exchange(
    opened: Session, address: Address, application: Application, code: str
) -> Mapping[str, Any]:
    """Spend an authorization code.

    Args:
        opened: The session that made the consent page's address.
        address: The portal.
        application: Who asks.
        code: The code that came back.

    Returns:
        The token reply.

    Raises:
        PortalError: The portal gives no tokens for it.
    """
    secret = {"client_secret": application.client_secret} if application.client_secret else {}
    basic = application.client_auth == "basic"
    proof = {"auth": _basic(application)} if basic else {"include_client_id": True, **secret}
    try:
        return _answered(
            opened,
            address,
            lambda: opened.fetch_token(
                at(address, TOKEN), code=code, timeout=TIMEOUTS, scopes=_SCOPE, **proof
            ),
        )
    except NotSent as error:
        raise error.problem from error


def refresh(address: Address, application: Application, refresh_token: str) -> Mapping[str, Any]:
    """Spend a refresh token.

    Args:
        address: The portal.
        application: Who asks.
        refresh_token: The token; spent when this returns, and perhaps when it raises.

    Returns:
        The token reply.

    Raises:
        NotSent: Nothing is spent.
        LoginNeeded: The portal refuses the refresh token.
        AccessDenied: The portal refuses the application; nothing is spent.
        PortalFailure: No answer, or none that says anything: whether it is spent, nobody knows.
    """
    if application.client_auth == "basic":
        proof: dict[str, Any] = {"auth": _basic(application)}
    else:
        secret = application.client_secret
        proof = {
            "client_id": application.client_id,
            **({"client_secret": secret} if secret else {}),
        }
    with Session(address, application.client_id) as opened:
        return _answered(
            opened,
            address,
            lambda: opened.refresh_token(
                at(address, TOKEN),
                refresh_token=refresh_token,
                timeout=TIMEOUTS,
                # The document's table and its example disagree on which name it reads.
                scopes=_SCOPE,
                **proof,
            ),
        )


def _basic(application: Application) -> HTTPBasicAuth:
    # RFC 6749, section 2.3.1: both are form-encoded first.
    pair = quote_plus(application.client_id), quote_plus(application.client_secret)
    keep_secret(b64encode(":".join(pair).encode()).decode())
    return HTTPBasicAuth(*pair)


def _answered(opened: Session, address: Address, ask: Callable[[], object]) -> Mapping[str, Any]:
    url = address.base + TOKEN
    try:
        ask()
    except PortalError:
        raise
    except requests.TooManyRedirects as error:
        told = "the token endpoint passes requests on elsewhere, where no secret is sent"
        raise AccessDenied(told, portal=address.slug, url=url) from error
    except requests.RequestException as error:
        problem = connection.problem(error, address.base, portal=address.slug, url=url)
        if _never_left(error):
            raise NotSent(problem) from error
        raise PortalFailure(
            f"the portal's answer about the login was lost: {problem.message}",
            portal=address.slug,
            url=url,
        ) from error
    except Exception:  # Whatever oauthlib makes of it: even a warning is raised.
        if not opened.heard:
            raise
    return opened.heard


def _never_left(error: requests.RequestException) -> bool:
    """Whether a request failed before a byte of it was sent."""
    cause = error.args[0] if error.args else None
    reason = cause.reason if isinstance(cause, MaxRetryError) else cause
    return isinstance(error, requests.ConnectTimeout) or isinstance(
        reason, NewConnectionError | ConnectTimeoutError | ProxyError | SSLError
    )


def _tokens_of(reply: requests.Response, address: Address, client_id: str) -> dict[str, Any]:
    """The token reply.

    The error's name decides and not the status: older servers send `invalid_grant` with 401.

    Raises:
        PortalError: It is none.
    """
    where = {"portal": address.slug, "url": address.base + TOKEN}
    said = _document(reply.text)
    name = said.get("error") if isinstance(said.get("error"), str) else ""
    if reply.ok and not name and _has_tokens(said):
        return said
    detail = str(said.get("error_description") or "").rstrip(".")
    told = f"{name}: {detail}" if detail else name
    if name == "invalid_grant":
        raise LoginNeeded(f"the portal takes this login no more ({told})", **where)
    if name in {"invalid_client", "unauthorized_client"}:
        raise AccessDenied(
            f"the portal does not take the application {client_id} or its secret ({told}); "
            "check ODS_CLIENT_ID and ODS_CLIENT_SECRET against the portal's account page",
            **where,
        )
    if name and name not in _LATER:
        raise AccessDenied(f"the token endpoint refuses the request ({told})", **where)
    raise PortalFailure(
        f"the token endpoint gave no tokens (status {reply.status_code}"
        f"{f', {told}' if told else ''}); try later",
        **where,
    )


def _document(text: str) -> dict[str, Any]:
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _has_tokens(said: Mapping[str, Any]) -> bool:
    named = [said.get(key) for key in ("access_token", "refresh_token")]
    fits = all(isinstance(token, str) for token in named if token is not None)
    return fits and bool(named[0]) and str(said.get("token_type", "")).lower() == "bearer"


class _Loopback(HTTPAdapter):
    """Sends plain http to a portal on this machine, though oauthlib asks for https everywhere."""

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        request.url = (request.url or "").replace("https://", "http://", 1)
        return super().send(request, *args, **kwargs)
