"""Request quotas by day or month, with their rate limit headers, on a clock of their own.

Which quota a request is counted against is decided by authentication.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ods_pipeline.emulator.http.errors import DOMAIN_QUOTA, quota_exceeded

#: Never recorded: portals have such quotas, and what they answer then is not known.
DATASET_QUOTA = (10006, "Too many requests on the dataset.")
UNITS = ("day", "month")


class QuotaClock:
    """Seconds since 1970: the time of the machine, until a test moves it ahead."""

    def __init__(self) -> None:
        """Start at the time of the machine."""
        self._ahead = 0.0

    def __call__(self) -> float:
        """The current time."""
        return time.time() + self._ahead

    def jump(self, seconds: float) -> None:
        """Move the clock ahead."""
        self._ahead += seconds


@dataclass(frozen=True)
class Terms:
    """The size of a quota, its time unit, and how replies show it.

    ``unit``: they are back at midnight UTC of each ``day``, or on the first of each ``month``.
    ``reset``: the time of that as ``text`` (recorded), ``iso``, ``epoch`` (documented), ``none``,
    or any other text, verbatim.
    ``headers``: whether replies that are no 429 say anything at all.
    """

    limit: int
    unit: str = "day"
    reset: str = "text"
    headers: bool = True

    def __post_init__(self) -> None:
        """Refuse an unknown unit."""
        if self.unit not in UNITS:
            raise ValueError(f"unit is one of {', '.join(UNITS)}")

    def ends(self, now: float) -> datetime:
        """When the day or month of a moment ends."""
        today = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        if self.unit == "day":
            return today + timedelta(days=1)
        return (today.replace(day=1) + timedelta(days=32)).replace(day=1)

    def written(self, end: datetime) -> str:
        """That time as the headers show it."""
        kinds = {"text": str(end), "iso": _iso(end), "epoch": f"{end.timestamp():.0f}"}
        return kinds.get(self.reset, self.reset)


class Quota:
    """A number of requests in a window of time, back in full at its end."""

    def __init__(
        self,
        limit: int,
        exceeded: tuple[int, str] = DOMAIN_QUOTA,
        clock: QuotaClock | None = None,
        prefix: str = "x-ratelimit-",
    ):
        """Nothing is spent yet; ``exceeded`` is the number and text of the 429."""
        self.terms = Terms(limit)
        self.spent = 0
        self._exceeded, self._prefix = exceeded, prefix
        self._now = clock or QuotaClock()
        self._end = self.terms.ends(self._now())
        self._lock = threading.Lock()

    @property
    def limit(self) -> int:
        """Requests allowed."""
        return self.terms.limit

    def set_terms(self, terms: Terms) -> None:
        """Count by other terms from now on; what is spent stays spent."""
        with self._lock:
            self.terms, self._end = terms, terms.ends(self._now())

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """The rate limit headers of a reply."""
        return tuple(self._headers()) if self.terms.headers else ()

    def use(self, requests: int) -> None:
        """Count requests of other callers."""
        with self._lock:
            self._start_new_window()
            self.spent = min(self.spent + requests, self.limit)

    def spend(self) -> tuple[tuple[str, str], ...]:
        """Count one request; its headers, or the portal's 429."""
        with self._lock:
            self._start_new_window()
            if self.spent >= self.limit:
                end = _iso(self._end)
                raise quota_exceeded(self.limit, end, self.terms.unit, exceeded=self._exceeded)
            self.spent += 1
            return self.headers

    def _start_new_window(self) -> None:
        now = self._now()
        if now >= self._end.timestamp():
            self._end, self.spent = self.terms.ends(now), 0

    def _headers(self) -> list[tuple[str, str]]:
        headers = [
            (f"{self._prefix}remaining", str(self.limit - self.spent)),
            (f"{self._prefix}limit", str(self.limit)),
        ]
        if self.terms.reset != "none":
            headers.append((f"{self._prefix}reset", self.terms.written(self._end)))
        return headers


def dataset_quota(limit: int, unit: str, clock: QuotaClock) -> Quota:
    """A quota for one dataset, which replies show beside the portal's."""
    quota = Quota(limit, DATASET_QUOTA, clock, "x-ratelimit-dataset-")
    quota.set_terms(Terms(limit, unit))
    return quota


def _iso(end: datetime) -> str:
    return f"{end.replace(tzinfo=None).isoformat()}Z"
