"""The client of one portal: requests with limits, repeated where that helps, and counted.

Everything on the wire goes through `Client`. What replies mean as datasets, records or features
belongs to the other folders of `portal`.
"""

from __future__ import annotations

import contextlib
import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, TypeVar

import requests

from ods_pipeline.errors import (
    AccessDenied,
    Garbled,
    NoEndpoint,
    OdsPipelineError,
    PortalError,
    PortalFailure,
    PortalUnreachable,
    QuotaExhausted,
    RequestRefused,
    WebPage,
)
from ods_pipeline.portal.http import body as bodies
from ods_pipeline.portal.http import connection_errors, elements, replies
from ods_pipeline.portal.http.address import Address, query_of
from ods_pipeline.portal.http.limits import BOUNDS, bounded
from ods_pipeline.portal.http.sender import Quota, Sender, closed_on_failure
from ods_pipeline.portal.http.signing import Anonymous, Credentials
from ods_pipeline.portal.http.trickle import Slowest, TooSlow
from ods_pipeline.portal.http.versions import (
    CATALOG,
    NEWEST,
    OLDER,
    ApiVersion,
    is_page_of_older,
)
from ods_pipeline.portal.quota.budget import Budget
from ods_pipeline.state.database import Database

_PAGE = 1 << 20
_SLOWEST = Slowest()
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})
_T = TypeVar("_T")

Parameters = Mapping[str, object]
#: Reads as much of a reply as tells what it is, gives that, and raises where it is no data. Gets
#: status, headers, body, and what an error is to name.
Opening = Callable[[int, Mapping[str, str], Iterator[bytes], dict[str, str]], bytes]


