"""Reads and writes nested values: as JSON, and as Python's notation, which portals write for it.

What a field's declared type makes of them is decided in `tables.values`.
"""

from __future__ import annotations

import ast
import json
import math
import re
import uuid
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

#: Requested between the values of a list in CSV: the portal does not escape its default `,`, which
#: occurs in values ("Parks, recreation, and pets" is one theme).
LIST_SEPARATOR = "\x1f"

_NOT_PYTHON = (ValueError, SyntaxError, TypeError, RecursionError, MemoryError)
# A text of JSON, in which anything stands for itself, or a word that JSON does not have.
_STRING_OR_CONSTANT = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|-?Infinity|NaN', re.DOTALL)


class Reading(NamedTuple):
    """A value that was read in a way that has to be explained, and the explanation."""

    value: Any
    note: str


def unnoted(value: Any) -> Any:
    """A value without the explanation of how it was read."""
    return value.value if isinstance(value, Reading) else value


INVALID_JSON = "JSON with NaN or Infinity, which JSON does not have; these are null"


def nested(text: str) -> Any:
    """The value of a text in JSON, or in Python's notation, which some servers write instead.

    Raises:
        ValueError: It is in neither.
    """
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        return ast.literal_eval(text)
    except _NOT_PYTHON as error:
        raise ValueError(text) from error


def json_text(value: Any) -> str | Reading:
    """JSON as text: text as it is, other values written as JSON.

    Of a text only NaN and Infinity are replaced, which Python's JSON has and no other.
    """
    if isinstance(value, bytes):
        value = value.decode()
    if not isinstance(value, str):
        return _json(value)
    if LIST_SEPARATOR in value:
        return _json(value.split(LIST_SEPARATOR))
    if "NaN" not in value and "Infinity" not in value:
        return value
    constants: list[str] = []
    try:
        # Numbers stay texts: a very long one is no integer of Python.
        json.loads(value, parse_constant=constants.append, parse_int=str, parse_float=str)
    except ValueError:
        return value
    if not constants:
        return value
    return Reading(_STRING_OR_CONSTANT.sub(_null, value), INVALID_JSON)


def _null(found: re.Match[str]) -> str:
    return found[0] if found[0].startswith('"') else "null"


def _json(value: Any) -> str | Reading:
    plain = _plain(value)
    text = json.dumps(plain.value, ensure_ascii=False)
    return Reading(text, plain.note) if plain.note else text


def _plain(value: Any) -> Reading:
    """A value of Arrow as one of JSON, and a note if something had to be left out."""
    match value:
        case float() if not math.isfinite(value):
            return Reading(None, INVALID_JSON)
        case Mapping():
            names, parts = map(_key, value), [_plain(part) for part in value.values()]
            members = dict(zip(names, (part.value for part in parts), strict=True))
            return Reading(members, _noted(parts))
        case [*items]:
            parts = [_plain(item) for item in items]
            return Reading([part.value for part in parts], _noted(parts))
    return Reading(_scalar(value), "")


def _key(value: Any) -> str:
    """The key of a map as a name of JSON."""
    key = _scalar(value)
    return key if isinstance(key, str) else json.dumps(key)


def _scalar(value: Any) -> str | float | None:
    match value:
        case None | bool() | int() | str() | float():
            return value
        case Decimal():
            number = float(value)
            return number if Decimal(repr(number)) == value else str(value)
        case datetime() if value.utcoffset() == timedelta():
            return f"{value.replace(tzinfo=None).isoformat()}Z"
        case date() | time():
            return value.isoformat()
        case uuid.UUID():
            return str(value)
        case bytes():
            return value.decode()
    raise ValueError(value)


def _noted(parts: list[Reading]) -> str:
    return next((part.note for part in parts if part.note), "")
