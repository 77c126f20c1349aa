"""Requests counted per day, as the rate limit headers show them."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

from ods_pipeline.emulator.errors import DOMAIN, quota_spent


class Quota:
    """A number of requests a day, back in full at midnight UTC."""

    def __init__(self, limit: int, told: tuple[int, str] = DOMAIN):
        """Nothing is spent yet; ``told`` is the number and text of the 429 to come."""
        self.limit = limit
        self._told = told
        self.spent = 0
        self._day = datetime.now(UTC).date()
        self._lock = threading.Lock()

    def spend(self) -> tuple[tuple[str, str], ...]:
        """Count one request; its headers, or the portal's 429."""
        with self._lock:
            today = datetime.now(UTC).date()
            if today != self._day:
                self._day, self.spent = today, 0
            midnight = datetime.combine(today + timedelta(days=1), datetime.min.time())
            if self.spent >= self.limit:
                raise quota_spent(self.limit, f"{midnight.isoformat()}Z", "day", told=self._told)
            self.spent += 1
            return (
                ("x-ratelimit-remaining", str(self.limit - self.spent)),
                ("x-ratelimit-limit", str(self.limit)),
                ("x-ratelimit-reset", f"{midnight}+00:00"),
            )
