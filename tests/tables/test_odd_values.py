"""Values as real portals have them, each kind of the field reports by its number."""

import json
import struct
import sys
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from ods_pipeline.dataset import Field
from ods_pipeline.errors import TypeMismatch
from ods_pipeline.tables.columns import Dialect, typed
from ods_pipeline.tables.oddities import Oddities, OddityLog

MULTIVALUED = {"multivalued": ","}
TEXT, TAGS = Field("f", "text"), Field("f", "text", annotations=MULTIVALUED)
FILE, BLOB = Field("f", "file"), Field("f", "json_blob")
INT, DOUBLE, DAY, MOMENT = (Field("f", kind) for kind in ("int", "double", "date", "datetime"))
POINT, SHAPE = Field("f", "geo_point_2d"), Field("f", "geo_shape")
BASE = "https://portal.test/files"
OPEN_RING = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]
SQUARE = shapely.box(0, 0, 1, 1)


def read(column: pa.Array | list[Any], field: Field) -> tuple[list[Any], list[str]]:
    """The values that land, and the notes about them; bad ones fail the test."""
    values = column if isinstance(column, pa.Array) else pa.array(column)
    oddities = Oddities()
    landed = typed(values, field, 1, Dialect(file_base=BASE), oddities)
    landed.validate(full=True)
    assert not oddities.bad
    return landed.to_pylist(), oddities.notes


PAIRS = pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int64()))
CONTAINERS = [
    (FILE, [[{"id": "a", "url": "http://x/1"}]], ["http://x/1"]),
    (FILE, [[{"id": "a"}, {"id": "b"}], []], [f"{BASE}/a,{BASE}/b", None]),
    (FILE, ['[{"id": "a"}]', "http://x/1"], [f"{BASE}/a", "http://x/1"]),
    (FILE, [b"http://x/1"], ["http://x/1"]),
    (FILE, ["[2024] plan.pdf", "[2024]", "[a], b.pdf", "{'id': 'a'}", "[{'id': 'a'}]"],
     ["[2024] plan.pdf", "[2024]", "[a], b.pdf", f"{BASE}/a", f"{BASE}/a"]),
    (FILE, ['{"id": "a"}\x1f{"id": "b"}', "x\x1fy"], [f"{BASE}/a,{BASE}/b", "x,y"]),
    (TAGS, [[{"a": 1}], [{"a": None}]], [['{"a": 1}'], ['{"a": null}']]),
    (TAGS, [[["a", "b"]]], [['["a", "b"]']]),
    (TAGS, [[b"ab", None]], [["ab", ""]]),
    (TAGS, [[True, False]], [["true", "false"]]),
    (TAGS, [[datetime(2024, 3, 1, 5, tzinfo=UTC)]], [["2024-03-01T05:00:00+00:00"]]),
    (TAGS, [[datetime(2024, 3, 1, 5, 0, 0, 500)]], [["2024-03-01T05:00:00.000500+00:00"]]),
    (TAGS, pa.array([[datetime(2024, 3, 1, 5)]], pa.list_(pa.timestamp("us", "Asia/Tokyo"))),
     [["2024-03-01T05:00:00+00:00"]]),
    (TAGS, [[date(2024, 3, 1), None]], [["2024-03-01", ""]]),
    (TAGS, [[time(5, 30)]], [["05:30:00"]]),
    (TAGS, [[Decimal("1.10"), Decimal("12345678901234567890.12")]],
     [["1.10", "12345678901234567890.12"]]),
    (TAGS, [[1, 2**62]], [["1", "4611686018427387904"]]),
    (TEXT, [[date(2024, 3, 1), date(2024, 3, 2)]], ["2024-03-01,2024-03-02"]),
    (TAGS, [[float("nan"), 1.5]], [["", "1.5"]]),
    (TEXT, [b"ab", None], ["ab", None]),
    (TEXT, [{"a": [1], "b": True}], ['{"a": [1], "b": true}']),
    (BLOB, PAIRS, ['{"a": 1}', None]),
    (BLOB, [{"d": date(2024, 3, 1), "t": time(5, 30), "n": Decimal("1.25"), "b": b"x"}],
     ['{"d": "2024-03-01", "t": "05:30:00", "n": 1.25, "b": "x"}']),
    (Field("f", "vector"), [[0.5, 1.0]], ["[0.5, 1.0]"]),
    (Field("f", "vector"), ["0.5 1"], ["0.5 1"]),
]  # fmt: skip


