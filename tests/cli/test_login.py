"""Logging in as it is done: the command waits in its own process, a person answers elsewhere."""

import os
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ods_pipeline.emulator import Emulator, Fault
from tests.desk import FIELDS, rows
from tests.person import answered, environment, logged_in, typed, visited, waiting
from tests.ports import free_port

SECRET = "the-secret-of-the-app"  # Known to the emulator alone.
ELSEWHERE = "https://app.test/back"


class Town:
    """A portal with an application, and the user's folder and settings."""

    def __init__(self, portal: Emulator, folder: Path) -> None:
        self.portal, self.folder = portal, folder
        self.redirect_uri = f"http://127.0.0.1:{free_port()}/callback"
        self.settings = {
            "ODS_PORTAL": portal.url,
            "ODS_CLIENT_ID": "app",
            "ODS_CLIENT_SECRET": SECRET,
        }
        portal.add_application("app", SECRET, self.redirect_uri)

    @property
    def options(self) -> tuple[str, ...]:
        return ("--redirect-uri", self.redirect_uri)

    @property
    def tokens(self) -> list[Path]:
        return sorted(self.folder.glob("data/tokens/*.json"))

    def types(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        return typed(self.folder, *words, **{**self.settings, **more})


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with Emulator(sample=False) as portal:
        portal.publish("towns", FIELDS, rows(20), {"title": "Towns"})
        portal.publish("staff", FIELDS, rows(3), {"title": "Staff"}, hidden=True)
        portal.add_user("ada", "ada")
        yield Town(portal, tmp_path)


def test_a_consent_in_the_browser_becomes_a_login_that_serves(town: Town) -> None:
    with waiting(town.folder, "--no-browser", *town.options, **town.settings) as login:
        page = visited(answered(login.consent_url))
        status, told = login.ends()
    assert status == 0
    assert f"Logged in to {town.portal.url}" in page.text
    (kept,) = town.tokens
    assert told == (
        f"Logged in to {town.portal.url} as application app; the login is kept in "
        f"{kept} and renews itself; check with ods-pipeline whoami\n"
    )
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert "1 landed" in town.types("sync", "staff").stdout


def test_the_page_keeps_the_code_to_itself(town: Town) -> None:
    with waiting(town.folder, "--no-browser", *town.options, **town.settings) as login:
        address = answered(login.consent_url)
        page = visited(address)
        _, told = login.ends()
    code = address.partition("code=")[2].partition("&")[0]
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert code not in page.text + told + login.said


@pytest.mark.parametrize("begin", ["http", "/callback", "code"], ids=["address", "path", "query"])
def test_the_address_can_be_pasted_from_another_machine(town: Town, begin: str) -> None:
    with waiting(town.folder, "--no-browser", *town.options, **town.settings) as login:
        address = answered(login.consent_url)
        login.types(f"  {address[address.index(begin) :]} ")
        status, told = login.ends()
    assert status == 0
    assert told.startswith("Logged in to")
    assert town.types("whoami").returncode == 0


def test_what_is_no_answer_is_told_and_the_waiting_goes_on(town: Town) -> None:
    with waiting(town.folder, "--no-browser", *town.options, **town.settings) as login:
        url = login.consent_url
        foreign = f"{town.redirect_uri}?code=abcdefgh&state=another"
        assert visited(foreign).status_code == 400
        assert visited(f"{town.redirect_uri}?error=access_denied&state=x").status_code == 400
        assert visited(town.redirect_uri.replace("callback", "favicon.ico")).status_code == 404
        login.types("what do I paste?")
        login.hears("there is no code in this address")
        login.types(foreign)
        login.hears("answers another login")
        login.closes_input()
        visited(answered(url))
        assert login.ends()[0] == 0


def test_connections_that_a_browser_opens_and_leaves_hold_nobody_up(town: Town) -> None:
    with waiting(town.folder, "--no-browser", *town.options, **town.settings) as login:
        url = login.consent_url
        port = int(town.redirect_uri.rpartition(":")[2].partition("/")[0])
        idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(5)]
        visited(answered(url))
        assert login.ends(10)[0] == 0
        for connection in idle:
            connection.close()


def test_an_application_registered_for_another_machine_is_logged_in_by_pasting(town: Town) -> None:
    town.portal.add_application("app", SECRET, ELSEWHERE)
    with waiting(town.folder, "--redirect-uri", ELSEWHERE, **town.settings) as login:
        login.types(answered(login.consent_url))
        status, _ = login.ends()
    assert status == 0
    assert f"Nothing on this machine can hear {ELSEWHERE}" in login.said


