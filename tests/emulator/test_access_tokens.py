"""The token endpoint, and what its tokens are good for, asked by plain HTTP."""

from __future__ import annotations

import base64
import threading
from itertools import pairwise

import pytest
import requests

from ods_pipeline.emulator import Emulator
from tests.emulator.access_asking import CATALOG, get, guarded, refresh, seen, token

MINE = ["half-one", "open-one", "staff-one"]


def outcomes(portal: Emulator) -> list[str]:
    return [renewal.outcome for renewal in portal.renewals]


def test_a_token_reply_is_as_documented(private: Emulator) -> None:
    first = private.issue("ada", "harvester")
    reply = refresh(private, first["refresh_token"], state="ilovedata")
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["cache-control"] == "no-store"
    told = reply.json()
    names = ["access_token", "expires_in", "token_type", "state", "scope", "refresh_token"]
    assert list(told) == names
    assert [told[name] for name in names[1:5]] == [3600, "Bearer", "ilovedata", "all"]
    assert len(told["access_token"]) == len(told["refresh_token"]) == 30
    assert told["refresh_token"] != first["refresh_token"]
    assert "state" not in first


def test_the_state_may_not_be_echoed() -> None:
    with guarded(echoes_state=False) as portal:
        spent = portal.issue("ada", "harvester")["refresh_token"]
        assert "state" not in refresh(portal, spent, state="s").json()


def test_a_refresh_token_serves_once_and_never_expires(private: Emulator) -> None:
    first = private.issue("ada", "harvester")["refresh_token"]
    years = 3 * 365 * 24 * 3600
    begun = private.now()
    private.now = lambda: begun + years
    second = refresh(private, first).json()["refresh_token"]
    again = refresh(private, first)
    assert (again.status_code, again.json()) == (400, {"error": "invalid_grant"})
    assert refresh(private, second).status_code == 200
    assert outcomes(private) == ["renewed", "spent", "renewed"]
    assert [r.presented for r in private.renewals] == [first, first, second]
    assert {r.client_id for r in private.renewals} == {"harvester"}


def test_weeks_of_renewals_pass_in_a_moment(private: Emulator) -> None:
    now = private.now()
    private.now = lambda: now
    private.token_lifetime = 6 * 3600
    held = private.issue("ada", "harvester")
    for _ in range(4 * 28):
        now += 6 * 3600 + 1
        assert get(private, CATALOG, token=held["access_token"]).status_code == 401
        held = refresh(private, held["refresh_token"]).json()
        assert get(private, CATALOG, limit=0, token=held["access_token"]).status_code == 200
    assert outcomes(private) == ["renewed"] * 4 * 28
    spent = [renewal.presented for renewal in private.renewals]
    assert all(one != other for one, other in pairwise(spent))