@pytest.mark.parametrize(("field", "values", "expected"), CONTAINERS)
def test_f2_d2_a_container_lands_as_addresses_json_or_decoded_text(
    field: Field, values: Any, expected: list[Any]
) -> None:
    assert read(values, field)[0] == expected


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (TEXT, [[1.5]][0][0]),
        (TEXT, b"\xff"),
        (TAGS, [b"\xff"]),
        (FILE, 5),
        (FILE, b"\xff"),
        (Field("f", "boolean"), [True, False]),
        (BLOB, {"b": b"\xff"}),
        (INT, ["1", "2"]),
        (DAY, {"year": 2024}),
    ],
)
def test_f2_what_has_no_one_reading_is_a_clear_mismatch(field: Field, value: Any) -> None:
    with pytest.raises(TypeMismatch, match=f"'f' is declared as {field.type}, but record 2"):
        typed(pa.array([None, value]), field)


def test_f3_a_list_in_a_field_of_single_texts_is_the_same_text_from_every_export() -> None:
    expected = ["108798950,108 798 950", "alone", None]
    for column in (
        pa.array([["108798950", "108 798 950"], ["alone"], []]),
        pa.array(["108798950\x1f108 798 950", "alone", ""]),
        pa.array(["108798950,108 798 950", "alone", None]),
    ):
        landed, notes = read(column, TEXT)
        assert landed == expected
    assert not notes
    assert read(["a\x1fb"], TEXT)[1] == [
        "1 value of 'f': a list, though the field is not declared multivalued; it is joined by "
        "commas"
    ]


@settings(deadline=None)
@given(st.lists(st.lists(st.text(alphabet="ab,\x1f ;"), max_size=3), max_size=4))
def test_f3_our_own_separator_never_lands(values: list[list[str]]) -> None:
    lists = pa.array(values, pa.list_(pa.string()))
    for field in (TEXT, TAGS):
        assert "\\x1f" not in repr(read(lists, field)[0])


def test_f5_nan_is_a_missing_number_in_every_export() -> None:
    for column in ([1.0, float("nan")], ["1", "NaN"], ["1.0", " nan "]):
        assert read(column, INT)[0] == [1, None]
        landed, notes = read(column, DOUBLE)
        assert landed == [1.0, None]
        assert notes == ["1 value of 'f': NaN stands for a missing number, so it is null"]
    assert read(pa.array([float("nan")], pa.float32()), DOUBLE)[0] == [None]


@pytest.mark.parametrize("value", [{"a": float("nan")}, '{"a": NaN}', '{"a": -Infinity}'])
def test_f5_json_is_what_a_reader_of_json_takes(value: Any) -> None:
    (landed,), notes = read([value], BLOB)
    assert json.loads(landed) == {"a": None}
    assert notes
    assert read(['{"a": "NaN"}', "no JSON with NaN"], BLOB)[0] == [
        '{"a": "NaN"}', "no JSON with NaN",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("written", "landed"),
    [
        ('{"a": 1.10, "b": NaN}', '{"a": 1.10, "b": null}'),
        ('{"a":12345678901234567890123, "a": -Infinity ,"a":1e5}',
         '{"a":12345678901234567890123, "a": null ,"a":1e5}'),
        ('{"NaN": "a \\" NaN", "b": [NaN,Infinity]}', '{"NaN": "a \\" NaN", "b": [null,null]}'),
        ('["\\u00e9\\\\", NaN]\n', '["\\u00e9\\\\", null]\n'),
        ("[NaN, " + "9" * 5000 + "]", "[null, " + "9" * 5000 + "]"),
    ],
)  # fmt: skip
def test_f5_of_json_in_a_text_only_what_json_does_not_have_is_replaced(
    written: str, landed: str
) -> None:
    assert read([written, "{}"], BLOB) == (
        [landed, "{}"],
        ["1 value of 'f': JSON with NaN or Infinity, which JSON does not have; these are null"],
    )


