"""Credentials: they follow no redirect to another host, and stand in no message."""

import base64

import pytest
from requests.auth import AuthBase, HTTPBasicAuth

from ods_pipeline.emulator import Emulator, Fault
from ods_pipeline.errors import PortalFailure, redacted
from ods_pipeline.portal.client import Client
from tests.portal.answers import answering

ALWAYS = "."
DATASETS = "/catalog/datasets"


def test_a_redirect_to_another_host_is_followed_without_the_credential(
    emulator: Emulator,
) -> None:
    secret = HTTPBasicAuth("somebody", "secret")
    with answering(200, b"[]") as (url, seen):
        elsewhere = url.replace("127.0.0.1", "localhost")
        emulator.fail(ALWAYS, Fault.redirect(f"{elsewhere}/moved"), times=1)
        assert Client(emulator.url, secret).json(DATASETS) == []
    told = base64.b64encode(b"somebody:secret").decode()
    assert [r.headers["authorization"] for r in emulator.requests] == [f"Basic {told}"]
    assert seen == [""]


def test_a_redirect_within_the_host_keeps_the_credential(emulator: Emulator) -> None:
    moved = f"{emulator.url}/api/explore/v2.1/catalog/datasets?limit=1"
    emulator.fail("limit=7", Fault.redirect(moved), times=1)
    Client(emulator.url, HTTPBasicAuth("a", "b")).json(DATASETS, {"limit": 7})
    assert ["authorization" in r.headers for r in emulator.requests] == [True, True]


def test_redirects_in_a_circle_end(emulator: Emulator) -> None:
    client = Client(emulator.url)
    emulator.fail(ALWAYS, Fault.redirect(client.url(DATASETS)), times=None)
    with pytest.raises(PortalFailure, match="TooManyRedirects"):
        client.json(DATASETS)
    assert client.requests_made == 1


def test_no_secret_of_a_url_is_in_any_message() -> None:
    class Key(AuthBase):
        def __call__(self, request):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN204
            request.headers["Authorization"] = "Apikey hush"
            return request

    with answering(500, b"") as (url, _), pytest.raises(PortalFailure) as failure:
        Client(url, Key(), attempts=1).json(DATASETS, {"apikey": "hush"})
    assert "apikey=…" in str(failure.value)
    assert "hush" not in f"{failure.value} {failure.value.url} {failure.value!r}"
    assert redacted("https://me:hush@x.test/?code=hush&a=1") == "https://x.test/?code=…&a=1"
