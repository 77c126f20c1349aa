"""Stores that are slow, refuse, forget or break off, and writers that are overtaken or killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from ods_pipeline.errors import LakeError, OdsPipelineError
from ods_pipeline.lake import copies, object_store
from ods_pipeline.lake.bucket import ObjectPath, Version
from ods_pipeline.lake.data_folder import data_folder
from ods_pipeline.lake.lake import Lake, receipt
from ods_pipeline.lake.landed import chosen
from ods_pipeline.lake.uploads import drop_abandoned
from ods_pipeline.lake.verify import audited
from ods_pipeline.portal.portal import Portal
from ods_pipeline.sync.catalog import publish_catalog
from tests.desk import Desk, rows
from tests.lake.bucket.clouds import BUCKET, Cloud
from tests.lake.bucket.large import batches
from tests.servers.relay import Asked, Relay, Told

pytestmark = pytest.mark.servers

# More than is sent in one request.
LARGE = 40 << 20


@contextmanager
def writer(address: str, name: str, count: int, size: int = 0) -> Iterator[subprocess.Popen[str]]:
    """A process whose writer is open."""
    command = [sys.executable, "-m", "tests.lake.bucket.writer", address, name]
    with subprocess.Popen(
        [*command, str(count), str(size)],
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "open\n"
        try:
            yield process
        finally:
            process.kill()


def let_publish(process: subprocess.Popen[str]) -> str:
    """What it says after it went on."""
    assert process.stdin
    assert process.stdout
    process.stdin.write("\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def partition(address: str, name: str) -> ObjectPath:
    path = Lake.of(data_folder(address), "portal.test").partition("records", name)
    assert isinstance(path, ObjectPath)
    return path


def uploads(cloud: Cloud, address: str) -> list[str]:
    """Keys of the uploads that were begun and not finished."""
    return cloud.uploads(address.removeprefix(f"{cloud.scheme}://{BUCKET}/") + "/")


@pytest.mark.parametrize("size", [0, LARGE], ids=["in one request", "in parts"])
def test_a_writer_that_was_overtaken_leaves_the_newer_version(
    cloud: Cloud, address: str, size: int
) -> None:
    with writer(address, "one", 1000, size) as paused:
        with writer(address, "one", 2000) as faster:
            assert let_publish(faster) == "published"
        said = let_publish(paused)
    assert "another run has published" in said
    assert "run again" in said
    known = receipt(partition(address, "one"))
    assert known is not None
    assert known.rows == 2000
    assert uploads(cloud, address) == [] or not cloud.keeps_parts


def test_of_many_writers_of_one_version_one_publishes(address: str) -> None:
    with (
        writer(address, "one", 100) as first,
        writer(address, "one", 200) as second,
        writer(address, "one", 300) as third,
    ):
        waiting = [first, second, third]
        for process in waiting:
            assert process.stdin
            process.stdin.write("\n")
            process.stdin.flush()
        said = [str(process.stdout and process.stdout.readline().strip()) for process in waiting]
    assert sorted(text == "published" for text in said) == [False, False, True]
    known = receipt(partition(address, "one"))
    assert known is not None
    assert known.rows == 100 * (said.index("published") + 1)


def test_of_sixteen_that_send_at_once_one_replaces_what_all_knew(
    address: str, tmp_path: Path
) -> None:
    path = partition(address, "one")

    def sent(number: int, known: Version | None) -> str:
        file = tmp_path / f"{number}"
        file.write_text(f"of {number}, where there was {known}")
        try:
            path.replace_with(file, known)
        except LakeError as error:
            return str(error)
        return "published"

    for _ in ("nothing was there", "something was there"):
        known = path.version()
        with ThreadPoolExecutor(16) as writers:
            said = list(writers.map(sent, range(16), [known] * 16))
        assert said.count("published") == 1
        assert sum("another run has published" in text for text in said) == 15
        number = said.index("published")
        assert path.read_bytes().decode() == f"of {number}, where there was {known}"


def test_large_files_that_are_sent_at_once_do_not_mix_their_parts(address: str) -> None:
    with (
        writer(address, "one", 1000, LARGE) as first,
        writer(address, "one", 2000, LARGE) as second,
        ThreadPoolExecutor(2) as both,
    ):
        said = list(both.map(let_publish, (first, second)))
    assert "published" in said
    path = partition(address, "one")
    assert [audit.problem for audit in audited(path.parents[2])] == [""]
    assert pq.read_table(path, columns=["n"]).num_rows in {1000, 2000}


def test_a_large_file_arrives_whole_in_parts(address: str) -> None:
    with writer(address, "one", 1000, LARGE) as process:
        assert let_publish(process) == "published"
    path = partition(address, "one")
    version = path.version()
    assert version is not None
    assert version.size > LARGE
    assert [audit.problem for audit in audited(path.parents[2])] == [""]
    expected = [n for batch in batches(1000, LARGE) for n in batch.column("n").to_pylist()]
    assert pq.read_table(path, columns=["n"]).column("n").to_pylist() == expected


def test_a_writer_that_is_killed_amid_its_upload_leaves_the_old_version_and_no_parts_for_good(
    cloud: Cloud, address: str, relay: Relay
) -> None:
    with writer(address, "one", 10) as process:
        assert let_publish(process) == "published"
    with writer(address, "one", 1000, LARGE) as process:
        arrived: list[str] = []

        def killed(asked: Asked, told: Told) -> Told:
            if asked.is_part:
                arrived.append(asked.path)
            if len(arrived) > 1:
                process.send_signal(signal.SIGKILL)
            return told

        relay.after = killed
        assert let_publish(process) == ""
    relay.after = lambda asked, told: told
    known = receipt(partition(address, "one"))
    assert known is not None
    assert known.rows == 10
    assert len(uploads(cloud, address)) == 1
    lake = data_folder(address)
    assert isinstance(lake, ObjectPath)
    assert drop_abandoned(lake) == 0, "it may be going on"
    assert drop_abandoned(lake, timedelta(0)) == cloud.keeps_parts
    with writer(address, "one", 1000, LARGE) as process:
        assert let_publish(process) == "published"
    assert uploads(cloud, address) == []


def test_a_store_that_asks_to_be_slower_is_asked_again(desk: Desk, relay: Relay) -> None:
    slow = Told(503, b"<Error><Code>SlowDown</Code><Message>Please reduce</Message></Error>")
    refused: set[tuple[str, str]] = set()

    def once(asked: Asked) -> Told | None:
        if (asked.method, asked.path) in refused:
            return None
        refused.add((asked.method, asked.path))
        return slow

    relay.instead = once
    assert set(desk.actions().values()) == {"landed"}
    assert len(refused) > 10
    assert desk.loaded("one") == 20


@pytest.mark.parametrize("code", ["ExpiredToken", "AccessDenied", "AuthenticationFailed"])
def test_credentials_that_expire_leave_everything_as_it_was_and_are_named(
    desk: Desk, relay: Relay, code: str
) -> None:
    desk.sync()
    desk.emulator.publish("one", records=rows(30))
    body = f"<Error><Code>{code}</Code><Message>of s3cr3t</Message></Error>".encode()
    relay.instead = lambda asked: Told(403, body) if asked.method == "PUT" else None
    with pytest.raises(LakeError, match=f"{code}.*credentials"):
        desk.sync()
    assert desk.loaded("one") == 20
    relay.instead = lambda asked: None
    assert desk.actions()["one"] == "landed"
    assert desk.loaded("one") == 30


def test_a_store_that_cannot_be_reached_is_no_damaged_file(
    desk: Desk, cloud: Cloud, relay: Relay
) -> None:
    desk.sync()
    relay.instead = lambda asked: Told(400, b"<Error><Code>Odd</Code></Error>")
    name = object_store.SCHEMES[cloud.scheme]
    with pytest.raises(LakeError, match=f"{name} does not answer for {cloud.scheme}://lake/"):
        receipt(desk.lake.partition("records", "one"))
    with pytest.raises(LakeError, match="does not answer"):
        desk.sync()
    relay.instead = lambda asked: None
    assert set(desk.actions().values()) == {"unchanged"}


def test_a_listing_that_lags_behind_costs_work_and_no_data(desk: Desk, relay: Relay) -> None:
    """No store is known to list late today; those that are eventually consistent did."""
    desk.sync()
    late: list[Told] = []

    def kept(asked: Asked, told: Told) -> Told:
        if asked.is_listing and "records" in asked.path:
            late.append(told)
            return late[0]
        return told

    relay.after = kept
    desk.sync()
    desk.emulator.publish("one", records=rows(31))
    assert desk.actions()["one"] == "landed"
    desk.emulator.publish("one", records=rows(32))
    assert desk.actions()["one"] == "landed"
    assert desk.loaded("one") == 32
    relay.after = lambda asked, told: told
    assert set(desk.actions().values()) == {"unchanged"}


def test_a_copy_that_breaks_off_again_and_again_is_none(
    address: str, relay: Relay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with writer(address, "one", 1000, 4 << 20) as process:
        assert let_publish(process) == "published"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another"))
    copies.folder.cache_clear()
    path = partition(address, "one")
    relay.after = lambda asked, told: replace(told, cut=True) if asked.method == "GET" else told
    with pytest.raises(LakeError, match="does not answer"):
        path.local()
    assert not list((copies.folder(address) / "copies").iterdir())
    assert not list((copies.folder(address) / "incoming").iterdir())
    relay.after = lambda asked, told: told
    assert pq.read_table(path).num_rows == 1000


def test_a_full_disk_for_copies_is_named(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with writer(address, "one", 10) as process:
        assert let_publish(process) == "published"
    place = tmp_path / "no folder"
    place.write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(place))
    copies.folder.cache_clear()
    with pytest.raises(LakeError, match="XDG_CACHE_HOME"):
        partition(address, "one").local()


@pytest.mark.parametrize(
    ("place", "said"),
    [("no-such-bucket/x", "there is no bucket"), (f"{BUCKET}/new", "nothing has landed")],
)
def test_a_bucket_that_is_missing_and_one_that_is_empty_are_told_apart(
    cloud: Cloud, address: str, place: str, said: str
) -> None:
    with pytest.raises(OdsPipelineError, match=said):
        chosen(data_folder(f"{cloud.scheme}://{place}"))


def test_wrong_credentials_are_named_whatever_is_asked_and_not_shown(
    cloud: Cloud, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, secret = cloud.wrong
    monkeypatch.setenv(name, secret)
    object_store.store.cache_clear()
    path = partition(address, "one")
    asked: list[Callable[[], object]] = [
        path.version,
        path.read_bytes,
        lambda: path.end(100),
        lambda: path.write_bytes(b""),
        lambda: list(path.parent.files()),
        path.parent.folders,
    ]
    for ask in asked:
        with pytest.raises(LakeError, match="see whether the credentials") as caught:
            ask()
        assert secret not in "".join(traceback.format_exception(caught.value))


def test_runs_that_begin_at_once_do_not_overtake_each_other_with_the_catalog(desk: Desk) -> None:
    datasets = Portal(desk.emulator.url).datasets()

    def publish(number: int) -> int:
        return publish_catalog(desk.lake, "portal", datasets[number % len(datasets) :]).rows

    with ThreadPoolExecutor(6) as runs:
        assert sorted(runs.map(publish, range(6))) == [1, 1, 2, 2, 3, 3]