EMPTY_POINT = struct.pack("<BIdd", 1, 1, float("nan"), float("nan"))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (SHAPE, b""),
        (POINT, b""),
        (POINT, EMPTY_POINT),
        (SHAPE, EMPTY_POINT),
        (POINT, "POINT EMPTY"),
        (SHAPE, '{"type": "Polygon", "coordinates": []}'),
        (SHAPE, '{"type": "Point", "coordinates": []}'),
        (SHAPE, shapely.from_wkt("MULTIPOLYGON EMPTY").wkb),
        (SHAPE, struct.pack("<BII", 1, 8, 0)),
        (POINT, "[]"),
        (POINT, {"lon": None, "lat": None}),
    ],
)
def test_f6_an_empty_geometry_is_null(field: Field, value: Any) -> None:
    assert read([value], field)[0] == [None]
    full = struct.pack("<BIdd", 1, 1, 2, 48)
    if isinstance(value, bytes):
        assert read([value, full], field)[0] == [None, full]


def ring(points: list[list[float]]) -> bytes:
    return struct.pack("<BIII", 1, 3, 1, len(points)) + b"".join(
        struct.pack("<dd", *point) for point in points
    )


def curve(kind: int, *points: tuple[float, float]) -> bytes:
    packed = b"".join(struct.pack("<dd", *point) for point in points)
    return struct.pack("<BII", 1, kind, len(points)) + packed


def drawn(value: Any) -> tuple[Any, list[str]]:
    (landed,), notes = read([value], SHAPE)
    return landed and shapely.from_wkb(landed), notes


@pytest.mark.parametrize(
    "value",
    [
        json.dumps({"type": "Polygon", "coordinates": [OPEN_RING]}),
        json.dumps(
            {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [OPEN_RING]}}
        ),
        ring(OPEN_RING),
        struct.pack("<BIIBIII", 1, 6, 1, 1, 3, 1, 4) + ring(OPEN_RING)[13:],
    ],
)
def test_f7_an_open_ring_is_closed(value: Any) -> None:
    shape, notes = drawn(value)
    assert shape.equals(SQUARE)
    assert notes == ["1 value of 'f': a ring that does not end where it begins; it is closed"]


def test_f7_what_has_too_few_points_is_null_and_counted() -> None:
    one = '{"type": "LineString", "coordinates": [[1, 2]]}'
    two = '{"type": "Polygon", "coordinates": [[[1, 2], [3, 4]]]}'
    for values in ([one, two], [curve(2, (1, 2)), ring([[1, 2], [3, 4]])]):
        landed, notes = read(values, SHAPE)
        assert landed == [None, None]
        assert "2 values of 'f': a geometry of too few points to be drawn; it is left out" in notes
    both = '{"type": "MultiLineString", "coordinates": [[[1, 2]], [[0, 0], [1, 1]]]}'
    assert drawn(both)[0] == shapely.MultiLineString([[(0, 0), (1, 1)]])


def test_f7_a_position_of_four_numbers_is_read_to_its_height() -> None:
    lines = '{"type": "LineString", "coordinates": [[1, 2, 3, 9], [4, 5, 6, 9]]}'
    assert drawn(lines)[0] == shapely.LineString([(1, 2, 3), (4, 5, 6)])
    assert drawn('{"type": "Point", "coordinates": [1, 2, 3, 4]}')[0] == shapely.Point(1, 2, 3)


def test_f7_a_curve_is_a_line_as_in_gml() -> None:
    arc, notes = drawn(curve(8, (0, 0), (1, 1), (2, 0)))
    assert arc.geom_type == "LineString"
    assert len(arc.coords) > 20
    assert arc.length == pytest.approx(3.14159, rel=1e-3)
    assert notes == [
        "1 value of 'f': a curve; it is a line with a vertex at least every four degrees"
    ]
    circle = curve(8, (0, 0), (2, 0), (0, 0))
    disc, _ = drawn(struct.pack("<BII", 1, 10, 1) + circle)
    assert disc.area == pytest.approx(3.14159, rel=5e-3)
    mixed = (
        struct.pack("<BII", 1, 9, 2) + curve(2, (-1, 0), (0, 0)) + curve(8, (0, 0), (1, 1), (2, 0))
    )
    assert drawn(mixed)[0].length == pytest.approx(1 + 3.14159, rel=1e-3)


