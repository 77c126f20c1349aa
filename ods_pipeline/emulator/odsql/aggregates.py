"""The aggregate functions of ODSQL as SQL; grouping itself happens in the clauses."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ods_pipeline.emulator.model import Column
from ods_pipeline.emulator.odsql.scanner import Unreadable
from ods_pipeline.emulator.odsql.scope import NUMBERS, TIMES

if TYPE_CHECKING:
    from ods_pipeline.emulator.odsql.expressions import Expressions

NAMES = ("count", "avg", "sum", "min", "max", "median", "percentile", "envelope", "bbox")
DOTTED = re.compile(r"(?:\.[A-Za-z0-9_-]+)+")
GEO = ("geo_point_2d", "geo_shape")


def aggregate(name: str, reader: Expressions) -> Column:
    """One aggregate call, read after its opening parenthesis."""
    if name == "count":
        return _count(reader)
    column = reader.expression()
    if name in ("envelope", "bbox"):
        return _outline(name, column, reader)
    types = (*NUMBERS, *TIMES) if name in ("min", "max") else NUMBERS
    reader.require(column, types, name)
    if name in ("min", "max"):
        sql = f"{name}({column.sql})"
        return Column("", column.type, sql, precision=column.precision)
    if name == "percentile":
        return _percentile(column, reader)
    if name == "sum" and column.type == "int":
        return Column("", "int", f"sum({column.sql})::BIGINT")
    return Column("", "double", f"{name}({column.sql})::DOUBLE")


def _count(reader: Expressions) -> Column:
    distinct = reader.scanner.word("distinct")
    if reader.scanner.symbol("*"):
        sql = "count(DISTINCT r)" if distinct else "count(*)"
        return Column("", "int", sql)
    column = reader.expression()
    return Column("", "int", f"count({'DISTINCT ' if distinct else ''}{column.sql})")


def _outline(name: str, column: Column, reader: Expressions) -> Column:
    reader.require(column, GEO, name)
    text = f"geo_text({column.sql})" if column.type == "geo_point_2d" else column.sql
    function = "geo_hull" if name == "envelope" else "geo_box"
    return Column("", "geo_shape", f"{function}(list({text}))")


def _percentile(column: Column, reader: Expressions) -> Column:
    reader.scanner.need(",")
    rank = reader.scanner.number()
    if rank is None:
        raise Unreadable
    if not 0 <= rank <= 100:
        reader.scanner.wrong("Percentile must be a decimal value between 0 and 100.")
        rank = 0
    return Column("", "double", f"quantile_cont({column.sql}, {rank / 100})::DOUBLE")
