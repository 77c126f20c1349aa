"""Credentials: they follow no redirect to another host, and stand in no message."""

import pytest

from ods_pipeline.emulator import Emulator, Fault
from ods_pipeline.errors import ConfigurationError, NotAPortal, PortalFailure, redacted
from ods_pipeline.portal.auth import ApiKey
from ods_pipeline.portal.client import Client
from tests.portal.answers import answering

ALWAYS = "."
DATASETS = "/catalog/datasets"


@pytest.mark.parametrize("credentials", [None, ApiKey("sample-key")])
def test_another_host_is_named_and_never_asked(
    emulator: Emulator, credentials: ApiKey | None
) -> None:
    with answering(200, b"[]") as (url, seen):
        for elsewhere in (
            url,
            url.replace("127.0.0.1", "localhost"),
            "//evil.test",
            "ftp://x.test",
        ):
            emulator.fail(ALWAYS, Fault.redirect(f"{elsewhere}/moved?apikey=sample-key"), times=1)
            with pytest.raises(NotAPortal, match="where nothing is asked") as refused:
                Client(emulator.url, credentials).json(DATASETS)
            assert elsewhere.rpartition("//")[2] in refused.value.message
            assert "set ODS_PORTAL to that address" in refused.value.message
            assert "sample-key" not in str(refused.value)
    assert not seen


def test_a_redirect_within_the_host_keeps_the_credential(emulator: Emulator) -> None:
    moved = f"{emulator.url}/api/explore/v2.1/catalog/datasets?limit=1"
    emulator.fail("limit=7", Fault.redirect(moved), times=1)
    emulator.add_user("ada", "secret")
    emulator.add_key("sample-key", "ada")
    client = Client(emulator.url, ApiKey("sample-key"))
    client.json(DATASETS, {"limit": 7})
    assert ["authorization" in r.headers for r in emulator.requests] == [True, True]
    assert client.requests_made == 2


def test_redirects_in_a_circle_end(emulator: Emulator) -> None:
    client = Client(emulator.url)
    emulator.fail(ALWAYS, Fault.redirect(client.url(DATASETS)), times=None)
    with pytest.raises(PortalFailure, match="TooManyRedirects"):
        client.json(DATASETS)
    assert client.requests_made == 6


@pytest.mark.parametrize("base", ["http://portal.test", "http://192.168.1.7:8080"])
def test_no_credential_goes_over_plain_http(base: str) -> None:
    with pytest.raises(ConfigurationError, match="plain http, by which no credential is sent"):
        Client(base, ApiKey("sample-key"))
    assert Client(base).address.base == base


def test_no_secret_of_a_url_is_in_any_message() -> None:
    with answering(500, b"") as (url, _), pytest.raises(PortalFailure) as failure:
        Client(url, ApiKey("hush-hush"), attempts=1).json(DATASETS, {"apikey": "hush-hush"})
    assert "apikey=…" in str(failure.value)
    assert "hush" not in f"{failure.value} {failure.value.url} {failure.value!r}"
    assert redacted("https://me:hush@x.test/?code=hush&a=1") == "https://x.test/?code=…&a=1"
