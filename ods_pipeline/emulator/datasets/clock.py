"""The portal's clock: never twice the same instant, never backwards."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta


class Clock:
    """Real time, pushed forward where two events would share an instant."""

    def __init__(self) -> None:
        """Start before everything."""
        self._last = datetime(2000, 1, 1, tzinfo=UTC)
        self._lock = threading.Lock()

    def tick(self, after: str | None = None) -> str:
        """The next instant, later than every one given before and than ``after``."""
        with self._lock:
            floor = max(self._last, _moment(after))
            self._last = max(datetime.now(UTC), floor + timedelta(milliseconds=1))
            return written(self._last)


def _moment(text: str | None) -> datetime:
    """A stamp as an instant; what is no stamp (metadata may lie) is long ago."""
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def written(moment: datetime) -> str:
    """The two shapes of metadata timestamps: with six digits of fraction, or none."""
    moment = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    return moment.isoformat()
