"""No secret is written down anywhere: everything that runs leave behind is searched for them.

Every secret there was is known: those planted here, and every token that the emulator ever issued.
The one place where tokens may be is the file of the login.
"""

from __future__ import annotations

import logging
import pickle
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ods_pipeline.emulator import Fault
from ods_pipeline.errors import OdsPipelineError
from ods_pipeline.portal.auth import ApiKey, Credentials
from ods_pipeline.portal.auth.grant import Grant
from ods_pipeline.portal.http.address import Address
from ods_pipeline.portal.http.client import Client
from ods_pipeline.portal.portal import Portal
from tests.dagster.world import RECORDS
from tests.person import answered, environment, warm
from tests.place import CALLBACK, KEY, SECRET, TOKENS, Place, echo, settled
from tests.search import told

pytestmark = pytest.mark.filterwarnings(
    # Dagster's own call, whenever a resource has one inside; goes when it no longer warns.
    "ignore:InitResourceContext.dagster_run is deprecated:DeprecationWarning"
)


@pytest.fixture
def place(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    monkeypatch.setenv("A_KEY", KEY)
    monkeypatch.setenv("A_SECRET", SECRET)
    with settled(tmp_path, capfd) as there:
        yield there


Making = Callable[[Place], Credentials]
KINDS: dict[str, Making] = {
    "key": lambda place: ApiKey(KEY),
    "key in the query": lambda place: ApiKey(KEY, in_query=True),
    "login": lambda place: place.oauth2(),
    "login by Basic": lambda place: place.oauth2(client_auth="basic"),
    "login in the query": lambda place: place.oauth2(placement="query"),
    "login in the body": lambda place: place.oauth2(placement="body"),
}
EACH_KIND = pytest.mark.parametrize("kind", KINDS)


@EACH_KIND
def test_reading_a_portal_leaves_no_secret_behind(place: Place, kind: str) -> None:
    place.log_in()
    credentials = KINDS[kind](place)
    portal = Portal(place.portal.url, credentials)
    for _ in range(4):
        place.portal.expire_access_tokens()
        assert len(portal.datasets()) == 2
        assert portal.records("staff").num_rows == len(portal.features("staff")) == len(RECORDS)
    for thing in (credentials, portal, portal.client, portal.client.signer):
        place.said.append(repr(thing))
        with pytest.raises(TypeError) as refused:
            pickle.dumps(thing)
        place.said.append(str(refused.value))
    assert len(place.portal.renewals) == (4 if "login" in kind else 0)
    assert "DEBUG" not in place.streams.readouterr().out
    assert (place.folder / "debug.log").stat().st_size > 1000
    assert not place.leaks()
    assert bool(place.secrets.within(place.urls())) == ("query" in kind)


FAULTS = {
    "500": Fault.status(500),
    "a web page": Fault.html(),
    "a cut": Fault.cut(3),
    "a reset": Fault.reset(),
    "the quota": Fault.quota(),
    "a redirect": Fault.redirect("http://localhost:9/elsewhere"),
}


@EACH_KIND
def test_faults_on_the_way_bring_no_secret_to_light(place: Place, kind: str) -> None:
    place.log_in()
    for fault in FAULTS.values():
        for where in ("/api/", "/oauth2/"):
            place.portal.expire_access_tokens()
            place.portal.fail(where, fault, times=1)
            client = Client(place.portal.url, KINDS[kind](place), attempts=1)
            try:
                client.json("/catalog/datasets")
            except OdsPipelineError as error:
                place.said.append(told(error))
    assert len(place.said) > len(FAULTS)
    assert not place.leaks()


def refused_key(place: Place) -> None:
    place.portal.revoke_key(KEY)
    place.fails(lambda: Portal(place.portal.url, ApiKey(KEY)).datasets())


def withdrawn_login(place: Place) -> None:
    place.log_in()
    portal = Portal(place.portal.url, place.oauth2())
    portal.datasets()
    place.portal.revoke_logins()
    for _ in range(2):
        place.fails(portal.datasets)


def spent_refresh_token(place: Place) -> None:
    place.log_in()
    before = place.kept.read_text()
    place.portal.expire_access_tokens()
    Portal(place.portal.url, place.oauth2()).datasets()
    place.kept.write_text(before)
    place.fails(Portal(place.portal.url, place.oauth2()).datasets)


def wrong_secret(place: Place) -> None:
    place.log_in()
    place.portal.expire_access_tokens()
    place.portal.add_application("the-app", "another-secret", CALLBACK)
    for auth in ("body", "basic"):
        place.fails(Portal(place.portal.url, place.oauth2(client_auth=auth)).datasets)


def code_used_twice(place: Place) -> None:
    consent = place.oauth2().consent(place.address, CALLBACK)
    arrived = answered(consent.url)
    place.codes.append(arrived.split("code=")[1].split("&")[0])
    consent.login(arrived)
    place.fails(lambda: consent.login(arrived))


def foreign_and_denied_consents(place: Place) -> None:
    consent = place.oauth2().consent(place.address, CALLBACK)
    place.codes.append("a-code-of-somebody-else")
    place.fails(lambda: consent.login(f"{CALLBACK}?code={place.codes[0]}&state=other"))
    denied = answered(consent.url, "deny")
    place.fails(lambda: consent.login(denied))


def damaged_file(place: Place) -> None:
    place.log_in()
    place.kept.write_text(place.kept.read_text()[:-40])
    place.fails(Portal(place.portal.url, place.oauth2()).datasets)


def open_file(place: Place) -> None:
    place.log_in()
    place.kept.chmod(0o644)
    place.fails(Portal(place.portal.url, place.oauth2()).datasets)


REFUSALS = [
    refused_key,
    withdrawn_login,
    spent_refresh_token,
    wrong_secret,
    code_used_twice,
    foreign_and_denied_consents,
    damaged_file,
    open_file,
]


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.__name__)
def test_refusals_name_no_secret(place: Place, refusal: Callable[[Place], None]) -> None:
    refusal(place)
    assert place.said
    assert not place.leaks()


