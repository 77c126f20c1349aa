"""One request to a portal: signed, redirected on the portal's own host, and counted.

Another host is not what the user chose: a redirect there is named in an error, and gets neither
requests nor credentials. What the reply means, and whether to repeat the request, is not decided
here.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import metadata
from types import MappingProxyType
from urllib.parse import urljoin

import requests
from urllib3.exceptions import LocationValueError

from ods_pipeline.errors import (
    OUT_OF_FILES,
    ConfigurationError,
    NotAPortal,
    PortalFailure,
    out_of_files,
)
from ods_pipeline.portal.http import replies
from ods_pipeline.portal.http.address import Address, host_of
from ods_pipeline.portal.http.signing import Signer
from ods_pipeline.portal.http.trickle import PatientAdapter, Slowest
from ods_pipeline.portal.quota.budget import Budget

_MOST_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_KEEPING_THE_BODY = frozenset({307, 308})
# By us, and by another process in that very moment.
_MOST_RENEWED = 2
_UNAUTHORIZED = 401
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})
_USER_AGENT = f"ods-pipeline/{metadata.version('ods-pipeline')} requests/{requests.__version__}"


@dataclass(frozen=True)
class Quota:
    """The request quota as the last reply stated it, verbatim: numbers can exceed 64 bits."""

    limit: str
    remaining: str
    reset: str


class Elsewhere:
    """An address that a portal leads to; it may repeat a secret, so it is not shown or kept."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __repr__(self) -> str:
        """Its host alone."""
        return host_of(self._url)

    def __reduce__(self) -> tuple[type[Elsewhere], tuple[str]]:
        """Forget it where an error is stored."""
        return Elsewhere, ("",)

    def open(self) -> str:
        """The whole address, to ask it."""
        return self._url


class LeadsElsewhere(NotAPortal):
    """A portal passes a request on to another host, where nothing is asked with its credentials.

    Attributes:
        target: Where it leads.
    """

    def __init__(self, message: str, target: str = "", **where: str) -> None:
        """Name the address beside what every error has."""
        super().__init__(message, **where)
        self.target = Elsewhere(target)


