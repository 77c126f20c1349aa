"""The date functions of ODSQL as SQL.

Parsing their arguments does not belong here.
"""

from __future__ import annotations

import re

from ods_pipeline.emulator.datasets.dataset import Column
from ods_pipeline.emulator.datasets.formatting import sql_text
from ods_pipeline.emulator.explore.odsql.scope import Scope

DATE_PARTS = (
    "year",
    "quarter",
    "month",
    "day",
    "dayofweek",
    "hour",
    "minute",
    "second",
    "millisecond",
)
FORMATS = {
    "yyyy": "%Y",
    "yy": "%y",
    "xxxx": "%G",
    "ww": "%V",
    "e": "%u",
    "D": "%-j",
    "DDD": "%j",
    "M": "%-m",
    "MM": "%m",
    "d": "%-d",
    "dd": "%d",
    "H": "%-H",
    "HH": "%H",
    "m": "%-M",
    "mm": "%M",
    "s": "%-S",
    "ss": "%S",
}
# Names of days and months depend on the language: only those of English are known.
ENGLISH = {"E": "lower(strftime({t}, '%a')) || '.'", "EEEE": "strftime({t}, '%A')"}
ENGLISH["MMMM"] = "strftime({t}, '%B')"
PIECE = re.compile(r"'((?:[^']|'')*)'|([A-Za-z])\2*|[?,.:/ -]")


def local_time(column: Column, scope: Scope) -> str:
    """SQL for a date or datetime in the time zone of the request."""
    if column.type == "date":
        return f"({column.sql})::TIMESTAMP"
    if scope.timezone == "UTC":
        return column.sql
    return f"local_of({column.sql}, {sql_text(scope.timezone)})"


def date_part(name: str, column: Column, scope: Scope) -> str:
    """SQL for a part of a date, an integer."""
    if name == "dayofweek":
        return f"(isodow({local_time(column, scope)}) - 1)"
    if name == "millisecond":
        return f"(millisecond({local_time(column, scope)}) % 1000)"
    return f"{name}({local_time(column, scope)})"


def date_format(column: Column, pattern: str, scope: Scope) -> str | None:
    """SQL for a formatted date, or none where the pattern is not supported."""
    time, parts, position = local_time(column, scope), [], 0
    while position < len(pattern):
        found = PIECE.match(pattern, position)
        part = _formatted(found, time, scope.lang) if found else None
        if found is None or part is None:
            return None
        parts.append(part)
        position = found.end()
    return "(" + (" || ".join(parts) or "''") + ")"


def _formatted(found: re.Match[str], time: str, lang: str) -> str | None:
    piece = found.group()
    if piece == "''":
        return sql_text("'")
    if found[1] is not None:
        return sql_text(found[1].replace("''", "'"))
    if found[2] is None:
        return sql_text(piece)
    if piece in ENGLISH:
        return ENGLISH[piece].format(t=time) if lang == "en" else None
    if piece == "xx":
        return f"right(strftime({time}, '%G'), 2)"
    if piece == "w":
        return f"weekofyear({time})::VARCHAR"
    name = piece.lower() if piece in ("YYYY", "YY") else piece
    return f"strftime({time}, '{FORMATS[name]}')" if name in FORMATS else None
