"""What the environment says of a store before anything is asked of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import obstore.store
import pytest

from ods_pipeline.errors import ConfigurationError
from ods_pipeline.lake import object_store
from ods_pipeline.redaction import redacted

NAMES = ("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ENDPOINT", "AZURE_STORAGE_CONNECTION_STRING")
KEY = "a2V5IG9mIG1pbmU="
TOKEN = "sv=2023-11-03&sig=c2lnbmVk%3D"


@pytest.fixture(autouse=True)
def given(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """What the library is told of the store that was opened last, with nothing else set."""
    told: dict[str, Any] = {}
    monkeypatch.setattr(obstore.store, "from_url", lambda root, **given: told.update(given))
    for name in (*NAMES, "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    object_store.store.cache_clear()
    yield told
    object_store.store.cache_clear()


@pytest.mark.parametrize(
    ("string", "understood"),
    [
        (
            f"DefaultEndpointsProtocol=https;AccountName=city;AccountKey={KEY};"
            "EndpointSuffix=core.windows.net",
            {
                "account_name": "city",
                "account_key": KEY,
                "endpoint": "https://city.blob.core.windows.net",
            },
        ),
        (
            f"BlobEndpoint=https://city.blob.core.windows.net/;SharedAccessSignature={TOKEN}",
            {
                "account_name": "city",
                "sas_key": TOKEN,
                "endpoint": "https://city.blob.core.windows.net",
            },
        ),
        (
            f" accountname=city; ACCOUNTKEY={KEY} ;BlobEndpoint=http://127.0.0.1:1/city;\n",
            {
                "account_name": "city",
                "account_key": KEY,
                "endpoint": "http://127.0.0.1:1/city",
                "client_options": {"allow_http": True},
            },
        ),
        (f"AccountName=city;AccountKey={KEY}", {"account_name": "city", "account_key": KEY}),
    ],
    ids=["of an account", "with a token", "with an address", "the shortest"],
)
def test_a_connection_string_is_understood_and_its_secret_never_shown(
    monkeypatch: pytest.MonkeyPatch,
    given: dict[str, Any],
    string: str,
    understood: dict[str, Any],
) -> None:
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", string)
    object_store.checked("az://lake/team")
    given.pop("retry_config")
    assert given == understood
    for secret in (KEY, TOKEN, TOKEN.rpartition("=")[2]):
        assert secret not in redacted(f"a store that repeats {string}")


@pytest.mark.parametrize("string", ["nonsense", f"AccountKey={KEY}", "UseDevelopmentStorage=true"])
def test_a_connection_string_without_an_account_is_refused_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, string: str
) -> None:
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", string)
    with pytest.raises(ConfigurationError, match="_CONNECTION_STRING names no account") as caught:
        object_store.checked("az://lake/team")
    assert string not in str(caught.value)


def test_an_account_that_is_named_goes_before_a_connection_string(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, Any]
) -> None:
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", f"AccountName=other;AccountKey={KEY}")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "city")
    object_store.checked("az://lake/team")
    assert set(given) == {"retry_config"}


@pytest.mark.parametrize(
    ("root", "plain"), [("s3://lake", True), ("az://lake", False), ("gs://lake", False)]
)
def test_a_plain_address_of_one_cloud_opens_no_other_one_without_encryption(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], root: str, plain: bool
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    object_store.checked(root)
    assert ("client_options" in given) == plain


@pytest.mark.parametrize("name", ["sig", "X-Amz-Signature", "x-goog-signature"])
def test_a_signature_in_an_address_is_not_shown(name: str) -> None:
    with pytest.raises(ConfigurationError, match="is no place for data") as caught:
        object_store.checked(f"https://city.blob.core.windows.net/lake?se=2030&{name}=c2lnbmVk")
    assert "c2lnbmVk" not in str(caught.value)
