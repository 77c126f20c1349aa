"""How many datasets of one portal are fetched at once. Pure functions.

Failures of the portal halve the number, a series of good replies adds one. Nothing is stored here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

_FIRST = 4
_RUN = 8
_WEIGHT = 0.1
#: Slower than this many times the usual, and slower than so many seconds, is the portal's trouble.
_TIMES, _SECONDS = 4, 2.0
# Too much for it at this moment; a plain 500 is as a rule the dataset's own trouble.
_TROUBLES = frozenset({429, 502, 503, 504})


@dataclass(frozen=True)
class Pace:
    """How fast to go.

    Attributes:
        places: Datasets at once.
        good: Good replies in a row.
        usual: Seconds to the first byte, smoothed; 0 before the first.
        since: Requests up to this number were sent at an older pace, and say nothing of this one.
    """

    places: int = _FIRST
    good: int = 0
    usual: float = 0.0
    since: int = 0


def troubled(pace: Pace, status: int, seconds: float) -> bool:
    """Whether a reply says that the portal has too much to do; see `after`."""
    slow = pace.usual > 0 and seconds > max(_SECONDS, _TIMES * pace.usual)
    return status in _TROUBLES or status == 0 or slow


def after(
    pace: Pace, number: int, sent: int, max_concurrent: int, *, status: int, seconds: float
) -> Pace:
    """The pace after a reply.

    Args:
        pace: The pace before.
        number: Number of the request.
        sent: Requests sent until now.
        max_concurrent: Datasets at once at most.
        status: Of the reply; 0 where none came in time.
        seconds: Until its first byte.
    """
    trouble = troubled(pace, status, seconds)
    if status:
        usual = seconds if not pace.usual else pace.usual + _WEIGHT * (seconds - pace.usual)
        pace = replace(pace, usual=usual)
    if trouble:
        if number <= pace.since:
            return pace
        return replace(pace, places=max(pace.places // 2, 1), good=0, since=sent)
    if pace.good + 1 < _RUN:
        return replace(pace, good=pace.good + 1)
    return replace(pace, good=0, places=max(min(pace.places + 1, max_concurrent), 1))
