"""ODSQL expressions, aggregates among them, compiled to typed SQL by recursive descent.

Conditions are no part of it.
"""

from __future__ import annotations

import re
from dataclasses import replace

from ods_pipeline.emulator.datasets.dataset import Column
from ods_pipeline.emulator.datasets.formatting import sql_text
from ods_pipeline.emulator.datasets.geometry import geojson, parse_literal
from ods_pipeline.emulator.explore.odsql import functions, times
from ods_pipeline.emulator.explore.odsql.scanner import (
    BACKQUOTED,
    DATE,
    GEOMETRY,
    RESERVED,
    WORD,
    OdsqlSyntaxError,
    Scanner,
)
from ods_pipeline.emulator.explore.odsql.scope import NUMBERS, TIMES, UNKNOWN, Scope

AGGREGATES = ("count", "avg", "sum", "min", "max", "median", "percentile", "envelope", "bbox")
SCALARS = ("length", "lower", "upper", "ifnull", "now", "date_format", "json_format", "distance")
DOTTED = re.compile(r"(?:\.[A-Za-z0-9_-]+)+")
GEO = ("geo_point_2d", "geo_shape")


class Expressions:
    """Reads one clause; every method consumes text and gives a typed column."""

    def __init__(self, scanner: Scanner, scope: Scope, *, aggregates: bool = False):
        """Read from a scanner; aggregates are only legal in select and order_by."""
        self.scanner = scanner
        self.scope = scope
        self.aggregates = aggregates
        self.aggregated = False

    def expression(self) -> Column:
        """An expression: sums and differences."""
        left = self._product()
        while sign := self.scanner.symbol("+", "-"):
            left = self._arithmetic(left, sign, self._product())
        return left

    def _product(self) -> Column:
        left = self._factor()
        while sign := self.scanner.symbol("*", "/"):
            left = self._arithmetic(left, sign, self._factor())
        return left

    def _arithmetic(self, left: Column, sign: str, right: Column) -> Column:
        for side in (left, right):
            if side.type not in (*NUMBERS, "unknown"):
                self.scanner.record_error(f"Arithmetic is not defined on type {side.type}.")
        if sign == "/":
            sql = f"({left.sql} / nullif({right.sql}, 0))"
            return Column("", "double", sql)
        kind = "int" if left.type == right.type == "int" else "double"
        return Column("", kind, f"({left.sql} {sign} {right.sql})")

    def _factor(self) -> Column:
        if self.scanner.symbol("("):
            inner = self.expression()
            self.scanner.require_symbol(")")
            return inner
        found = self.literal() or self._call()
        return found if found else self.field()

    def literal(self) -> Column | None:
        """A constant, when there is one at the position."""
        text = self.scanner.string()
        if text is not None:
            return Column(text, "text", sql_text(text), label="literal")
        number = self.scanner.number()
        if number is not None:
            kind = "int" if isinstance(number, int) else "double"
            # A literal of more digits than BIGINT is left to the engine's wider types.
            sql = f"{number}" if kind == "int" else f"{number!r}::DOUBLE"
            return Column(str(number), kind, sql, label="literal")
        if found := self.scanner.take(DATE):
            return self._date(found[1] or found[2] or "")
        if found := self.scanner.take(GEOMETRY):
            return self._geometry(found[1] or found[2] or "")
        if word := self.scanner.word("true", "false"):
            return Column(word, "boolean", word, label="literal")
        return Column("", "null", "NULL") if self.scanner.word("null") else None

    def _date(self, text: str) -> Column:
        moment = times.parse_date(text, self.scope.timezone)
        if moment is None:
            self.scanner.record_error(f"Invalid date: {text}.")
            return UNKNOWN
        return Column(text, "datetime", times.timestamp_sql(moment), label="literal")

    def _geometry(self, text: str) -> Column:
        try:
            shape = parse_literal(text)
        except Exception:  # shapely has one exception per reader; all mean the same here
            self.scanner.record_error(f"Invalid geometry: {text}.")
            return UNKNOWN
        return Column(
            f"{shape.centroid.x} {shape.centroid.y}", "geometry", sql_text(geojson(shape))
        )

    def field(self) -> Column:
        """A field or an alias; keywords must be in back quotes."""
        found = self.scanner.take(BACKQUOTED)
        name = found[1] if found else self._bare_name()
        if self.scope.forbidden(name):
            self.scanner.record_error(f"Field {name} is not allowed in the current clause.")
            return UNKNOWN
        column = self.scope.find(name)
        if column is None:
            self.scanner.record_error(f"Unknown field: {name}.")
        return column or UNKNOWN

    def _bare_name(self) -> str:
        at = WORD.match(self.scanner.text, self.scanner.position)
        if at is None or at.group().lower() in RESERVED:
            raise OdsqlSyntaxError
        name = at.group()
        self.scanner.take(WORD)
        if self.scope.prefix and (rest := self.scanner.take(DOTTED)):
            name += rest.group()
        return name

    def _call(self) -> Column | None:
        start = self.scanner.position
        name = self.scanner.word(*SCALARS, *functions.DATE_PARTS, *AGGREGATES)
        if not name:
            return None
        if not self.scanner.symbol("("):
            self.scanner.position = start
            return None
        if name in AGGREGATES and not self.aggregates:
            raise OdsqlSyntaxError
        column = self._function(name)
        self.scanner.require_symbol(")")
        return column

    def _function(self, name: str) -> Column:
        if name in AGGREGATES:
            self.aggregated = True
            return aggregate(name, self)
        if name == "now":
            return self._now()
        first = self.expression()
        if name in functions.DATE_PARTS:
            self.require(first, TIMES, name)
            return Column("", "int", functions.date_part(name, first, self.scope))
        return self._scalar(name, first)

    def _scalar(self, name: str, first: Column) -> Column:
        if name == "ifnull":
            self.scanner.require_symbol(",")
            other = self.expression()
            if first.multivalued != other.multivalued:
                self.scanner.record_error("Both arguments of ifnull() must have the same type.")
            return replace(first, name="", sql=f"coalesce({first.sql}, {other.sql})", label="")
        if name == "distance":
            self.scanner.require_symbol(",")
            return self.distance(first, self.expression())
        if name == "date_format":
            self.scanner.require_symbol(",")
            return self._date_format(first)
        self.require(first, ("text",), name)
        if name == "json_format":
            return self._json_format(first)
        if name == "length":
            return Column("", "int", f"length({first.sql})")
        return Column("", "text", f"{name}({first.sql})")

    def _date_format(self, first: Column) -> Column:
        pattern = self.scanner.string()
        if pattern is None:
            raise OdsqlSyntaxError
        self.require(first, TIMES, "date_format")
        sql = functions.date_format(first, pattern, self.scope)
        if sql is None:
            self.scanner.record_error(f"Unsupported date format: {pattern}.")
        return Column("", "text", sql or "NULL")

    def _json_format(self, first: Column) -> Column:
        fallback = first.sql
        if self.scanner.symbol(","):
            fallback = self.expression().sql
        sql = f"CASE WHEN json_valid({first.sql}) THEN {first.sql} ELSE {fallback} END"
        return Column("", "json", sql)

    def _now(self) -> Column:
        settings = []
        while at := self.scanner.take(WORD):
            self.scanner.require_symbol("=")
            value = self.scanner.number()
            if not isinstance(value, int):
                raise OdsqlSyntaxError
            settings.append((at.group().lower(), value))
            if not self.scanner.symbol(","):
                break
        moment = times.now(settings)
        if moment is None:
            self.scanner.record_error("Invalid parameter of now().")
            return UNKNOWN
        return Column("", "datetime", times.timestamp_sql(moment))

    def distance(self, column: Column, centre: Column) -> Column:
        """Metres between a point field and the centre of a geometry literal."""
        self.require(column, ("geo_point_2d",), "distance")
        if centre.type != "geometry":
            self.scanner.record_error("A geometry literal is expected.")
            return UNKNOWN
        lon, lat = centre.name.split()
        point = f"({column.sql})"
        return Column("", "double", f"geo_distance({point}.lon, {point}.lat, {lon}, {lat})")

    def visible(self) -> str:
        """SQL for all the words of a row."""
        texts = [
            f"array_to_string({c.sql}, ' ')" if c.multivalued else f"({c.sql})::VARCHAR"
            for c in self.scope.columns
            if not c.type.startswith("geo")
        ]
        return f"concat_ws(' ', {', '.join(texts) or repr('')})"

    def require(self, column: Column, types: tuple[str, ...], name: str) -> None:
        """Record an error if a function does not accept the type of its argument."""
        if column.type not in (*types, "unknown") or column.multivalued:
            self.scanner.record_error(
                f"Function {name}() can not be applied to type {column.type}."
            )


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
    reader.scanner.require_symbol(",")
    rank = reader.scanner.number()
    if rank is None:
        raise OdsqlSyntaxError
    if not 0 <= rank <= 100:
        reader.scanner.record_error("Percentile must be a decimal value between 0 and 100.")
        rank = 0
    return Column("", "double", f"quantile_cont({column.sql}, {rank / 100})::DOUBLE")
