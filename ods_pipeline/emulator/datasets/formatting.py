"""Values as all replies write them, text and JSON: SQL that formats, and Python for the rest.

What only one export format does belongs to that format.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from ods_pipeline.emulator.datasets.dataset import Column


def sql_text(text: str) -> str:
    """A SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def iso_datetime(sql: str, timezone: str) -> str:
    """SQL for a datetime in ISO 8601 with the zone's offset."""
    if timezone == "UTC":
        return f"clock_of({sql}) || '+00:00'"
    return f"iso_of({sql}, {sql_text(timezone)})"


def iso_date(sql: str, precision: str | None) -> str:
    """SQL for a date, as short as its precision."""
    formats = {"year": "%Y", "month": "%Y-%m"}
    if precision in formats:
        return f"strftime({sql}, '{formats[precision]}')"
    return f"{sql}::VARCHAR"


def json_value(column: Column, timezone: str) -> str:
    """SQL for a value as JSON has it, as far as SQL can; see ``JSON_CONVERTERS``."""
    if column.type == "datetime":
        return iso_datetime(column.sql, timezone)
    if column.type == "date":
        return iso_date(column.sql, column.precision)
    return column.sql


def text_value(column: Column, timezone: str, list_separator: str = ",", files: str = "") -> str:
    """SQL for a value as the text of a CSV cell, null where there is none."""
    if column.multivalued:
        return f"array_to_string({column.sql}, {sql_text(list_separator)})"
    if column.type == "boolean":
        return f"CASE {column.sql} WHEN true THEN 'True' WHEN false THEN 'False' END"
    if column.type == "geo_point_2d":
        return f"({column.sql}).lat || ', ' || ({column.sql}).lon"
    if column.type == "file":
        return file_url(column.sql, files)
    if column.type in ("int", "double"):
        return f"{column.sql}::VARCHAR"
    return json_value(column, timezone)


def file_url(sql: str, files: str) -> str:
    """SQL for the address of a file: its own where it has one, else under the dataset."""
    own = f"json_extract_string({sql}, '$.url')"
    return f"coalesce({own}, {sql_text(files)} || json_extract_string({sql}, '$.id'))"


def geojson_feature(geometry: Any) -> dict[str, Any]:
    """A geometry as the API wraps it."""
    return {"type": "Feature", "geometry": geometry, "properties": {}}


def _parsed_shape(text: str | None) -> Any:
    return None if text is None else geojson_feature(json.loads(text))


def _parsed_json(text: str | None) -> Any:
    """The JSON value of a text; a text that is no JSON stays one (``json_format`` may give one)."""
    try:
        return None if text is None else json.loads(text)
    except ValueError:
        return text


JSON_CONVERTERS: Mapping[str, Callable[[Any], Any]] = {
    "geo_shape": _parsed_shape,
    "file": _parsed_json,
    "json": _parsed_json,
}
