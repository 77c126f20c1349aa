"""Credentials: they follow no redirect to another host, and stand in no message."""

import traceback

import pytest

from ods_pipeline.emulator import Emulator, Fault
from ods_pipeline.errors import (
    AccessDenied,
    ConfigurationError,
    NotAPortal,
    PortalFailure,
    PortalUnreachable,
)
from ods_pipeline.portal.auth import ApiKey
from ods_pipeline.portal.http.client import Client
from ods_pipeline.redaction import keep_secret, redacted
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
            assert "set ODS_PORTAL to its new address" in refused.value.message
            assert "sample-key" not in str(refused.value)
    assert not seen


@pytest.mark.parametrize(
    "location",
    [
        "http://{host}\\\\@localhost:{port}/",
        "http://localhost:{port}\\\\@{host}/",
        "http://{host}@localhost:{port}/",
        "http://{host}.localhost:{port}/",
        "http:\\\\\\\\localhost:{port}",
        "//localhost:{port}/",
        "https://[x]/",
        "http://{host}:x/",
        "javascript:alert(1)",
        "http://[",
    ],
)
def test_no_way_of_writing_an_address_leads_a_key_to_another_host(
    emulator: Emulator, location: str
) -> None:
    with answering(200, b"[]") as (url, seen):
        host, port = emulator.url.removeprefix("http://"), url.rpartition(":")[2]
        written = location.format(host=host, port=port)
        emulator.fail(ALWAYS, Fault.redirect(written), times=1)
        # Some of these are odd ways to name the portal itself, which does not know the key.
        with pytest.raises((NotAPortal, AccessDenied)) as refused:
            Client(emulator.url, ApiKey("sample-key")).json(DATASETS)
        assert "sample-key" not in str(refused.value)
    assert not seen


def test_nothing_is_signed_for_another_address_whoever_asks_for_it(emulator: Emulator) -> None:
    client = Client(emulator.url, ApiKey("sample-key"))
    with answering(200, b"[]") as (url, seen):
        with pytest.raises(ConfigurationError, match="not the portal's own"):
            client.exchange(f"{url}/api/wfs").__enter__()
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
    with pytest.raises(PortalFailure, match="passes requests on in a circle"):
        client.json(DATASETS)
    assert client.requests_made == 6


@pytest.mark.parametrize("base", ["http://portal.test", "http://192.168.1.7:8080"])
def test_no_credential_goes_over_plain_http(base: str) -> None:
    with pytest.raises(ConfigurationError, match="plain http, by which no credential is sent"):
        Client(base, ApiKey("sample-key"))
    assert Client(base).address.base == base


def test_a_portal_that_cannot_be_reached_leaves_no_key_in_the_chain_of_errors() -> None:
    key = "-".join(("key", "in", "query"))
    with pytest.raises(PortalUnreachable) as failed:
        Client("http://127.0.0.1:9", ApiKey(key, in_query=True), attempts=2).json(DATASETS)
    assert key not in "".join(traceback.format_exception(failed.value))
    error: BaseException | None = failed.value
    while error is not None:
        assert key not in f"{error!r} {error.args} {vars(error)}"
        error = error.__cause__ or error.__context__


def test_a_secret_stays_out_of_messages_however_many_tokens_come_after_it() -> None:
    keep_secret("the-configured-secret")
    for number in range(2000):
        keep_secret(f"token-number-{number:05}", passing=True)
    assert redacted("the-configured-secret token-number-01999") == "… …"


def test_no_secret_of_a_url_is_in_any_message() -> None:
    with answering(500, b"") as (url, _), pytest.raises(PortalFailure) as failure:
        Client(url, ApiKey("hush-hush"), attempts=1).json(DATASETS, {"apikey": "hush-hush"})
    assert "apikey=…" in str(failure.value)
    assert "hush" not in f"{failure.value} {failure.value.url} {failure.value!r}"
    assert redacted("https://me:hush@x.test/?code=hush&a=1") == "https://x.test/?code=…&a=1"
