"""API keys: the two ways to send one, what a bad one answers, and whose quota pays."""

from __future__ import annotations

import pytest
import requests

from ods_pipeline.emulator import AccessQuirks, Emulator, Quirks
from tests.emulator.access_asking import CATALOG, get, guarded, seen


def test_a_key_is_sent_in_the_header_or_in_the_query(private: Emulator) -> None:
    for headers, params in (
        ({"Authorization": "Apikey ada-key"}, {}),
        ({"Authorization": "apikey ada-key"}, {}),
        ({}, {"apikey": "ada-key"}),
    ):
        url = f"{private.url}/api/explore/v2.1{CATALOG}/staff-one"
        assert requests.get(url, headers=headers, params=params, timeout=60).status_code == 200


def test_two_credentials_in_one_request_are_refused(private: Emulator) -> None:
    bearer = private.issue("ada", "harvester")["access_token"]
    for who, params in (
        ({"key": "ada-key"}, {"apikey": "ada-key"}),
        ({"token": bearer}, {"apikey": "ada-key"}),
        ({"token": bearer}, {"access_token": bearer}),
        ({}, {"access_token": bearer, "apikey": "ada-key"}),
    ):
        reply = get(private, CATALOG, **who, **params)
        assert (reply.status_code, reply.json()["error_code"]) == (400, "InvalidRequest")


def spoil(portal: Emulator, how: str) -> str:
    if how == "unknown":
        return "no-such-key"
    {"revoked": portal.revoke_key, "expired": portal.expire_key}[how]("ada-key")
    return "ada-key"


@pytest.mark.parametrize("how", ["unknown", "revoked", "expired"])
def test_a_bad_key_is_refused_without_a_word_about_what_is_wrong(how: str) -> None:
    with guarded() as portal:
        reply = get(portal, CATALOG, key=spoil(portal, how))
        message = "The API key is not valid."
        assert reply.status_code == 401
        assert reply.json() == {"error_code": "Unauthorized", "message": message}


@pytest.mark.parametrize("how", ["unknown", "revoked", "expired"])
def test_a_portal_may_tell_what_is_wrong_with_a_key(how: str) -> None:
    with guarded(tells=True) as portal:
        reply = get(portal, CATALOG, key=spoil(portal, how))
        assert reply.json()["message"] == f"The API key is {how}."


def test_a_bad_key_may_be_forbidden_or_be_taken_for_none() -> None:
    with guarded(wrong_key="403") as portal:
        assert get(portal, CATALOG, key="wrong").json()["error_code"] == "ForbiddenAccess"
    with guarded(wrong_key="anonymous") as portal:
        assert seen(portal, key="wrong") == ["half-one", "open-one"]
        portal.shut()
        assert get(portal, CATALOG, key="wrong").status_code == 401


def test_each_key_has_a_quota_of_its_own() -> None:
    with Emulator(sample=False, quota=3) as portal:
        portal.add_user("ada", "secret")
        portal.add_key("rich", "ada", quota=100)
        portal.add_key("poor", "ada", quota=1)
        told = get(portal, CATALOG, key="rich").headers
        assert (told["x-ratelimit-limit"], told["x-ratelimit-remaining"]) == ("100", "99")
        assert get(portal, CATALOG, key="poor").headers["x-ratelimit-remaining"] == "0"
        spent = get(portal, CATALOG, key="poor")
        assert (spent.status_code, spent.json()["errorcode"]) == (429, 10002)
        assert spent.json()["call_limit"] == 1
        assert get(portal, CATALOG).headers["x-ratelimit-remaining"] == "2"
        assert get(portal, CATALOG, key="wrong").status_code == 401
        assert get(portal, CATALOG).headers["x-ratelimit-remaining"] == "1"


def test_strangers_may_be_told_that_it_is_their_quota_that_is_spent() -> None:
    quirks = Quirks(access=AccessQuirks(anonymous_quota=True))
    with Emulator(sample=False, quota=1, quirks=quirks) as portal:
        get(portal, CATALOG)
        spent = get(portal, CATALOG)
        assert spent.status_code == 429
        assert spent.json()["errorcode"] == 10005
        assert spent.json()["error"] == "You have exceeded the requests limit for anonymous users."


def test_a_key_needs_a_person_and_a_spoilt_one_a_key(private: Emulator) -> None:
    with pytest.raises(ValueError, match="no user nobody"):
        private.add_key("key", "nobody")
    with pytest.raises(ValueError, match="no such key"):
        private.revoke_key("no-such-key")