class Client:
    """HTTP/1.1 to one portal.

    Real portals are slow to their first byte and thin afterwards (65 KB/s was seen), so the read
    timeout bounds silence, never the whole transfer; only a trickle is given up. The quota is one
    budget with all other processes of this host, or of all that share a `state`, which ask the same
    portal in the same name.
    """

    def __init__(
        self,
        address: str,
        credentials: Credentials | None = None,
        *,
        lang: str = "en",
        timezone: str = "UTC",
        connect_timeout: float = 10,
        read_timeout: float = 120,
        attempts: int = 4,
        max_wait: float = 60,
        pause: float = 1,
        max_concurrent: int = 8,
        slowest: Slowest = _SLOWEST,
        now: Callable[[], float] = time.time,
        state: Database | None = None,
    ) -> None:
        """Prepare a conversation; nothing is sent yet.

        Args:
            address: Domain or base URL.
            credentials: Sent to this portal with each request, and nowhere else.
            lang: Language of labels and messages; sent always, or the portal's own default counts.
            timezone: Zone of datetimes; sent always, because it changes the Parquet types.
            connect_timeout: Seconds for a connection.
            read_timeout: Seconds of silence.
            attempts: How often a request is sent at most.
            max_wait: Seconds to wait for a spent quota at most.
            pause: Seconds before the second attempt at most; doubled for each one after it.
            max_concurrent: Datasets at once at most, over all processes that share the quota.
            slowest: How slowly a reply may come.
            now: The clock for quotas, in seconds since 1970.
            state: Where the processes of several hosts share the quota.

        Raises:
            ConfigurationError: The address is unusable, or credentials would be sent unprotected.
        """
        self.address = Address.parse(address)
        self._common = {"lang": lang, "timezone": timezone}
        self._attempts, self._unit = attempts, pause
        self._patience, self._slowest = max_wait, slowest
        self.signer = credentials.at(self.address) if credentials else Anonymous()
        self._proven = False
        #: The version of the API that is asked; an older one where the portal has none else.
        self.api: ApiVersion = NEWEST
        self.looked_for_older = False
        self._looking = threading.Lock()
        self.cancelled, self.state = threading.Event(), state
        self._budget = Budget(
            self.slug,
            self.signer.quota_owner,
            max_concurrent=max_concurrent,
            now=now,
            cancelled=self.cancelled,
            state=state,
        )
        timeouts = (connect_timeout, read_timeout)
        self._sender = Sender(self.address, self.signer, timeouts, self._budget, slowest)

    @property
    def slug(self) -> str:
        """The portal's name on disk and in messages."""
        return self.address.slug

    @property
    def requests_made(self) -> int:
        """Requests sent so far, redirects included."""
        return self._sender.requests_made

    @property
    def requests_by_this_thread(self) -> int:
        """Requests that the calling thread has sent; a dataset is landed by one thread."""
        return self._sender.requests_by_this_thread

    @property
    def portal_time(self) -> datetime | None:
        """The time by the portal's clock, to the second; None if no reply has told it yet."""
        offset = self._sender.clock_offset
        return None if offset is None else datetime.now(UTC) + offset

    @property
    def quota(self) -> Quota | None:
        """The request quota as the last reply stated it."""
        return self._sender.quota

    def reserved(self, requests: int, dataset_id: str = "") -> AbstractContextManager[None]:
        """Set requests aside for a dataset and take one of the portal's places, for a block.

        All processes that share the quota share both. What this thread asks in the block draws on
        what is set aside. A block within another one of the same thread changes nothing.

        Args:
            requests: How many are needed as a rule.
            dataset_id: The dataset; empty for work of another kind.

        Raises:
            QuotaExhausted: Fewer are left, and no more within `max_wait`. Nothing was asked.
            PortalFailure: It was cancelled while it waited.
        """
        return self._budget.reserved(requests, dataset_id, self._patience)

    def download_slot(self) -> AbstractContextManager[None]:
        """Use the slot that `reserved` took only until the end of this block; else take one."""
        return self._budget.download_slot()

    def url(self, path: str, parameters: Parameters | None = None) -> str:
        """The whole address of an API path; credentials are never part of it."""
        query = query_of({**self._common, **self.api.parameters(path, parameters or {})})
        return f"{self.address.base}{self.api.path}{path}?{query}"

    def json(
        self,
        path: str,
        parameters: Parameters | None = None,
        *,
        look: bool = True,
        each: Callable[[int, Any], Any] | None = None,
    ) -> Any:
        """Ask for a JSON document and read it whole, in the shape of v2.1 whichever is spoken.

        Args:
            path: Path of the API.
            parameters: What is asked there.
            look: Whether to look for an older version of the API where the portal has nothing.
            each: Makes of an array's elements, each with its number, what is kept as they come.

        Raises:
            PortalError: Any of its kinds; see `errors`.
        """

        def ask() -> Any:
            return self._json(self.url(path, parameters), each)

        found = self._in_a_spoken_version(path, ask) if look else ask()
        self._proven = True
        return self.api.newest(found)

    def _json(self, url: str, each: Callable[[int, Any], Any] | None) -> Any:
        def read(chunks: Iterator[bytes]) -> Any:
            if each is None:
                return replies.document(b"".join(chunks))
            return elements.read(chunks, lambda at, item: each(at, self.api.newest([item])[0]))

        def once() -> Any:
            begun = b""

            def noted(chunks: Iterator[bytes]) -> Iterator[bytes]:
                nonlocal begun
                for chunk in bounded(chunks, "the reply", BOUNDS.catalog):
                    begun = begun or chunk.lstrip()[:1]
                    yield chunk

            response, chunks = self._open(url)
            try:
                with response:
                    return read(noted(chunks))
            except (ValueError, RecursionError) as error:
                message = "the reply is not JSON, so this is no Explore API v2.1"
                if self._proven or begun in {b"[", b"{"}:
                    message = (
                        "the reply should be JSON, but it breaks off, or goes on after its end"
                    )
                raise Garbled(message, portal=self.slug, url=url) from error

        return self._repeated(once, url)

    @contextlib.contextmanager
    def stream(self, path: str, parameters: Parameters | None = None) -> Iterator[Iterator[bytes]]:
        """Ask for an export and hand its bytes over as they come; see `exchange`."""
        with contextlib.ExitStack() as stack:
            yield self._in_a_spoken_version(
                path, lambda: stack.enter_context(self.exchange(self.url(path, parameters)))
            )

    def _in_a_spoken_version(self, path: str, ask: Callable[[], _T]) -> _T:
        """Ask, and once more in an older version if the portal has nothing of v2.1 at all."""
        asked = self.api
        try:
            return ask()
        except NoEndpoint:
            with self._looking:
                unsettled = self.api is asked and not (self._proven or self.looked_for_older)
                if unsettled:
                    self.api = self._spoken(path)
                    self.looked_for_older = True
            if self.api is asked:
                raise
            return ask()

    def _spoken(self, missing: str) -> ApiVersion:
        """An older version, if there is no catalog of v2.1 but one of that; else v2.1.

        A page in place of v2.1's catalog is no reason: it may be of a proxy, or of the moment, and
        the older version may name datasets differently.
        """
        if missing != CATALOG:
            try:
                self.whole(self.url(CATALOG, {"limit": 0}), replies.opening, None, _PAGE)
                return NEWEST
            except NoEndpoint:
                pass
        for version in OLDER:
            url = f"{self.address.base}{version.catalog}?limit=1"
            with contextlib.suppress(OdsPipelineError, ValueError, RecursionError):
                body = self.whole(url, replies.opening, None, _PAGE)
                if is_page_of_older(replies.document(body)):
                    return version
        return NEWEST

    @contextlib.contextmanager
    def exchange(
        self,
        url: str,
        opening: Opening = replies.opening,
        body: bytes | None = None,
        headers: Mapping[str, str] = _NO_HEADERS,
    ) -> Iterator[Iterator[bytes]]:
        """Ask any address of the portal and hand the reply's bytes over as they come.

        Only the opening is repeated on failure: whether to fetch a broken body again is for the
        caller to weigh.

        Args:
            url: The whole address, on the portal's own host.
            opening: What tells data from errors there.
            body: XML to POST; GET without it.
            headers: More headers, such as conditions.

        Yields:
            The decoded body in chunks. A connection that breaks raises in the iteration.

        Raises:
            PortalError: Any of its kinds; see `errors`.
        """
        response, chunks = self._repeated(lambda: self._open(url, opening, body, headers), url)
        with response:
            yield chunks

    def whole(self, url: str, opening: Opening, body: bytes | None, most: int) -> bytes:
        """Ask any address of the portal and read the reply, but no more than so many bytes of it.

        Raises:
            PortalError: Any of its kinds; see `errors`.
        """

        def once() -> bytes:
            response, chunks = self._open(url, opening, body)
            with response:
                return replies.at_most(most, chunks)

        return self._repeated(once, url)

    def _open(
        self,
        url: str,
        opening: Opening = replies.opening,
        body: bytes | None = None,
        headers: Mapping[str, str] = _NO_HEADERS,
    ) -> tuple[requests.Response, Iterator[bytes]]:
        """A reply whose beginning was looked at, and its whole body; the caller closes it."""
        response = self._sender.send(url, body, headers)
        where = {"portal": self.slug, "url": url}
        with closed_on_failure(response):
            chunks = self._chunks(response, url)
            try:
                head = opening(response.status_code, response.headers, chunks, where)
            except QuotaExhausted as error:
                self._budget.refused(error, url)
                raise
            # Only who signed the request knows what a refusal means, and what the user can do.
            except WebPage as error:
                raise replies.page(login=self.signer.at_a_login_page(), **where) from error
            except AccessDenied as error:
                message = self.signer.refusal(response.status_code, error.said)
                raise AccessDenied(message, said=error.said, **where) from error
            if body is not None and response.request.method != "POST":
                raise RequestRefused(
                    f"the portal passes POST requests on to {response.url}, where they are lost; "
                    "give that address, or use GET",
                    **where,
                )
        return response, itertools.chain([head] if head else [], chunks)

    def _chunks(self, response: requests.Response, url: str) -> Iterator[bytes]:
        def tick() -> None:
            self._budget.heartbeat()
            if self.cancelled.is_set():
                raise PortalFailure("stopped on request", portal=self.slug, url=url)

        try:
            yield from bodies.pieces(response, self._slowest, tick)
            return
        except TooSlow as slow:
            message = connection_errors.too_slow(slow)
            broken: PortalError = PortalFailure(message, portal=self.slug, url=url)
        except requests.RequestException as error:
            broken = self._broken(error, url)
        raise broken

    def _broken(self, error: requests.RequestException, url: str) -> PortalError:
        return connection_errors.problem(error, self.address.base, portal=self.slug, url=url)

    def _repeated(self, once: Callable[[], _T], url: str) -> _T:
        for number in itertools.count(1):
            try:
                return once()
            except requests.RequestException as error:
                problem: PortalError = self._broken(error, url)
            # The second is the token endpoint's: a login that could not be renewed now.
            except (PortalFailure, PortalUnreachable, QuotaExhausted) as error:
                problem = error
            except (Garbled, WebPage) as error:
                # A portal that answered before still is one; another server will not become one.
                if not self._proven:
                    raise
                problem = error
            pause = self._pause(problem, number)
            if pause is None or self.cancelled.wait(pause):
                problem.repeated = True
                raise problem
        raise AssertionError("an endless loop ended")

    def _pause(self, problem: PortalError, number: int) -> float | None:
        """Seconds to wait before the next attempt, or None when another makes no sense."""
        if number >= self._attempts or problem.final:
            return None
        wait = self._budget.wait_of(problem) if isinstance(problem, QuotaExhausted) else None
        if wait is not None:
            return max(wait, 0) + random.uniform(0.1, 1) if wait <= self._patience else None  # noqa: S311
        return self._unit * float(2 ** (number - 1)) * random.uniform(0.25, 0.75)  # noqa: S311
