"""The CSV reader against every way in which a CSV can come, or not come whole."""

import contextlib
import csv
import io
from collections.abc import Sequence

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ods_pipeline.dataset import Field
from ods_pipeline.errors import OdsPipelineError, SchemaMismatch, TypeMismatch, Unproven
from ods_pipeline.portal.exports import csv as csv_export
from ods_pipeline.tables.columns import typed

CELL = st.sampled_from(
    ["", ";", '"', "\r\n", "\n", "\ufeff", '";"\n', "é", "𝄞", "x" * 40]
) | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=8)
SMALL = 'a;b\r\n1;"x\r\n""y"""\r\né;\r\n;"𝄞;"\r\n'.encode()


def read(body: bytes, size: int = 1 << 20) -> tuple[list[str], list[tuple[str, ...]]]:
    chunks = (body[start : start + size] for start in range(0, len(body), size))
    schema, batches = csv_export.read(chunks)
    table = pa.Table.from_batches(batches, schema)
    assert set(schema.types) <= {pa.string()}
    columns = [column.to_pylist() for column in table.columns]
    return schema.names, list(zip(*columns, strict=True))


def written(rows: Sequence[Sequence[str]], **options: object) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=";", **options).writerows(rows)  # type: ignore[arg-type]
    return text.getvalue().encode()


@settings(deadline=None, max_examples=150)
@given(
    st.integers(1, 4).flatmap(
        lambda width: st.lists(st.tuples(*[CELL] * width), min_size=0, max_size=12)
    ),
    st.integers(1, 80),
    st.integers(1, 200),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.sampled_from([1, 2, 1000]),
)
@example([("\ufeffx", "1")], 1, 1, csv.QUOTE_MINIMAL, 1000)
@example([("\n" * 500, "1"), ("\n", '"' * 99)], 3, 7, csv.QUOTE_MINIMAL, 1)
def test_rows_come_as_they_were_written_however_the_bytes_are_cut_into_chunks_and_blocks(
    rows: list[tuple[str, ...]], size: int, block: int, quoting: int, near: int
) -> None:
    names = [f"c{number}" for number in range(len(rows[0]) if rows else 2)]
    body = written([names, *rows], quoting=quoting)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_export, "_BLOCK", block)
        patch.setattr(csv_export, "_NEAR", near)
        assert read(body, size) == (names, rows)
        assert read(b"\xef\xbb\xbf" + body, size) == (names, rows)


def test_a_record_larger_than_any_block_is_one_record(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_export, "_BLOCK", 16)
    coastline = ";".join(["[1.5,\n 2.5]"] * 2_000)
    body = written([("a", "b"), ("1", coastline), ("2", "short")])
    assert read(body, 100)[1] == [("1", coastline), ("2", "short")]


@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_a_header_alone_is_a_table_without_rows(end: str) -> None:
    assert read(f"a;b{end}".encode()) == (["a", "b"], [])


@pytest.mark.parametrize("empty", ["", '""'])
def test_nulls_of_a_dataset_with_one_column_are_rows(empty: str) -> None:
    assert read(f"a\r\nx\r\n{empty}\r\n{empty}\r\n".encode())[1] == [("x",), ("",), ("",)]


def test_cells_are_text_whatever_they_look_like() -> None:
    row = ("01", "NA", "1e5", "true", "2024-01-01", " x ", "NULL")
    assert read(written([[f"c{i}" for i in range(7)], row]))[1] == [row]