def test_where_only_pasting_is_possible_the_end_of_the_input_ends_the_waiting(town: Town) -> None:
    town.portal.add_application("app", SECRET, ELSEWHERE)
    done = town.types("login", "--no-browser", "--redirect-uri", ELSEWHERE)
    assert done.returncode == 2
    assert "the input ended before the address was pasted" in done.stderr


def test_a_consent_that_is_denied_leaves_no_login(town: Town) -> None:
    with waiting(town.folder, "--no-browser", *town.options, **town.settings) as login:
        page = visited(answered(login.consent_url, "deny"))
        status, told = login.ends()
    assert (status, told, town.tokens) == (2, "", [])
    assert page.status_code == 403
    assert "the consent was denied" in page.text
    assert "ods-pipeline: the consent was denied; no login was made" in login.said


def test_a_wrong_secret_is_named_and_not_shown(town: Town) -> None:
    wrong = {**town.settings, "ODS_CLIENT_SECRET": "a-wrong-secret"}
    with waiting(town.folder, "--no-browser", *town.options, **wrong) as login:
        page = visited(answered(login.consent_url))
        status, _ = login.ends()
    assert (status, page.status_code, town.tokens) == (2, 403, [])
    assert "check ODS_CLIENT_ID and ODS_CLIENT_SECRET" in login.said
    assert "a-wrong-secret" not in login.said + page.text


def test_what_the_portal_says_is_text_and_no_markup_on_the_page(town: Town) -> None:
    with waiting(town.folder, "--no-browser", *town.options, **town.settings) as login:
        state = login.consent_url.partition("state=")[2].partition("&")[0]
        page = visited(f"{town.redirect_uri}?error=<script>alert(1)</script>&state={state}")
        assert login.ends()[0] == 2
    assert "&lt;script&gt;" in page.text
    assert "<script" not in page.text


def test_a_portal_that_fails_at_the_exchange_is_told_on_the_page_too(town: Town) -> None:
    town.portal.fail("/oauth2/token", Fault.status(503), times=None)
    with waiting(town.folder, "--no-browser", *town.options, **town.settings) as login:
        page = visited(answered(login.consent_url))
        status, _ = login.ends()
    assert (status, page.status_code, town.tokens) == (1, 500, [])
    assert "the token endpoint gave no tokens" in page.text
    assert "the token endpoint gave no tokens" in login.said


def test_nobody_answers_in_time(town: Town) -> None:
    done = town.types("login", "--no-browser", *town.options, "--timeout", "1")
    assert done.returncode == 2
    assert "nobody answered within 1 seconds, so no login was stored" in done.stderr
    assert town.redirect_uri in done.stderr


def test_an_exchange_that_has_begun_is_let_come_to_its_end(town: Town) -> None:
    town.portal.fail("/oauth2/token", Fault.stall(6))
    with waiting(
        town.folder, "--no-browser", *town.options, "--timeout", "5", **town.settings
    ) as login:
        page = visited(answered(login.consent_url))
        assert login.ends()[0] == 0
    assert "Logged in to" in page.text


def test_a_port_in_use_is_named_with_who_may_hold_it(town: Town) -> None:
    with waiting(town.folder, "--no-browser", *town.options, **town.settings) as login:
        assert login.consent_url
        done = town.types("login", "--no-browser", *town.options)
    assert done.returncode == 2
    assert "is in use by another `ods-pipeline login`" in done.stderr
    assert "--redirect-uri" in done.stderr
    assert done.stderr.count("\n") == 1


def test_ctrl_c_says_that_no_login_was_stored(town: Town) -> None:
    with waiting(town.folder, "--no-browser", *town.options, **town.settings) as login:
        assert login.consent_url
        login.presses_ctrl_c()
        status, told = login.ends()
    assert (status, told, town.tokens) == (130, "", [])
    assert login.said.endswith("ods-pipeline: interrupted; no login was stored\n")


def test_ctrl_c_just_after_the_login_was_kept_leaves_a_login_and_says_so(town: Town) -> None:
    with waiting(town.folder, "--no-browser", *town.options, **town.settings) as login:
        address = answered(login.consent_url)
        port = int(town.redirect_uri.rpartition(":")[2].partition("/")[0])
        with socket.create_connection(("127.0.0.1", port)) as browser:
            path = address.partition(f":{port}")[2]
            browser.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            while not town.tokens:
                time.sleep(0.001)
            login.presses_ctrl_c()
            status, told = login.ends()
    assert status == 0, login.said
    assert told.startswith("Logged in to")
    assert "no login was stored" not in login.said


def test_ctrl_c_during_the_exchange_waits_for_what_comes_of_it(town: Town) -> None:
    town.portal.fail("/oauth2/token", Fault.stall(2))
    with waiting(town.folder, "--no-browser", *town.options, **town.settings) as login:
        _asks_and_hangs_up(town, answered(login.consent_url))
        login.presses_ctrl_c()
        status, told = login.ends()
    assert (status, len(town.tokens)) == (0, 1), login.said
    assert told.startswith("Logged in to")


