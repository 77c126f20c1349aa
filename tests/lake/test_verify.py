"""Proving files again: a flipped bit anywhere is found, and nothing crashes or hangs the proof."""

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ods_pipeline.errors import ConfigurationError
from ods_pipeline.lake.lake import Lake, receipt
from ods_pipeline.lake.receipt import Receipt
from ods_pipeline.lake.verify import audit, audited
from ods_pipeline.lake.writer import PartitionWriter

UNCHECKED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
SCHEMA = pa.schema({"a": pa.int64(), "b": pa.string()})


def publish(folder: Path, portal: str, dataset_id: str, **told: str) -> Path:
    lake = Lake.of(folder, portal)
    target = lake.partition("records", dataset_id)
    rows = {"a": [1, 2, 3], "b": ["x", None, "z"]}
    with PartitionWriter(lake, target, SCHEMA) as writer:
        writer.write(pa.RecordBatch.from_pydict(rows, schema=SCHEMA))
        writer.publish(Receipt(portal, "records", dataset_id, **told))
    return target


def publish_with_geometry(folder: Path, kind: str) -> Path:
    lake = Lake.of(folder, "portal.test")
    partitions = {"catalog": lake.catalog, "held": lake.holds_file}
    target = partitions.get(kind) or lake.partition(kind, "towns")
    told = {"label": "Where", "ods_type": "geo_point_2d"}
    schema = SCHEMA.append(pa.field("where", pa.binary(), metadata=told))
    points = [shapely.to_wkb(shapely.Point(number, 48)) for number in range(3)]
    rows = {"a": [1, 2, 3], "b": ["x", None, "z"], "where": points}
    known = Receipt("portal.test", kind, "" if kind in partitions else "towns", title="Towns")
    with PartitionWriter(lake, target, schema, "where") as writer:
        writer.write(pa.RecordBatch.from_pydict(rows, schema=schema))
        writer.publish(known)
    return target


@pytest.fixture
def partition(tmp_path: Path) -> Path:
    return publish(tmp_path, "portal.test", "towns")


def test_a_partition_as_it_was_published_has_no_problem(partition: Path) -> None:
    found = audit(partition)
    assert (found.dataset_id, found.rows, found.problem) == ("towns", 3, "")


def flipped(path: Path) -> Iterator[int]:
    """The file with one bit flipped, in each of its bytes in turn."""
    with path.open("r+b", buffering=0) as file:
        for place, byte in enumerate(path.read_bytes()):
            os.pwrite(file.fileno(), bytes([byte ^ 1 << place % 8]), place)
            yield place
            os.pwrite(file.fileno(), bytes([byte]), place)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["records", "features", "catalog", "held"])
def test_a_flipped_bit_in_any_byte_of_any_published_file_is_found(
    tmp_path: Path, kind: str
) -> None:
    path = publish_with_geometry(tmp_path, kind)
    assert not audit(path).problem
    assert b"geo" in pq.read_metadata(path).metadata
    missed = [place for place in flipped(path) if f"delete {path}" not in audit(path).problem]
    assert not missed
    assert not audit(path).problem


def test_a_file_cut_at_any_byte_is_found(partition: Path) -> None:
    body = partition.read_bytes()
    for end in range(0, len(body), 7):
        partition.write_bytes(body[:end])
        assert audit(partition).problem


@pytest.mark.parametrize("more", [b"\0", b"PAR1", b"\0" * 5_000])
def test_a_file_that_has_grown_is_found(partition: Path, more: bytes) -> None:
    whole = partition.read_bytes()
    for grown in (whole + more, more + whole, whole + whole):
        partition.write_bytes(grown)
        assert "not those that were published" in audit(partition).problem


def test_a_file_that_others_wrote_again_with_its_receipt_is_found(partition: Path) -> None:
    old = pq.read_metadata(partition).metadata
    for rows in ({"a": [1, 2, 4], "b": ["x", None, "z"]}, pq.read_table(partition).to_pydict()):
        pq.write_table(pa.table(rows).replace_schema_metadata(old), partition)
        assert "not those that were published" in audit(partition).problem


def test_rows_that_were_sealed_with_another_receipt_are_found(partition: Path) -> None:
    """As by a program that seals what it has damaged in memory."""
    whole = partition.read_bytes()
    told = Receipt.from_metadata(pq.read_metadata(partition).metadata)
    assert told is not None
    for old, new, said in (
        (b"\x09row_count\x18\x013", b"\x09row_count\x18\x014", "its receipt says 4"),
        (told.content_hash.encode(), told.content_hash[::-1].encode(), ""),
        (told.columns_hash.encode(), told.columns_hash[::-1].encode(), "its columns are not"),
        (told.content_hash[-6:].encode(), b"beaded", "its rows are not those that were proven"),
    ):
        assert old in whole
        partition.write_bytes(resealed(whole.replace(old, new)))
        assert said in audit(partition).problem


def resealed(file: bytes) -> bytes:
    place = file.rindex(b"file_sha256") + len(b"file_sha256") + 2
    blank = file[:place] + b"0" * 64 + file[place + 64 :]
    return file[:place] + hashlib.sha256(blank).hexdigest().encode() + file[place + 64 :]


