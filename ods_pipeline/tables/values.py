"""Converts one value of an export to its declared type: the slow, exact rules.

Whole columns are read with Arrow's kernels first. Where these refuse, the functions here decide
what is accepted, whichever export the value came through; each raises ValueError for other values.
Fields and records are not known here.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from ods_pipeline.tables.nested import LIST_SEPARATOR, Reading, json_text, nested, unnoted

#: Between the values of a list that has to become one text; a portal's own exports have it there.
JOINER = ","

_DATE = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?")
#: A number as texts have it: not hexadecimal, and without underscores.
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(nan|inf|infinity)", re.IGNORECASE)
# So begin objects, or lists of texts or objects.
_OBJECTS = re.compile(r"\s*(\{|\[\s*[{\"'])")
_TRUTH = {"true": True, "1": True, "false": False, "0": False}
_SMALLEST, _LARGEST = -(2**63), 2**63 - 1
# Significant digits that tell one float from all others.
_DIGITS = 17
#: From here on a float can stand for several whole numbers.
ROUNDED = 2.0**53
_SUMMER_TIME = 60
# Minutes that the world's time zones are ahead of UTC: whole hours and a few between.
_OFFSETS = frozenset(
    {
        *range(-12 * 60, 14 * 60 + 1, 60),
        *(-570, -210, -150, 210, 270, 330, 345, 390, 525, 570, 630, 765, 825),
    }
)


ROUNDED_DIGITS = (
    "a number of more digits than a double holds; it is the nearest one, and digits are lost"
)
# The largest float as MapServer writes it, in 15 digits; read back as it stands, it is infinite.
_LARGEST_CUT = Decimal("1.79769313486232e308")
NO_NUMBER = "NaN stands for a missing number, so it is null"
LISTED = "a list, though the field is not declared multivalued; it is joined by commas"
LOCAL_DAY = "a moment that is midnight in one time zone alone; it is that zone's day"
COARSE = "a year or a month where a moment is declared; it is the first moment of it"


def integer(value: Any) -> int | Reading:
    """A 64-bit integer; `12.0` is one, `12.5` is not, nor is a float that may be rounded."""
    if isinstance(value, bool) or (isinstance(value, float) and abs(value) >= ROUNDED):
        raise ValueError(value)
    try:
        number = Decimal(_number(value)) if isinstance(value, str) else Decimal(value)
    except (InvalidOperation, TypeError) as error:
        raise ValueError(value) from error
    if number.is_nan():
        return Reading(None, NO_NUMBER)
    # Bounds first: `1e999999999` as a Python integer would take a gigabyte and hours.
    if not (number.is_finite() and _SMALLEST <= number <= _LARGEST and number == int(number)):
        raise ValueError(value)
    return int(number)


def floating(value: Any) -> float | Reading:
    """A 64-bit float, with a note if digits were lost; a number too large for one is refused."""
    if isinstance(value, bytes):
        value = value.decode()
    if isinstance(value, bool):
        raise ValueError(value)
    written = _number(value) if isinstance(value, str) else value
    number = float(written)
    if math.isnan(number):
        return Reading(None, NO_NUMBER)
    if isinstance(written, float):
        return number
    exact = Decimal(written)
    if math.isinf(number) and exact.is_finite():
        if abs(exact) > _LARGEST_CUT:
            raise ValueError(value)
        return Reading(math.copysign(sys.float_info.max, number), ROUNDED_DIGITS)
    return Reading(number, ROUNDED_DIGITS) if lost_digits(exact, number) else number


def lost_digits(exact: Decimal, number: float) -> bool:
    """Whether a number changed when it became a float.

    What is written as the shortest text of the float did not, such as 0.1; nor did fractions of up
    to 17 digits, with which programs write floats.
    """
    if exact in (Decimal(repr(number)), Decimal(number)):
        return False
    digits = "".join(map(str, exact.as_tuple().digits)).strip("0")
    return len(digits) > _DIGITS or exact == exact.to_integral_value()


def boolean(value: Any) -> bool:
    """`true`, `false`, `1` or `0`, in any case."""
    truth = _TRUTH.get(str(value).strip().lower()) if isinstance(value, str | int) else None
    if truth is None:
        raise ValueError(value)
    return truth


def day(value: Any) -> date | Reading:
    """A date; the first day where the precision is a year or a month.

    Year-precision fields come as `1977`, `1977-01-01` or a midnight, depending on the portal. A
    moment without an offset of its own is the midnight of a place where it can be only one day's.
    """
    if isinstance(value, datetime):
        return _day_of(value)
    if isinstance(value, date):
        return value
    written = _written(value)
    return _first_day(written) or day(datetime.fromisoformat(written))


def plain_day(value: Any) -> date:
    """A date whose moments have to be midnights of their own."""
    found = day(value)
    if isinstance(found, Reading):
        raise ValueError(value)
    return found


def _day_of(moment: datetime) -> date | Reading:
    offset = zone_of(moment)
    if offset == 0:
        return moment.date()
    if offset is None:
        raise ValueError(moment)
    return Reading((moment + timedelta(minutes=offset)).date(), LOCAL_DAY)


def zone_of(value: Any) -> int | None:
    """Minutes by which the one time zone is ahead of UTC in which a moment is midnight.

    Returns:
        0 for a midnight of its own, None where there is no such zone, or more than one.
    """
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(_written(value))
    except ValueError:
        return None
    into = moment - moment.replace(hour=0, minute=0, second=0, microsecond=0)
    if not into:
        return 0
    if moment.utcoffset() != timedelta() or into % timedelta(minutes=1):
        return None
    minutes = into // timedelta(minutes=1)
    found = [offset for offset in (-minutes, 1440 - minutes) if offset in _OFFSETS]
    return found[0] if len(found) == 1 else None


def are_of_one_place(zones: set[int]) -> bool:
    """Whether time zones can be those of one place, in both its times."""
    return not zones or max(zones) - min(zones) <= _SUMMER_TIME


def instant(value: Any) -> datetime | Reading:
    """An instant, cut to the millisecond; without an offset it is UTC, the requested zone."""
    if isinstance(value, datetime):
        return _cut(value)
    if isinstance(value, date):
        return _cut(datetime.combine(value, time.min))
    written = _written(value)
    match = _DATE.fullmatch(written)
    if match and not match[3]:
        first = _first_day(written)
        assert first is not None  # noqa: S101 - it matches
        return Reading(_cut(datetime.combine(first, time.min)), COARSE)
    return _cut(datetime.fromisoformat(written))


def _cut(moment: datetime) -> datetime:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return aware.astimezone(UTC).replace(microsecond=aware.microsecond // 1000 * 1000)


def _written(value: Any) -> str:
    """A date as text; a number can only be a year, written without quotes."""
    if isinstance(value, int) and not isinstance(value, bool) and 1000 <= value <= 9999:
        return str(value)
    if not isinstance(value, str):
        raise ValueError(value)
    return value.strip()


def _first_day(written: str) -> date | None:
    match = _DATE.fullmatch(written)
    if not match:
        return None
    year, month, number = match.groups()
    return date(int(year), int(month or 1), int(number or 1))


def text(value: Any) -> str | Reading:
    """Text, decoded or as JSON where it is nested; the values of a list are joined.

    A number alone is refused: in a text field it may have lost leading zeros.
    """
    if isinstance(value, list):
        return Reading(JOINER.join(item for part in value for item in items(part)), LISTED)
    if isinstance(value, bytes):
        value = value.decode()
    if isinstance(value, str) and LIST_SEPARATOR in value:
        return Reading(value.replace(LIST_SEPARATOR, JOINER), LISTED)
    if not isinstance(value, str | Mapping):
        raise ValueError(value)
    return value if isinstance(value, str) else json_text(value)


def csv_text(value: Any) -> str | Reading:
    """Any value as the text that a CSV export has of it."""
    match value:
        case bool():
            return json.dumps(value)
        case float():
            return repr(value)
        case Decimal():
            return f"{value:f}"
        case datetime():
            # Without an offset it is UTC, the requested zone.
            aware = value if value.tzinfo else value.replace(tzinfo=UTC)
            return aware.astimezone(UTC).isoformat()
        case date() | time():
            return value.isoformat()
        case int() | UUID():
            return str(value)
    return text(value)


def items(value: Any) -> list[str]:
    """What one element of a list stands for: texts as in CSV, or JSON where it is nested."""
    if value is None:
        return [""]
    if isinstance(value, float) and math.isnan(value):
        return [""]
    if isinstance(value, bytes):
        value = value.decode()
    if isinstance(value, str):
        return value.split(LIST_SEPARATOR)
    return [unnoted(json_text(value) if isinstance(value, Mapping | list) else csv_text(value))]


def file_address(value: Any, base: str = "") -> str | Reading:
    """A file's URL; several are joined by commas.

    CSV gives the URL. Other exports may give an object: then it is the object's `url`, or its `id`
    below `base`, or the object as JSON text.
    """
    if isinstance(value, bytes):
        value = value.decode()
    if isinstance(value, str) and LIST_SEPARATOR in value:
        value = value.split(LIST_SEPARATOR)
    if isinstance(value, str) and value.lstrip().startswith(("{", "[")):
        value = _described(value)
    if isinstance(value, list):
        addresses = [unnoted(file_address(item, base)) for item in value if item not in (None, "")]
        joined = JOINER.join(addresses)
        return Reading(joined, LISTED) if len(addresses) > 1 else joined
    if isinstance(value, str):
        return text(value)
    if not isinstance(value, Mapping):
        raise ValueError(value)
    url, name = (_address(value.get(key)) for key in ("url", "id"))
    if url:
        return text(url)
    return f"{base}/{name}" if base and name else json_text(value)


def _described(name: str) -> Any:
    """What a text says of files; itself if it is a name that begins alike, `[2024] plan.pdf`."""
    try:
        found = nested(name.strip())
    except ValueError:
        if _OBJECTS.match(name):
            raise
        return name
    parts = found if isinstance(found, list) else [found]
    return found if all(isinstance(part, Mapping | str | None) for part in parts) else name


def _address(value: Any) -> str:
    """An address or an identifier; empty for anything else."""
    value = value.decode() if isinstance(value, bytes) else value
    return value if isinstance(value, str) else ""


def _number(text: str) -> str:
    stripped = text.strip()
    if not NUMBER.fullmatch(stripped):
        raise ValueError(text)
    return stripped


EXACT: Mapping[str, Callable[[Any], Any]] = {
    "text": text,
    "int": integer,
    "double": floating,
    "boolean": boolean,
    "date": day,
    "datetime": instant,
    "json_blob": json_text,
}
