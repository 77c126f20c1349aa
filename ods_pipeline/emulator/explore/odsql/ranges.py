"""Groups of ``range()``: fixed bounds and equal widths, labelled as in the ODSQL manual.

Grouping by fields and expressions does not belong here.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

from ods_pipeline.emulator.datasets.dataset import Column
from ods_pipeline.emulator.datasets.formatting import sql_text
from ods_pipeline.emulator.explore.odsql import functions
from ods_pipeline.emulator.explore.odsql.scanner import QUANTITY, OdsqlSyntaxError, Scanner
from ods_pipeline.emulator.explore.odsql.scope import NUMBERS, TIMES

if TYPE_CHECKING:
    from ods_pipeline.emulator.explore.odsql.expressions import Expressions

UNITS = {
    "ms": "millisecond",
    "s": "second",
    "m": "minute",
    "h": "hour",
    "d": "day",
    "w": "week",
    "M": "month",
    "q": "quarter",
    "y": "year",
}
# A type of its own: rows outside every range, or without a value, are in no group.
RANGE = "range"
WHOLE_ONLY = ("week", "month", "quarter", "year")
WIDTH = re.compile(QUANTITY.pattern + r"\s*\)")


def parse_range(scanner: Scanner, reader: Expressions) -> Column:
    """One range() key, read after its opening parenthesis."""
    column = reader.field()
    reader.require(column, (*NUMBERS, *TIMES), "range")
    scanner.require_symbol(",")
    start = scanner.position
    if found := scanner.take(WIDTH):
        return _equal_widths(scanner, reader, column, found)
    scanner.position = start
    bounds = [_bound(scanner, reader)]
    while scanner.symbol(","):
        bounds.append(_bound(scanner, reader))
    scanner.require_symbol(")")
    return _fixed_bounds(column, bounds)


def _bound(scanner: Scanner, reader: Expressions) -> str | None:
    if scanner.symbol("*"):
        return None
    bound = reader.literal()
    if bound is None:
        raise OdsqlSyntaxError
    return bound.sql


def _bound_text(sql: str, column: Column) -> str:
    if column.type in TIMES:
        return f"strftime(({sql})::TIMESTAMP, '%Y-%m-%dT%H:%M:%S.%g') || 'Z'"
    return f"({sql})::VARCHAR"


def _label(low: str | None, high: str | None, column: Column) -> str:
    left = "'[*'" if low is None else f"'[' || {_bound_text(low, column)}"
    right = "'*]'" if high is None else f"{_bound_text(high, column)} || '['"
    return f"({left} || ', ' || {right})"


def _fixed_bounds(column: Column, bounds: list[str | None]) -> Column:
    cases = []
    for low, high in pairwise(bounds):
        tests = [f"{column.sql} >= {low}"] if low is not None else []
        tests += [f"{column.sql} < {high}"] if high is not None else []
        cases.append(f"WHEN {' AND '.join(tests) or 'true'} THEN {_label(low, high, column)}")
    return Column("", RANGE, f"CASE {' '.join(cases)} END")


def _equal_widths(
    scanner: Scanner, reader: Expressions, column: Column, found: re.Match[str]
) -> Column:
    width, unit = found[1], found[2]
    if column.type not in TIMES:
        if unit or float(width) == 0:
            raise OdsqlSyntaxError
        low = f"floor({column.sql} / {width}) * {width}"
        cast = "BIGINT" if column.type == "int" and width.isdigit() else "DOUBLE"
        low = f"({low})::{cast}"
        return Column("", RANGE, _label(low, f"({low} + {width})::{cast}", column))
    name = UNITS.get(unit or "", (unit or "").removesuffix("s"))
    if name not in UNITS.values() or (name in WHOLE_ONLY and width != "1"):
        scanner.record_error(f"Invalid interval: {width} {unit}.")
        return Column("", RANGE, "NULL")
    step = f"to_{name}s({int(float(width))})"
    time = functions.local_time(column, reader.scope)
    low = f"time_bucket(INTERVAL {sql_text(f'{width} {name}')}, {time})"
    return Column("", RANGE, _label(low, f"{low} + {step}", column))
