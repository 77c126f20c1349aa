"""Datasets as no publisher would think of them, and what each must land as.

What is expected is worked out here from the documented types alone, without the code under test.
"""

import json
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import shapely
from hypothesis import strategies as st

Json = Mapping[str, Any]

RESERVED = ("select", "where", "12", "0", "and", "year", "NULL", "date_format", "_", "count", "ID")
ALPHABET = st.characters(exclude_categories=["Cs"])
AWKWARD = st.sampled_from(
    ["", ";", ",", '"', '""', "\n", "\r\n", "\r", "a;b", ' "x" ', "\ufeff", "\ufeffx", "'", "\\",
     "01001", "NULL", "é\u0301", "𝄞", "\t", "{}", "\x00", "- ", "=1+1"]
)  # fmt: skip
# Without the separator that is asked for between the values of lists: no text keeps it.
TEXT = AWKWARD | st.text(ALPHABET, max_size=12).map(lambda text: text.replace("\x1f", ""))
ITEM = TEXT
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
LONGITUDES = st.floats(-180, 180)
LATITUDES = st.floats(-90, 90)
PAIRS = st.tuples(LONGITUDES, LATITUDES)
DAYS = st.dates(date(1000, 1, 1))


def _iso(moment: datetime) -> str:
    # Which way a portal's Parquet cuts microseconds before 1970 is not known; nobody records them.
    finest = 1000 if moment.year < 1970 else 1
    whole = moment.microsecond // finest * finest
    return moment.replace(microsecond=whole, tzinfo=UTC).isoformat()


DATETIMES = st.datetimes(datetime(1000, 1, 1)).map(_iso)
POINTS = PAIRS.map(lambda pair: {"lon": pair[0], "lat": pair[1]})
SHAPES = st.one_of(
    PAIRS.map(lambda pair: {"type": "Point", "coordinates": list(pair)}),
    st.tuples(LONGITUDES, LATITUDES, NUMBERS.filter(lambda z: abs(z) < 1e15)).map(
        lambda triple: {"type": "Point", "coordinates": list(triple)}
    ),
    st.lists(PAIRS, min_size=2, max_size=5).map(
        lambda pairs: {"type": "LineString", "coordinates": [list(pair) for pair in pairs]}
    ),
)
FILES = st.tuples(st.from_regex(r"[0-9a-f]{8}", fullmatch=True), ITEM).map(
    lambda parts: {
        "id": parts[0],
        "filename": parts[1],
        "mimetype": "image/png",
        "url": f"https://files.test/{parts[0]}",
    }
)
BLOBS = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(ALPHABET, max_size=4),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
).map(lambda value: json.dumps({"value": value}, ensure_ascii=False))


def _same(value: Any) -> Any:
    return value


def _text(value: str) -> str | None:
    return value or None


def _list(values: list[str]) -> list[str] | None:
    return None if values in ([], [""]) else values


def _instant(value: str) -> datetime:
    moment = datetime.fromisoformat(value)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _point(value: Mapping[str, float]) -> bytes:
    return struct.pack("<BIdd", 1, 1, value["lon"], value["lat"])


def _shape(value: Json) -> bytes:
    geometry = shapely.from_geojson(json.dumps(value))
    return bytes(shapely.to_wkb(geometry, byte_order=1, flavor="iso"))


@dataclass(frozen=True)
class Kind:
    """A declared type: how its values are published, and as what they land."""

    type: str
    values: st.SearchStrategy[Any]
    arrow: pa.DataType
    lands: Callable[[Any], Any] = _same
    annotations: Json | None = None


KINDS = (
    Kind("text", TEXT, pa.string(), _text),
    Kind("text", st.lists(ITEM, max_size=3), pa.list_(pa.string()), _list, {"multivalued": ","}),
    Kind("int", st.integers(-(2**63), 2**63 - 1), pa.int64()),
    Kind("double", NUMBERS, pa.float64()),
    Kind("date", DAYS.map(date.isoformat), pa.date32(), date.fromisoformat),
    Kind(
        "date",
        DAYS.map(lambda day: f"{day:%Y}".zfill(4)),
        pa.date32(),
        lambda text: date(int(text), 1, 1),
        {"timeserie_precision": "year"},
    ),
    Kind(
        "date",
        DAYS.map(lambda day: day.isoformat()[:7]),
        pa.date32(),
        lambda text: date.fromisoformat(f"{text}-01"),
        {"timeserie_precision": ["month"]},
    ),
    Kind("datetime", DATETIMES, pa.timestamp("ms", "UTC"), _instant),
    Kind("boolean", st.booleans(), pa.bool_()),
    Kind("geo_point_2d", POINTS, pa.binary(), _point),
    Kind("geo_shape", SHAPES, pa.binary(), _shape),
    Kind("file", FILES, pa.string(), lambda value: value["url"]),
    Kind("json_blob", BLOBS, pa.string()),
)


@dataclass(frozen=True)
class Generated:
    """A dataset to publish, and the table that it must land as."""

    fields: Sequence[Json]
    records: Sequence[Json]
    table: pa.Table


@dataclass(frozen=True)
class _Column:
    name: str
    label: str
    description: str
    kind: Kind


NAMES = st.sampled_from(RESERVED) | st.from_regex(r"[A-Za-z0-9_]{1,8}", fullmatch=True)
WORDS = st.sampled_from(["", "Année", "a;b", 'so "called"', "€\n"]) | st.text(ALPHABET, max_size=5)


@st.composite
def datasets(draw: st.DrawFn) -> Generated:
    """Any number of fields of any type, and of records with any values and nulls."""
    names = draw(st.lists(NAMES, min_size=1, max_size=6, unique_by=str.lower))
    columns = [
        _Column(name, draw(WORDS), draw(WORDS), draw(st.sampled_from(KINDS))) for name in names
    ]
    row = st.fixed_dictionaries({c.name: st.none() | c.kind.values for c in columns})
    return _generated(columns, draw(st.lists(row, max_size=6)))


def every_type(rows: int) -> Generated:
    """One field of each type; every value is null."""
    columns = [_Column(f"f{place}", "", "", kind) for place, kind in enumerate(KINDS)]
    return _generated(columns, [{column.name: None for column in columns}] * rows)


def _generated(columns: Sequence[_Column], records: Sequence[Json]) -> Generated:
    fields = [
        {
            "name": column.name,
            "type": column.kind.type,
            "label": column.label,
            "description": column.description,
            "annotations": dict(column.kind.annotations or {}),
        }
        for column in columns
    ]
    arrays = [
        pa.array([_landed(column.kind, record[column.name]) for record in records], c_type)
        for column in columns
        for c_type in [column.kind.arrow]
    ]
    schema = pa.schema([_described(column) for column in columns])
    return Generated(fields, records, pa.Table.from_arrays(arrays, schema=schema))


def _landed(kind: Kind, value: Any) -> Any:
    return None if value is None else kind.lands(value)


def _described(column: _Column) -> pa.Field:
    precision = (column.kind.annotations or {}).get("timeserie_precision", "")
    told = {
        "ods_type": column.kind.type,
        "label": column.label or column.name,
        "description": column.description,
        "precision": precision[0] if isinstance(precision, list) else precision,
    }
    return pa.field(
        column.name, column.kind.arrow, metadata={key: text for key, text in told.items() if text}
    )
