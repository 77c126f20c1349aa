"""Converts one value of an export to its declared type: the slow, exact rules.

Whole columns are read with Arrow's kernels first. Where these refuse, the functions here decide
what is accepted; each raises ValueError for other values. Fields and records are not known here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any

_DATE = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?")
_NUMBER = re.compile(
    r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(nan|inf|infinity)", re.IGNORECASE
)
_TRUTH = {"true": True, "1": True, "false": False, "0": False}
_SMALLEST, _LARGEST = -(2**63), 2**63 - 1
#: From here on a float can stand for several whole numbers.
ROUNDED = 2.0**53


def integer(value: Any) -> int:
    """A 64-bit integer; `12.0` is one, `12.5` is not, nor is a float that may be rounded."""
    if isinstance(value, bool) or (isinstance(value, float) and abs(value) >= ROUNDED):
        raise ValueError(value)
    try:
        number = Decimal(_number(value)) if isinstance(value, str) else Decimal(value)
    except (InvalidOperation, TypeError) as error:
        raise ValueError(value) from error
    # Bounds first: `1e999999999` as a Python integer would take a gigabyte and hours.
    if not (number.is_finite() and _SMALLEST <= number <= _LARGEST and number == int(number)):
        raise ValueError(value)
    return int(number)


def floating(value: Any) -> float:
    """A 64-bit float."""
    if isinstance(value, bool):
        raise ValueError(value)
    return float(_number(value) if isinstance(value, str) else value)


def boolean(value: Any) -> bool:
    """`true`, `false`, `1` or `0`, in any case."""
    truth = _TRUTH.get(str(value).strip().lower())
    if truth is None:
        raise ValueError(value)
    return truth


def day(value: Any) -> date:
    """A date; the first day where the precision is a year or a month.

    Year-precision fields come as `1977`, `1977-01-01` or a midnight, depending on the portal.
    """
    if isinstance(value, datetime):
        if value.timetz().replace(tzinfo=None) != time.min:
            raise ValueError(value)
        return value.date()
    if isinstance(value, date):
        return value
    match = _DATE.fullmatch(str(value).strip())
    if match:
        year, month, number = match.groups()
        return date(int(year), int(month or 1), int(number or 1))
    return day(datetime.fromisoformat(str(value).strip()))


def instant(value: Any) -> datetime:
    """An instant, cut to the millisecond; without an offset it is UTC, the requested zone."""
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time.min)
    moment = value
    if not isinstance(moment, datetime):
        moment = datetime.fromisoformat(str(value).strip())
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return aware.astimezone(UTC).replace(microsecond=aware.microsecond // 1000 * 1000)


def json_text(value: Any) -> str:
    """JSON as text: text as it is, other values serialized."""
    if isinstance(value, bytes):
        return value.decode()
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def file_address(value: Any, base: str = "") -> str:
    """A file's URL.

    CSV gives the URL. Other exports may give an object: then it is the object's `url`, or its `id`
    below `base`, or the object as JSON text.
    """
    if isinstance(value, str) and value.startswith("{"):
        value = json.loads(value)
    if not isinstance(value, Mapping):
        return str(value)
    if value.get("url"):
        return str(value["url"])
    return f"{base}/{value['id']}" if base and value.get("id") else json_text(value)


def text(value: Any) -> str:
    """Text and nothing else: a number in a text field may have lost leading zeros."""
    if not isinstance(value, str):
        raise ValueError(value)
    return value


def _number(text: str) -> str:
    stripped = text.strip()
    if not _NUMBER.fullmatch(stripped):
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