@settings(deadline=None)
@given(st.binary(max_size=80))
def test_f7_any_bytes_are_a_geometry_nothing_or_a_mismatch(data: bytes) -> None:
    oddities = Oddities()
    for kind in range(18):
        typed(pa.array([struct.pack("<BI", 1, kind) + data]), SHAPE, 1, Dialect(), oddities)


def test_f11_wkb_with_a_reference_system_of_its_own_is_not_taken_for_degrees() -> None:
    lambert = struct.pack("<BIIdd", 1, 0x20000001, 2154, 652000.0, 6862000.0)
    with pytest.raises(TypeMismatch):
        typed(pa.array([lambert]), SHAPE)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2024-03-01T22:00:00Z", date(2024, 3, 2)),
        ("2024-03-01T23:00:00+00:00", date(2024, 3, 2)),
        ("2024-03-01T05:00:00Z", date(2024, 3, 1)),
        ("2024-03-01T18:30:00Z", date(2024, 3, 2)),
        ("2024-03-02T00:00:00+01:00", date(2024, 3, 2)),
        ("2024-03-01T10:00:00Z", None),
        ("2024-03-01T12:00:00Z", None),
        ("2024-03-01T22:07:00Z", None),
        ("2024-03-01T16:45:00Z", None),
        ("2024-03-01T17:15:00Z", None),
        ("2024-03-01T22:00:00+01:00", None),
        ("2024-03-01T22:00:00", None),
    ],
)
def test_d3_a_midnight_of_one_time_zone_alone_is_its_day(written: str, expected: Any) -> None:
    if expected is None:
        with pytest.raises(TypeMismatch):
            typed(pa.array([written]), DAY)
    else:
        assert read([written], DAY)[0] == [expected]


def test_d4_a_year_or_a_month_is_its_first_moment() -> None:
    first = [datetime(2019, 1, 1, tzinfo=UTC), datetime(2019, 5, 1, tzinfo=UTC)]
    landed, notes = read(["2019", "2019-05"], MOMENT)
    assert landed == first
    assert notes == [
        "2 values of 'f': a year or a month where a moment is declared; "
        "it is the first moment of it"
    ]
    assert read([2019], MOMENT)[0] == first[:1]
    for number in (20190101, 1_700_000_000):
        with pytest.raises(TypeMismatch):
            typed(pa.array([number]), MOMENT)


@pytest.mark.parametrize(
    "value",
    [
        "[48.5, 2.25]",
        [48.5, 2.25],
        "POINT (2.25 48.5)",
        "SRID=4326;POINT(2.25 48.5)",
        struct.pack("<BIdd", 1, 1, 2.25, 48.5).hex(),
        struct.pack(">BIdd", 0, 1, 2.25, 48.5).hex().upper(),
    ],
)
def test_d6_a_point_is_read_in_every_form_that_has_one_reading(value: Any) -> None:
    assert read([value], POINT)[0] == [struct.pack("<BIdd", 1, 1, 2.25, 48.5)]


@pytest.mark.parametrize(
    "value", ["SRID=2154;POINT(2 48)", "[48.5]", "[1, 2, 3]", "0101", "POINT (2"]
)
def test_d6_a_point_of_no_one_reading_is_refused(value: str) -> None:
    with pytest.raises(TypeMismatch):
        typed(pa.array([value]), POINT)


def test_k15_digits_that_an_export_has_lost_are_noted() -> None:
    landed, notes = read(pa.array([0.1, None], pa.float32()), DOUBLE)
    assert landed == [0.10000000149011612, None]
    assert "single precision" in notes[0]


def test_d1_all_bad_values_are_counted_with_the_first_of_each_field() -> None:
    total = Oddities()
    for start in (1, 6):
        batch = Oddities()
        typed(pa.array(["1", "x", "2", "y", "z"]), INT, start, Dialect(), batch)
        typed(pa.array(["a", "b", "c", "d", "no"]), Field("g", "date"), start, Dialect(), batch)
        total.add(batch)
    assert total.counts == {"f": 6, "g": 10}
    assert str(total.error()) == (
        "field 'f' is declared as int, but record 2 holds 'x'; and 5 more records of it too "
        "(record 4 'y', record 5 'z'), 10 of 'g' (date; record 1 'a'); ask the publisher to "
        "correct the field's type"
    )


