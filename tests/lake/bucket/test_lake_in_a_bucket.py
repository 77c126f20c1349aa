"""A lake in a bucket is the lake of a disk: the same files, the same runs, the same readers."""

from __future__ import annotations

from pathlib import Path

import geopandas
import obstore
import pandas
import pyarrow.parquet as pq
import pytest

from ods_pipeline.emulator import Emulator
from ods_pipeline.lake.bucket import ObjectPath
from ods_pipeline.lake.lake import receipt
from ods_pipeline.lake.object_store import store
from ods_pipeline.lake.verify import audited
from ods_pipeline.warehouse.lake_reader import Lake
from tests.desk import FIELDS, Desk, rows
from tests.servers.relay import Asked, Relay

pytestmark = pytest.mark.servers


def root(desk: Desk) -> ObjectPath:
    assert isinstance(desk.lake.root, ObjectPath)
    return desk.lake.root


def partitions(asked: list[Asked]) -> list[Asked]:
    """The requests for partitions, without those for lists and for what is remembered."""
    return [item for item in asked if item.path.split("?")[0].endswith(".parquet")]


def test_a_portal_lands_in_a_bucket_and_is_loaded_from_there(desk: Desk) -> None:
    assert set(desk.actions().values()) == {"landed"}
    names = {name for name, _ in root(desk).files()}
    assert {"catalog.parquet", "records/one.parquet", "records/towns.parquet"} <= names
    assert (desk.loaded("one"), desk.loaded("towns")) == (20, 20)
    assert set(desk.actions().values()) == {"unchanged"}


def test_a_new_version_replaces_the_old_one_and_reaches_the_table(desk: Desk) -> None:
    desk.sync()
    desk.emulator.publish("one", records=rows(25))
    assert desk.actions()["one"] == "landed"
    assert desk.loaded("one") == 25
    assert pq.read_table(desk.lake.partition("records", "one")).num_rows == 25


def test_an_unchanged_run_lists_once_and_reads_no_footer_twice(desk: Desk, relay: Relay) -> None:
    desk.sync()
    desk.sync()
    before = len(relay.asked)
    desk.sync()
    asked = relay.since(before)
    assert sum(item.is_listing for item in asked) == 1
    assert not [item for item in partitions(asked) if "/records/" in item.path]


def test_what_one_host_has_read_the_next_one_need_not_read(
    desk: Desk, relay: Relay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.sync()
    desk.lake.receipts("records")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another"))
    before = len(relay.asked)
    assert sorted(desk.lake.receipts("records")) == ["one", "towns", "two"]
    assert not partitions(relay.since(before))


def test_keys_and_files_are_those_of_a_disk_so_that_either_can_be_copied_to_the_other(
    desk: Desk, tmp_path: Path
) -> None:
    on_disk = Desk(desk.emulator, tmp_path / "disk")
    on_disk.folder.mkdir()
    on_disk.sync()
    lake = tmp_path / "disk" / "lake"
    for path in lake.rglob("*.parquet"):
        key = f"lake/{path.relative_to(lake)}"
        obstore.put(store(root(desk).root), key, path.read_bytes())
    assert set(desk.actions().values()) == {"unchanged"}
    desk.emulator.publish("one", records=rows(21))
    desk.sync()
    copied = tmp_path / "copy" / "lake" / root(desk).name
    for name, _ in root(desk).files():
        place = copied / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes((root(desk) / name).read_bytes())
    back = Desk(desk.emulator, tmp_path / "copy")
    assert set(back.actions().values()) == {"unchanged"}
    assert back.loaded("one") == 21


def test_a_renamed_dataset_keeps_its_rows_without_a_fetch(desk: Desk) -> None:
    desk.sync()
    desk.emulator.rename("one", "first")
    outcome = desk.sync()["first"]
    assert outcome.action == "described anew"
    assert sorted(desk.lake.receipts("records")) == ["first", "towns", "two"]
    assert desk.loaded("first") == 20


def test_what_is_withdrawn_is_held_in_a_bucket_too(desk: Desk) -> None:
    desk.sync()
    desk.emulator.withdraw("two")
    assert desk.sync()["two"].action == "held"
    assert desk.sync()["two"].action == "held"
    desk.emulator.publish("two", fields=FIELDS, records=rows(3))
    desk.sync("two", accept=True)
    assert desk.loaded("two") == 3


def test_verify_proves_every_file_and_finds_the_one_that_was_changed(desk: Desk) -> None:
    desk.sync()
    lake = root(desk).parent
    assert [audit.problem for audit in audited(lake)] == [""] * 4
    path = desk.lake.partition("records", "one")
    assert isinstance(path, ObjectPath)
    data = bytearray(path.read_bytes())
    data[20] ^= 1
    path.write_bytes(bytes(data))
    (found,) = [audit for audit in audited(lake) if audit.problem]
    assert found.dataset_id == "one"
    assert f"delete {path} and sync again" in found.problem
    path.unlink()
    assert desk.actions()["one"] == "landed"


def test_a_changed_file_is_not_loaded(desk: Desk) -> None:
    desk.sync()
    path = desk.lake.partition("records", "one")
    assert isinstance(path, ObjectPath)
    data = bytearray(path.read_bytes())
    data[20] ^= 1
    path.write_bytes(bytes(data))
    (desk.folder / "warehouse.duckdb").unlink()
    outcome = desk.sync()["one"]
    assert outcome.action == "failed"
    assert f"{path} is damaged" in outcome.reason


def test_every_form_of_rows_can_be_read(desk: Desk, address: str) -> None:
    desk.sync()
    lake = Lake(address)
    assert [item.dataset_id for item in lake.datasets()] == ["one", "towns", "two"]
    assert str(lake.dataset("one").path).startswith(f"{address}/lake/")
    frame = lake.geopandas("towns")
    assert isinstance(frame, geopandas.GeoDataFrame)
    assert frame.crs == "OGC:CRS84"
    assert isinstance(lake.pandas("one"), pandas.DataFrame)
    assert lake.polars("one").height == 20
    assert sum(batch.num_rows for batch in lake.batches("one")) == 20
    assert lake.relation("towns").filter("n > 9").count("*").fetchall() == [(10,)]


def test_a_reader_sees_one_version_from_its_first_row_to_its_last(desk: Desk, address: str) -> None:
    desk.sync()
    reader = Lake(address).batches("one")
    desk.emulator.publish("one", records=rows(50))
    desk.sync()
    assert sum(batch.num_rows for batch in reader) == 20
    assert Lake(address).table("one").num_rows == 50


def test_two_portals_share_a_bucket(desk: Desk, address: str) -> None:
    desk.sync()
    with Emulator(sample=False) as other:
        other.publish("three", fields=FIELDS, records=rows(2))
        Desk(other, desk.folder, address).sync()
        assert len(Lake(address).portals()) == 2
        assert len(audited(root(desk).parent)) == 6


def test_the_receipt_of_a_file_with_a_large_footer_is_read(desk: Desk) -> None:
    fields = [{"name": f"column_{number:04}", "type": "text"} for number in range(1200)]
    desk.emulator.publish("wide", fields=fields, records=[{"column_0000": "a"}])
    desk.sync("wide")
    found = receipt(desk.lake.partition("records", "wide"))
    assert found is not None
    assert found.rows == 1
