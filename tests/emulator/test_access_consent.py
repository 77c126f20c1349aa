"""Login and consent as a browser goes through them, and the code that comes of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
from requests.adapters import HTTPAdapter
from requests_oauthlib import OAuth2Session

from ods_pipeline.emulator import Emulator
from tests.emulator.access_asking import (
    CALLBACK,
    SECRETS,
    Browser,
    exchange,
    guarded,
    seen,
    token,
)

MINE = ["half-one", "open-one", "staff-one"]


@pytest.fixture
def ada(private: Emulator) -> Iterator[Browser]:
    """A browser in which ada has logged in."""
    with Browser(private) as browser:
        assert browser.log_in("ada", "ada's password").headers["location"] == "/"
        yield browser


class OverHttps(HTTPAdapter):
    """Leads from the https address that the library insists on to the emulator."""

    def __init__(self, portal: Emulator):
        super().__init__()
        self.portal = portal

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        assert request.url
        request.url = request.url.replace("https://portal", self.portal.url, 1)
        return super().send(request, *args, **kwargs)


def test_who_is_not_logged_in_is_sent_to_the_login_and_back(private: Emulator) -> None:
    with Browser(private) as browser:
        sent = browser.open(browser.asked())
        assert sent.status_code == 302
        login = private.url + sent.headers["location"]
        assert login.startswith(f"{private.url}/login/?next=/oauth2/authorize/%3Fclient_id%3D")
        page = browser.open(login).text
        for name in ("id_username", "id_password", "login"):
            assert f'id="{name}"' in page
        after = browser.asked().removeprefix(private.url)
        assert after.replace("&", "&amp;") in page
        back = browser.log_in("ada", "ada's password", after)
        assert (back.status_code, back.headers["location"]) == (302, after)
        consent = browser.open(browser.asked()).text
        for shown in ('id="allow"', 'id="deny"', "harvester", "ada"):
            assert shown in consent


def test_a_wrong_password_says_so_and_opens_nothing(private: Emulator) -> None:
    with Browser(private) as browser:
        for name, password in (("ada", "wrong"), ("nobody", "x"), ("", "")):
            reply = browser.log_in(name, password, "/oauth2/authorize/")
            assert reply.status_code == 200
            assert "correct user name and password" in reply.text
            assert "/oauth2/authorize/" in reply.text
        assert browser.open(browser.asked()).headers["location"].startswith("/login/")


@pytest.mark.parametrize(
    "foreign", ["https://evil.example/", "//evil.example/", "/\\evil.example", "/a\r\nx: y"]
)
def test_a_login_never_leads_to_another_host(private: Emulator, foreign: str) -> None:
    with Browser(private) as browser:
        reply = browser.log_in("ada", "ada's password", foreign)
        assert reply.headers["location"] == "/"


def test_a_browser_that_is_logged_in_sees_what_the_person_may(ada: Browser) -> None:
    page = ada.open(f"{ada.portal.url}/api/explore/v2.1/catalog/datasets/staff-one")
    assert page.status_code == 200


def test_consent_gives_a_code_that_serves_once_within_the_hour(ada: Browser) -> None:
    portal = ada.portal
    told = ada.decide("allow")
    assert (told["state"], len(told["code"])) == ("a state", 30)
    reply = exchange(portal, told["code"], state="s").json()
    assert seen(portal, token=reply["access_token"]) == MINE
    again = exchange(portal, told["code"])
    assert (again.status_code, again.json()) == (400, {"error": "invalid_grant"})
    late = ada.decide("allow")["code"]
    begun = portal.now()
    portal.now = lambda: begun + 3601
    assert exchange(portal, late).json() == {"error": "invalid_grant"}
    assert portal.renewals == []


def test_who_denies_tells_the_application_so(ada: Browser) -> None:
    assert ada.decide("deny") == {"error": "access_denied", "state": "a state"}


def test_a_consent_that_no_page_asked_for_is_refused(ada: Browser) -> None:
    for fields in ({"decision": "allow"}, {"decision": "allow", "csrfmiddlewaretoken": "x"}):
        reply = ada.session.post(ada.asked(), data=fields, allow_redirects=False, timeout=60)
        assert reply.status_code == 403
        assert "CSRF" in reply.text


@pytest.mark.parametrize(
    "wrong",
    [
        {"client_id": "nobody"},
        {"client_id": ""},
        {"redirect_uri": "http://127.0.0.1:8799/other"},
        {"redirect_uri": "https://evil.example/"},
        {"redirect_uri": ""},
    ],
)
def test_a_wrong_application_or_address_gets_a_page_and_no_redirect(
    ada: Browser, wrong: dict[str, str]
) -> None:
    page = ada.open(ada.asked(**wrong))
    assert (page.status_code, page.headers["content-type"][:9]) == (400, "text/html")
    assert 'id="problem"' in page.text
    assert 'id="allow"' not in page.text


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": ""}, "invalid_request"),
        ({"scope": "everything"}, "invalid_scope"),
        ({"code_challenge": "x", "code_challenge_method": "S1"}, "invalid_request"),
    ],
)
def test_any_other_mistake_is_told_to_the_application(
    ada: Browser, wrong: dict[str, str], error: str
) -> None:
    reply = ada.open(ada.asked(**wrong))
    assert reply.status_code == 302
    assert reply.headers["location"].startswith(f"{CALLBACK}?error={error}")
    assert "state=a+state" in reply.headers["location"]


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"redirect_uri": "http://127.0.0.1:8799/other"}, "invalid_request"),
        ({"client_id": "kiosk", "client_secret": "kiosk-secret"}, "invalid_grant"),
        ({"code": "never-given"}, "invalid_grant"),
    ],
)
def test_a_code_is_only_good_for_the_one_who_asked_for_it(
    ada: Browser, wrong: dict[str, str], error: str
) -> None:
    code = ada.decide("allow")["code"]
    reply = exchange(ada.portal, **{"code": code, **wrong})
    assert (reply.status_code, reply.json()["error"]) == (400, error)
    assert exchange(ada.portal, code).status_code == 200


def test_a_challenge_must_be_met(ada: Browser) -> None:
    asked = {"code_challenge": "v" * 43, "code_challenge_method": "plain"}
    code = ada.decide("allow", **asked)["code"]
    for verifier in ({}, {"code_verifier": "w" * 43}):
        assert exchange(ada.portal, code, **verifier).status_code == 400
    assert exchange(ada.portal, code, code_verifier="v" * 43).status_code == 200


@pytest.mark.parametrize("pkce", [None, "S256", "plain"])
@pytest.mark.parametrize("in_body", [True, False])
def test_the_library_that_most_clients_use_gets_its_tokens(
    ada: Browser, pkce: str | None, in_body: bool
) -> None:
    client = OAuth2Session(SECRETS["client_id"], redirect_uri=CALLBACK, scope="all", pkce=pkce)
    with client:
        client.mount("https://portal", OverHttps(ada.portal))
        address, state = client.authorization_url("https://portal/oauth2/authorize/")
        params = dict(parse_qsl(urlsplit(address).query))
        told = ada.decide("allow", **params)
        assert told["state"] == state
        secret = SECRETS["client_secret"]
        url = "https://portal/oauth2/token/"
        held = client.fetch_token(
            url, code=told["code"], client_secret=secret, include_client_id=in_body
        )
        catalog = "https://portal/api/explore/v2.1/catalog/datasets"
        assert client.get(catalog).json()["total_count"] == 3
        renewed = client.refresh_token(url, **SECRETS)
        assert renewed["refresh_token"] != held["refresh_token"]
        assert client.get(catalog).json()["total_count"] == 3


def test_a_public_application_exchanges_its_code_without_a_secret(ada: Browser) -> None:
    code = ada.decide("allow", client_id="kiosk")["code"]
    fields = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK}
    assert token(ada.portal, client_id="kiosk", **fields).status_code == 200


def test_the_pages_without_their_slash_are_elsewhere_or_nowhere(private: Emulator) -> None:
    for path in ("/login", "/oauth2/authorize"):
        moved = requests.get(f"{private.url}{path}?next=/", timeout=60, allow_redirects=False)
        assert (moved.status_code, moved.headers["location"]) == (301, f"{path}/?next=/")
        with guarded(slash="404") as portal:
            assert requests.get(portal.url + path, timeout=60).status_code == 404


def test_revoked_logins_take_codes_with_them(ada: Browser) -> None:
    code = ada.decide("allow")["code"]
    ada.portal.revoke_logins("ada")
    assert exchange(ada.portal, code).json() == {"error": "invalid_grant"}