KEYS = pa.array([[(b"k", 1)], []], pa.map_(pa.binary(), pa.int64()))
SAME = pa.array([[("a", 1), ("a", 2)]], pa.map_(pa.string(), pa.int64()))


def test_f2_keys_of_maps_are_names_of_json_and_none_is_lost() -> None:
    assert read(KEYS, BLOB)[0] == ['{"k": 1}', "{}"]
    with pytest.raises(TypeMismatch):
        typed(SAME, BLOB)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"url": b"http://x/1"}, "http://x/1"),
        ({"id": b"ab"}, f"{BASE}/ab"),
        ({"id": {"a": 1}}, '{"id": {"a": 1}}'),
        ('{"url": {"href": "http://x/1"}}', '{"url": {"href": "http://x/1"}}'),
    ],
)
def test_f2_no_container_becomes_an_address(value: Any, expected: str) -> None:
    assert read([value], FILE)[0] == [expected]


@pytest.mark.parametrize(("kind", "first"), [(pa.float32(), 2**24), (pa.float16(), 2**11)])
def test_k15_a_whole_number_that_a_narrow_float_rounds_is_no_integer(kind: Any, first: int) -> None:
    assert read(pa.array([float(first - 1)], kind), INT)[0] == [first - 1]
    with pytest.raises(TypeMismatch):
        typed(pa.array([float(first)], kind), INT)


@pytest.mark.parametrize("field", [MOMENT, BLOB, POINT, DAY])
def test_k15_what_no_calendar_has_is_a_bad_value_and_no_mistake_of_ours(field: Field) -> None:
    far = pa.array([2**62], pa.timestamp("ms"))
    column = pa.StructArray.from_arrays([far], ["at"]) if field is BLOB else far
    with pytest.raises(TypeMismatch, match=r"calendar|after 1970"):
        typed(column, field)


@pytest.mark.parametrize(
    "value",
    [
        struct.pack("<BIdd", 1, 1, 2.0, float("nan")),
        curve(2, (0, 0), (float("inf"), 0)),
        '{"type": "Point", "coordinates": [652000, 6862000], '
        '"crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::2154"}}}',
    ],
)
def test_f11_what_is_nowhere_or_not_in_degrees_is_refused(value: Any) -> None:
    with pytest.raises(TypeMismatch):
        typed(pa.array([value]), SHAPE)


def test_d3_times_of_day_are_not_taken_for_midnights_of_many_places() -> None:
    times = ["2024-03-01T14:00:00Z", "2024-03-01T05:00:00Z", "2024-03-01T22:00:00Z"]
    oddities = Oddities()
    typed(pa.array([*times, "2024-03-01"]), DAY, 1, Dialect(), oddities)
    assert oddities.counts == {"f": 3}
    summer_and_winter = ["2024-03-01T23:00:00Z", "2024-07-01T22:00:00Z"]
    assert read(summer_and_winter, DAY)[0] == [date(2024, 3, 2), date(2024, 7, 2)]


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("boolean", True, True),
        ("boolean", "true", True),
        ("int", 5, 5),
        ("int", "5", 5),
        ("double", 0.1, 0.1),
        ("date", date(2024, 3, 1), date(2024, 3, 1)),
        ("date", "2024", date(2024, 1, 1)),
        ("datetime", datetime(2024, 3, 1, 5), datetime(2024, 3, 1, 5, tzinfo=UTC)),
    ],
)
def test_a_list_of_one_value_is_that_value_as_in_csv(kind: str, value: Any, expected: Any) -> None:
    column = [[value], None, []]
    assert read(column, Field("f", kind)) == ([expected, None, None], [])
    with pytest.raises(TypeMismatch):
        typed(pa.array([[value, value]]), Field("f", kind))


LOST = "a number of more digits than a double holds; it is the nearest one, and digits are lost"


