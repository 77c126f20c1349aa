"""API keys: shown in a header, in the query only where asked for, and nowhere else."""

import copy
import pickle
import traceback
from typing import Any

import pytest

from ods_pipeline.emulator import Fault
from ods_pipeline.errors import AccessDenied, ConfigurationError, PortalFailure, QuotaExhausted
from ods_pipeline.portal.auth import ApiKey, Credentials, OAuth2
from ods_pipeline.portal.http.address import Address
from ods_pipeline.portal.http.client import Client
from ods_pipeline.portal.portal import Portal
from tests.portal.auth.world import Making, World, seen

KEY = "-of-".join(("key", "ada"))
BOTH = ["private-towns", "public-towns"]


def test_a_key_opens_what_its_user_may_see_for_exports_and_layers_alike(world: World) -> None:
    portal = Portal(world.emulator.url, ApiKey("key-of-ada"))
    assert seen(portal.client) == BOTH
    assert portal.records("private-towns").num_rows == 7
    headers = [request.headers.get("authorization") for request in world.emulator.requests]
    assert set(headers) == {"Apikey key-of-ada"}
    assert seen(Client(world.emulator.url)) == ["public-towns"]


def test_a_key_stands_in_the_query_only_where_asked_for(world: World) -> None:
    client = Client(world.emulator.url, ApiKey("key-of-ada", in_query=True))
    assert seen(client) == BOTH
    (asked,) = world.emulator.requests
    assert asked.query["apikey"] == "key-of-ada"
    assert "authorization" not in asked.headers
    assert "key-of-ada" not in client.url("/catalog/datasets")


def test_a_key_in_the_query_is_in_no_sentence(world: World) -> None:
    world.emulator.fail("/api/", Fault.status(500), times=None)
    with pytest.raises(PortalFailure) as failed:
        seen(Client(world.emulator.url, ApiKey(KEY, in_query=True), attempts=1))
    told = "".join(traceback.format_exception(failed.value))
    assert KEY not in f"{told} {failed.value!r} {failed.value.url}"


@pytest.mark.parametrize(("mark", "word"), [("revoke_key", "revoked"), ("expire_key", "expired")])
def test_a_key_that_serves_no_more_is_told_with_what_to_do(
    making: Making, mark: str, word: str
) -> None:
    world = making(tells=True)
    getattr(world.emulator, mark)("key-of-ada")
    with pytest.raises(AccessDenied) as denied:
        seen(Client(world.emulator.url, ApiKey("key-of-ada")))
    assert "does not take the API key" in denied.value.message
    assert word in denied.value.said
    assert "make a new one on your account page" in denied.value.message
    assert denied.value.exit_status == 2


def test_a_wrong_key_is_told_and_never_quoted_even_where_the_portal_does(world: World) -> None:
    with pytest.raises(AccessDenied, match="wrong, revoked or expired"):
        seen(Client(world.emulator.url, ApiKey("no-key-at-all")))
    denied = AccessDenied("the portal says: the key no-key-at-all is unknown", said="no-key-at-all")
    assert "no-key-at-all" not in f"{denied} {denied.said}"


def test_a_key_without_the_right_is_told_apart_from_a_wrong_one(making: Making) -> None:
    world = making(hidden="403")
    world.emulator.add_user("bob", "builder", [])
    world.emulator.add_key("key-of-bob", "bob")
    with pytest.raises(AccessDenied, match="its user has no right to it, or the key is not valid"):
        Client(world.emulator.url, ApiKey("key-of-bob")).json("/catalog/datasets/private-towns")


def test_a_closed_portal_says_what_it_needs(world: World) -> None:
    world.emulator.shut()
    with pytest.raises(AccessDenied, match=r"without credentials.*ODS_API_KEY, or ODS_CLIENT_ID"):
        seen(Client(world.emulator.url))
    assert seen(Client(world.emulator.url, ApiKey("key-of-ada"))) == BOTH


def test_a_key_has_a_quota_of_its_own(world: World) -> None:
    world.emulator.add_key("small-key", "ada", 2)
    client = Client(world.emulator.url, ApiKey("small-key"), max_wait=0)
    seen(client)
    seen(client)
    assert client.quota
    assert client.quota.remaining == "0"
    with pytest.raises(QuotaExhausted):
        seen(client)
    assert seen(Client(world.emulator.url, ApiKey("key-of-ada"))) == BOTH


@pytest.mark.parametrize("key", ["", "  ", "two words", "line\nbreak", "café", "a\x00b"])
def test_what_is_no_key_is_refused_before_anything_is_sent(key: str) -> None:
    with pytest.raises(ConfigurationError, match="the API key") as refused:
        ApiKey(key)
    assert not key.strip() or key not in str(refused.value)


def test_what_an_unset_variable_gives_is_no_key_and_no_secret() -> None:
    unset: Any = None
    with pytest.raises(ConfigurationError, match="the API key is empty"):
        ApiKey(unset)
    with pytest.raises(ConfigurationError, match="has no identifier"):
        OAuth2(unset)
    assert OAuth2("app", unset).at(Address.parse("https://portal.test"))


@pytest.mark.parametrize("options", [{"placement": "cookie"}, {"client_auth": "jwt"}])
def test_an_option_that_there_is_not_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="placement is one of header, query, body"):
        OAuth2("app", "secret", **options)


def test_spaces_around_a_key_are_nobodys_intention(world: World) -> None:
    assert seen(Client(world.emulator.url, ApiKey("  key-of-ada\n"))) == BOTH


@pytest.mark.parametrize(
    "credentials", [ApiKey("hush-hush-key"), OAuth2("app", "hush-hush-secret", "t.json")]
)
def test_credentials_stand_in_no_text_and_in_no_pickle(credentials: Credentials) -> None:
    portal = Portal("https://portal.test", credentials)
    for held in (credentials, portal, portal.client, portal.client.signer):
        assert "hush" not in f"{held!r} {held!s} {held}"
    for write in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError) as refused:
            write(credentials)
        assert "hush" not in str(refused.value)
    with pytest.raises(TypeError, match="holds a secret"):
        pickle.dumps(credentials.at(Address.parse("https://portal.test")))


def test_nothing_is_taken_from_a_netrc(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = world.folder / "netrc"
    netrc.write_text("default login somebody password hush-hush\n")
    monkeypatch.setenv("NETRC", str(netrc))
    client = Client(world.emulator.url)
    client._sender._session().trust_env = True
    assert seen(client) == ["public-towns"]
    assert "authorization" not in world.emulator.requests[0].headers
