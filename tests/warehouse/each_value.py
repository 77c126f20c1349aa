"""Rows with each type of the lake, and what a reader of them has to give back to the value."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import shapely

from tests.warehouse.partitions import Column, geometry

HOLED = "POLYGON ((2 48, 8 48, 8 49.5, 2 49.5, 2 48), (3 48.3, 3 49.2, 6 49.2, 3 48.3))"
SHAPES = (
    "POINT (2.3333333333333335 48.85341000000001)",
    HOLED,
    "LINESTRING (0.1 40.3, 0.30000000000000004 40.4, 0.3 40.5)",
    "MULTIPOLYGON (((-4 41, -4 42, -3 41, -4 41)), ((-2 41, -2 42, -1 41, -2 41)))",
    None,
    "MULTIPOINT ((5 45), (6 46))",
)
#: The fifth row knows nothing but its number. Readers take moments in the zone of the machine: QGIS
#: knows none with seconds in its offset, as before 1937, and Python no year 10000.
ROWS: dict[str, Column] = {
    "n": Column([1, 2, 3, 4, 5, 6], pa.int64()),
    "texte": Column(["Été & <hiver> 東京 \U0010ffff", "", 'a"b\\c', "a\tb\r\nc", None, "NULL"]),
    "liste": Column(
        [["a", 'b"'], [], ["{e,f}", "c\\d"], ["NULL", "", " "], None, ["été"]],
        pa.list_(pa.string()),
    ),
    "entier": Column([2**63 - 1, -(2**63), 0, 2**53 + 1, None, -1], pa.int64()),
    "réel": Column([0.1, -0.0, 5e-324, 1.7976931348623157e308, None, -1e-07], pa.float64()),
    "jour": Column(
        [
            *(date(2024, 2, 29), date(1, 1, 1), date(9999, 12, 31), date(1582, 10, 4)),
            *(None, date(1970, 1, 1)),
        ],
        pa.date32(),
    ),
    "moment": Column(
        [
            datetime(2024, 5, 1, 10, 30, 0, 125_000, UTC),
            datetime(1969, 12, 31, 23, 59, 59, 999_000, UTC),
            datetime(1950, 1, 1, tzinfo=UTC),
            datetime(9999, 12, 30, 23, 59, 59, 999_000, UTC),
            None,
            datetime(2037, 6, 30, 12, tzinfo=UTC),
        ],
        pa.timestamp("ms", "UTC"),
    ),
    "ouvert": Column([True, False, True, True, None, False], pa.bool_()),
    "geo_shape": geometry([shape and shapely.from_wkt(shape).wkb for shape in SHAPES]),
}
COUNT = len(SHAPES)
TRUTH = [
    dict(zip(ROWS, row, strict=True))
    for row in zip(*(column.values for column in ROWS.values()), strict=True)
]


def require_same(found: list[dict[str, Any]], truth: list[dict[str, Any]] = TRUTH) -> None:
    """To the value: a zero keeps its sign, a number is no text, a shape is the same to the byte."""
    names = [[*row] for row in truth]
    assert [sorted(row) for row in found] == [sorted(row) for row in truth]
    assert [
        [repr(row[name]) for name in there] for row, there in zip(found, names, strict=True)
    ] == [[*map(repr, row.values())] for row in truth]


def moment_of(milliseconds: int | None) -> datetime | None:
    if milliseconds is None:
        return None
    return datetime.fromtimestamp(milliseconds // 1000, UTC).replace(
        microsecond=milliseconds % 1000 * 1000
    )
