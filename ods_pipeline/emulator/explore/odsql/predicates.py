"""The filter functions of ODSQL, full text and geography, as SQL.

Comparisons do not belong here.
"""

from __future__ import annotations

import re
import unicodedata

from ods_pipeline.emulator.datasets.dataset import Column
from ods_pipeline.emulator.datasets.formatting import sql_text
from ods_pipeline.emulator.explore.odsql.expressions import Expressions
from ods_pipeline.emulator.explore.odsql.scanner import QUANTITY, OdsqlSyntaxError

TEXT = ("search", "suggest", "startswith")
SHAPES = ("intersects", "disjoint", "within", "geometry")
NAMES = (*TEXT, *SHAPES, "in_bbox", "within_distance", "distance")
METRES = {
    "mi": 1609.344,
    "yd": 0.9144,
    "ft": 0.3048,
    "m": 1.0,
    "cm": 0.01,
    "km": 1000.0,
    "mm": 0.001,
}


def predicate(name: str, reader: Expressions) -> str:
    """SQL for a filter function, read after its opening parenthesis."""
    if name in TEXT:
        condition = _full_text(name, reader)
    elif name in SHAPES:
        condition = _shapes(name, reader)
    elif name == "in_bbox":
        condition = _in_bbox(reader)
    else:
        condition = _within_distance(reader)
    reader.scanner.require_symbol(")")
    return f"coalesce({condition}, false)"


def terms(text: str) -> list[str]:
    """The words of a text, lower case, without accents."""
    plain = unicodedata.normalize("NFKD", text.lower())
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    return [term for term in re.split(r"[\W_]+", plain) if term]


def words(sql: str, text: str) -> str:
    """SQL: every word of the text is a word of the value."""
    found = [f"list_contains(words_of({sql}), {sql_text(term)})" for term in terms(text)]
    return f"coalesce({' AND '.join(found) or 'false'}, false)"


def _full_text(name: str, reader: Expressions) -> str:
    targets, text = [], None
    if reader.scanner.symbol("*"):
        reader.scanner.require_symbol(",")
    while (text := reader.scanner.string()) is None:
        column = reader.field()
        if column.type not in ("text", "unknown"):
            reader.scanner.record_error(f"Field {column.name} is not a text field.")
        targets.append(column)
        reader.scanner.require_symbol(",")
    if name == "startswith":
        return _starts(targets or [c for c in reader.scope.columns if c.type == "text"], text)
    texts = [
        f"array_to_string({c.sql}, ' ')" if c.multivalued else f"({c.sql})::VARCHAR"
        for c in targets
    ] or [reader.visible()]
    match = _suggested if name == "suggest" else _searched
    return " OR ".join(f"coalesce({match(sql, terms(text))}, false)" for sql in texts)


def _starts(columns: list[Column], text: str) -> str:
    tests = [
        f"len(list_filter({c.sql}, lambda s: starts_with(s, {sql_text(text)}))) > 0"
        if c.multivalued
        else f"starts_with({c.sql}, {sql_text(text)})"
        for c in columns
    ]
    return " OR ".join(f"coalesce({test}, false)" for test in tests) or "false"


def _any_word(sql: str, test: str) -> str:
    return f"len(list_filter(words_of({sql}), lambda w: {test})) > 0"


def _suggested(sql: str, searched: list[str]) -> str:
    found = [_any_word(sql, f"starts_with(w, {sql_text(term)})") for term in searched]
    return " AND ".join(found) or "false"


def _searched(sql: str, searched: list[str]) -> str:
    """Fuzzy by length for all terms; the last may also be a prefix."""
    tests = []
    for position, term in enumerate(searched):
        slack = 2 if len(term) > 5 else 1 if len(term) > 2 else 0
        test = f"levenshtein(w, {sql_text(term)}) <= {slack}"
        if position == len(searched) - 1:
            test += f" OR starts_with(w, {sql_text(term)})"
        tests.append(_any_word(sql, test))
    return " AND ".join(tests) or "false"


def _geo_field(reader: Expressions, *types: str) -> Column:
    column = reader.field()
    if column.type not in (*types, "unknown"):
        reader.scanner.record_error(f"Field {column.name} is not a geo field.")
    return column


def _text(column: Column) -> str:
    return f"geo_text({column.sql})" if column.type == "geo_point_2d" else column.sql


def _shapes(name: str, reader: Expressions) -> str:
    column = _geo_field(reader, "geo_point_2d", "geo_shape")
    reader.scanner.require_symbol(",")
    shape = reader.literal()
    if shape is None:
        raise OdsqlSyntaxError
    if shape.type != "geometry":
        reader.scanner.record_error("A geometry literal is expected.")
    mode: str | None = name
    if name == "geometry":
        reader.scanner.require_symbol(",")
        mode = reader.scanner.word("intersects", "disjoint", "within")
        if mode is None:
            raise OdsqlSyntaxError
    text = _text(column)
    return f"({text} IS NOT NULL AND geo_{mode}({text}, {shape.sql}))"


def _in_bbox(reader: Expressions) -> str:
    column = _geo_field(reader, "geo_point_2d", "geo_shape")
    corners = []
    for _ in range(4):
        reader.scanner.require_symbol(",")
        corner = reader.scanner.number()
        if corner is None:
            raise OdsqlSyntaxError
        corners.append(corner)
    (south, north), (west, east) = sorted(corners[::2]), sorted(corners[1::2])
    if column.type != "geo_shape":
        point = f"({column.sql})"
        inside = f"{point}.lat BETWEEN {south} AND {north}"
        return f"({inside} AND {point}.lon BETWEEN {west} AND {east})"
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    box = sql_text(f'{{"coordinates": [{ring}], "type": "Polygon"}}')
    return f"({column.sql} IS NOT NULL AND geo_within({column.sql}, {box}))"


def _within_distance(reader: Expressions) -> str:
    column = _geo_field(reader, "geo_point_2d")
    reader.scanner.require_symbol(",")
    centre = reader.literal()
    reader.scanner.require_symbol(",")
    found = reader.scanner.take(QUANTITY)
    if centre is None or found is None or (found[2] or "m").lower() not in METRES:
        raise OdsqlSyntaxError
    metres = float(found[1]) * METRES[(found[2] or "m").lower()]
    return f"({reader.distance(column, centre).sql} <= {metres})"