def test_of_many_who_spend_one_refresh_token_at_once_one_wins(private: Emulator) -> None:
    for _ in range(10):
        contested = private.issue("ada", "harvester")["refresh_token"]
        start = threading.Barrier(4)
        statuses: list[int] = []

        def spend(contested: str = contested, start: threading.Barrier = start) -> None:
            start.wait()
            statuses.append(refresh(private, contested).status_code)  # noqa: B023

        threads = [threading.Thread(target=spend) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(statuses) == [200, 400, 400, 400]
        noted = [r.outcome for r in private.renewals if r.presented == contested]
        assert noted == ["renewed", "spent", "spent", "spent"]


@pytest.mark.parametrize(
    ("wrong", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_secret": ""}, 401, "invalid_client"),
        ({"client_id": "nobody"}, 401, "invalid_client"),
        ({"refresh_token": "never-issued"}, 400, "invalid_grant"),
        ({"refresh_token": ""}, 400, "invalid_grant"),
        ({"client_id": "kiosk", "client_secret": ""}, 400, "invalid_grant"),
        ({"client_id": "kiosk", "client_secret": "wrong"}, 401, "invalid_client"),
        ({"scope": "everything"}, 400, "invalid_scope"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
    ],
)
def test_a_wrong_request_is_refused_and_spends_nothing(
    private: Emulator, wrong: dict[str, str], status: int, error: str
) -> None:
    held = private.issue("ada", "harvester")["refresh_token"]
    reply = refresh(private, **{"refresh_token": held, **wrong})
    assert (reply.status_code, reply.json()["error"]) == (status, error)
    assert set(outcomes(private)) <= {"refused"}
    assert refresh(private, held).status_code == 200


def test_invalid_grant_may_come_with_401() -> None:
    with guarded(invalid_grant_status=401) as portal:
        reply = refresh(portal, "never-issued")
        assert (reply.status_code, reply.json()) == (401, {"error": "invalid_grant"})


@pytest.mark.parametrize("secret", ["plain-secret", "odd: +%/é"])
def test_an_application_names_itself_by_basic_as_well(private: Emulator, secret: str) -> None:
    private.add_application("odd", secret, "http://127.0.0.1:1/")
    held = private.issue("ada", "odd")["refresh_token"]
    for said in (secret, requests.utils.quote(secret, safe="")):
        named = base64.b64encode(f"odd:{said}".encode()).decode()
        reply = requests.post(
            private.url + "/oauth2/token/",
            data={"grant_type": "refresh_token", "refresh_token": held},
            headers={"Authorization": f"Basic {named}"},
            timeout=60,
        )
        assert reply.status_code == 200, reply.text
        held = reply.json()["refresh_token"]
    assert {renewal.client_id for renewal in private.renewals} == {"odd"}


def test_a_public_application_needs_no_secret(private: Emulator) -> None:
    held = private.issue("ada", "kiosk")["refresh_token"]
    fields = {"grant_type": "refresh_token", "client_id": "kiosk", "refresh_token": held}
    assert token(private, **fields).status_code == 200


def test_the_token_endpoint_only_knows_forms_that_are_posted(private: Emulator) -> None:
    url = private.url + "/oauth2/token/"
    got = requests.get(url, timeout=60)
    assert (got.status_code, got.headers["allow"]) == (405, "POST")
    assert requests.post(url, json={"grant_type": "refresh_token"}, timeout=60).status_code == 400
    asked = requests.post(url + "?grant_type=refresh_token", timeout=60)
    assert (asked.status_code, asked.json()["error"]) == (400, "invalid_request")


def test_without_its_slash_the_endpoint_is_elsewhere_or_nowhere(private: Emulator) -> None:
    url = "/oauth2/token"
    moved = requests.post(private.url + url, timeout=60, allow_redirects=False)
    assert (moved.status_code, moved.headers["location"]) == (301, "/oauth2/token/")
    assert requests.post(private.url + url, timeout=60).status_code == 405
    with guarded(slash="404") as portal:
        assert requests.post(portal.url + url, timeout=60).status_code == 404
        assert requests.get(portal.url + "/oauth2/other/", timeout=60).status_code == 404


def test_a_bearer_comes_in_the_header_the_query_or_a_form(private: Emulator) -> None:
    held = private.issue("ada", "harvester")["access_token"]
    assert seen(private, token=held) == MINE
    assert seen(private, access_token=held) == MINE
    url = f"{private.url}/api/explore/v2.1{CATALOG}"
    with requests.Session() as session:
        for _ in range(2):
            reply = session.request("GET", url, data={"access_token": held}, timeout=60)
            assert reply.json()["total_count"] == 3
        both = session.request("GET", f"{url}?apikey=k", data={"access_token": held}, timeout=60)
    assert both.status_code == 400


def test_a_bearer_with_a_colon_is_no_bearer(private: Emulator) -> None:
    held = private.issue("ada", "harvester")["access_token"]
    headers = {"Authorization": f"Bearer: {held}"}
    url = f"{private.url}/api/explore/v2.1{CATALOG}"
    assert requests.get(url, headers=headers, timeout=60).json()["total_count"] == 2


def test_an_expired_bearer_is_told_so_by_the_header_as_well(private: Emulator) -> None:
    private.token_lifetime = 60
    held = private.issue("ada", "harvester")
    assert held["expires_in"] == 60
    assert get(private, CATALOG, token=held["access_token"]).status_code == 200
    begun = private.now()
    private.now = lambda: begun + 61
    for bearer in (held["access_token"], "never-issued"):
        reply = get(private, CATALOG, token=bearer)
        assert (reply.status_code, reply.json()["error_code"]) == (401, "Unauthorized")
        assert reply.headers["www-authenticate"].startswith('Bearer error="invalid_token"')


def test_an_expired_bearer_may_get_the_login_page_or_be_taken_for_none() -> None:
    with guarded(expired="login") as portal:
        reply = get(portal, CATALOG, token="old")
        assert (reply.status_code, reply.history) == (200, [])
        assert reply.headers["content-type"].startswith("text/html")
    with guarded(expired="anonymous") as portal:
        assert seen(portal, token="old") == ["half-one", "open-one"]


def test_access_tokens_may_all_expire_and_refresh_tokens_stay(private: Emulator) -> None:
    held = private.issue("ada", "harvester")
    private.expire_access_tokens()
    assert get(private, CATALOG, token=held["access_token"]).status_code == 401
    renewed = refresh(private, held["refresh_token"]).json()
    assert seen(private, token=renewed["access_token"]) == MINE


def test_logins_are_revoked_for_one_person_or_for_all(private: Emulator) -> None:
    held = {name: private.issue(name, "harvester") for name in ("ada", "bob")}
    private.revoke_logins("ada")
    assert get(private, CATALOG, token=held["ada"]["access_token"]).status_code == 401
    assert refresh(private, held["ada"]["refresh_token"]).json() == {"error": "invalid_grant"}
    renewed = refresh(private, held["bob"]["refresh_token"]).json()
    private.revoke_logins()
    assert get(private, CATALOG, token=renewed["access_token"]).status_code == 401
    assert refresh(private, renewed["refresh_token"]).status_code == 400
    assert outcomes(private) == ["refused", "renewed", "refused"]
    again = private.issue("ada", "harvester")
    assert seen(private, token=again["access_token"]) == MINE


def test_the_access_token_of_before_stays_good_unless_a_refresh_revokes_it() -> None:
    for revokes, status in ((False, 200), (True, 401)):
        with guarded(revokes_old_access=revokes) as portal:
            held = portal.issue("ada", "harvester")
            renewed = refresh(portal, held["refresh_token"]).json()
            assert get(portal, CATALOG, token=held["access_token"]).status_code == status
            assert get(portal, CATALOG, token=renewed["access_token"]).status_code == 200


def test_a_portal_that_does_not_rotate_keeps_the_refresh_token() -> None:
    with guarded(rotates=False) as portal:
        held = portal.issue("ada", "harvester")["refresh_token"]
        for _ in range(3):
            assert "refresh_token" not in refresh(portal, held).json()
        assert outcomes(portal) == ["renewed"] * 3


def test_a_spent_token_shown_again_may_end_the_whole_grant() -> None:
    with guarded(reuse_revokes_family=True) as portal:
        first = portal.issue("ada", "harvester")
        other = portal.issue("ada", "harvester")
        second = refresh(portal, first["refresh_token"]).json()
        assert refresh(portal, first["refresh_token"]).status_code == 400
        assert refresh(portal, second["refresh_token"]).status_code == 400
        assert get(portal, CATALOG, token=second["access_token"]).status_code == 401
        assert get(portal, CATALOG, token=other["access_token"]).status_code == 200
        assert outcomes(portal) == ["renewed", "spent", "refused"]


def test_a_login_needs_a_person_and_an_application(private: Emulator) -> None:
    with pytest.raises(ValueError, match="no user nobody"):
        private.issue("nobody", "harvester")
    with pytest.raises(ValueError, match="no application nothing"):
        private.issue("ada", "nothing")
