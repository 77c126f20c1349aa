"""What Azure's store does differently: credentials, sizes in place of ends, and its blocks."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from ods_pipeline.errors import ConfigurationError, LakeError
from ods_pipeline.lake import object_store
from ods_pipeline.lake.bucket import ObjectPath, Version
from ods_pipeline.lake.data_folder import data_folder
from ods_pipeline.lake.lake import receipt
from tests.desk import Desk, rows
from tests.lake.bucket.clouds import BUCKET
from tests.lake.bucket.test_bucket_as_adversary import LARGE, let_publish, partition, writer
from tests.ports import free_port
from tests.servers.azurite.server import ACCOUNT, KEY, Azurite
from tests.servers.relay import Asked, Relay, Told

pytestmark = [pytest.mark.servers, pytest.mark.parametrize("cloud", ["az"], indirect=True)]


@pytest.fixture
def known_by(address: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., ObjectPath]:
    """Opens the data folder as a user with other credentials than the account's key."""

    def opened(**settings: str) -> ObjectPath:
        monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_KEY")
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        object_store.store.cache_clear()
        found = data_folder(address)
        assert isinstance(found, ObjectPath)
        return found

    return opened


def works(folder: ObjectPath) -> bool:
    """Whether a file can be written, found, read and deleted."""
    file = folder / "a" / "file.parquet"
    file.write_bytes(b"ten letter")
    found = [name for name, _ in folder.files()], folder.folders(), file.end(6)
    file.unlink()
    return found == (["a/file.parquet"], ["a"], b"letter") and not file.exists()


def test_the_receipt_of_a_file_that_was_listed_costs_one_request(desk: Desk, relay: Relay) -> None:
    desk.emulator.publish("two", records=rows(90_000))
    desk.sync()
    before = len(relay.asked)
    assert sorted(desk.lake.receipts("records")) == ["one", "towns", "two"]
    asked = [item for item in relay.since(before) if item.path.endswith(".parquet")]
    assert [item.method for item in asked] == ["GET"] * 3
    assert len([item for item in asked if item.range]) == 1


def test_a_file_that_was_replaced_since_it_was_listed_is_read_as_it_is_now(desk: Desk) -> None:
    desk.sync()
    path = desk.lake.partition("records", "one")
    assert isinstance(path, ObjectPath)
    present = path.version()
    assert present is not None
    for size in (10, present.size, 10 * present.size):
        found = receipt(replace(path, listed=Version('"0x1"', size)))
        assert found is not None
        assert found.rows == 20
    assert path.end(present.size * 2) == path.read_bytes()


def test_a_version_is_the_same_whether_it_was_listed_or_asked_for(address: str) -> None:
    folder = data_folder(address)
    assert isinstance(folder, ObjectPath)
    (folder / "one").write_bytes(b"")
    assert dict(folder.files())["one"] == (folder / "one").version()
    assert (folder / "one").end(100) == b""


def test_a_token_of_a_container_opens_it(
    known_by: Callable[..., ObjectPath], azurite: Azurite
) -> None:
    assert works(known_by(AZURE_STORAGE_SAS_TOKEN=azurite.sas(BUCKET, timedelta(hours=1))))


def test_a_token_that_has_ended_is_named_and_not_shown(
    known_by: Callable[..., ObjectPath], azurite: Azurite
) -> None:
    token = azurite.sas(BUCKET, timedelta(hours=-1))
    folder = known_by(AZURE_STORAGE_SAS_TOKEN=token)
    for ask in (folder.folders, (folder / "one").version):
        with pytest.raises(LakeError, match=r"Azure Blob Storage refuses .* not expired") as caught:
            ask()
        said = "".join(traceback.format_exception(caught.value))
        assert token not in said
        assert token.rpartition("sig=")[2] not in said


@pytest.mark.parametrize("by", ["key", "token"])
def test_a_connection_string_opens_the_container_without_any_other_variable(
    known_by: Callable[..., ObjectPath],
    azurite: Azurite,
    relay: Relay,
    monkeypatch: pytest.MonkeyPatch,
    by: str,
) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME")
    monkeypatch.delenv("AZURE_STORAGE_ENDPOINT")
    credential = {
        "key": f"AccountKey={KEY}",
        "token": f"SharedAccessSignature={azurite.sas(BUCKET, timedelta(hours=1))}",
    }[by]
    string = (
        f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};{credential};"
        f"BlobEndpoint={relay.url}/{ACCOUNT};"
    )
    assert works(known_by(AZURE_STORAGE_CONNECTION_STRING=string))


def test_no_credentials_at_all_are_named_as_such(known_by: Callable[..., ObjectPath]) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}/"
    folder = known_by(AZURE_MSI_ENDPOINT=nowhere, IDENTITY_ENDPOINT=nowhere)
    with pytest.raises(LakeError, match="see whether the credentials in the environment"):
        folder.folders()


def test_a_key_that_is_none_is_refused_before_anything_is_asked(
    known_by: Callable[..., ObjectPath],
) -> None:
    key = "-".join(("no", "base", "64!"))
    with pytest.raises(ConfigurationError, match="see the variables of Azure Blob Stor") as caught:
        known_by(AZURE_STORAGE_ACCOUNT_KEY=key)
    assert key not in "".join(traceback.format_exception(caught.value))


def test_a_large_file_whose_parts_another_writer_has_made_void_was_overtaken(
    address: str, relay: Relay
) -> None:
    """Azure's store drops all loose parts once an object is written; Azurite keeps some."""

    def void(asked: Asked) -> Told | None:
        body = b"<Error><Code>InvalidBlockList</Code><Message>is invalid</Message></Error>"
        is_last = asked.method == "PUT" and "comp=blocklist" in asked.path
        return Told(400, body) if is_last else None

    relay.instead = void
    with writer(address, "one", 1000, LARGE) as process:
        assert "another run has published" in let_publish(process)
    relay.instead = lambda asked: None
    assert partition(address, "one").version() is None
