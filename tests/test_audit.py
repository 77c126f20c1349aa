"""Proving files again: a flipped byte anywhere in the rows is found, and nothing ever crashes."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ods_pipeline.audit import audit, audited
from ods_pipeline.errors import ConfigurationError
from ods_pipeline.places import Places
from ods_pipeline.tables.lake import Lake
from ods_pipeline.tables.partition import PartitionWriter
from ods_pipeline.tables.receipt import Receipt

SCHEMA = pa.schema({"a": pa.int64(), "b": pa.string()})


def publish(folder: Path, portal: str, dataset_id: str) -> Path:
    lake = Lake.of(folder, portal)
    target = lake.partition("records", dataset_id)
    rows = {"a": [1, 2, 3], "b": ["x", None, "z"]}
    with PartitionWriter(lake, target, SCHEMA) as writer:
        writer.write(pa.RecordBatch.from_pydict(rows, schema=SCHEMA))
        writer.publish(Receipt(portal, "records", dataset_id))
    return target


@pytest.fixture
def partition(tmp_path: Path) -> Path:
    return publish(tmp_path, "portal.test", "towns")


def test_a_partition_as_it_was_published_has_no_problem(partition: Path) -> None:
    found = audit(partition)
    assert (found.dataset_id, found.rows, found.problem) == ("towns", 3, "")


def test_every_flipped_byte_before_the_footer_is_found(partition: Path) -> None:
    body = partition.read_bytes()
    footer = len(body) - 8 - int.from_bytes(body[-8:-4], "little")
    for place in range(footer):
        partition.write_bytes(body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :])
        assert f"delete {partition} and sync again" in audit(partition).problem, place


def test_a_flipped_byte_of_the_footer_never_crashes_the_audit(partition: Path) -> None:
    body = partition.read_bytes()
    footer = len(body) - 8 - int.from_bytes(body[-8:-4], "little")
    found = 0
    for place in range(footer, len(body)):
        partition.write_bytes(body[:place] + bytes([body[place] ^ 2]) + body[place + 1 :])
        found += bool(audit(partition).problem)
    assert found > 100


def test_a_file_cut_at_any_byte_is_found(partition: Path) -> None:
    body = partition.read_bytes()
    for end in range(0, len(body), 7):
        partition.write_bytes(body[:end])
        assert audit(partition).problem


def test_a_file_with_other_rows_under_the_old_receipt_is_found(partition: Path) -> None:
    old = pq.read_schema(partition).metadata
    other = pa.table({"a": [1, 2, 4], "b": ["x", None, "z"]}).replace_schema_metadata(old)
    pq.write_table(other, partition)
    assert "not those that were published" in audit(partition).problem


def test_a_file_under_another_ones_name_is_found(tmp_path: Path) -> None:
    publish(tmp_path, "one.test", "a")
    (one,) = tmp_path.glob("lake/one.test/records/a.parquet")
    for kind, name in (("features", "a"), ("records", "b")):
        other = one.parent.parent / kind / f"{name}.parquet"
        other.parent.mkdir(exist_ok=True)
        other.write_bytes(one.read_bytes())
        assert "it says that it holds the records of a" in audit(other).problem
    assert not audit(one).problem


def test_what_another_process_has_begun_is_not_examined(tmp_path: Path) -> None:
    publish(tmp_path, "one.test", "a")
    with Lake.of(tmp_path, "one.test").incoming("b.parquet") as begun:
        begun.write_bytes(b"PAR1")
        found = audited(Places("", tmp_path, ""))
    assert [(item.dataset_id, item.kind, item.problem) for item in found] == [("a", "records", "")]


def test_an_audit_covers_one_portal_or_all_and_names_what_is_not_landed(tmp_path: Path) -> None:
    publish(tmp_path, "one.test", "a")
    publish(tmp_path, "one.test", "b")
    publish(tmp_path, "two.test", "../c")
    everywhere = Places("", tmp_path, "")
    assert [item.dataset_id for item in audited(everywhere)] == ["a", "b", "../c"]
    one = Places("one.test", tmp_path, "")
    assert [item.dataset_id for item in audited(one)] == ["a", "b"]
    assert [item.dataset_id for item in audited(one, ["b"])] == ["b"]
    with pytest.raises(ConfigurationError, match=r"\.\./c is not landed"):
        audited(one, ["../c"])
    assert audited(Places("", tmp_path / "nothing", "")) == []


def test_columns_that_changed_names_in_the_footer_are_found(partition: Path) -> None:
    schema = pa.schema({"b": pa.int64(), "a": pa.string()})
    honest = pq.read_metadata(partition).metadata
    rows = {"b": [1, 2, 3], "a": ["x", None, "z"]}
    lake = Lake.of(partition.parent.parent.parent.parent, "portal.test")
    with PartitionWriter(lake, partition, schema) as writer:
        writer.write(pa.RecordBatch.from_pydict(rows, schema=schema))
        writer.publish(Receipt("portal.test", "records", "towns"))
    told = Receipt.from_metadata(pq.read_metadata(partition).metadata)
    before = Receipt.from_metadata(honest)
    assert told is not None
    assert before is not None
    assert told.content_hash == before.content_hash
    assert told.columns_hash != before.columns_hash
    body = partition.read_bytes()
    partition.write_bytes(body.replace(told.columns_hash.encode(), before.columns_hash.encode()))
    assert "its columns are not those" in audit(partition).problem
