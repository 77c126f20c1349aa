"""What each declared type accepts of what portals write, and what it refuses by name."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ods_pipeline.dataset import Field
from ods_pipeline.errors import SchemaMismatch, TypeMismatch
from ods_pipeline.tables.columns import Dialect, JoinedLists, typed
from ods_pipeline.tables.schema import arrow_schema, arrow_type

LARGEST, SMALLEST = 2**63 - 1, -(2**63)
MULTIVALUED = {"multivalued": ","}


def read(values: pa.Array | list[Any], kind: str, **annotations: Any) -> list[Any]:
    column = values if isinstance(values, pa.Array) else pa.array(values)
    field = Field("f", kind, annotations=annotations)
    landed = typed(column, field)
    assert landed.type == arrow_type(field)
    landed.validate(full=True)
    return landed.to_pylist()


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


ACCEPTED = [
    ("text", ["01001", " a ", None], ["01001", " a ", None]),
    ("text", ["", "NA", "null", "NaN"], [None, "NA", "null", "NaN"]),
    ("int", ["007", "-0", "+5", None], [7, 0, 5, None]),
    ("int", ["", "1"], [None, 1]),
    ("int", [str(LARGEST), str(SMALLEST)], [LARGEST, SMALLEST]),
    ("int", ["12.0", "1e3", " 4 "], [12, 1000, 4]),
    ("double", ["1.5", "-0.1e-3", "7", ".5", "3."], [1.5, -0.0001, 7.0, 0.5, 3.0]),
    ("double", [" 2.5 ", "inf"], [2.5, float("inf")]),
    ("boolean", ["True", "true", "1", "FALSE", "0"], [True, True, True, False, False]),
    ("boolean", [" true", None, ""], [True, None, None]),
    ("date", ["2024-02-29", None, "0001-01-01"], [date(2024, 2, 29), None, date(1, 1, 1)]),
    ("date", ["1977", "1988-01"], [date(1977, 1, 1), date(1988, 1, 1)]),
    ("date", ["1977-01-01T00:00:00+00:00"], [date(1977, 1, 1)]),
    ("datetime", ["2024-01-01T10:00:00+02:00"], [at(2024, 1, 1, 8)]),
    ("datetime", ["2024-01-01T10:00:00Z", None], [at(2024, 1, 1, 10), None]),
    ("datetime", ["2024-01-01T10:00:00", "2024-01-01"], [at(2024, 1, 1, 10), at(2024, 1, 1)]),
    ("datetime", ["2024-01-01T10:00:00.123456+00:00"], [at(2024, 1, 1, 10, 0, 0, 123000)]),
    ("datetime", ["1969-12-31T23:59:59.999999Z"], [at(1969, 12, 31, 23, 59, 59, 999000)]),
    ("datetime", ["9999-12-31T00:00:00+00:00"], [at(9999, 12, 31)]),
    ("json_blob", ['{"a": [1, "é"]}', None], ['{"a": [1, "é"]}', None]),
    ("file", ["https://portal.test/files/1", None], ["https://portal.test/files/1", None]),
]


@pytest.mark.parametrize(("kind", "written", "expected"), ACCEPTED)
def test_text_of_a_csv_is_read_as_its_declared_type(
    kind: str, written: list[str], expected: list[Any]
) -> None:
    assert read(written, kind) == expected


@pytest.mark.parametrize(("kind", "written", "expected"), ACCEPTED)
def test_large_and_dictionary_encoded_text_is_read_the_same(
    kind: str, written: list[str], expected: list[Any]
) -> None:
    large = pa.array(written, pa.large_string())
    assert read(large, kind) == expected
    assert read(large.dictionary_encode(), kind) == expected
    assert read(pa.array(written, pa.string_view()), kind) == expected


NANOSECOND = pa.array([1_700_000_000_123_456_789], pa.timestamp("ns", "Europe/Paris"))
COLUMNS = [
    ("int", pa.array([1, None], pa.int8()), [1, None]),
    ("int", pa.array([2**63 - 1], pa.uint64()), [LARGEST]),
    ("int", pa.array([12.0, None]), [12, None]),
    ("int", pa.array([Decimal("12.00")]), [12]),
    ("double", pa.array([2**53 + 1]), [float(2**53 + 1)]),
    ("double", pa.array([1.5], pa.float32()), [1.5]),
    ("double", pa.array([Decimal("1.25")]), [1.25]),
    ("boolean", pa.array([1, 0], pa.int8()), [True, False]),
    ("date", pa.array([1977, None], pa.int32()), [date(1977, 1, 1), None]),
    ("date", pa.array([0], pa.timestamp("ms", "UTC")), [date(1970, 1, 1)]),
    ("date", pa.array([0], pa.date64()), [date(1970, 1, 1)]),
    ("datetime", NANOSECOND, [at(2023, 11, 14, 22, 13, 20, 123000)]),
    ("datetime", pa.array([1], pa.timestamp("s")), [at(1970, 1, 1, 0, 0, 1)]),
    ("datetime", pa.array([1], pa.date32()), [at(1970, 1, 2)]),
    ("json_blob", pa.array([{"a": 1}]), ['{"a": 1}']),
    ("text", pa.nulls(2), [None, None]),
    ("geo_shape", pa.nulls(1), [None]),
]


@pytest.mark.parametrize(("kind", "column", "expected"), COLUMNS)
def test_other_arrow_types_of_a_parquet_file_are_read_as_the_declared_type(
    kind: str, column: pa.Array, expected: list[Any]
) -> None:
    assert read(column, kind) == expected


REFUSED = [
    ("text", pa.array([1, 2]), 1),
    ("text", pa.array([b"\xff"]), b"\xff"),
    ("date", pa.array([2**31 - 1], pa.date32()), "2147483647 days after 1970"),
    ("datetime", pa.array([2**62], pa.timestamp("ms")), "4611686018427387904 milli"),
    ("int", pa.array(["1", "x"]), "x"),
    ("int", pa.array(["12.5"]), "12.5"),
    ("int", pa.array([str(LARGEST + 1)]), str(LARGEST + 1)),
    ("int", pa.array([str(SMALLEST - 1)]), str(SMALLEST - 1)),
    ("int", pa.array(["1e999999999"]), "1e999999999"),
    ("int", pa.array(["1e-999999999"]), "1e-999999999"),
    ("int", pa.array(["0x10"]), "0x10"),
    ("int", pa.array(["1_000"]), "1_000"),
    ("int", pa.array([2.0**63]), 2.0**63),
    ("int", pa.array([True]), True),
    ("int", pa.array([2**63], pa.uint64()), 2**63),
    ("double", pa.array(["1,5"]), "1,5"),
    ("double", pa.array([True]), True),
    ("boolean", pa.array(["yes"]), "yes"),
    ("boolean", pa.array([2]), 2),
    ("date", pa.array(["2024-02-30"]), "2024-02-30"),
    ("date", pa.array(["2024-01-01T00:00:01+00:00"]), "2024-01-01T00:00:01+00:00"),
    ("date", pa.array(["yesterday"]), "yesterday"),
    ("datetime", pa.array(["2024-13-01T00:00:00+00:00"]), "2024-13-01T00:00:00+00:00"),
    ("datetime", pa.array(["0001-01-01T00:00:00+14:00", "2024-01-01T00:00:00"]), "0001"),
    ("datetime", pa.array([5]), 5),
    ("file", pa.array(["{oops"]), "{oops"),
    ("file", pa.array(["{" + '"a":{' * 50_000]), None),
]


@pytest.mark.parametrize(("kind", "column", "value"), REFUSED)
def test_a_value_of_another_type_is_refused_with_field_row_and_value(
    kind: str, column: pa.Array, value: Any
) -> None:
    with pytest.raises(TypeMismatch) as refusal:
        typed(column, Field("population", kind), row=20_001)
    assert refusal.value.field == "population"
    assert refusal.value.row in {20_001, 20_002}
    assert str(refusal.value.value).startswith(str("" if value is None else value))
    sentence = str(refusal.value)
    assert "'population'" in sentence
    assert f"record {refusal.value.row}" in sentence
    assert f"declared as {kind}" in sentence
    assert len(sentence) < 300


def test_the_record_that_is_named_is_the_one_at_fault() -> None:
    with pytest.raises(TypeMismatch, match="record 103 holds 'x'"):
        typed(pa.array(["1", "2", "x", "y"]), Field("n", "int"), row=101)


@settings(deadline=None)
@given(st.integers(SMALLEST, LARGEST))
def test_every_int_of_64_bits_is_kept_to_the_last_bit(number: int) -> None:
    assert read([str(number)], "int") == [number]
    assert read([number], "int") == [number]


@settings(deadline=None)
@given(st.floats(allow_nan=False))
def test_every_double_is_kept_to_the_last_bit(number: float) -> None:
    assert read([repr(number)], "double") == [number]


@settings(deadline=None)
@given(st.datetimes(timezones=st.timezones()))
def test_a_datetime_with_an_offset_is_that_instant_to_the_millisecond(moment: datetime) -> None:
    try:
        instant = moment.astimezone(UTC)
    except OverflowError:
        return
    expected = instant.replace(microsecond=instant.microsecond // 1000 * 1000)
    assert read([moment.isoformat()], "datetime") == [expected]


@settings(deadline=None)
@given(st.lists(st.text()))
def test_text_is_never_guessed_at(values: list[str]) -> None:
    expected = [value.replace("\x1f", ",") or None for value in values]
    assert read(pa.array(values, pa.string()), "text") == expected


def test_lists_come_as_lists_whatever_the_export_makes_of_them() -> None:
    field = Field("tags", "text", annotations=MULTIVALUED)
    lists = pa.array([["a", "b,c"], [], [""], None, ["d"]])
    expected = [["a", "b,c"], None, None, None, ["d"]]
    assert typed(lists, field).to_pylist() == expected
    assert typed(lists.cast(pa.large_list(pa.large_string())), field).to_pylist() == expected
    joined = pa.array(["a|b,c", "", None, None, "d"])
    assert typed(joined, field, 1, Dialect("|")).to_pylist() == expected


@pytest.mark.parametrize("annotation", [True, ",", [","], [], ";"])
def test_a_field_is_multivalued_whichever_way_the_portal_annotates_it(annotation: object) -> None:
    assert arrow_type(Field("f", "text", annotations={"multivalued": annotation})) == pa.list_(
        pa.string()
    )


def test_lists_that_a_portal_joined_with_what_they_hold_are_not_taken_apart_by_guess() -> None:
    field = Field("tags", "text", annotations={"multivalued": ";"})
    assert read(["one", None], "text", multivalued=",") == [["one"], None]
    for joined in ("a,b", "a;b"):
        with pytest.raises(JoinedLists, match="'tags'"):
            typed(pa.array([joined]), field)


def test_a_number_in_a_field_of_lists_is_refused_by_name() -> None:
    with pytest.raises(TypeMismatch, match=r"'f'.*record 1 holds 5"):
        read([5], "text", multivalued=",")


def test_a_file_is_its_address_however_the_export_describes_it() -> None:
    base = "https://portal.test/files"
    described = pa.array(
        [{"id": "h1", "url": None}, {"id": "h2", "url": "https://cdn.test/2"}, None]
    )
    addresses = [f"{base}/h1", "https://cdn.test/2", None]
    field = Field("photo", "file")
    assert typed(described, field, 1, Dialect(file_base=base)).to_pylist() == addresses
    texts = pa.array(['{"id": "h1"}', '{"id": "h2", "url": "https://cdn.test/2"}', ""])
    assert typed(texts, field, 1, Dialect(file_base=base)).to_pylist() == addresses
    assert typed(pa.array(['{"name": "x"}']), field).to_pylist() == ['{"name": "x"}']


def test_fields_carry_what_the_publisher_says_of_them() -> None:
    fields = [
        Field("1", "date", "Année", "Année de pose", {"timeserie_precision": ["year"]}),
        Field("select", "double", "", "", {"unit": ["%"]}),
        Field("plain", "text"),
    ]
    schema = arrow_schema(fields)
    assert schema.names == ["1", "select", "plain"]
    told = {b"label": "Année".encode(), b"description": "Année de pose".encode()}
    assert schema.field("1").metadata == {b"ods_type": b"date", b"precision": b"year", **told}
    assert schema.field("select").metadata == {b"ods_type": b"double", b"unit": b"%"}
    assert schema.field("plain").metadata == {b"ods_type": b"text"}


def test_a_type_that_no_document_knows_is_text() -> None:
    assert arrow_schema([Field("f", "hologram")]).types == [pa.string()]


def test_a_field_that_is_declared_twice_is_refused_by_name() -> None:
    with pytest.raises(SchemaMismatch, match="'a' more than once"):
        arrow_schema([Field("a", "text"), Field("b", "text"), Field("a", "int")])
