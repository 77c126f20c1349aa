"""What a load into PostgreSQL decides and writes, without a server."""

import json
import struct
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from ods_pipeline.errors import ConfigurationError, WarehouseError
from ods_pipeline.warehouse.names import TableNames, fitting, shortened
from ods_pipeline.warehouse.postgres import encoder
from ods_pipeline.warehouse.postgres.address import parse
from ods_pipeline.warehouse.postgres.change import Dependent, Way, key_of, obstacles, way
from ods_pipeline.warehouse.postgres.columns import Target, dimensions, sql_type
from ods_pipeline.warehouse.postgres.encoder import OtherDimensions, Unfit, encode, slices

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=5)
KINDS: dict[pa.DataType, Any] = {
    pa.string(): TEXTS,
    pa.binary(): st.binary(max_size=5),
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.float64(): st.floats(),
    pa.bool_(): st.booleans(),
    pa.date32(): st.dates(),
    pa.timestamp("ms", "UTC"): st.integers(-62_135_596_800_000, 9_000_000_000_000_000),
    pa.list_(pa.string()): st.lists(st.none() | TEXTS, max_size=3),
    pa.list_(pa.int64()): st.lists(st.none() | st.integers(-9, 9), max_size=3),
}
_EPOCH = date(2000, 1, 1)


def reference(value: Any, kind: pa.DataType) -> bytes:
    """A field as the documentation of COPY has it, one value at a time."""
    if value is None:
        return struct.pack(">i", -1)
    raw = _raw(value, kind)
    return struct.pack(">i", len(raw)) + raw


def _raw(value: Any, kind: pa.DataType) -> bytes:
    if pa.types.is_list(kind):
        oid = {pa.string(): 25, pa.int64(): 20}[kind.value_type]
        if not value:
            return struct.pack(">iii", 0, 0, oid)
        head = struct.pack(">iiiii", 1, 0, oid, len(value), 1)
        return head + b"".join(reference(item, kind.value_type) for item in value)
    if pa.types.is_timestamp(kind):
        return struct.pack(">q", value * 1000 - 946_684_800_000_000)
    simple = {
        pa.string(): lambda: str(value).encode(),
        pa.binary(): lambda: value,
        pa.int64(): lambda: struct.pack(">q", value),
        pa.float64(): lambda: struct.pack(">d", value),
        pa.bool_(): lambda: bytes([value]),
        pa.date32(): lambda: struct.pack(">i", (value - _EPOCH).days),
    }
    return simple[kind]()


@given(st.data())
def test_a_batch_is_written_as_one_would_write_value_after_value(data: st.DataObject) -> None:
    kinds = data.draw(st.lists(st.sampled_from(list(KINDS)), min_size=1, max_size=4))
    count = data.draw(st.integers(1, 6))
    values = [
        data.draw(st.lists(st.none() | KINDS[kind], min_size=count, max_size=count))
        for kind in kinds
    ]
    arrays = [pa.array(column, kind) for column, kind in zip(values, kinds, strict=True)]
    names = [f"c{number}" for number in range(len(kinds))]
    batch = pa.RecordBatch.from_arrays(arrays, names)
    targets = [Target(name, kind) for name, kind in zip(names, kinds, strict=True)]
    expected = [
        struct.pack(">h", len(kinds))
        + b"".join(reference(column[row], kind) for column, kind in zip(values, kinds, strict=True))
        for row in range(count)
    ]
    assert bytes(encode(batch, targets).data) == b"".join(expected)
    start = data.draw(st.integers(0, count))
    part = encode(batch.slice(start), targets)
    assert (bytes(part.data), part.rows) == (b"".join(expected[start:]), count - start)


