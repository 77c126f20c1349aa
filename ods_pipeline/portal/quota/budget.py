"""The budget of a portal's quota, shared by the processes of a user on this host, or of all hosts.

Waits for the quota, raises if it is spent for long, and takes in what replies say. Sending belongs
to `portal/http`.
"""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TypeVar
from urllib.parse import unquote

from ods_pipeline.errors import PortalFailure, QuotaExhausted, StateError
from ods_pipeline.portal.quota import rules
from ods_pipeline.portal.quota.account import Account
from ods_pipeline.portal.quota.headers import Refusal, windows
from ods_pipeline.portal.quota.messages import exhausted, refusal_of
from ods_pipeline.portal.quota.rules import Full, Spent
from ods_pipeline.portal.quota.state import Lease, State, new_lease, thread_name
from ods_pipeline.portal.quota.state_file import StateFile
from ods_pipeline.portal.quota.state_row import StateRow
from ods_pipeline.state.database import Database
from ods_pipeline.state.locks import thread_lock

#: Seconds between two signs of life in a long download.
_BEAT = 60
_SHORTEST, _LONGEST = 0.005, 0.2
_LONGEST_NAME = 150
_DATASET = re.compile(r"/catalog/datasets/([^/?]+)")
_T = TypeVar("_T")
#: What a request is: its number, and the dataset that it is for.
Request = tuple[int, str]


@dataclass
class _Own:
    """What a thread has set aside: its name, the dataset, its last beat, whether it has a place."""

    name: str = ""
    dataset: str = ""
    beaten: float = 0.0
    placed: bool = True


class _Held(threading.local):
    """What the thread at hand has set aside, for each budget."""

    def __init__(self) -> None:
        self.of: dict[str, _Own] = {}


# Not a client's: a thread may reserve by one and ask by another.
_HELD = _Held()
_NOTHING = _Own()


