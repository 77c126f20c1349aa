"""Parquet exports that come whole, cut or spoiled."""

import contextlib
import random
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ods_pipeline.dataset import Dataset, Field
from ods_pipeline.emulator import Emulator
from ods_pipeline.errors import OdsPipelineError, SchemaMismatch, Unproven
from ods_pipeline.portal.exports import export as exports
from ods_pipeline.portal.exports import parquet
from ods_pipeline.portal.http.client import Client
from ods_pipeline.portal.portal import Portal

Write = Callable[[pa.Table], bytes]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def to_bytes(table: pa.Table) -> bytes:
        pq.write_table(table, tmp_path / "x.parquet", row_group_size=3)
        return (tmp_path / "x.parquet").read_bytes()

    return to_bytes


def read(body: bytes, folder: Path) -> pa.Table:
    chunks = [body[start : start + 100] for start in range(0, len(body), 100)]
    with parquet.spooled(chunks, folder) as file:
        return pa.Table.from_batches(file.batches(), file.schema)


def test_rows_come_from_all_groups_and_nothing_stays_on_disk(write: Write, tmp_path: Path) -> None:
    table = pa.table({"a": range(8)})
    body = write(table)
    (tmp_path / "spool").mkdir()
    assert read(body, tmp_path / "spool").equals(table)
    assert not list((tmp_path / "spool").iterdir())


def test_a_file_cut_at_any_byte_is_unproven(write: Write, tmp_path: Path) -> None:
    body = write(pa.table({"a": [1, 2, 3]}))
    for end in range(len(body)):
        with pytest.raises(Unproven, match="cannot be read whole"):
            read(body[:end], tmp_path)


def test_a_file_followed_by_an_error_message_is_unproven(write: Write, tmp_path: Path) -> None:
    with pytest.raises(Unproven):
        read(write(pa.table({"a": [1]})) + b'{"error_code": "InternalError"}', tmp_path)


def test_a_spoiled_file_ends_in_rows_or_in_one_of_our_errors(write: Write, tmp_path: Path) -> None:
    chance = random.Random(1)
    body = write(pa.table({"a": ["x", "y", None], "b": [1, 2, 3]}))
    for _ in range(300):
        spoiled = bytearray(body)
        spoiled[chance.randrange(len(body))] ^= 1 << chance.randrange(8)
        with contextlib.suppress(OdsPipelineError):
            read(bytes(spoiled), tmp_path)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["a"], "lacks 'b'"),
        (["a", "b", "c"], "adds 'c'"),
        (["a", "c"], "lacks 'b' and adds 'c'"),
        (["a", "b", "b"], "column 'b' more than once"),
    ],
)
def test_columns_that_are_not_the_declared_fields_are_refused_by_name(
    emulator: Emulator, names: list[str], said: str
) -> None:
    fields = [{"name": f"f{n}", "type": "int"} for n in range(len(names))]
    emulator.publish("d", fields=fields, records=[dict.fromkeys((f["name"] for f in fields), 1)])
    emulator.lie("d", fields=_renamed(emulator, names))
    declared = (Field("a", "int"), Field("b", "int"))
    client = Client(emulator.url)
    for format in ("parquet", "csv"):
        dataset = Dataset(client.slug, "d", fields=declared)
        with (
            pytest.raises(SchemaMismatch, match=said),
            exports.open_export(client, dataset, format) as export,  # type: ignore[arg-type]
        ):
            list(export.batches)


def _renamed(emulator: Emulator, names: list[str]) -> tuple[object, ...]:
    fields = emulator.state.dataset("d").fields
    return tuple(replace(f, name=name) for f, name in zip(fields, names, strict=True))


@pytest.mark.parametrize("format", ["parquet", "csv"])
def test_who_leaves_an_export_early_leaves_no_thread_behind(
    portal: Portal, emulator: Emulator, format: exports.Format
) -> None:
    emulator.make_big("big", rows=70_000)
    with portal.record_batches("big", format) as rows:
        rows.read_next_batch()
        assert "ahead" in str(threading.enumerate())
    assert "ahead" not in str(threading.enumerate())
    del rows