ANSWERS = [
    (status, shape)
    for status in (200, 302, 400, 401, 403, 404, 429, 500)
    for shape in ("invalid_grant", "invalid_request", "html")
]


@EACH_KIND
def test_a_portal_that_repeats_what_it_was_sent_is_not_repeated(place: Place, kind: str) -> None:
    for status, shape in ANSWERS:
        with echo(status, shape) as url:
            for expires_at in (0.0, time.time() + 3600) if "login" in kind else (0.0,):
                login = Grant(url, "the-app", *TOKENS, obtained_at=0, expires_at=expires_at)
                place.kept.unlink(missing_ok=True)
                place.oauth2().store(Address.parse(url)).save(login)
                credentials = KINDS[kind](place)
                portal = Portal(url, credentials)
                portal.client._attempts = 1
                place.fails(portal.datasets)
                place.fails(lambda portal=portal: portal.features("staff"))
    assert not place.leaks(*TOKENS)


@pytest.mark.parametrize("kind", ["key", "login"])
def test_the_command_line_prints_no_secret(place: Place, kind: str) -> None:
    place.log_in()
    settings = {"ODS_PORTAL": place.portal.url}
    if kind == "key":
        settings["ODS_API_KEY"] = KEY
    else:
        settings |= {"ODS_CLIENT_ID": "the-app", "ODS_CLIENT_SECRET": SECRET}
        settings["ODS_TOKEN_FILE"] = str(place.kept)

    def types(*words: str) -> int:
        done = warm().run(words, place.folder, environment(**settings), log="debug.log")
        place.said += [done.stdout, done.stderr]
        return done.returncode

    assert [types(*words) for words in (["sync", "--features"], ["whoami"], ["doctor"])] == [0] * 3
    place.portal.revoke_key(KEY)
    place.portal.revoke_logins()
    assert [types(*words) for words in (["sync", "--json"], ["whoami"])] == [2, 2]
    assert types("doctor")
    assert "DEBUG:" in (place.folder / "debug.log").read_text()
    assert not place.leaks()
    assert not place.secrets.within(place.urls())


def test_a_secret_that_is_said_or_logged_is_found(place: Place) -> None:
    for leak in (
        lambda: print(KEY),
        lambda: print(SECRET, file=sys.stderr),
        lambda: logging.getLogger("somebody").debug("got %s", KEY),
        lambda: place.said.append(told(OdsPipelineError("", dataset=KEY))),
    ):
        leak()
        assert place.leaks()
        place.said.clear()
        (place.folder / "debug.log").write_text("")
    assert not place.leaks()
