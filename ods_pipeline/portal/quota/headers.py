"""What replies say of the quota: headers, the bodies of a 429, times to wait. Pure functions.

Nothing is raised or assumed here: what cannot be read counts as not stated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from ods_pipeline.dataset import instant

#: As good as no limit at all: 99999999999999999999999 was seen.
UNLIMITED = 2**63 - 1
_NUMBER = re.compile(r"([+-]?)([0-9]{1,100})(?:\.[0-9]{0,100})?", re.ASCII)
_SECONDS = re.compile(r"[0-9]{1,8}", re.ASCII)
# Documented, but never seen: seconds since 1970, as today's have ten digits.
_EPOCH = re.compile(r"([0-9]{9,11})(?:\.[0-9]{1,9})?", re.ASCII)
_HTTP_DATE = re.compile(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT", re.ASCII)
_LONGEST = 100
#: No quota was seen that counts by more than a month; a year leaves room for one.
_FARTHEST = 400 * 86_400
# "On the domain" and "for anonymous users".
_OF_THE_PORTAL = frozenset({"10002", "10005"})


@dataclass(frozen=True)
class StatedWindow:
    """A quota as one reply states it.

    Attributes:
        remaining: Requests left; never negative.
        limit: Requests allowed.
        reset: When it is full again, in seconds since 1970, whether plausible or not.
    """

    remaining: int
    limit: int | None
    reset: float | None


@dataclass(frozen=True)
class Refusal:
    """What a 429 says.

    Attributes:
        reset: When it is full again, in seconds since 1970.
        wait: Seconds to wait, where it says that instead.
        limit: Requests allowed.
        unit: Per `day`, `month` or what else it says.
        of_dataset: Whether it is surely the dataset's quota that is spent, and not the portal's.
        of_portal: Whether it is surely the portal's.
    """

    reset: float | None = None
    wait: float | None = None
    limit: int | None = None
    unit: str = ""
    of_dataset: bool = False
    of_portal: bool = False

    def until(self, now: float) -> float | None:
        """When it is full again, however it was stated; None if that is not plausible."""
        return believed(now + self.wait if self.wait is not None else self.reset, now)


def windows(headers: Mapping[str, str]) -> tuple[StatedWindow | None, StatedWindow | None]:
    """The quota of the portal and that of the dataset, as far as headers state them."""
    lower = {name.lower(): value for name, value in headers.items()}
    return _window(lower, "x-ratelimit-"), _window(lower, "x-ratelimit-dataset-")


def _window(lower: Mapping[str, str], prefix: str) -> StatedWindow | None:
    remaining = count(lower.get(f"{prefix}remaining"))
    if remaining is None:
        return None
    return StatedWindow(
        remaining, count(lower.get(f"{prefix}limit")), moment(lower.get(f"{prefix}reset"))
    )


def refusal(headers: Mapping[str, str], said: Mapping[str, Any]) -> Refusal:
    """What a 429 says by its headers and the object in its body; Retry-After counts most."""
    lower = {name.lower(): value for name, value in headers.items()}
    after = lower.get("retry-after", "").strip()
    portal, dataset = windows(headers)
    spent = dataset is not None and not dataset.remaining and not (portal and not portal.remaining)
    of_portal = str(said.get("errorcode")) in _OF_THE_PORTAL
    of_dataset = spent and not of_portal
    header = lower.get("x-ratelimit-dataset-reset" if of_dataset else "x-ratelimit-reset")
    body = moment(said.get("reset_time"))
    unit = said.get("limit_time_unit")
    return Refusal(
        reset=_date(after) or (body if body is not None else moment(header)),
        wait=float(after) if _SECONDS.fullmatch(after) else None,
        limit=count(said.get("call_limit")),
        unit=unit if isinstance(unit, str) and unit.isalpha() and len(unit) <= 20 else "",
        of_dataset=of_dataset,
        of_portal=of_portal,
    )


def count(stated: object) -> int | None:
    """A number of requests: negative ones are none, fractions of one are none either."""
    read = _NUMBER.fullmatch(_text(stated))
    if read is None:
        return None
    return 0 if read[1] == "-" else min(int(read[2]), UNLIMITED)


def moment(stated: object) -> float | None:
    """A time as portals write it, in seconds since 1970.

    Recorded as `2026-08-18 00:00:00+00:00` in headers and with T and Z in bodies.
    """
    text = _text(stated)
    if len(text) > _LONGEST:
        return None
    if _EPOCH.fullmatch(text):
        return float(text)
    found = instant(text) if "-" in text and ":" in text else None
    return found.timestamp() if found else None


def _text(stated: object) -> str:
    """A text or number as text; empty for anything else."""
    if isinstance(stated, bool) or not isinstance(stated, str | int | float):
        return ""
    try:
        return str(stated).strip()
    except ValueError:  # A number of thousands of digits, which Python does not write.
        return ""


def _date(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp() if _HTTP_DATE.fullmatch(text) else None
    except (ValueError, OverflowError):
        return None


def believed(reset: float | None, now: float) -> float | None:
    """A reset that is still to come, and not in years."""
    return reset if reset is not None and now < reset <= now + _FARTHEST else None


def shown(reset: float) -> datetime:
    """A moment for people."""
    return datetime.fromtimestamp(reset, UTC)
