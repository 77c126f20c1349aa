"""Google's store, as far as a program can be had that does as it does: it is listed and read.

That program does not take an object in the way in which our library writes: of writing, only the
request is looked at here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from ods_pipeline.emulator import Emulator
from ods_pipeline.errors import LakeError
from ods_pipeline.lake import copies, object_store
from ods_pipeline.lake.bucket import ObjectPath, Version
from ods_pipeline.lake.data_folder import data_folder
from ods_pipeline.lake.verify import audited
from ods_pipeline.warehouse.lake_reader import Lake
from tests.desk import FIELDS, TOWN_FIELDS, TOWNS, Desk, rows
from tests.ports import free_port
from tests.servers.google.server import Google, account
from tests.servers.relay import Asked, Relay, Told, relayed
from tests.servers.stores import running

pytestmark = pytest.mark.servers

ADDRESS = "gs://lake/team"
DONE = Told(200, b"", (("ETag", '"new"'), ("x-goog-generation", "8")))


@pytest.fixture(scope="module")
def google() -> Iterator[Google]:
    with running(Google) as server:
        server.make_bucket("lake")
        yield server


@pytest.fixture
def relay(google: Google) -> Iterator[Relay]:
    with relayed(google.port) as found:
        yield found


@pytest.fixture(autouse=True)
def user(relay: Relay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The environment of a user of the bucket."""
    for name in [name for name in os.environ if name.startswith("GOOGLE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT_KEY", account(relay.url))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    object_store.store.cache_clear()
    copies.folder.cache_clear()
    yield
    object_store.store.cache_clear()
    copies.folder.cache_clear()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A lake on the disk, for somebody to copy to the bucket."""
    with Emulator(sample=False) as emulator:
        emulator.publish("one", fields=FIELDS, records=rows(90_000))
        emulator.publish("towns", fields=TOWN_FIELDS, records=TOWNS)
        desk = Desk(emulator, tmp_path)
        desk.sync()
        yield desk


def copied(desk: Desk, google: Google) -> None:
    for path in (desk.folder / "lake").rglob("*.parquet"):
        key = f"team/{path.relative_to(desk.folder)}"
        google.put("lake", key, path.read_bytes())


def an_object() -> ObjectPath:
    folder = data_folder(ADDRESS)
    assert isinstance(folder, ObjectPath)
    return folder / "a" / "file.parquet"


def test_a_lake_that_was_copied_there_is_listed_proven_and_read(
    desk: Desk, google: Google, relay: Relay
) -> None:
    copied(desk, google)
    lake = Lake(ADDRESS)
    assert [item.dataset_id for item in lake.datasets()] == ["one", "towns"]
    footers = [item.range for item in relay.asked if unquote(item.path).endswith(".parquet")]
    assert footers
    assert set(footers) == {"bytes=-65536"}
    assert lake.table("one").num_rows == 90_000
    assert lake.geopandas("towns").crs == "OGC:CRS84"
    assert [audit.problem for audit in audited(data_folder(ADDRESS) / "lake")] == [""] * 3


def test_a_version_has_a_generation_and_a_reader_gets_the_present_one(google: Google) -> None:
    path = an_object()
    google.put("lake", "team/a/file.parquet", b"old")
    before = path.version()
    assert path.local().read_bytes() == b"old"
    google.put("lake", "team/a/file.parquet", b"newer")
    after = path.version()
    assert before is not None
    assert after is not None
    assert (before.size, after.size) == (3, 5)
    assert 0 < int(before.generation) < int(after.generation)
    assert path.local().read_bytes() == b"newer"
    path.unlink()
    assert not path.exists()


@pytest.mark.parametrize(
    ("known", "generation"), [(None, "0"), (Version('"old"', 3, "7"), "7")], ids=["new", "known"]
)
def test_a_file_is_sent_on_the_condition_that_the_known_generation_is_the_present_one(
    relay: Relay, tmp_path: Path, known: Version | None, generation: str
) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"new")
    sent: list[Asked] = []

    def taken(asked: Asked) -> Told | None:
        if asked.method == "PUT":
            sent.append(asked)
            return DONE
        return None

    relay.instead = taken
    an_object().replace_with(file, known)
    (only,) = sent
    assert (unquote(only.path), only.generation) == ("/lake/team/a/file.parquet", generation)


def test_a_writer_whose_generation_is_no_longer_the_present_one_was_overtaken(
    relay: Relay, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"new")
    body = b"<Error><Code>PreconditionFailed</Code></Error>"
    relay.instead = lambda asked: Told(412, body) if asked.method == "PUT" else None
    for known in (None, Version('"old"', 3, "7")):
        with pytest.raises(LakeError, match="another run has published"):
            an_object().replace_with(file, known)


def test_no_credentials_at_all_are_named_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GOOGLE_SERVICE_ACCOUNT_KEY")
    # Without the home of somebody who has logged in, and on no machine of Google's.
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("GCE_METADATA_HOST", "GCE_METADATA_ROOT", "GCE_METADATA_IP"):
        monkeypatch.setenv(name, f"127.0.0.1:{free_port()}")
    object_store.store.cache_clear()
    with pytest.raises(LakeError, match=r"Google Cloud Storage refuses .* the credentials"):
        an_object().version()
