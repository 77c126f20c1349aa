"""Receipts remembered: never for another file than the one that was read."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from ods_pipeline.lake.lake import Lake, receipt
from ods_pipeline.lake.receipt import Receipt
from ods_pipeline.lake.writer import PartitionWriter

SCHEMA = pa.schema({"a": pa.int64()})


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake.of(tmp_path, "portal.test")
    for name in ("one", "two", "three"):
        _land(lake, name, [1])
    return lake


@pytest.fixture
def read(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files whose footers were read."""
    seen: list[str] = []

    def counted(path: Path) -> Receipt | None:
        seen.append(path.stem)
        return receipt(path)

    monkeypatch.setattr("ods_pipeline.lake.lake.receipt", counted)
    return seen


def _land(lake: Lake, name: str, values: list[int]) -> None:
    with PartitionWriter(lake, lake.partition("records", name), SCHEMA) as writer:
        writer.write(pa.RecordBatch.from_pydict({"a": values}, schema=SCHEMA))
        writer.publish(Receipt("portal.test", "records", name, title="é"))


def _list(lake: Lake) -> Path:
    return lake.root / ".records.json"


def test_files_that_stayed_as_they_were_are_not_read_again(lake: Lake, read: list[str]) -> None:
    first = lake.receipts("records")
    assert sorted(read) == ["one", "three", "two"]
    assert lake.receipts("records") == first
    assert list(first) == ["one", "three", "two"]
    assert len(read) == 3
    assert not list((lake.root / ".incoming").iterdir())


def test_a_partition_landed_anew_is_read_and_one_that_is_gone_is_gone(
    lake: Lake, read: list[str]
) -> None:
    lake.receipts("records")
    read.clear()
    _land(lake, "two", [1, 2])
    lake.partition("records", "one").unlink()
    found = lake.receipts("records")
    assert read == ["two"]
    assert {name: it.rows for name, it in found.items()} == {"three": 1, "two": 2}


def test_a_file_that_was_damaged_meanwhile_counts_as_lost(lake: Lake) -> None:
    lake.receipts("records")
    path = lake.partition("records", "two")
    os.utime(path, ns=(1, 1))
    content = path.read_bytes()
    lake.receipts("records")
    path.write_bytes(content[:-6] + b"\xff" * 6)
    os.utime(path, ns=(1, 1))
    assert sorted(lake.receipts("records")) == ["one", "three"]


def _cut(text: str) -> str:
    return text[: len(text) // 2]


def _other_entries(text: str) -> str:
    raw = json.loads(text)
    raw["files"]["one.parquet"][1] = {"no": "receipt"}
    raw["files"]["two.parquet"][1]["rows"] = 7
    return json.dumps(raw)


def _other_form(text: str) -> str:
    return json.dumps({**json.loads(text), "form": 0})


@pytest.mark.parametrize("harm", [_cut, _other_entries, _other_form, lambda _: "[]"])
def test_a_list_that_is_damaged_is_made_anew(lake: Lake, harm: Callable[[str], str]) -> None:
    first = lake.receipts("records")
    whole = _list(lake).read_text()
    _list(lake).write_text(harm(whole))
    assert lake.receipts("records") == first
    assert lake.receipts("records") == first
    assert _list(lake).read_text() == whole


def test_where_no_list_can_be_written_the_files_are_read(lake: Lake, read: list[str]) -> None:
    _list(lake).mkdir()
    assert lake.receipts("records") == lake.receipts("records")
    assert len(read) == 6


def test_a_portal_without_partitions_has_no_receipts(tmp_path: Path) -> None:
    assert Lake.of(tmp_path, "nobody").receipts("records") == {}


def test_of_many_files_a_few_new_ones_are_read_again_and_the_list_is_left_alone(
    lake: Lake, read: list[str]
) -> None:
    for number in range(200):
        _land(lake, f"more-{number}", [1])
    lake.receipts("records")
    before = _list(lake).read_bytes()
    _land(lake, "one", [2])
    lake.receipts("records")
    assert _list(lake).read_bytes() == before
    read.clear()
    assert lake.receipts("records")["one"].rows == 1
    assert read == ["one"]


def test_the_catalog_s_receipt_is_read_once(lake: Lake, read: list[str]) -> None:
    for rows in (1, 2):
        with PartitionWriter(lake, lake.catalog, SCHEMA) as writer:
            writer.write(pa.RecordBatch.from_pydict({"a": [1] * rows}, schema=SCHEMA))
            writer.publish(Receipt("portal.test", "catalog"))
        for _ in range(2):
            found = lake.catalog_receipt()
            assert found is not None
            assert found.rows == rows
        assert read == ["catalog"] * rows
    lake.catalog.write_bytes(b"PAR1")
    assert lake.catalog_receipt() is None
    lake.catalog.unlink()
    assert lake.catalog_receipt() is None
