"""Datasets whose rows are computed when they are read: many small ones, or one of millions of rows.

Datasets with stored rows do not belong here.
"""

from __future__ import annotations

from ods_pipeline.emulator.datasets.dataset import Dataset, Field
from ods_pipeline.emulator.datasets.metadata import (
    DCAT_METADATA,
    DEFAULT_METADATA,
    feature_flags,
    new_uid,
)

SMALL_FIELDS = (
    Field("code", "text", "Code", "Five digits, leading zeros kept", {"facet": True}),
    Field("name", "text", "Name", None),
    Field("amount", "int", "Amount", None),
    Field("share", "double", "Share", None, {"unit": "%", "decimals": 2}),
    Field("day", "date", "Day", None),
    Field("seen_at", "datetime", "Seen at", None),
    Field("active", "boolean", "Active", None),
    Field("location", "geo_point_2d", "Location", None),
)
BIG_FIELDS = (
    Field("id", "int", "Identifier", None),
    Field("code", "text", "Code", "Six digits, leading zeros kept"),
    Field("comment", "text", "Comment", "Holds separators and quotes now and then"),
    Field("category", "text", "Category", None, {"facet": True}),
    Field("amount", "double", "Amount", None, {"unit": "EUR"}),
    Field("day", "date", "Day", None),
    Field("seen_at", "datetime", "Seen at", None),
    Field("location", "geo_point_2d", "Location", None),
)
SHAPE_FIELD = Field("shape", "geo_shape", "Shape", None)


def small_rows(number: int, rows: int) -> str:
    """The rows of one small dataset, as a subquery."""
    i = f"(i + {number})"
    return (
        f"(SELECT lpad(({i} % 99999)::VARCHAR, 5, '0') AS c0, 'Item ' || i AS c1, {i} * 7 AS c2,"
        f" ({i} % 1000)::DOUBLE / 8 AS c3, DATE '2020-01-01' + ({i} % 2000)::INT AS c4,"
        f" TIMESTAMP '2024-01-01' + to_minutes({i}) AS c5, i % 2 = 0 AS c6,"
        " {'lon': 2.3 + i / 1000.0::DOUBLE, 'lat': 48.8 + i / 1000.0::DOUBLE} AS c7"
        f" FROM range({rows}) t(i))"
    )


def big_rows(rows: int, vertices: int = 0) -> str:
    """A query for millions of rows, which are never stored."""
    return (
        "SELECT i AS c0, lpad((i % 999983)::VARCHAR, 6, '0') AS c1,"
        " CASE i % 10 WHEN 0 THEN NULL WHEN 1 THEN 'a; \"quoted\" remark ' || i"
        " ELSE 'remark ' || i END AS c2,"
        " 'category ' || (i % 17) AS c3, (i % 100003)::DOUBLE / 7 AS c4,"
        " DATE '2000-01-01' + (i % 9000)::INT AS c5,"
        " TIMESTAMP '2020-01-01' + to_seconds(i * 13) AS c6,"
        " {'lon': -5 + (i % 12007) / 1000.0::DOUBLE, 'lat': 42 + (i % 8009) / 1000.0::DOUBLE} AS c7"
        f"{polygon_column(vertices) if vertices else ''} FROM range({rows}) t(i)"
    )


def polygon_column(vertices: int) -> str:
    """One more column: polygons of so many vertices around the points, some with a hole."""

    def ring(radius: float) -> str:
        turn = f"2 * pi() * (k % {vertices}) / {vertices}"
        x = f"-5 + (i % 12007) / 1000.0::DOUBLE + {radius} * cos({turn})"
        y = f"42 + (i % 8009) / 1000.0::DOUBLE + {radius} * sin({turn})"
        position = f"'[' || ({x}) || ', ' || ({y}) || ']'"
        positions = f"list_transform(range({vertices + 1}), lambda k: {position})"
        return f"'[' || array_to_string({positions}, ', ') || ']'"

    hole = f"CASE WHEN i % 100 = 0 THEN ', ' || {ring(0.0001)} ELSE '' END"
    rings = f"{ring(0.0003)} || {hole}"
    return f""", '{{"coordinates": [' || {rings} || '], "type": "Polygon"}}' AS c8"""


def small_dataset(number: int, rows: int, moment: str) -> Dataset:
    """One of many small datasets."""
    dataset_id = f"made-up-{number:05}"
    return _dataset(
        dataset_id,
        SMALL_FIELDS,
        small_rows(number, rows),
        title=f"Made-up dataset {number}",
        description=f"<p>Rows made up for dataset {number}.</p>",
        theme=[f"Theme {number % 12}"],
        keyword=[f"keyword {number % 50}", "made up"],
        records_count=rows,
        moment=moment,
    )


def big_dataset(
    dataset_id: str, relation: str, rows: int, moment: str, *, shapes: bool = False
) -> Dataset:
    """One dataset of millions of rows."""
    fields = (*BIG_FIELDS, SHAPE_FIELD) if shapes else BIG_FIELDS
    return _dataset(
        dataset_id,
        fields,
        relation,
        title=f"Made-up dataset of {rows} rows",
        records_count=rows,
        geometry_types=["Point", "Polygon"] if shapes else ["Point"],
        moment=moment,
    )


def _dataset(
    dataset_id: str, fields: tuple[Field, ...], relation: str, *, moment: str, **values: object
) -> Dataset:
    default = {
        **DEFAULT_METADATA,
        "license": "CC0",
        "publisher": "The emulator",
        "geometry_types": ["Point"],
        "modified": moment,
        "data_processed": moment,
        "metadata_processed": moment,
        **values,
    }
    return Dataset(
        dataset_id=dataset_id,
        dataset_uid=new_uid(dataset_id),
        fields=fields,
        relation=relation,
        metas={"dcat": DCAT_METADATA, "default": default},
        features=feature_flags(fields),
    )
