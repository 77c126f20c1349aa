"""A person's consent: what the page is asked, and what is taken for its answer."""

from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from ods_pipeline.errors import AccessDenied, ConfigurationError
from ods_pipeline.portal.auth import OAuth2
from ods_pipeline.portal.auth.consent import Consent, NotThisLogin
from ods_pipeline.portal.http.address import Address
from ods_pipeline.redaction import redacted
from tests.portal.auth.browsing import consented
from tests.portal.auth.world import TOKEN, World, seen

REDIRECT = "http://127.0.0.1:8766/callback"


def begun(world: World, **options: object) -> Consent:
    return world.oauth2(**options).consent(world.address, REDIRECT)


def test_the_page_is_asked_for_as_documented(world: World) -> None:
    consent = begun(world)
    parts = urlsplit(consent.url)
    asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
    assert (
        f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{world.address.base}/oauth2/authorize/"
    )
    assert len(asked.pop("state")) >= 30
    assert asked == {
        "client_id": "app",
        "redirect_uri": REDIRECT,
        "response_type": "code",
        "scope": "all",
    }
    assert begun(world).url != consent.url


def test_a_consent_becomes_a_login_that_is_kept(world: World) -> None:
    consent = begun(world)
    grant = consent.login(consented(consent.url, "ada", "lovelace"))
    assert world.kept() == grant
    assert (grant.generation, grant.logged_in_at, grant.scope) == (0, world.clock.now, "all")
    assert seen(world.client()) == ["private-towns", "public-towns"]


@pytest.mark.parametrize("options", [{}, {"client_auth": "basic"}, {"pkce": True}])
def test_every_way_to_exchange_the_code_works_and_is_remembered(
    world: World, options: dict[str, object]
) -> None:
    consent = begun(world, **options)
    consent.login(consented(consent.url, "ada", "lovelace"))
    assert world.kept().client_auth == options.get("client_auth", "body")
    (exchange,) = [r for r in world.emulator.requests if r.path == TOKEN]
    assert (b"code_verifier=" in exchange.body) == ("pkce" in options)
    assert ("authorization" in exchange.headers) == ("client_auth" in options)
    world.clock.now += 7200
    assert seen(world.client()) == ["private-towns", "public-towns"]


@pytest.mark.parametrize("shape", ["{path}?{query}", "?{query}", "{query}", " {uri}?{query}\r\n"])
def test_an_address_is_taken_however_much_of_it_was_copied(world: World, shape: str) -> None:
    consent = begun(world)
    query = urlsplit(consented(consent.url, "ada", "lovelace")).query
    consent.login(shape.format(path="/callback", query=query, uri=REDIRECT))
    assert seen(world.client()) == ["private-towns", "public-towns"]


def test_another_logins_answer_is_not_taken_and_ends_nothing(world: World) -> None:
    consent, other = begun(world), begun(world)
    foreign = consented(other.url, "ada", "lovelace")
    code = parse_qs(urlsplit(foreign).query)["code"][0]
    for arrived in (foreign, f"?code={code}&state=é", f"?error=x&state={code}"):
        with pytest.raises(NotThisLogin, match="answers another login"):
            consent.login(arrived)
    assert [r for r in world.emulator.requests if r.path == TOKEN] == []
    consent.login(consented(consent.url, "ada", "lovelace"))


@pytest.mark.parametrize(
    "arrived",
    ["", "hello", "http://127.0.0.1/?a=b", "?code=", "?code=1&code=2", "http://[?a=1", "#code=1"],
)
def test_what_holds_no_code_is_told_apart(world: World, arrived: str) -> None:
    with pytest.raises(NotThisLogin, match="there is no code in this address"):
        begun(world).login(arrived)


def test_a_person_who_says_no_is_heard(world: World) -> None:
    consent = begun(world)
    with pytest.raises(AccessDenied, match="the consent was denied; no login was made"):
        consent.login(consented(consent.url, "ada", "lovelace", decision="deny"))
    assert not world.file.exists()


def test_a_portal_that_refuses_is_quoted(world: World) -> None:
    consent = begun(world)
    state = parse_qs(urlsplit(consent.url).query)["state"][0]
    said = urlencode({"error": "invalid_scope", "error_description": "No.", "state": state})
    with pytest.raises(AccessDenied, match=r"refuses the login \(invalid_scope: No\.\)"):
        consent.login(f"?{said}")


def test_a_code_serves_once(world: World) -> None:
    consent = begun(world)
    arrived = consented(consent.url, "ada", "lovelace")
    consent.login(arrived)
    with pytest.raises(AccessDenied, match=r"invalid_grant.*the code was used already"):
        consent.login(arrived)
    code = parse_qs(urlsplit(arrived).query)["code"][0]
    assert code not in redacted(f"the code is {code}")


def test_a_wrong_secret_ends_in_a_sentence_and_no_login(world: World) -> None:
    consent = begun(world, secret="not the secret")
    with pytest.raises(AccessDenied, match="check ODS_CLIENT_ID and ODS_CLIENT_SECRET"):
        consent.login(consented(consent.url, "ada", "lovelace"))
    assert not world.file.exists()


def test_no_login_goes_over_plain_http() -> None:
    with pytest.raises(ConfigurationError, match="plain http"):
        OAuth2("app").consent(Address.parse("http://portal.test"), REDIRECT)