def test_a_record_that_no_row_can_hold_is_refused_with_its_largest_column(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(encoder, "LONGEST_ROW", 1000)
    batch = pa.RecordBatch.from_pydict({"a": ["x"], "b": ["y" * 2000]})
    targets = [Target("a", pa.string()), Target("b", pa.string())]
    with pytest.raises(Unfit, match="larger than 1 GiB") as caught:
        encode(batch, targets)
    assert (caught.value.column, caught.value.row) == ("b", 0)


def test_a_batch_is_cut_by_bytes_and_not_by_rows() -> None:
    batch = pa.RecordBatch.from_pydict({"a": ["x" * 1000] * 64 + ["x"] * 64})
    pieces = list(slices(batch, 8000))
    assert sum(len(piece) for piece in pieces) == 128
    assert all(piece.nbytes <= 8000 for piece in pieces)
    assert len(pieces[-1]) > len(pieces[0])


@pytest.mark.parametrize("order", ["<", ">"])
def test_geometries_of_several_dimensions_get_their_system_in_either_order_of_bytes(
    order: str,
) -> None:
    mark = 1 if order == "<" else 0
    flat = struct.pack(f"{order}BIdd", mark, 1, 1.0, 2.0)
    high = struct.pack(f"{order}BIddd", mark, 1001, 1.0, 2.0, 3.0)
    batch = pa.RecordBatch.from_pydict({"g": pa.array([flat, None, high], pa.binary())})
    with pytest.raises(OtherDimensions):
        encode(batch, [Target("g", pa.binary(), geometry=True, srid=4326)])
    target = Target("g", pa.binary(), geometry=True, srid=4326, dimensions=None)
    data = bytes(encode(batch, [target]).data)
    for wkb, kind in ((flat, 1), (high, 1001)):
        head = struct.pack(f"{order}BII", mark, kind | 0x20000000, 4326)
        assert struct.pack(">hi", 1, len(wkb) + 4) + head + wkb[5:] in data
    assert target.sql == "geometry"


def test_dimensions_are_read_from_iso_and_extended_wkb() -> None:
    point = shapely.Point(1, 2, 3)
    both = [shapely.to_wkb(point, flavor=flavor) for flavor in ("iso", "extended")]
    assert dimensions(pa.array([*both, None], pa.binary())) == {"Z"}
    assert dimensions(pa.array([b"\x01", b""], pa.binary())) == {""}
    assert dimensions(pa.array([None], pa.binary())) == set()


@pytest.mark.parametrize(
    ("kind", "sql"),
    [
        (pa.list_(pa.string()), "text[]"),
        (pa.timestamp("ms", "UTC"), "timestamp with time zone"),
        (pa.list_(pa.struct({"a": pa.string()})), "jsonb"),
        (pa.null(), "text"),
    ],
)
def test_a_type_of_the_lake_has_one_of_postgresql(kind: pa.DataType, sql: str) -> None:
    assert sql_type(kind, "x") == sql


def test_a_type_that_postgresql_does_not_have_is_refused_with_its_column() -> None:
    with pytest.raises(WarehouseError, match="'x' is of the type duration"):
        sql_type(pa.duration("s"), "x")


def test_a_nul_becomes_another_sign_in_nested_values_too() -> None:
    kind = pa.list_(pa.struct({"a": pa.string()}))
    batch = pa.RecordBatch.from_arrays([pa.array([[{"a": "x\0\\u0000"}], None], kind)], ["j"])
    data = bytes(encode(batch, [Target("j", kind)]).data)
    written = data[7 : 6 + struct.unpack(">i", data[2:6])[0]]
    assert json.loads(written) == [{"a": "x�\\u0000"}]


COLUMNS = {"a": "text", "b": "bigint"}
VIEW = Dependent("mine.v", frozenset({"a"}))


@pytest.mark.parametrize(
    ("current", "wanted", "views", "expected"),
    [
        (None, COLUMNS, (), Way.make),
        (COLUMNS, dict(reversed(COLUMNS.items())), (), Way.keep),
        (COLUMNS, {"a": "text"}, (), Way.replace),
        (COLUMNS, {"a": "text"}, (VIEW,), Way.alter),
    ],
)
def test_a_table_stays_wherever_it_can(
    current: dict[str, str] | None,
    wanted: dict[str, str],
    views: tuple[Dependent, ...],
    expected: Way,
) -> None:
    assert way(current, wanted, views) is expected


def test_a_view_is_in_the_way_of_the_columns_that_it_uses_and_of_the_key() -> None:
    assert obstacles(COLUMNS, {**COLUMNS, "c": "text"}, [VIEW]) == ()
    assert obstacles(COLUMNS, {"a": "text"}, [VIEW]) == ()
    assert obstacles(COLUMNS, {"a": "bigint", "b": "bigint"}, [VIEW]) == ("mine.v",)
    assert obstacles(COLUMNS, {"a": "text"}, [VIEW], key="b") == ("mine.v",)
    assert key_of({"g": "gis.geometry(Geometry,4326)", "n": "bigint"}) == "n"


@given(st.text(min_size=1), st.integers(20, 63))
def test_a_shortened_name_fits_and_is_always_the_same(name: str, longest: int) -> None:
    name = name.encode("utf-8", "replace").decode() * 20
    short = shortened(name, longest)
    assert len(short.encode()) <= longest
    assert short == shortened(name, longest)
    assert shortened(name + "x", longest) != short or len(name.encode()) < longest


def test_names_that_begin_alike_stay_apart_and_features_keep_their_ending() -> None:
    names = TableNames(longest=63)
    long = "x" * 70
    assert names.table_of(long, "records") != names.table_of(f"{long}x", "records")
    assert names.table_of(long, "features").endswith("__features")
    assert names.table_of("y" * 60, "records") == "y" * 60
    assert len(names.table_of("y" * 60, "features")) == 63
    # Who has the name with a number keeps it, also when the other field comes later.
    assert fitting(["ctid", "ctid_1"], 63, ["ctid"]) == ("ctid_2", "ctid_1")


def test_a_url_keeps_what_it_says_and_gets_what_it_leaves_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PGAPPNAME", "mine")
    address = parse("postgres://me@db.test:5433/city?connect_timeout=3&geometry=wkb")
    assert address.wkb
    assert address.where == "postgresql://db.test:5433/city"
    assert address.parameters["connect_timeout"] == "3"
    assert "application_name" not in address.parameters
    assert "geometry" not in address.parameters
    with pytest.raises(ConfigurationError, match="can be wkb alone"):
        parse("postgresql:///city?geometry=text")


def test_a_moment_before_all_that_postgresql_has_is_refused() -> None:
    moments = pa.array([datetime(1, 1, 1, tzinfo=UTC), None], pa.timestamp("ms", "UTC"))
    batch = pa.RecordBatch.from_arrays([moments], ["at"])
    assert encode(batch, [Target("at", moments.type)]).rows == 2
    early = pa.array([0, None, -(2**62)], pa.int64()).cast(pa.timestamp("ms", "UTC"))
    with pytest.raises(Unfit):
        encode(pa.RecordBatch.from_arrays([early], ["at"]), [Target("at", early.type)])