@pytest.mark.parametrize("end", range(len(SMALL)))
def test_a_file_that_is_cut_is_unproven_or_visibly_short(end: int) -> None:
    whole = read(SMALL)[1]
    boundaries = {SMALL.index(b"1;"): 0, SMALL.index("é".encode()): 1, SMALL.index(b';"\xf0'): 2}
    if end in boundaries:
        # Whole records: only the count can tell, and it does.
        assert read(SMALL[:end])[1] == whole[: boundaries[end]]
        return
    for size in (1, 7, 1000):
        with pytest.raises(Unproven):
            read(SMALL[:end], size)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "not even a header"),
        (b"\xef\xbb\xbf", "middle of a record"),
        (b"\r\n", "not even a header"),
        (b'{"error_code": "InternalError"}', r"an error \(InternalError\) came instead of the CSV"),
        (b'{"error_code": "X", "message": "No way."}\n', r"an error \(No way\) came instead"),
        (b'\n[{"a": 1}]\n', "JSON came instead of the CSV export"),
        (b"<!DOCTYPE html>\n<html></html>\n", "a web page came instead of the CSV export"),
        (b"\xef\xbb\xbf <html>\n<body>\n</html>\n", "a web page came instead"),
        (b"<?xml version='1.0'?>\n<ows:ExceptionReport/>\n", "XML came instead of the CSV export"),
        (b"PAR1\x15\x04\n", "a Parquet file came instead of the CSV export"),
        (b"\x1f\x8b\x08\x00\n", "gzip that no header announced came instead"),
        (SMALL + b'{\n  "error_code": "InternalError"\n}', "middle of a record"),
        (SMALL + b'{\n  "error_code": "InternalError"\n}\n', "Expected 2 columns, got 1"),
        (b"a;b\r\n1;2;3\r\n", "Expected 2 columns, got 3"),
        (b"a;b\r\n1\r\n", "Expected 2 columns, got 1"),
        ("a;b\r\né;1\r\n".encode("latin-1"), "UTF-8"),
        ("é;b\r\n1;1\r\n".encode("latin-1"), "UTF-8"),
        ("a;b\r\n1;1\r\n".encode("utf-16"), "UTF-16 came instead of the CSV export"),
        ("a;b\r\n1;1\r\n".encode("utf-16-le"), "middle of a record"),
        (b"a;b\r\n1;1", "middle of a record"),
        (b'a;b\r\n1;"2\r\n', "middle of a record"),
        (b"a;b\r1;2\r", "middle of a record"),
    ],
)
def test_what_is_no_whole_csv_is_unproven_in_one_sentence(body: bytes, said: str) -> None:
    with pytest.raises(Unproven, match=said) as refusal:
        read(body)
    assert "\n" not in str(refusal.value)


def test_a_wrong_charset_in_a_later_block_is_found_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_export, "_BLOCK", 16)
    body = b"a;b\r\n" + b"1;2\r\n" * 50 + "é;1\r\n".encode("latin-1")
    with pytest.raises(Unproven, match="UTF"):
        read(body, 10)


@pytest.mark.parametrize("header", [b"a;b;a\r\n", b";\r\n"])
def test_a_column_that_comes_twice_is_refused(header: bytes) -> None:
    with pytest.raises(SchemaMismatch, match="more than once"):
        read(header)


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=60) | st.text('a;"\r\n \x00é', max_size=30).map(str.encode))
@example(b"a\rb;c\n1;2\n")
@example(b'"a\n')
def test_no_bytes_at_all_end_in_anything_but_rows_or_one_of_our_errors(body: bytes) -> None:
    with contextlib.suppress(OdsPipelineError):
        read(body, 5)


KINDS = {"n": pa.float64(), "d": pa.date32(), "t": pa.timestamp("us", "UTC")}
NUMBERS = st.floats().map(repr) | st.sampled_from(
    ["", " 1.5", "1.5 ", "+2", ".5", "5.", "1e400", "NaN", "-inf", "0x10", "1,5", "1_0", "x"]
)
DAYS = st.dates().map(str) | st.sampled_from(["", "1977", "2024-1-2", " 2024-01-02", "2024-02-30"])
MOMENTS = st.datetimes().map(lambda moment: f"{moment.isoformat()}+00:00") | st.sampled_from(
    ["", "2024-01-02", "2024-01-02T03:04:05", "2024-01-02 03:04:05.1234567Z", "2024-01-02T24:00Z"]
)


@example([("1e400", "2000-01-01", "")], csv.QUOTE_MINIMAL, 20)
@settings(deadline=None, max_examples=200)
@given(
    st.lists(st.tuples(NUMBERS, DAYS, MOMENTS), min_size=1, max_size=6),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.integers(20, 200),
)
def test_columns_that_come_typed_at_once_are_what_their_texts_are_typed_to(
    rows: list[tuple[str, ...]], quoting: int, block: int
) -> None:
    body = written([list(KINDS), *rows], quoting=quoting)
    fields = [Field("n", "double", "n"), Field("d", "date", "d"), Field("t", "datetime", "t")]

    def outcome(kinds: dict[str, pa.DataType]) -> object:
        _, batches = csv_export.read([body], kinds)
        try:
            return repr([[typed(b.column(f.name), f).to_pylist() for f in fields] for b in batches])
        except TypeMismatch as error:
            return error.field

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_export, "_BLOCK", block)
        assert outcome(KINDS) == outcome({})


def test_one_text_that_is_no_number_sends_the_rest_through_the_exact_rules() -> None:
    _, batches = csv_export.read([b"n;d;t\r\n1.5;;\r\n1,5;;\r\n"], KINDS)
    columns = [column.to_pylist() for column in next(batches).columns]
    assert columns == [["1.5", "1,5"], ["", ""], ["", ""]]
