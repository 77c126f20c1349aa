"""What credentials change on the command line: what is read with them, and what is said of them."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ods_pipeline.emulator import AccessQuirks, Emulator, Quirks
from tests import person
from tests.desk import FIELDS, rows
from tests.person import logged_in
from tests.portal.answers import portal_of
from tests.ports import free_port

Typed = Callable[..., subprocess.CompletedProcess[str]]
KEY = {"ODS_API_KEY": "adas-key"}
APPLICATION = {"ODS_CLIENT_ID": "app", "ODS_CLIENT_SECRET": "adas-secret"}


@pytest.fixture
def private() -> Iterator[Emulator]:
    """A portal with a dataset for ada alone, who has a key and an application."""
    with Emulator(sample=False) as emulator:
        emulator.publish("towns", FIELDS, rows(20), {"title": "Towns"})
        emulator.publish("roads", FIELDS, rows(5), {"title": "Roads"})
        emulator.publish("staff", FIELDS, rows(3), {"title": "Staff"}, hidden=True)
        emulator.add_user("ada", "ada")
        emulator.add_key("adas-key", "ada")
        yield emulator


@pytest.fixture
def typed(private: Emulator, tmp_path: Path) -> Typed:
    """Types a command in the folder of a user who has set ODS_PORTAL."""

    def run(*words: str, **settings: str) -> subprocess.CompletedProcess[str]:
        return person.typed(tmp_path, *words, **{"ODS_PORTAL": private.url, **settings})

    return run


def logged(portal: Emulator, folder: Path) -> dict[str, str]:
    """The settings of somebody who has logged in."""
    uri = f"http://127.0.0.1:{free_port()}/callback"
    portal.add_application("app", "adas-secret", uri)
    logged_in(folder, "--redirect-uri", uri, ODS_PORTAL=portal.url, **APPLICATION)
    return APPLICATION


@pytest.mark.parametrize("kind", ["key", "key in the address", "application"])
def test_either_credential_opens_a_private_portal(
    typed: Typed, private: Emulator, tmp_path: Path, kind: str
) -> None:
    private.shut()
    refused = typed("sync")
    assert refused.returncode == 2
    assert "set ODS_API_KEY, or ODS_CLIENT_ID and run `ods-pipeline login`" in refused.stderr
    settings = logged(private, tmp_path) if kind == "application" else KEY
    options = ["--api-key-in-query"] if kind == "key in the address" else []
    done = typed(*options, "sync", **settings)
    assert done.returncode == 0
    assert "3 landed" in done.stdout
    found = typed(*options, "catalog", "--where", "title = 'Staff'", "--json", **settings)
    assert [item["dataset_id"] for item in json.loads(found.stdout)] == ["staff"]


def test_credentials_are_given_as_options_too(typed: Typed, private: Emulator) -> None:
    done = typed("--api-key", "adas-key", "whoami")
    assert done.stdout == (
        f"API key at {private.url}: accepted; the portal shows 3 datasets, and 2 to anybody\n"
    )


def test_whoami_says_until_when_and_how_often_a_login_was_renewed(
    typed: Typed, private: Emulator, tmp_path: Path
) -> None:
    settings = logged(private, tmp_path)
    fresh = typed("whoami", **settings).stdout
    assert fresh.startswith(f"application app at {private.url}: accepted; the portal shows 3 ")
    assert re.search(r"logged in at \d{4}-\d\d-\d\d \d\d:\d\d UTC; kept in \S+\.json$", fresh, re.M)
    assert re.search(r"token good until \d{4}-.* UTC; renewed never$", fresh, re.M)
    private.expire_access_tokens()
    renewed = json.loads(typed("whoami", "--json", **settings).stdout)
    assert (renewed["credentials"], renewed["client_id"]) == ("oauth2", "app")
    assert (renewed["datasets"], renewed["public"], renewed["renewed"]) == (3, 2, 1)
    assert renewed["renewed_at"] >= renewed["logged_in_at"]
    assert "renewed once, last at" in typed("whoami", **settings).stdout


def test_whoami_without_credentials_says_that_none_are_needed(typed: Typed) -> None:
    done = typed("whoami")
    assert (done.returncode, done.stdout) == (
        0,
        "no credentials are set; public datasets need none\n",
    )
    assert json.loads(typed("whoami", "--json").stdout)["credentials"] is None


def test_whoami_notices_a_portal_that_takes_no_notice_of_a_key(tmp_path: Path) -> None:
    with Emulator(sample=False, quirks=Quirks(access=AccessQuirks(wrong_key="anonymous"))) as open_:
        open_.publish("towns", FIELDS, rows(2), {})
        settings = {"ODS_PORTAL": open_.url, "ODS_API_KEY": "no-key-of-theirs"}
        done = person.typed(tmp_path, "whoami", **settings)
    assert "not refused; the portal shows the same 1 datasets as to anybody" in done.stdout


@pytest.mark.parametrize("count", ["-1", "true", "1000000000", "9" * 4000, "2.0", '"2"', "null"])
def test_whoami_believes_no_count_that_can_be_none(tmp_path: Path, count: str) -> None:
    with portal_of(lambda *_: (200, f'{{"total_count": {count}}}'.encode())) as strange:
        done = person.typed(tmp_path, "whoami", **{"ODS_PORTAL": strange.url, **KEY})
    assert (done.returncode, done.stdout) == (2, "")
    assert "the reply counts no datasets" in done.stderr
    assert len(done.stderr) < 300


def test_whoami_counts_what_a_private_portal_shows_to_strangers(
    typed: Typed, private: Emulator
) -> None:
    private.shut()
    assert "shows 3 datasets, and 0 to anybody" in typed("whoami", **KEY).stdout


def test_a_key_that_is_not_accepted_is_said_by_every_command(
    typed: Typed, private: Emulator
) -> None:
    private.revoke_key("adas-key")
    for command in ("sync", "plan", "catalog", "whoami"):
        done = typed(command, **KEY)
        assert done.returncode == 2
        assert "it is wrong, revoked or expired" in done.stderr
        assert done.stderr.count("\n") == 1
        assert "adas-key" not in done.stderr
    told = json.loads(typed("whoami", "--json", **KEY).stdout)
    assert told["exit_status"] == 2
    assert "it is wrong, revoked or expired" in told["error"]


@pytest.mark.parametrize("command", ["sync", "plan", "catalog", "whoami"])
def test_an_application_to_which_nobody_has_logged_in_names_the_command(
    typed: Typed, private: Emulator, command: str
) -> None:
    done = typed(command, **APPLICATION)
    assert done.returncode == 2
    assert "nobody has logged in yet; run `ods-pipeline login`" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not private.requests


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({**KEY, **APPLICATION}, "both an API key (ODS_API_KEY) and an application"),
        ({"ODS_CLIENT_SECRET": "adas-secret"}, "is set, but ODS_CLIENT_ID is not"),
        ({"ODS_API_KEY": "two keys"}, "unusual characters"),
        ({**KEY, "ODS_PORTAL": "http://portal.test"}, "is plain http"),
    ],
)
def test_credentials_that_cannot_be_used_are_one_sentence(
    typed: Typed, settings: dict[str, str], sentence: str
) -> None:
    for command in ("sync", "whoami"):
        done = typed(command, **settings)
        assert (done.returncode, done.stdout) == (2, "")
        assert sentence in done.stderr
        assert done.stderr.count("\n") == 1
        assert "adas-" not in done.stderr


def test_files_are_proven_again_whatever_credentials_are_set(typed: Typed) -> None:
    typed("sync")
    assert typed("verify", **KEY, **APPLICATION).returncode == 0


def test_a_key_in_the_address_needs_a_key(typed: Typed) -> None:
    for command in ("plan", "sync", "whoami"):
        done = typed("--api-key-in-query", command)
        assert (done.returncode, done.stdout) == (2, "")
        assert "set ODS_API_KEY too" in done.stderr


def test_empty_variables_count_as_not_set(typed: Typed) -> None:
    nothing = dict.fromkeys((*KEY, *APPLICATION, "ODS_TOKEN_FILE"), "")
    assert typed("plan", **nothing).returncode == 0
    assert "no credentials are set" in typed("whoami", **nothing).stdout


def test_the_sample_portal_is_shown_no_credentials(typed: Typed) -> None:
    done = typed("catalog", "--json", **{"ODS_PORTAL": "sample", **KEY})
    assert done.returncode == 0
    assert len(json.loads(done.stdout)) == 14
    assert done.stderr.endswith("your credentials are not sent to it\n")
    named = typed("whoami", **{"ODS_PORTAL": "sample", **KEY})
    assert named.returncode == 2
    assert "ODS_PORTAL is not set" in named.stderr


def test_doctor_says_what_the_credentials_open(typed: Typed, private: Emulator) -> None:
    done = typed("doctor", **KEY)
    assert done.returncode == 0
    assert "ok   credentials: API key: accepted; the portal shows 3 datasets, and 2" in done.stdout
    assert len(private.requests) <= 6
    assert "adas-key" not in done.stdout


def test_doctor_tells_credentials_that_fail_from_a_portal_that_does(
    typed: Typed, private: Emulator
) -> None:
    private.shut()
    for settings, sentence in (
        ({}, "the portal refuses access without credentials"),
        ({"ODS_API_KEY": "wrong-key"}, "it is wrong, revoked or expired"),
        (APPLICATION, "nobody has logged in yet"),
    ):
        done = typed("doctor", **settings)
        assert done.returncode == 1
        assert f"BAD  portal: the catalog of {private.url} was not read" in done.stdout
        assert re.search(rf"^BAD  credentials: .*{sentence}", done.stdout, re.M)
        assert "ok   lake" in done.stdout
    dead = typed("doctor", **{**KEY, "ODS_PORTAL": "http://127.0.0.1:1"})
    assert "BAD  portal: http://127.0.0.1:1 cannot be reached" in dead.stdout
    assert "BAD  credentials: API key, not tried" in dead.stdout


def test_help_says_that_the_environment_is_the_place_for_secrets(typed: Typed) -> None:
    told = " ".join(typed("--help").stdout.split())
    assert "Give secrets in the environment: other users of the machine can read" in told
    assert "http://127.0.0.1:8766/callback" in typed("login", "--help").stdout
