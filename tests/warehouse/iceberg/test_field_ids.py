"""The numbers of a file's columns: they are there, and nothing else has changed."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ods_pipeline.warehouse.iceberg.field_ids import numbered, split, with_numbers

TABLE = pa.table(
    {
        "a.b": pa.array([1, None], pa.int64()),
        "été": pa.array([["x", None], []], pa.list_(pa.string())),
        "t": pa.array([0, 9_089_000_000_000_000], pa.timestamp("ms", "UTC")),
        "s": pa.array([{"x": 1.5, "y": ["z"]}, None]),
        "g": pa.array([b"\0", None]),
    }
)


def _numbered(content: bytes) -> bytes:
    numbers: dict[tuple[str, ...], int] = {}
    schema = with_numbers(
        pq.read_schema(io.BytesIO(content)),
        lambda path: numbers.setdefault(path, 101 + len(numbers)),
    )
    end, footer = split(io.BytesIO(content))
    return content[:end] + numbered(footer, schema)


def _numbers(schema: pa.Schema) -> dict[str, int]:
    return {f.name: int(f.metadata[b"PARQUET:field_id"]) for f in schema}


def _placed(chunk: pq.ColumnChunkMetaData) -> tuple[object, ...]:
    known = chunk.statistics
    raw = (known.null_count, known.min_raw, known.max_raw) if known else ()
    place = (chunk.data_page_offset, chunk.dictionary_page_offset, chunk.total_compressed_size)
    return chunk.path_in_schema, chunk.num_values, chunk.compression, place, raw


@pytest.mark.parametrize("size", [1, 2, 1000])
@pytest.mark.parametrize("compression", ["zstd", "snappy", "none"])
def test_a_file_gets_numbers_and_keeps_rows_metadata_and_statistics(
    size: int, compression: str
) -> None:
    written = io.BytesIO()
    known = TABLE.replace_schema_metadata({"receipt": "kept", "long": "x" * 70_000})
    pq.write_table(known, written, row_group_size=size, compression=compression)
    made = _numbered(written.getvalue())
    before, after = pq.ParquetFile(written), pq.ParquetFile(io.BytesIO(made))
    assert after.read().equals(TABLE)
    assert _numbers(after.schema_arrow) == {"a.b": 101, "été": 103, "t": 104, "s": 108, "g": 109}
    assert after.schema_arrow.metadata == before.schema_arrow.metadata
    for group in range(before.num_row_groups):
        for place in range(before.metadata.num_columns):
            one, other = (f.metadata.row_group(group).column(place) for f in (before, after))
            assert _placed(one) == _placed(other)


def test_many_columns_and_no_rows_are_numbered_too() -> None:
    table = pa.table({f"c{number}": pa.array([], pa.string()) for number in range(400)})
    written = io.BytesIO()
    pq.write_table(table, written)
    schema = pq.read_schema(io.BytesIO(_numbered(written.getvalue())))
    assert list(_numbers(schema).values()) == list(range(101, 501))


def test_a_file_that_is_written_in_another_way_is_refused() -> None:
    written = io.BytesIO()
    pq.write_table(pa.table({"a": pa.array([1], pa.int64())}), written)
    _, footer = split(written)
    other = with_numbers(pa.schema({"a": pa.string()}), lambda path: 1)
    with pytest.raises(ValueError, match="in another way"):
        numbered(footer, other)


def test_what_is_no_parquet_file_is_refused() -> None:
    with pytest.raises(ValueError, match="no Parquet file"):
        split(io.BytesIO(b"x" * 100))
