"""Dates of ODSQL: literals and ``now()``, from text to datetime.

SQL over columns does not belong here.
"""

from __future__ import annotations

import calendar
import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

DAYS = ("mondays", "tuesdays", "wednesdays", "thursdays", "fridays", "saturdays", "sundays")
UNITS = ("year", "month", "day", "hour", "minute", "second", "microsecond")


def parse_date(text: str, timezone: str) -> datetime | None:
    """A date literal as naive UTC; without an offset it is local to the time zone."""
    text = text.strip().replace("/", "-")
    if re.fullmatch(r"\d{4}(-\d{1,2}){0,2}", text):
        year, month, day = (*map(int, text.split("-")), 1, 1)[:3]
        text = f"{year:04}-{month:02}-{day:02}"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=ZoneInfo(timezone))
    return moment.astimezone(UTC).replace(tzinfo=None)


def timestamp_sql(moment: datetime) -> str:
    """A SQL literal."""
    return f"TIMESTAMP '{moment.isoformat(sep=' ')}'"


def now(settings: list[tuple[str, int]]) -> datetime | None:
    """The current instant with parts set (singular) or moved (plural), in the order given."""
    moment = datetime.now(UTC)
    for name, value in settings:
        changed = _changed(moment, name, value)
        if changed is None:
            return None
        moment = changed
    return moment.replace(tzinfo=None)


def _changed(moment: datetime, name: str, value: int) -> datetime | None:
    if name == "weekday":
        return moment + timedelta(days=(value - moment.weekday()) % 7)
    if name in DAYS:
        return _to_weekday(moment, DAYS.index(name), value)
    if name in UNITS:
        return _set(moment, name, value)
    if name in ("years", "months"):
        months = moment.month - 1 + value * (12 if name == "years" else 1)
        year = moment.year + months // 12
        return _clamped(moment, year, months % 12 + 1, moment.day)
    if name.removesuffix("s") in UNITS:
        return moment + timedelta(**{name: value})
    return None


def _set(moment: datetime, name: str, value: int) -> datetime:
    if name in ("year", "month", "day"):
        parts = {"year": moment.year, "month": moment.month, "day": moment.day, name: value}
        return _clamped(moment, parts["year"], parts["month"], parts["day"])
    return moment.replace(**{name: value})  # type: ignore[arg-type]


def _clamped(moment: datetime, year: int, month: int, day: int) -> datetime:
    last = calendar.monthrange(year, month)[1]
    return moment.replace(year=year, month=month, day=min(day, last))


def _to_weekday(moment: datetime, weekday: int, count: int) -> datetime:
    ahead = (weekday - moment.weekday()) % 7 or 7
    behind = (moment.weekday() - weekday) % 7 or 7
    days = ahead + 7 * (count - 1) if count > 0 else -behind + 7 * (count + 1)
    return moment + timedelta(days=days)
