"""Parquet exports that come whole, cut or spoiled."""

import contextlib
import json
import random
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ods_pipeline.dataset import Dataset, Field
from ods_pipeline.emulator import Emulator
from ods_pipeline.errors import OdsPipelineError, SchemaMismatch, Unproven, Unreferenced
from ods_pipeline.portal.exports import export as exports
from ods_pipeline.portal.exports import parquet
from ods_pipeline.portal.http.client import Client
from ods_pipeline.portal.portal import Portal

UNDECLARED = "which the catalog does not declare"
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
        (["a"], "lacks the column 'b', which the catalog declares"),
        (["a", "c"], "lacks the column 'b', which the catalog declares"),
        (["a", "b", "b"], "column 'b' more than once"),
        (["a", "bb"], "lacks the column 'b'"),
    ],
)
def test_f9_an_export_that_lacks_a_declared_field_is_refused_by_name(
    emulator: Emulator, names: list[str], said: str
) -> None:
    for format in ("parquet", "csv"):
        with pytest.raises(SchemaMismatch, match=said), _opened(emulator, names, format) as export:
            list(export.batches)


@pytest.mark.parametrize(
    ("names", "notes"),
    [
        (["a", "b", "c"], [f"left out the column 'c', {UNDECLARED}"]),
        (["b", "a", "c", "d"], [f"left out the columns 'c', 'd', {UNDECLARED}"]),
        (["A", "b"], ["column 'A' was read as the field 'a'"]),
        (["b", "A", "B"], ["column 'A' was read as the field 'a'",
                           f"left out the column 'B', {UNDECLARED}"]),
        (["\ufeffa", "b"], []),
    ],
)  # fmt: skip
def test_f8_f9_another_spelling_or_a_column_more_is_read_and_noted(
    emulator: Emulator, names: list[str], notes: list[str]
) -> None:
    for format in ("parquet", "csv"):
        with _opened(emulator, names, format) as export:
            (batch,) = export.batches
        assert batch.schema.names == ["a", "b"]
        assert batch.to_pylist() == [{"a": names.index(_spelt("a", names)), "b": names.index("b")}]
        assert list(export.notes) == notes


def _spelt(name: str, names: list[str]) -> str:
    return next(item for item in names if item.strip("\ufeff").lower() == name)


@contextlib.contextmanager
def _opened(emulator: Emulator, names: list[str], format: str) -> Iterator[exports.Export]:
    """An export of two fields, a and b, whose columns have these names."""
    fields = [{"name": f"f{n}", "type": "int"} for n in range(len(names))]
    emulator.publish("d", fields=fields, records=[{f"f{n}": n for n in range(len(names))}])
    emulator.lie("d", fields=_renamed(emulator, names))
    client = Client(emulator.url)
    dataset = Dataset(client.slug, "d", fields=(Field("a", "int"), Field("b", "int")))
    with exports.open_export(client, dataset, format) as export:  # type: ignore[arg-type]
        yield export


def test_what_has_none_of_the_declared_columns_may_be_no_export_at_all(emulator: Emulator) -> None:
    for format in ("parquet", "csv"):
        with (
            pytest.raises(Unproven, match="none of the 2 columns"),
            _opened(emulator, ["c", "d"], format) as export,
        ):
            list(export.batches)


def test_f8_a_byte_order_mark_in_a_declared_name_is_no_other_name(emulator: Emulator) -> None:
    fields = [{"name": "\ufeffnom", "type": "text"}, {"name": "n", "type": "int"}]
    emulator.publish("d", fields=fields, records=[{"\ufeffnom": "x", "n": 1}])
    for format in ("parquet", "csv"):
        table = Portal(emulator.url).records("d", format)  # type: ignore[arg-type]
        assert table.to_pylist() == [{"\ufeffnom": "x", "n": 1}]


def _renamed(emulator: Emulator, names: list[str]) -> tuple[object, ...]:
    fields = emulator.state.dataset("d").fields
    return tuple(replace(f, name=name) for f, name in zip(fields, names, strict=True))


@pytest.mark.parametrize("format", ["parquet", "csv"])
def test_who_leaves_an_export_early_leaves_no_thread_behind(
    portal: Portal, emulator: Emulator, format: exports.Format
) -> None:
    emulator.make_big("big", rows=70_000)
    with portal.record_batches("big", format) as rows:
        next(rows)
        assert "ahead" in str(threading.enumerate())
    assert "ahead" not in str(threading.enumerate())
    del rows


LAMBERT = {"type": "ProjectedCRS", "name": "RGF93", "id": {"authority": "EPSG", "code": 2154}}
WGS84 = {"type": "GeographicCRS", "name": "WGS 84", "id": {"authority": "EPSG", "code": 4326}}


def described(crs: object) -> pa.Table:
    """A table of one point whose GeoParquet description names a reference system."""
    geo = {"version": "1.1.0", "columns": {"here": {"encoding": "WKB", "crs": crs}}}
    point = pa.array([struct.pack("<BIdd", 1, 1, 2.25, 48.5)])
    return pa.table({"here": point}).replace_schema_metadata({"geo": json.dumps(geo)})


@pytest.mark.parametrize("crs", [LAMBERT, {"name": "RGF93 v1 / Lambert-93"}, {"type": "x"}])
def test_f11_an_export_in_another_reference_system_is_refused(
    write: Write, tmp_path: Path, crs: object
) -> None:
    with pytest.raises(Unreferenced, match="column 'here' of the Parquet export is in"):
        read(write(described(crs)), tmp_path)


@pytest.mark.parametrize("name", ["EPSG:2154", "epsg:3857", "Lambert 72"])
def test_f11_what_geoarrow_says_is_heard_as_well(write: Write, tmp_path: Path, name: str) -> None:
    said = {"ARROW:extension:metadata": json.dumps({"crs": name})}
    table = pa.table({"here": [b"x"]}, pa.schema([pa.field("here", pa.binary(), metadata=said)]))
    with pytest.raises(Unreferenced, match="longitude and latitude were asked for"):
        read(write(table), tmp_path)


@pytest.mark.parametrize("crs", [None, WGS84, {"id": {"authority": "OGC", "code": "CRS84"}}])
def test_f11_longitude_and_latitude_by_any_name_are_read(
    write: Write, tmp_path: Path, crs: object
) -> None:
    assert read(write(described(crs)), tmp_path).num_rows == 1


def test_f11_longitude_and_latitude_are_asked_for(emulator: Emulator) -> None:
    fields = [{"name": "n", "type": "int"}]
    emulator.publish("asked", fields=fields, records=[{"n": 1}])
    emulator.requests.clear()
    for format in ("parquet", "csv"):
        Portal(emulator.url).records("asked", format)  # type: ignore[arg-type]
    exports_asked = [r for r in emulator.requests if "/exports/" in r.path]
    assert [dict(r.query).get("epsg") for r in exports_asked] == ["4326", "4326"]