def test_ctrl_c_pressed_twice_during_the_exchange_ends_at_once(town: Town) -> None:
    town.portal.fail("/oauth2/token", Fault.stall(20))
    with waiting(town.folder, "--no-browser", *town.options, **town.settings) as login:
        _asks_and_hangs_up(town, answered(login.consent_url))
        login.presses_ctrl_c()
        time.sleep(0.5)
        login.presses_ctrl_c()
        status, told = login.ends(15)
    assert (status, told, town.tokens) == (130, "", [])
    assert "no login was stored" in login.said


def _asks_and_hangs_up(town: Town, address: str) -> None:
    """A browser that brings the answer, seen by the portal before this returns."""
    port = int(town.redirect_uri.rpartition(":")[2].partition("/")[0])
    with socket.create_connection(("127.0.0.1", port)) as browser:
        browser.sendall(f"GET {address.partition(f':{port}')[2]} HTTP/1.0\r\n\r\n".encode())
        while not any("/oauth2/token" in request.path for request in town.portal.requests):
            time.sleep(0.01)


def test_a_service_manager_that_ends_the_waiting_has_a_status_of_its_own(town: Town) -> None:
    with waiting(town.folder, "--no-browser", *town.options, **town.settings) as login:
        assert login.consent_url
        login.process.send_signal(signal.SIGTERM)
        status, _ = login.ends()
    assert status == 143
    assert login.said.endswith("no login was stored\n")