@pytest.mark.parametrize(
    ("values", "lost"),
    [
        (["0.1", "48.85661400000001", "0.00012345678901234567", "-1e-05", "1e23"], 0),
        ([repr(2 / 3), repr(1e-5 / 3), repr(1e300 / 3), "1.5000000000000000000000", "1e22"], 0),
        (["9007199254740992", "123456789012345680", "100000000000000000000000", "0" * 30], 0),
        (["0.1000000000000000055511151231257827021181583404541015625"], 0),
        (["9007199254740993", "9007199254740993.0", "+12345678901234567891", "1"], 3),
        (["0.1234567890123456789", "12345.1234567890123", "-1.00000000000000000001"], 3),
        (["1.23456789012345678901e5"], 1),
        (pa.array([2**53, 2**53 + 2, -(2**62), None]), 0),
        (pa.array([2**53 + 1, -(2**53) - 1, 2**63 - 1, 5, None]), 3),
        (pa.array([2**64 - 1, 2**63], pa.uint64()), 1),
        (pa.array([Decimal("1.10"), None]), 0),
        (pa.array([Decimal("1234567890.1234567891"), Decimal("1.5")], pa.decimal128(30, 10)), 1),
        (pa.array([Decimal("0.10000000000000000000"), Decimal("7")], pa.decimal128(38, 20)), 0),
    ],
)
def test_k15_digits_that_a_double_does_not_hold_are_noted(values: Any, lost: int) -> None:
    column = values if isinstance(values, pa.Array) else pa.array(values)
    landed, notes = read(column, DOUBLE)
    texts = [None if value is None else str(value) for value in column.to_pylist()]
    assert landed == [None if text is None else float(text) for text in texts]
    said = f"{lost} value{'s' if lost > 1 else ''} of 'f': {LOST}"
    assert notes == ([said] if lost else [])
    # The same from texts, and where a bad value makes all of them be read one by one.
    assert read(texts, DOUBLE) == (landed, notes)
    oddities = Oddities()
    typed(pa.array([*texts, "x"]), DOUBLE, oddities=oddities)
    assert (oddities.notes, len(oddities.bad)) == (notes, 1)


@pytest.mark.parametrize("value", ["NAN(1)", "nan(abc)", "1e400", "-1e400"])
def test_k15_a_word_that_is_no_number_and_one_too_large_are_bad_values(value: str) -> None:
    oddities = Oddities()
    assert typed(pa.array([value, "1"]), DOUBLE, oddities=oddities).to_pylist() == [None, 1]
    assert oddities.counts == {"f": 1}
    assert read([" NaN", "Infinity", "-inf"], DOUBLE)[0] == [None, float("inf"), float("-inf")]


def days(batches: list[list[str]]) -> tuple[list[list[Any]], Oddities]:
    """Batches of a field of dates, read one after the other; and what was odd in all."""
    log, total, landed = OddityLog(lambda bad: None), Oddities(), []
    for batch in batches:
        oddities = log.begun()
        landed.append(typed(pa.array(batch), DAY, 1, Dialect(), oddities).to_pylist())
        log.take(oddities)
        total.add(oddities)
    return landed, total


def test_d3_the_zone_of_midnights_is_that_of_the_batches_before() -> None:
    paris, new_york = "2024-07-01T22:00:00Z", "2024-07-01T04:00:00Z"
    in_winter = "2024-01-01T23:00:00Z"
    landed, odd = days([[paris], ["2024-07-03"], [in_winter, paris], [new_york], [paris]])
    july, january = date(2024, 7, 2), date(2024, 1, 2)
    assert landed == [[july], [date(2024, 7, 3)], [january, july], [None], [july]]
    assert odd.counts == {"f": 1}
    assert odd.zones == {"f": {60, 120}}


def test_the_largest_float_in_fewer_digits_is_read_as_it_was_meant() -> None:
    field = Field("x", "double")
    texts = pa.array(["1.79769313486232e+308", "-1.79769313486232e+308"])
    assert typed(texts, field).to_pylist() == [sys.float_info.max, -sys.float_info.max]
    with pytest.raises(TypeMismatch):
        typed(pa.array(["1.8e308"]), field)