def test_what_a_publisher_writes_cannot_pass_for_the_seal(tmp_path: Path) -> None:
    said = "\x18\x0bfile_sha256\x18@" + "0" * 64
    path = publish(tmp_path, "portal.test", "towns", description=said, title=said, note=said)
    assert not audit(path).problem
    assert not [place for place in flipped(path) if not audit(path).problem]


def test_a_file_under_another_ones_name_is_found(tmp_path: Path) -> None:
    one = publish(tmp_path, "one.test", "a")
    catalog = publish_with_geometry(tmp_path, "catalog")
    lake = tmp_path / "lake"
    for source, name in (
        (one, "one.test/features/a"),
        (one, "one.test/records/b"),
        (one, "two.test/records/a"),
        (one, "one.test/catalog"),
        (one, "one.test/held"),
        (catalog, "portal.test/records/catalog"),
        (catalog, "portal.test/held"),
        (catalog, "one.test/catalog"),
    ):
        other = lake / f"{name}.parquet"
        other.parent.mkdir(parents=True, exist_ok=True)
        other.write_bytes(source.read_bytes())
        assert "it says that it is " in audit(other).problem
    assert not audit(one).problem
    assert not audit(catalog).problem


def put_folder(path: Path) -> None:
    path.mkdir()


def put_loop(path: Path) -> None:
    path.symlink_to(path)


def put_dangling_link(path: Path) -> None:
    path.symlink_to("nowhere")


def put_pipe(path: Path) -> None:
    os.mkfifo(path)


def put_endless_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def put_unreadable_file(path: Path) -> None:
    """One that the system opens and then does not give, as a disk with a broken sector."""
    path.symlink_to("/proc/self/mem")


def put_empty_file(path: Path) -> None:
    path.touch()


@pytest.mark.parametrize(
    "put",
    [
        put_folder,
        put_loop,
        put_dangling_link,
        put_pipe,
        put_endless_device,
        put_unreadable_file,
        put_empty_file,
    ],
)
def test_what_stands_in_a_partitions_place_is_named(
    tmp_path: Path, partition: Path, put: Callable[[Path], None]
) -> None:
    whole = publish(tmp_path, "portal.test", "whole")
    partition.unlink()
    put(partition)
    found = {item.path: item for item in audited(tmp_path / "lake")}
    assert found.keys() == {partition, whole}
    assert f"delete {partition} and sync again" in found[partition].problem
    assert (found[partition].dataset_id, found[partition].kind) == ("towns", "records")
    assert not found[whole].problem
    assert [*Lake.of(tmp_path, "portal.test").receipts("records")] == ["whole"]


def test_a_file_that_vanishes_is_named(partition: Path) -> None:
    missing = partition.with_name("other.parquet")
    assert "it cannot be read: [Errno 2]" in audit(missing).problem


SPLICE = st.tuples(st.integers(0, 9_000), st.integers(0, 200), st.binary(max_size=40))
SPLICES = st.lists(SPLICE, min_size=1, max_size=4)


@given(SPLICES, st.booleans())
@settings(
    max_examples=150,
    suppress_health_check=UNCHECKED,
)
def test_whatever_happens_to_a_files_bytes_it_is_said_and_nothing_is_raised(
    tmp_path: Path, splices: list[tuple[int, int, bytes]], seal: bool
) -> None:
    """Sealed again too, so that what reads Parquet meets the damage."""
    path = tmp_path / "lake" / "portal.test" / "features" / "towns.parquet"
    if not path.exists():
        publish_with_geometry(tmp_path, "features")
        path.with_suffix(".whole").write_bytes(path.read_bytes())
    before = path.with_suffix(".whole").read_bytes()
    now = before
    for start, length, other in splices:
        place = start % len(before)
        now = now[:place] + other + now[place + length :]
    path.write_bytes(resealed(now) if seal and b"file_sha256" in now else now)
    receipt(path)
    found = audit(path)
    if not seal:
        assert bool(found.problem) == (now != before)


def test_what_another_process_has_begun_is_not_examined(tmp_path: Path) -> None:
    publish(tmp_path, "one.test", "a")
    with Lake.of(tmp_path, "one.test").incoming("b.parquet") as begun:
        begun.write_bytes(b"PAR1")
        found = audited(tmp_path / "lake")
    assert [(item.dataset_id, item.kind, item.problem) for item in found] == [("a", "records", "")]


def test_an_audit_covers_one_portal_or_all_and_names_what_is_not_landed(tmp_path: Path) -> None:
    publish(tmp_path, "one.test", "a")
    publish(tmp_path, "one.test", "b")
    publish(tmp_path, "two.test", "../c")
    lake = tmp_path / "lake"
    assert [item.dataset_id for item in audited(lake)] == ["a", "b", "../c"]
    assert [item.dataset_id for item in audited(lake, "one.test")] == ["a", "b"]
    assert [item.dataset_id for item in audited(lake, "one.test", ["b"])] == ["b"]
    with pytest.raises(ConfigurationError, match=r"\.\./c is not landed"):
        audited(lake, "one.test", ["../c"])
    assert audited(tmp_path / "nothing" / "lake") == []
