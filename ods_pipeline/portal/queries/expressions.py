"""Which type each column of a query has, by what ODSQL documents of its functions.

Only names and types are looked at: what an expression means is the portal's business, and one that
is not known here has the type of its values.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from ods_pipeline.dataset import Field
from ods_pipeline.portal.query import Query

_PARTS_OF_DATES = {"year", "month", "day", "hour", "minute", "second", "millisecond", "dayofweek"}
#: What a function gives, whatever it is given.
_GIVES = {
    **dict.fromkeys(("count", "length", *_PARTS_OF_DATES), "int"),
    **dict.fromkeys(("avg", "median", "percentile", "distance"), "double"),
    **dict.fromkeys(("lower", "upper", "date_format"), "text"),
    **dict.fromkeys(("envelope", "bbox"), "geo_shape"),
    "now": "datetime",
}
#: What gives a value of the field that it is given.
_KEEPS = {"min", "max", "sum"}
#: Functions that make one row of many records.
_AGGREGATES = re.compile(
    r"\b(count|avg|sum|min|max|median|percentile|envelope|bbox)\s*\(", re.IGNORECASE
)
_CALL = re.compile(r"(\w+)\s*\((.*)\)", re.DOTALL)
_NAMED = re.compile(r"(.*\S)\s+as\s+(`[^`]+`|\w+)|(.*\S)", re.DOTALL | re.IGNORECASE)


def is_one_row(query: Query) -> bool:
    """Whether a query makes one row of all its records: it aggregates, and has no groups."""
    selected = query.select if isinstance(query.select, str) else ", ".join(query.select or ())
    return not query.group_by and _AGGREGATES.search(selected) is not None


def columns(query: Query, declared: Mapping[str, Field]) -> dict[str, Field]:
    """The columns of a query whose types are known, by their names.

    Args:
        query: The query.
        declared: The dataset's fields, by name.
    """
    if not query.reshapes:
        return dict(declared)
    known: dict[str, Field] = {}
    selected = query.select if isinstance(query.select, str) else ", ".join(query.select or ())
    for part in (*split(selected), *split(query.group_by or "")):
        found = _NAMED.fullmatch(part)
        expression, alias = (found[1] or found[3], found[2]) if found else (part, None)
        if expression == "*":
            known |= declared
        elif field := _field(expression, declared, grouped=bool(query.group_by)):
            known.setdefault((alias or expression).strip("`"), field)
    return known


def _field(expression: str, declared: Mapping[str, Field], *, grouped: bool) -> Field | None:
    """What an expression gives, as a field of that type; None where that is not known."""
    plain = declared.get(expression.strip("`"))
    if plain:
        # A group of a list has one of its values alone.
        single = {k: v for k, v in plain.annotations.items() if k != "multivalued"}
        return replace(plain, annotations=single) if grouped else plain
    call = _CALL.fullmatch(expression)
    if not call:
        return None
    function, inner = call[1].lower(), declared.get(call[2].strip().strip("`"))
    kind = _GIVES.get(function) or (inner.type if inner and function in _KEEPS else None)
    return Field(expression, kind) if kind else None


def split(clause: str) -> Iterator[str]:
    """The parts of a clause that commas separate, but for commas in brackets and quotes."""
    part, depth, quote = "", 0, ""
    for index, letter in enumerate(clause):
        if quote:
            quote = "" if letter == quote and clause[index - 1] != "\\" else quote
        elif letter in "\"'`":
            quote = letter
        depth += (letter in "([") - (letter in ")]") if not quote else 0
        if letter == "," and not depth and not quote:
            yield from filter(None, [part.strip()])
            part = ""
        else:
            part += letter
    yield from filter(None, [part.strip()])