class Budget:
    """The budget of a portal and one owner of a quota. Threads and processes share it."""

    def __init__(
        self,
        slug: str,
        quota_owner: str,
        *,
        max_concurrent: int = 8,
        now: Callable[[], float] = time.time,
        cancelled: threading.Event | None = None,
        state: Database | None = None,
    ) -> None:
        """Name a budget; nothing is made or read yet.

        Args:
            slug: The portal.
            quota_owner: Name of the owner of the quota, without secrets.
            max_concurrent: Datasets at once, over all processes that share the quota.
            now: Seconds since 1970.
            cancelled: Ends all waiting.
            state: Where the processes of several hosts share it; without it a file of this host.
        """
        self._slug, self._max_concurrent = slug, max_concurrent
        self._cancelled = cancelled or threading.Event()
        name = f"{slug}--{quota_owner}"
        if len(name) > _LONGEST_NAME:
            name = f"{name[:_LONGEST_NAME]}-{sha256(name.encode()).hexdigest()[:16]}"
        self._name = name
        self._account: Account = StateRow(state, name, now) if state else StateFile(name, now)

    @contextmanager
    def reserved(self, requests: int, dataset_id: str, max_wait: float) -> Iterator[None]:
        """Set requests aside and take one of the portal's places; see `Client.reserved`."""
        if self._held():
            yield
            return
        name = self._thread()
        try:
            self._admitted(name, max(requests, 1), dataset_id, max_wait)
            _HELD.of[self._name] = _Own(name, dataset_id, time.monotonic())
            yield
        finally:
            _HELD.of.pop(self._name, None)
            # What cannot be given back now lapses, and the dataset may have landed.
            with suppress(StateError):
                self._change(lambda state, _: (rules.released(state, name), None))

    @contextmanager
    def download_slot(self) -> Iterator[None]:
        """Have one of the portal's places for a block, which is given back at its end.

        It is the one that `reserved` took, or a new one after that; what is set aside stays so.
        Outside of `reserved` nothing is taken.

        Raises:
            PortalFailure: It was cancelled while it waited.
        """
        if not self._held():
            yield
            return
        own = _HELD.of[self._name]
        if not own.placed:
            self._let_in(lambda state, now: self._retaken(state, now, own))
            own.placed = True
        try:
            yield
        finally:
            own.placed = False
            with suppress(StateError):
                self._change(lambda state, _: (rules.unplaced(state, own.name), None))

    def _retaken(self, state: State, now: float, own: _Own) -> tuple[State, Full | None]:
        known = state.holds.get(own.name)
        hold = new_lease(
            self._account.holder, now, known.left if known else 0, own.dataset, place=True
        )
        return rules.placed(state, own.name, hold, self._max_concurrent)

    def _held(self) -> bool:
        """Whether the calling thread has reserved; a fork has not."""
        return _HELD.of.get(self._name, _NOTHING).name == self._thread()

    def _lease(self, now: float, left: int = 0, dataset: str = "", *, place: bool = False) -> Lease:
        return new_lease(self._account.holder, now, left, dataset, place=place)

    def _thread(self) -> str:
        return thread_name(self._account.holder)

    def _admitted(self, name: str, requests: int, dataset: str, max_wait: float) -> None:
        def change(state: State, now: float) -> tuple[State, Spent | Full | None]:
            hold = self._lease(now, requests, dataset, place=True)
            return rules.admitted(state, name, hold, self._max_concurrent)

        while (verdict := self._let_in(change)) is not None:
            wait = verdict.reset - self._account.now() if verdict.reset else None
            if wait is None or wait > max_wait:
                raise exhausted(verdict, self._slug, requests, dataset, "")
            self._wait(max(wait, 0) + random.uniform(0.1, 1))  # noqa: S311

    def _let_in(self, change: Callable[[State, float], tuple[State, _T | Full]]) -> _T:
        """Wait while all places are taken."""
        pause = _SHORTEST
        # One thread at a time looks for a slot, so that those which came first get one first.
        with thread_lock(f"admission/{self._name}"):
            while isinstance(verdict := self._change(change), Full):
                pause = min(pause * 2, _LONGEST)
                self._wait(pause * random.uniform(0.5, 1))  # noqa: S311
            return verdict

    def _wait(self, seconds: float) -> None:
        if self._cancelled.wait(seconds):
            raise PortalFailure("stopped on request", portal=self._slug)

    def sending(self, url: str) -> Request:
        """Count a request that is about to be sent.

        Returns:
            The request's number and its dataset, for `on_response` or `on_no_response`.

        Raises:
            QuotaExhausted: Nothing at all is left until a known time. Nothing was asked.
        """
        name, named = self._thread(), _dataset(url)

        def change(state: State, now: float) -> tuple[State, Request | Spent]:
            return rules.sending(state, name, self._lease(now), named)

        verdict = self._change(change)
        if isinstance(verdict, Spent):
            raise exhausted(verdict, self._slug, 1, verdict.dataset, url)
        return verdict

    def on_response(
        self, request: Request, status: int, headers: Mapping[str, str], seconds: float
    ) -> None:
        """Take in a reply, of which the first byte came after so many seconds."""
        name, (number, dataset) = self._thread(), request
        stated = windows(headers)

        def change(state: State, now: float) -> tuple[State, None]:
            state = rules.landed(state, name)
            state = rules.on_response(state, number, dataset, stated, now)
            return rules.paced(
                state, number, self._max_concurrent, status=status, seconds=seconds
            ), None

        self._change(change)

    def on_no_response(self, request: Request, *, late: bool) -> None:
        """Hear that no reply came; `late` if waiting for it timed out."""
        name = self._thread()

        def change(state: State, now: float) -> tuple[State, None]:
            state = rules.landed(state, name)
            if late:
                state = rules.paced(state, request[0], self._max_concurrent, status=0, seconds=0)
            return state, None

        self._change(change)

    def refused(self, error: QuotaExhausted, url: str) -> None:
        """Take in a 429: nobody who shares the quota asks again before the time that it states."""
        refusal = refusal_of(error) or Refusal()
        dataset = _dataset(url) or _HELD.of.get(self._name, _NOTHING).dataset
        self._change(lambda state, now: (rules.refused(state, refusal, dataset, now), None))

    def wait_of(self, error: QuotaExhausted) -> float | None:
        """Seconds until a quota is full again, as far as that is known."""
        refusal = refusal_of(error)
        if refusal and refusal.wait is not None:
            return refusal.wait
        return error.reset.timestamp() - self._account.now() if error.reset else None

    def heartbeat(self) -> None:
        """Extend this thread's lease; cheap enough to be called for every chunk of a body."""
        own = _HELD.of.get(self._name, _NOTHING)
        if time.monotonic() - own.beaten < _BEAT or not self._held():
            return
        own.beaten = time.monotonic()

        def change(state: State, now: float) -> tuple[State, None]:
            hold = self._lease(now, 0, own.dataset, place=own.placed)
            known = state.holds.get(own.name)
            kept = replace(known, until=hold.until) if known else hold
            return replace(state, holds={**state.holds, own.name: kept}), None

        self._change(change)

    def _change(self, change: Callable[[State, float], tuple[State, _T]]) -> _T:
        account = self._account
        return account.update(
            lambda state, now: change(rules.expire(state, now, account.is_alive), now)
        )


def _dataset(url: str) -> str:
    """The dataset in an address; in one of the WFS only the reservation names it."""
    found = _DATASET.search(url)
    return unquote(found[1]) if found else ""