def test_the_browser_is_started_without_our_settings_and_nothing_of_the_folder(
    town: Town, tmp_path: Path
) -> None:
    browser, seen = tmp_path / "browser", tmp_path / "seen"
    browser.write_text(f'#!/bin/sh\nenv > "{seen}.part" && mv "{seen}.part" "{seen}"\n')
    browser.chmod(0o755)
    (tmp_path / "webbrowser.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    with waiting(town.folder, *town.options, **town.settings, BROWSER=str(browser)) as login:
        visited(answered(login.consent_url))
        assert login.ends()[0] == 0
    end = time.monotonic() + 60
    while not seen.exists() and time.monotonic() < end:
        time.sleep(0.02)
    assert not (tmp_path / "ran").exists()
    assert f"BROWSER={browser}" in seen.read_text()
    assert "ODS_" not in seen.read_text()


@pytest.mark.parametrize(
    "pasted", ["y\n" * 10_000, "\n" * (1 << 20), "y" * (1 << 20)], ids=["yes", "enter", "no end"]
)
def test_an_input_that_never_ends_is_read_no_further(town: Town, pasted: str) -> None:
    with waiting(town.folder, "--no-browser", *town.options, **town.settings) as login:
        url = login.consent_url
        assert login.process.stdin
        login.process.stdin.write(pasted)
        login.process.stdin.flush()
        login.hears("The input is read no further")
        visited(answered(url))
        assert login.ends()[0] == 0
    assert login.said.count("still waiting") <= 10


def test_an_input_full_of_nothing_ends_the_waiting_where_only_pasting_is_possible(
    town: Town,
) -> None:
    town.portal.add_application("app", SECRET, ELSEWHERE)
    with waiting(town.folder, "--redirect-uri", ELSEWHERE, **town.settings) as login:
        assert login.consent_url
        login.types("y\n" * 11)
        assert login.ends()[0] == 2
    assert "nothing in the input answers, so no login was stored" in login.said


def test_the_browser_that_the_user_names_is_given_the_address_and_kept_apart(
    town: Town, tmp_path: Path
) -> None:
    browser, opened = tmp_path / "browser", tmp_path / "opened"
    browser.write_text(
        f'#!/bin/sh\necho "$1" > "{opened}.part" && mv "{opened}.part" "{opened}"\n'
        "echo noise; echo noise >&2; sleep 5\n"
    )
    browser.chmod(0o755)
    with waiting(town.folder, *town.options, **town.settings, BROWSER=str(browser)) as login:
        url = login.consent_url
        visited(answered(url))
        status, told = login.ends(4)
    assert status == 0
    assert opened.read_text() == f"{url}\n"
    assert "noise" not in told + login.said


def test_where_no_browser_can_be_opened_the_address_can_be_pasted(
    town: Town, tmp_path: Path
) -> None:
    nothing = {"PATH": str(tmp_path), "BROWSER": "", "DISPLAY": "", "WAYLAND_DISPLAY": ""}
    with waiting(town.folder, *town.options, **town.settings, **nothing) as login:
        login.hears("No browser could be opened")
        login.types(answered(login.consent_url))
        assert login.ends()[0] == 0


def test_the_ways_to_prove_oneself_are_chosen_by_options(town: Town) -> None:
    logged_in(town.folder, *town.options, "--pkce", "--client-auth", "basic", **town.settings)
    asked = [request for request in town.portal.requests if "/oauth2/" in request.path]
    assert any(request.query.get("code_challenge_method") == "S256" for request in asked)
    headers = {key.lower(): text for key, text in dict(asked[-1].headers).items()}
    assert headers["authorization"].startswith("Basic ")


def test_a_public_application_needs_no_secret(town: Town) -> None:
    town.portal.add_application("app", "", town.redirect_uri, public=True)
    del town.settings["ODS_CLIENT_SECRET"]
    assert "Logged in to" in logged_in(town.folder, *town.options, **town.settings)


def test_a_new_login_takes_the_place_of_one_that_serves_no_more(town: Town) -> None:
    logged_in(town.folder, *town.options, **town.settings)
    town.portal.revoke_logins()
    refused = town.types("sync")
    assert refused.returncode == 2
    assert "run `ods-pipeline login` once more" in refused.stderr
    logged_in(town.folder, *town.options, **town.settings)
    assert town.types("sync").returncode == 0


def test_a_login_is_kept_where_the_user_says(town: Town, tmp_path: Path) -> None:
    place = tmp_path / "safe" / "login.json"
    told = logged_in(town.folder, *town.options, **town.settings, ODS_TOKEN_FILE=str(place))
    assert str(place) in told
    assert place.is_file()
    assert town.types("whoami").returncode == 2
    assert town.types("whoami", ODS_TOKEN_FILE=str(place)).returncode == 0


def test_a_login_beside_an_api_key_says_that_one_of_them_must_go(town: Town) -> None:
    both = {**town.settings, "ODS_API_KEY": "some-key"}
    with waiting(town.folder, "--no-browser", *town.options, **both) as login:
        visited(answered(login.consent_url))
        status, told = login.ends()
    assert status == 0
    assert told.count("\n") == 1
    assert "ODS_API_KEY is set as well: unset it" in login.said
    refused = town.types("whoami", ODS_API_KEY="some-key")
    assert refused.returncode == 2
    assert "unset one of them" in refused.stderr


def test_logout_forgets_and_says_what_remains_to_be_done(town: Town) -> None:
    logged_in(town.folder, *town.options, **town.settings)
    done = town.types("logout")
    assert (done.returncode, town.tokens) == (0, [])
    assert "remove the application's access on your account page" in done.stdout
    again = town.types("logout")
    assert again.returncode == 0
    assert "Nothing to forget" in again.stdout
    needed = town.types("sync")
    assert needed.returncode == 2
    assert "nobody has logged in yet; run `ods-pipeline login`" in needed.stderr


@pytest.mark.parametrize(
    ("words", "settings", "sentence"),
    [
        (["login"], {"ODS_CLIENT_ID": "", "ODS_CLIENT_SECRET": ""}, "ODS_CLIENT_ID is not set"),
        (["login"], {"ODS_CLIENT_ID": ""}, "ODS_CLIENT_SECRET is set, but ODS_CLIENT_ID is not"),
        (["login"], {"ODS_PORTAL": "sample"}, "name the portal of your account"),
        (["logout"], {"ODS_PORTAL": "sample"}, "name the portal of your account"),
        (["logout"], {"ODS_PORTAL": ""}, "ODS_PORTAL is empty: give it a value"),
        (["login"], {"ODS_PORTAL": "http://portal.test"}, "is plain http"),
        (["login", "--redirect-uri", "callback"], {}, "is no redirection URL"),
        (["login", "--redirect-uri", "http://127.0.0.1:x/"], {}, "is no redirection URL"),
        (["login", "--redirect-uri", f"http://a:{SECRET}@b/"], {}, "is no redirection URL"),
        (["login", "--redirect-uri", "http://127.0.0.1/#x"], {}, "is no redirection URL"),
        (["login", "--timeout", "0"], {}, "'--timeout'"),
        (["login", "--client-auth", "digest"], {}, "'digest' is not one of"),
    ],
)
def test_what_cannot_become_a_login_is_one_sentence(
    town: Town, words: list[str], settings: dict[str, str], sentence: str
) -> None:
    done = town.types(*words, **settings)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert SECRET not in done.stderr
    assert done.stdout == ""
    assert not (town.folder / "data").exists()


def test_no_test_of_logins_sees_the_developers_own_settings() -> None:
    assert not [name for name in environment() if name.startswith("ODS_")]
    assert environment()["PATH"] == os.environ["PATH"]
