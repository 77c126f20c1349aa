"""Exports that no honest portal sends: refused at once, by name, and without filling the memory."""

import gzip
import io
import json
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ods_pipeline.dataset import Dataset, Field
from ods_pipeline.errors import DataError, SchemaMismatch, Unproven
from ods_pipeline.portal.exports import columns, csv, parquet, parquet_pages
from ods_pipeline.portal.exports import export as exports
from ods_pipeline.portal.http import limits
from ods_pipeline.portal.http.client import Client
from tests.portal.answers import answering, portal_of

MEGABYTE = b"x" * (1 << 20)
SMALL = replace(
    limits.BOUNDS, record=4 << 20, header=1 << 16, suspect=1 << 20, columns=50, room=8 << 20
)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds that a test reaches in no time."""
    for module in (limits, csv, columns, parquet, parquet_pages):
        monkeypatch.setattr(module, "BOUNDS", SMALL)


def written(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def rows_of(body: bytes) -> list[int]:
    with parquet.spooled([body], None) as file:
        return [batch.num_rows for batch in file.batches()]


def read_csv(chunks: Iterator[bytes]) -> None:
    for _ in csv.read(chunks)[1]:
        pass


def of_fields(*names: str, count: int | None = None) -> Dataset:
    metas = {"default": {"records_count": count}}
    return Dataset("p", "d", fields=tuple(Field(name, "text") for name in names), metas=metas)


@pytest.mark.parametrize("piece", [MEGABYTE, b"x;y\n" * (1 << 18), b"\n" * (1 << 20)])
def test_a_quote_that_is_never_closed_is_refused_with_little_of_the_body_kept(
    small: None, piece: bytes
) -> None:
    given = 0

    def chunks() -> Iterator[bytes]:
        nonlocal given
        yield b'a;b\r\n1;"'
        for chunk in repeat(piece, 1000):
            given += len(chunk)
            yield chunk

    with pytest.raises(DataError, match=r"a record .* no honest portal needs more than 4 MB"):
        read_csv(chunks())
    assert given < 12 << 20


def test_an_honest_coastline_of_dozens_of_megabytes_is_read() -> None:
    line = b"[1.25, 48.5],\n" * (1 << 20)
    _, batches = csv.read(chain([b'a;b\r\n1;"'], [line] * 2, [b'"\r\n']))
    (table,) = [batch for batch in batches if batch.num_rows]
    assert len(table["b"][0].as_py()) == 2 * len(line)


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (b";".join(b"c%d" % n for n in range(51)) + b"\r\n", "51 columns, and no honest portal"),
        (b"x" * (1 << 17) + b"\r\n", "the header of the CSV export has more than 128 KB"),
        (b"a;" * 2_000_000 + b"\r\n", "header|columns"),
    ],
)
def test_a_header_beyond_all_reason_is_refused(small: None, head: bytes, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_csv(iter([head]))


def test_an_export_of_more_bytes_than_there_can_be_is_refused() -> None:
    chunks = limits.bounded(repeat(MEGABYTE), "the csv export", 3 << 20)
    with pytest.raises(DataError, match="the csv export has more than 4 MB"):
        list(chunks)


def test_a_charset_that_is_not_utf_8_is_refused_in_one_sentence() -> None:
    body = "a\r\né\r\n".encode("latin-1")
    with answering(200, body, Content_Type="text/csv; charset=ISO-8859-1") as (url, _):
        client = Client(url)
        with (
            pytest.raises(DataError, match="its CSV export is in ISO-8859-1, and only UTF-8"),
            exports.open_export(client, of_fields("a"), "csv"),
        ):
            raise AssertionError("it was read")


@pytest.mark.parametrize("charset", ["utf-8", "UTF8", '"utf-8"', "us-ascii"])
def test_a_charset_that_utf_8_covers_is_read(charset: str) -> None:
    body = b"a\r\nx\r\n"
    with answering(200, body, Content_Type=f"text/csv; charset={charset}") as (url, _):
        client = Client(url)
        with exports.open_export(client, of_fields("a"), "csv") as export:
            assert sum(batch.num_rows for batch in export.batches) == 1


@pytest.mark.parametrize("format", ["csv", "parquet"])
@pytest.mark.parametrize("kind", ["text/csv", "application/octet-stream"])
@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<!DOCTYPE html><title>Login</title>", "a web page came instead"),
        (json.dumps({"error_code": "E", "message": "Busy."}).encode(), r"an error \(Busy\) came"),
        (b"<ows:ExceptionReport/>", "XML came instead"),
    ],
)
def test_something_else_than_the_export_is_called_what_it_is(
    format: Any, kind: str, body: bytes, said: str
) -> None:
    with answering(200, body, Content_Type=kind) as (url, _):
        client = Client(url)
        with (
            pytest.raises(Unproven, match=said),
            exports.open_export(client, of_fields("a"), format),
        ):
            raise AssertionError("it was read")


@pytest.mark.parametrize("format", ["csv", "parquet"])
def test_far_more_rows_than_the_portal_counts_are_refused(format: Any) -> None:
    table = pa.table({"a": pa.nulls(1_100_001, pa.string())})
    body = b"a\r\n" + b"1\r\n" * 1_100_001 if format == "csv" else written(table)
    with portal_of(lambda path, query: (200, body)) as served:
        client = Client(served.url)
        with (
            pytest.raises(DataError, match=r"rows where the portal counts 10"),
            exports.open_export(client, of_fields("a", count=10), format) as export,
        ):
            list(export.batches)
        assert not issubclass(DataError, Unproven)


def test_columns_in_another_order_land_in_the_order_of_the_fields() -> None:
    with portal_of(lambda path, query: (200, b"b;a\r\n2;1\r\n")) as served:
        client = Client(served.url)
        with exports.open_export(client, of_fields("a", "b"), "csv") as export:
            (batch,) = [batch for batch in export.batches if batch.num_rows]
    assert batch.to_pylist() == [{"a": "1", "b": "2"}]


def footer_of(body: bytes) -> tuple[int, bytes]:
    (length,) = struct.unpack("<I", body[-8:-4])
    return len(body) - 8 - length, body[-8 - length : -8]


def varint(number: int) -> bytes:
    value, out = number << 1, b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def promising(body: bytes, rows: int, claimed: int) -> bytes:
    """The same file, whose footer speaks of another number of rows; its groups do not."""
    place, footer = footer_of(body)
    # The third field of the footer, after the schema: a 64-bit number.
    marker = b"\x16" + varint(rows) + b"\x19"
    assert footer.count(marker) >= 1
    at = footer.rindex(marker) if footer.count(marker) == 1 else footer.index(marker)
    changed = footer[:at] + b"\x16" + varint(claimed) + b"\x19" + footer[at + len(marker) :]
    return body[:place] + changed + struct.pack("<I", len(changed)) + b"PAR1"


@pytest.mark.parametrize(
    ("claimed", "said"),
    [(1 << 40, "1,099,511,627,776 rows, and no honest"), (8, "says 8 rows, its row groups 7")],
)
def test_a_footer_that_promises_other_rows_than_its_groups_is_refused_unread(
    claimed: int, said: str
) -> None:
    body = written(pa.table({"a": list(range(7))}), store_schema=False)
    with pytest.raises(DataError, match=said):
        rows_of(promising(body, 7, claimed))


def test_row_groups_without_rows_are_no_news() -> None:
    table = pa.table({"a": ["x", "y"]})
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, table.schema) as writer:
        for part in (table.slice(0, 0), table, table.slice(0, 0)):
            writer.write_table(part)
    assert sum(rows_of(sink.getvalue())) == 2
    assert rows_of(written(table.slice(0, 0))) in ([], [0])


def test_a_page_whose_checksum_is_wrong_is_unproven() -> None:
    table = pa.table({"a": ["x" * 50, "y" * 50]})
    body = written(table, write_page_checksum=True, compression="none", use_dictionary=False)
    spoiled = body.replace(b"x" * 50, b"x" * 49 + b"z")
    assert spoiled != body
    with pytest.raises(Unproven, match="cannot be read whole"):
        rows_of(spoiled)
    assert sum(rows_of(body)) == 2


def test_too_many_columns_and_too_many_groups_in_each_other_are_refused(small: None) -> None:
    with pytest.raises(DataError, match="51 columns, and no honest portal needs more than 50"):
        rows_of(written(pa.table({f"c{n}": [1] for n in range(51)})))
    deep: Any = pa.array([1])
    for _ in range(40):
        deep = pa.StructArray.from_arrays([deep], ["s"])
    with pytest.raises(DataError, match="groups in each other, and no honest"):
        rows_of(written(pa.table({"a": deep})))


@pytest.mark.parametrize("codec", ["gzip", "zstd", "brotli"])
def test_a_page_that_unpacks_to_much_more_than_data_do_is_refused_unread(
    small: None, codec: str
) -> None:
    body = written(pa.table({"a": [b"\0" * (8 << 20)]}), compression=codec, use_dictionary=False)
    with pytest.raises(DataError, match=r"unpacks .* to 8 MB, and data are not packed tighter"):
        rows_of(body)


def test_a_page_larger_than_its_footer_says_is_refused_unread(small: None) -> None:
    body = written(pa.table({"a": [b"\0" * (8 << 20)]}), compression="zstd", use_dictionary=False)
    chunk = pq.read_metadata(io.BytesIO(body)).row_group(0).column(0)
    place, footer = footer_of(body)
    honest = b"\x16" + varint(chunk.total_uncompressed_size) + b"\x16"
    modest = b"\x16" + varint(chunk.total_compressed_size) + b"\x16"
    changed = footer.replace(honest, modest)
    assert changed != footer
    lying = body[:place] + changed + struct.pack("<I", len(changed)) + b"PAR1"
    with pytest.raises(DataError, match=r"unpacks .* to 8 MB|larger than its footer says"):
        rows_of(lying)


def test_page_headers_are_read_as_they_were_written() -> None:
    table = pa.table({"a": [f"v{n % 7}" * (n % 50) for n in range(5000)], "b": list(range(5000))})
    for options in ({}, {"data_page_version": "2.0"}, {"write_page_checksum": True}):
        body = written(table, data_page_size=1000, row_group_size=2000, **options)
        footer = pq.read_metadata(io.BytesIO(body))
        for number in range(footer.num_row_groups):
            for place in range(footer.num_columns):
                chunk = footer.row_group(number).column(place)
                pages = list(parquet_pages._pages(io.BytesIO(body), chunk))
                assert len(pages) > 1
                unpacked = sum(size for size, _ in pages)
                assert 0 < unpacked <= chunk.total_uncompressed_size


@settings(max_examples=200)
@given(st.binary(max_size=60))
@example(b"\x1c" * 60)
@example(b"\x19\xff\xff\xff\xff\x0f")
def test_no_bytes_at_all_end_a_page_header_in_a_crash(data: bytes) -> None:
    try:
        size, numbers = parquet_pages._header(io.BytesIO(data), len(data))
    except Unproven:
        return
    assert size >= 0
    assert all(isinstance(value, int) for value in numbers.values())


def test_a_column_without_values_has_a_dictionary_alone_and_is_read() -> None:
    for codec in ("gzip", "zstd", "snappy"):
        table = pa.table({"a": ["x", "y"]})
        sink = io.BytesIO()
        with pq.ParquetWriter(sink, table.schema, compression=codec) as writer:
            writer.write_table(table.slice(0, 0))
            writer.write_table(table)
        assert sum(rows_of(sink.getvalue())) == 2


def test_one_value_repeated_ten_thousand_times_comes_in_small_batches() -> None:
    shape = pa.DictionaryArray.from_arrays(pa.array([0] * 10_000, pa.int32()), ["x" * 500_000])
    body = written(pa.table({"a": shape, "n": range(10_000)}), store_schema=False)
    assert len(body) < 1 << 18
    with parquet.spooled([body], None) as file:
        first = next(file.batches())
    assert first.nbytes < 80 << 20


CHILD = """
import io
from dataclasses import replace
from pathlib import Path
import pyarrow as pa, pyarrow.parquet as pq
from ods_pipeline.errors import DataError
from ods_pipeline.portal.exports import csv, parquet
from ods_pipeline.portal.http import limits

