"""How often a publisher says that a dataset is updated.

Portals give words of their own (`ANNUAL`), those of the EU's vocabulary (`…/frequency/DAILY`), or
free text (`10 minutes`). What follows from a dataset that is late is decided elsewhere.
"""

from __future__ import annotations

import re
from datetime import timedelta

_DAYS = {
    "UPDATE_CONT": 1.0,
    "CONT": 1.0,
    "HOURLY": 1 / 24,
    "DAILY": 1.0,
    "DAILY_2": 0.5,
    "WEEKLY": 7.0,
    "WEEKLY_2": 3.5,
    "WEEKLY_3": 7 / 3,
    "BIWEEKLY": 14.0,
    "MONTHLY": 31.0,
    "MONTHLY_2": 15.5,
    "MONTHLY_3": 31 / 3,
    "BIMONTHLY": 62.0,
    "QUARTERLY": 92.0,
    "ANNUAL_3": 122.0,
    "ANNUAL_2": 184.0,
    "ANNUAL": 366.0,
    "BIENNIAL": 731.0,
    "TRIENNIAL": 1096.0,
}
_UNITS = {"minute": 1 / 1440, "hour": 1 / 24, "day": 1.0, "week": 7.0, "month": 31.0, "year": 366.0}
_COUNTED = re.compile(rf"(?:every )?(\d{{1,4}}) ({'|'.join(_UNITS)})s?")


def declared_period(text: str) -> timedelta | None:
    """The longest time between two updates that a publisher declares.

    Args:
        text: The dataset's `update_frequency`, or its `accrualperiodicity`.

    Returns:
        None where nothing is declared, or nothing that has a length (`IRREG`, `UNKNOWN`).
    """
    word = text.strip().rpartition("/")[2]
    days = _DAYS.get(word.upper())
    counted = _COUNTED.fullmatch(text.strip().lower())
    if counted:
        days = int(counted[1]) * _UNITS[counted[2]]
    return timedelta(days=days) if days else None
