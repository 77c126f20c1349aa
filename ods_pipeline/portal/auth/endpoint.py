"""The portal's token endpoint: exchanges codes and refresh tokens for tokens, or raises one error.

Built on requests-oauthlib. What follows from an answer for a stored login is not decided here.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any
from urllib.parse import quote_plus

import requests
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session

from ods_pipeline.errors import (
    OUT_OF_FILES,
    ConfigurationError,
    OdsPipelineError,
    PortalError,
    PortalFailure,
    out_of_files,
)
from ods_pipeline.portal.auth.grant import ClientAuth
from ods_pipeline.portal.auth.token_reply import tokens
from ods_pipeline.portal.http import connection_errors
from ods_pipeline.portal.http.address import Address
from ods_pipeline.portal.http.sender import unproxied
from ods_pipeline.portal.http.signing import Sealed
from ods_pipeline.portal.http.trickle import PatientAdapter, Slowest, TooSlow
from ods_pipeline.redaction import keep_secret

AUTHORIZE, TOKEN = "/oauth2/authorize/", "/oauth2/token/"
_SCOPE = "all"
# An answer that is not waited for is a login lost, so the second one is long.
TIMEOUTS = (10.0, 60.0)
_LONGEST, _LARGEST = 30, 1 << 16


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

    def proof(self, **shown: Any) -> dict[str, Any]:
        """How it proves itself: by HTTP Basic, or by parameters beside those `shown`."""
        if self.client_auth == "basic":
            # RFC 6749, section 2.3.1: both are form-encoded first.
            pair = quote_plus(self.client_id), quote_plus(self.client_secret)
            keep_secret(b64encode(":".join(pair).encode()).decode())
            return {"auth": HTTPBasicAuth(*pair)}
        # An empty secret would be wrong.
        return {**shown, "client_secret": self.client_secret} if self.client_secret else shown


class NotSent(Exception):
    """The request has not reached the portal, so nothing can have been spent."""

    def __init__(self, problem: OdsPipelineError) -> None:
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
        unproxied(self, address)
        plain = address.base.startswith("http://")
        self.mount("https://", _Loopback() if plain else _Bounded())

        def judged(reply: requests.Response) -> requests.Response:
            self.heard = tokens(reply, address, client_id, TOKEN)
            return reply

        for kind in ("access_token_response", "refresh_token_response"):
            self.register_compliance_hook(kind, judged)

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Nowhere: a POST that is redirected would carry the secrets on to wherever it leads."""


def at(address: Address, path: str) -> str:
    """An endpoint's address as oauthlib wants it: https, also on loopback."""
    return "https://" + address.base.partition("://")[2] + path


def exchange(
    opened: Session, address: Address, application: Application, code: str
) -> Mapping[str, Any]:
    """Spend an authorization code for a token reply, in the session that asked for consent.

    Raises:
        PortalError: The portal gives no tokens for it.
    """
    proof = application.proof(include_client_id=True)
    try:
        return _answered(
            opened,
            address,
            lambda: opened.fetch_token(
                at(address, TOKEN), code=code, timeout=TIMEOUTS, scopes=_SCOPE, **proof
            ),
        )
    except NotSent as error:
        problem = error.problem
    raise problem


def refresh(address: Address, application: Application, refresh_token: str) -> Mapping[str, Any]:
    """Spend a refresh token for a token reply.

    Raises:
        NotSent: Nothing is spent.
        LoginNeeded: The portal refuses the refresh token.
        AccessDenied: The portal refuses the application; nothing is spent.
        PortalFailure: No usable answer: the token may have been used up or not.
    """
    proof = application.proof(client_id=application.client_id)
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


def _answered(opened: Session, address: Address, ask: Callable[[], object]) -> Mapping[str, Any]:
    try:
        ask()
    except PortalError:
        raise
    except requests.RequestException as error:
        # Raised below: what requests raised has the request in it, and with it the secrets.
        failed = _failed(error, address)
    except OSError as error:
        lacking = OUT_OF_FILES if out_of_files(error) else f"{error}; check REQUESTS_CA_BUNDLE"
        failed = NotSent(ConfigurationError(lacking))
    except Exception:  # Whatever oauthlib makes of it: even a warning is raised.
        if not opened.heard:
            raise
        return opened.heard
    else:
        return opened.heard
    raise failed


def _failed(error: requests.RequestException, address: Address) -> NotSent | PortalError:
    where = {"portal": address.slug, "url": address.base + TOKEN}
    problem = connection_errors.problem(error, address.base, **where)
    if connection_errors.never_sent(error):
        return NotSent(problem)
    lost = PortalFailure(f"the answer about the login was lost: {problem.message}", **where)
    lost.__cause__ = problem.__cause__
    return lost


class _Bounded(PatientAdapter):
    """Reads an answer to its end, but none that is longer or slower than any honest one.

    A read timeout bounds silence alone, and stores lend out the turn to renew for so long and no
    longer.
    """

    def __init__(self) -> None:
        super().__init__(Slowest(seconds=_LONGEST))

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        response = super().send(request, *args, **{**kwargs, "stream": True})
        end, read = monotonic() + _LONGEST, bytearray()
        try:
            # Byte by byte, or a slow answer is looked at when it is whole; an honest one has
            # hundreds.
            for byte in response.iter_content(1):
                read += byte
                if len(read) > _LARGEST or monotonic() > end:
                    raise TooSlow("an endless answer")
        except TooSlow as slow:
            response.close()
            if not _whole(read):
                raise requests.ReadTimeout("an endless answer", request=request) from slow
        response._content = bytes(read)
        # JSON is UTF-8, whatever charset a server names: some are none that Python knows.
        response.encoding = "utf-8"
        return response


def _whole(read: bytearray) -> bool:
    """Whether there is no more to come of an answer in JSON: a late one is as good as any."""
    try:
        json.loads(read)
    except (ValueError, RecursionError):
        return False
    return True


class _Loopback(_Bounded):
    """Sends plain http to a portal on this machine, though oauthlib asks for https everywhere."""

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        request.url = (request.url or "").replace("https://", "http://", 1)
        return super().send(request, *args, **kwargs)