class Sender:
    """Sends requests to one portal, from as many threads as there are.

    Attributes:
        requests_made: How many were sent, redirects included.
        quota: What the last reply said of it.
    """

    def __init__(
        self,
        address: Address,
        signer: Signer,
        timeouts: tuple[float, float],
        budget: Budget,
        slowest: Slowest,
    ) -> None:
        self._address, self._signer, self._timeouts = address, signer, timeouts
        self._budget, self._slowest = budget, slowest
        self._local = threading.local()
        self._count = itertools.count(1)
        self.requests_made = 0
        self.quota: Quota | None = None
        # How far the portal's clock is ahead of ours, by its last reply.
        self.clock_offset: timedelta | None = None
        # Places that stayed closed to the newest that was known.
        self._closed: set[str] = set()

    @property
    def requests_by_this_thread(self) -> int:
        """How many the calling thread has sent."""
        return int(getattr(self._local, "requests", 0))

    def send(
        self, url: str, body: bytes | None, headers: Mapping[str, str] = _NO_HEADERS
    ) -> requests.Response:
        """Ask, and ask once more where what was shown has run out and something newer is known.

        Args:
            url: The address.
            body: XML to POST; GET without it.
            headers: More headers, such as conditions.

        Raises:
            requests.RequestException: There is no reply.
            PortalError: It leads to another host, no login serves, or the quota is known to be
                spent.
            ConfigurationError: The address is unusable.
        """
        secret = self._signer.secret()
        response = self._followed(url, body, secret, headers)
        place = url.partition("?")[0]
        renewed = 0
        while _refused(response) and place not in self._closed:
            other = None
            if renewed < _MOST_RENEWED:
                certainly = response.status_code == _UNAUTHORIZED
                with closed_on_failure(response):
                    other = self._signer.another(secret, certainly=certainly)
            if other is None:
                if renewed:
                    # Nothing newer will open it, and each renewal spends a token.
                    self._closed.add(place)
                return response
            response.close()
            renewed += 1
            secret, response = other, self._followed(url, body, other, headers)
        if not _refused(response):
            self._signer.accepted(secret)
            self._closed.discard(place)
        return response

    def _followed(
        self, url: str, body: bytes | None, secret: str, headers: Mapping[str, str]
    ) -> requests.Response:
        response = self._asked(url, body, secret, headers)
        for left in range(_MOST_REDIRECTS, -1, -1):
            with closed_on_failure(response):
                target = self._redirected(response, url)
            if target is None:
                return response
            response.close()
            if left:
                body = body if response.status_code in _KEEPING_THE_BODY else None
                response = self._asked(target, body, secret, headers)
        raise requests.TooManyRedirects(response=response)

    def _redirected(self, response: requests.Response, url: str) -> str | None:
        """The address that a reply leads to; None where it leads nowhere."""
        location = response.headers.get("Location")
        if response.status_code not in _REDIRECTS or not location:
            return None
        try:
            target = urljoin(response.url or url, location)
        except ValueError:
            target = ""
        if self._address.contains(target):
            return target
        elsewhere = host_of(target)
        where = f"to {elsewhere}, where nothing is asked" if elsewhere else "to what is no address"
        raise LeadsElsewhere(
            f"{self._address.base} passes requests on {where}; "
            "if the portal has moved, set ODS_PORTAL to its new address",
            target,
            portal=self._address.slug,
            url=url,
        )

    def _asked(
        self, url: str, body: bytes | None, secret: str, more: Mapping[str, str]
    ) -> requests.Response:
        def signed(request: requests.PreparedRequest) -> requests.PreparedRequest:
            # The last look before anything is sent, at the address that will be asked.
            if not self._address.contains(request.url or ""):
                message = f"the address is not the portal's own, {self._address.base}"
                raise ConfigurationError(message, portal=self._address.slug, url=url)
            self._signer.show(request, secret)
            return request

        counted = self._budget.sending(url)
        self.requests_made = next(self._count)
        self._local.requests = self.requests_by_this_thread + 1
        started = time.monotonic()
        try:
            response = self._session().request(
                "GET" if body is None else "POST",
                url,
                data=body,
                headers={**more, **({} if body is None else {"Content-Type": "text/xml"})},
                timeout=self._timeouts,
                stream=True,
                # Also where there is nothing to show, or requests looks into a .netrc for it.
                auth=signed,
                allow_redirects=False,
            )
        except BaseException as error:  # Of any kind: this reply is not waited for any more.
            self._budget.on_no_response(counted, late=isinstance(error, requests.Timeout))
            if isinstance(error, LocationValueError):
                message = f"{self._address.base} is no address of a host"
                raise ConfigurationError(message) from error
            if isinstance(error, OSError) and not isinstance(error, requests.RequestException):
                if out_of_files(error):
                    raise PortalFailure(OUT_OF_FILES, portal=self._address.slug, url=url) from error
                raise ConfigurationError(f"{error}; check REQUESTS_CA_BUNDLE") from error
            raise
        waited = time.monotonic() - started
        self._budget.on_response(counted, response.status_code, response.headers, waited)
        headers = response.headers
        made = replies.made_at(headers)
        if made:
            self.clock_offset = made - datetime.now(UTC)
        if "X-RateLimit-Remaining" in headers:
            self.quota = Quota(
                limit=headers.get("X-RateLimit-Limit", ""),
                remaining=headers["X-RateLimit-Remaining"],
                reset=headers.get("X-RateLimit-Reset", ""),
            )
        return response

    def _session(self) -> requests.Session:
        # A Session is not made for several threads at once, and landing uses some; nor for a
        # forked process, which would share its connections.
        owner: int = getattr(self._local, "process", 0)
        if owner != os.getpid():
            session = self._local.session = _Straight()
            self._local.process = os.getpid()
            for scheme in ("https://", "http://"):
                session.mount(scheme, PatientAdapter(self._slowest))
            unproxied(session, self._address)
            session.headers["User-Agent"] = _USER_AGENT
            # A proxy may keep an export of yesterday under today's address.
            session.headers["Cache-Control"] = "no-cache"
        ours: requests.Session = self._local.session
        return ours


def unproxied(session: requests.Session, address: Address) -> None:
    """Keep a session with this machine off a company's proxy, which knows nothing of it."""
    if address.local:
        session.trust_env = False
        session.verify = os.environ.get("REQUESTS_CA_BUNDLE") or True


class _Straight(requests.Session):
    """Leaves redirects to us, unread: requests stumbles over those that are no addresses."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Nowhere."""


@contextmanager
def closed_on_failure(response: requests.Response) -> Iterator[None]:
    """Close a reply if the block raises."""
    try:
        yield
    except BaseException:  # Of any kind: a reply that is not read keeps its connection.
        response.close()
        raise


def _refused(response: requests.Response) -> bool:
    """Whether a reply may mean that what was shown has run out: 401, or a login page.

    Not any other page: those of a web server in trouble say nothing of a login.
    """
    page = response.ok and replies.is_page(response.headers)
    return response.status_code == _UNAUTHORIZED or page