limits.BOUNDS = csv.BOUNDS = replace(limits.BOUNDS, record=32 << 20)

def kilobytes():
    # Not ru_maxrss, which a process inherits from the one that started it.
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])

def written(table, **options):
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()

shape = pa.DictionaryArray.from_arrays(pa.array([0] * 500, pa.int32()), ["x" * 1_000_000])
bodies = [
    written(pa.table({"a": shape}), store_schema=False),
    written(pa.table({"a": shape})),
    written(pa.table({f"c{n}": pa.nulls(20_000, pa.int64()) for n in range(300)})),
]
del shape
before = kilobytes()
for body in bodies:
    with parquet.spooled([body], None) as file:
        for batch in file.batches():
            for column in batch.columns:
                if pa.types.is_dictionary(column.type):
                    column.dictionary_decode()
            del batch, column
try:
    def chunks():
        yield b'a;b\\n1;"'
        for _ in range(2000):
            yield b"x;y\\n" * (1 << 18)
    for batch in csv.read(chunks())[1]:
        pass
except DataError:
    print(before, kilobytes())
"""


@pytest.mark.slow
def test_bombs_of_gigabytes_are_read_or_refused_in_the_memory_of_a_few_records() -> None:
    ran = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=True)
    before, after = map(int, ran.stdout.split())
    # Joining the pieces of a record takes its size twice.
    assert after - before < 420 << 10


@pytest.mark.parametrize(
    ("format", "start", "said"),
    [
        ("csv", b'a\r\n"', "a record of the CSV export has more than"),
        ("csv", b"a\r\n", "a record of the CSV export has more than"),
        ("parquet", b"PAR1", "the parquet export has more than"),
        ("parquet", b"", "it does not begin as Parquet does"),
    ],
)
def test_a_gzip_that_unpacks_to_nothing_but_zeros_is_refused_before_its_end(
    small: None, format: Any, start: bytes, said: str
) -> None:
    packed = gzip.compress(start + bytes(64 << 20), 1)
    with answering(200, packed, Content_Encoding="gzip", Content_Type="text/csv") as (url, _):
        client, taken = Client(url), 0

        def count(size: int) -> None:
            nonlocal taken
            taken += size

        with (
            pytest.raises(DataError, match=said),
            exports.open_export(client, of_fields("a", count=1), format, on_bytes=count) as export,
        ):
            list(export.batches)
    assert taken < 13 << 20


def test_an_honest_export_has_room_for_all_that_the_portal_counts() -> None:
    assert limits.export_bytes(None) == limits.BOUNDS.export
    assert limits.export_bytes(0) == 4 << 30
    assert limits.export_bytes(10**9) == limits.BOUNDS.export


def test_text_that_is_not_utf_8_is_unproven() -> None:
    body = written(pa.table({"a": ["caf\u00e9 noir"]}), use_dictionary=False, compression="none")
    latin = body.replace("caf\u00e9".encode(), b"caf\xe9\xe9")
    assert latin != body
    with pytest.raises(Unproven, match="UTF8"):
        rows_of(latin)


def test_a_name_that_comes_twice_is_refused_in_either_format(tmp_path: Path) -> None:
    twice = pa.Table.from_arrays([pa.array(["1"]), pa.array(["2"])], ["a", "a"])
    for format, body in (("parquet", written(twice)), ("csv", b"a;a\r\n1;2\r\n")):
        with answering(200, body) as (url, _):
            client = Client(url)
            with (
                pytest.raises(SchemaMismatch, match="'a' more than once"),
                exports.open_export(client, of_fields("a"), format, staging_dir=tmp_path),  # type: ignore[arg-type]
            ):
                raise AssertionError("it was read")


def test_k4_a_dictionary_that_stands_for_terabytes_is_refused_before_it_is_written_out(
    tmp_path: Path,
) -> None:
    indices = pa.array(np.zeros(5_000_000, np.int32))
    text = pa.DictionaryArray.from_arrays(indices, ["x" * 100_000])
    lists = pa.ListArray.from_arrays(np.arange(0, 5_000_001, 5, dtype=np.int32), text)
    for column in (text, lists):
        body = written(pa.table({"a": column}), compression="zstd")
        assert len(body) < 500_000
        with (
            parquet.spooled([body], tmp_path) as file,
            pytest.raises(DataError, match=r"written out, has more than 4[0-9][0-9] GB"),
        ):
            next(file.batches())


def test_k4_a_text_that_honestly_repeats_is_read(tmp_path: Path) -> None:
    text = pa.array(["a licence of some length " * 4] * 300_000)
    body, most = written(pa.table({"a": text})), limits.export_bytes(300_000)
    with parquet.spooled([body], tmp_path, most) as file:
        assert sum(batch.num_rows for batch in file.batches()) == 300_000


def test_k9_thousands_of_row_groups_are_read_several_at_once(tmp_path: Path) -> None:
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, pa.schema({"a": pa.int64()})) as writer:
        for number in range(3_000):
            writer.write_table(pa.table({"a": [number]}))
    with parquet.spooled([sink.getvalue()], tmp_path) as file:
        (batch,) = file.batches()
    assert batch.column("a").to_pylist() == list(range(3_000))
