"""What access shares with the rest of the emulator: faults, records of requests, verbs, sample."""

from __future__ import annotations

import time

import pytest
import requests

from ods_pipeline.emulator import Emulator, Fault
from ods_pipeline.emulator.sample_portal import APPLICATION, KEY, PRIVATE_DATASET, REDIRECT, SECRET
from tests.emulator.access_asking import CATALOG, SECRETS, Browser, get, guarded, refresh, seen


@pytest.mark.parametrize("fault", [Fault.status(503), Fault.html(), Fault.empty_body()])
def test_a_page_instead_of_tokens_spends_nothing(private: Emulator, fault: Fault) -> None:
    held = private.issue("ada", "harvester")["refresh_token"]
    private.fail("/oauth2/token/", fault)
    assert "access_token" not in refresh(private, held).text
    assert private.renewals == []
    assert refresh(private, held).status_code == 200


def test_a_reset_spends_nothing_and_a_cut_answer_does(private: Emulator) -> None:
    held = private.issue("ada", "harvester")["refresh_token"]
    private.fail("grant_type=refresh_token", Fault.reset())
    with pytest.raises(requests.exceptions.ConnectionError):
        refresh(private, held)
    assert private.renewals == []
    private.fail("grant_type=refresh_token", Fault.cut(0))
    with pytest.raises(requests.exceptions.RequestException):
        refresh(private, held)
    assert [renewal.outcome for renewal in private.renewals] == ["renewed"]
    assert refresh(private, held).json() == {"error": "invalid_grant"}


@pytest.mark.parametrize(
    ("fault", "spent"), [(Fault.stall(0.6), []), (Fault.late(0.6), ["renewed"])]
)
def test_a_stall_is_before_and_a_late_answer_after_the_token_is_spent(
    private: Emulator, fault: Fault, spent: list[str]
) -> None:
    held = private.issue("ada", "harvester")["refresh_token"]
    private.fail("/oauth2/token/", fault)
    begun = time.monotonic()
    with pytest.raises(requests.exceptions.ReadTimeout):
        requests.post(
            private.url + "/oauth2/token/",
            data={"grant_type": "refresh_token", "refresh_token": held, **SECRETS},
            timeout=0.3,
        )
    assert [renewal.outcome for renewal in private.renewals] == spent
    private.fail(CATALOG, fault)
    assert get(private, CATALOG).status_code == 200
    assert time.monotonic() - begun >= 0.9


def test_logins_and_tokens_are_recorded_as_they_came_in_and_cost_no_quota(
    private: Emulator,
) -> None:
    held = private.issue("ada", "harvester")["refresh_token"]
    assert private.requests == []
    refresh(private, held)
    with Browser(private) as browser:
        browser.log_in("ada", "ada's password")
        browser.open(browser.asked())
    told = [(seen.method, seen.path) for seen in private.requests]
    assert told == [
        ("POST", "/oauth2/token/"),
        ("POST", "/login/"),
        ("GET", "/oauth2/authorize/"),
    ]
    assert held.encode() in private.requests[0].body
    assert private.requests[2].query["state"] == "a state"
    assert get(private, CATALOG).headers["x-ratelimit-remaining"] == "14999"


def do(portal: Emulator, path: str, **body: object) -> requests.Response:
    return requests.post(f"{portal.url}/_emulator/{path}", json=body, timeout=60)


def test_access_is_changed_by_hand_over_http() -> None:
    with guarded() as portal:
        assert do(portal, "hide/open-one").json()["dataset_id"] == "open-one"
        assert do(portal, "add_user/eve", password="p", datasets=["open-*"]).json() == {
            "done": "add_user",
            "name": "eve",
        }
        do(portal, "add_key/eve-key", user="eve", quota=5)
        assert seen(portal, key="eve-key") == ["half-one", "open-one"]
        do(portal, "add_application/app", client_secret="s", redirect_uri="http://127.0.0.1/")
        held = do(portal, "issue/eve", client_id="app").json()
        assert seen(portal, token=held["access_token"]) == ["half-one", "open-one"]
        do(portal, "expire_access_tokens")
        assert get(portal, CATALOG, token=held["access_token"]).status_code == 401
        do(portal, "revoke_logins", user="eve")
        do(portal, "revoke_key/eve-key")
        assert get(portal, CATALOG, key="eve-key").status_code == 401
        do(portal, "shut")
        assert get(portal, CATALOG).status_code == 401
        wrong = do(portal, "add_key/key", user="nobody")
        assert (wrong.status_code, wrong.json()["error_code"]) == (400, "BadVerb")
        verbs = requests.get(portal.url + "/_emulator", timeout=60).json()["verbs"]
        assert verbs["hide"]["call"] == "POST /_emulator/hide/<dataset_id>"
        assert verbs["hide"]["body"] == ["hidden"]
        assert verbs["add_key"]["call"] == "POST /_emulator/add_key/<key>"
        assert verbs["add_key"]["body"] == ["user", "quota"]
        assert verbs["shut"] == {
            "call": "POST /_emulator/shut",
            "body": ["shut"],
            "does": "Make the whole portal private, or public again.",
        }
        assert "late" in verbs["fail"]["faults"]


def test_the_sample_holds_a_private_dataset_for_its_user_alone(sample: Emulator) -> None:
    path = f"{CATALOG}/{PRIVATE_DATASET}"
    assert get(sample, path).status_code == 404
    assert PRIVATE_DATASET not in get(sample, "/catalog/exports/json").text
    dataset = get(sample, path, key=KEY).json()
    assert dataset["metas"]["default"]["records_count"] == 20
    assert "geo" in dataset["features"]
    (first,) = get(sample, f"{path}/records", key=KEY, limit=1).json()["results"]
    assert first["code"] == "00000"


def test_the_sample_user_consents_to_the_sample_application(sample: Emulator) -> None:
    with Browser(sample) as browser:
        browser.log_in("sample", "sample")
        asked = browser.asked(client_id=APPLICATION, redirect_uri=REDIRECT)
        assert APPLICATION in browser.open(asked).text
    held = sample.issue("sample", APPLICATION)["refresh_token"]
    renewed = refresh(sample, held, client_id=APPLICATION, client_secret=SECRET).json()
    reply = get(sample, f"{CATALOG}/{PRIVATE_DATASET}", token=renewed["access_token"])
    assert reply.status_code == 200
