"""A login renews itself: in time, once, kept before it is used, and told truly when it cannot."""

import pytest

from ods_pipeline.emulator import Fault
from ods_pipeline.errors import (
    AccessDenied,
    LoginNeeded,
    NotAPortal,
    PortalFailure,
    PortalUnreachable,
    TokenStoreError,
)
from ods_pipeline.portal.http.client import Client
from tests.portal.auth.world import TOKEN, Making, World, seen

HOUR = 3600.0
BOTH = ["private-towns", "public-towns"]


def shown(world: World) -> list[str]:
    """The Authorization headers that data were asked for with."""
    data = [r for r in world.emulator.requests if r.path.startswith("/api/")]
    return [request.headers.get("authorization", "") for request in data]


def test_a_login_shows_what_its_person_may_see(world: World) -> None:
    grant = world.log_in()
    assert seen(world.client()) == BOTH
    assert shown(world) == [f"Bearer {grant.access_token}"]
    assert world.outcomes() == []


def test_a_token_is_renewed_before_it_runs_out_and_kept_before_it_is_used(world: World) -> None:
    first = world.log_in()
    world.clock.now += HOUR - 299
    client = world.client()
    assert seen(client) == seen(client) == BOTH
    kept = world.kept()
    assert world.outcomes() == ["renewed"]
    assert kept.access_token != first.access_token
    assert kept.refresh_token != first.refresh_token
    assert kept.generation == 1
    assert shown(world) == [f"Bearer {kept.access_token}"] * 2


def test_a_token_that_lives_for_seconds_is_renewed_at_nine_tenths_of_its_life(world: World) -> None:
    world.emulator.token_lifetime = 20
    world.log_in()
    client = world.client()
    for wait, renewed in [(17, 0), (2, 1), (17, 1), (2, 2)]:
        world.clock.now += wait
        assert seen(client) == BOTH
        assert len(world.emulator.renewals) == renewed


def test_a_refused_token_is_renewed_once_and_the_request_repeated(world: World) -> None:
    world.log_in()
    client = world.client()
    seen(client)
    world.emulator.expire_access_tokens()
    assert seen(client) == BOTH
    assert world.outcomes() == ["renewed"]
    assert client.requests_made == 3


def test_a_login_page_in_place_of_data_is_taken_for_an_old_token(making: Making) -> None:
    world = making(expired="login")
    world.log_in()
    client = world.client()
    world.emulator.expire_access_tokens()
    with pytest.raises(NotAPortal, match="a login page"):
        seen(client)
    assert world.outcomes() == [], "a young token has not run out, whatever the page is"
    world.clock.now += 61
    assert seen(client) == BOTH
    assert world.outcomes() == ["renewed"]


def test_a_portal_that_refuses_every_token_costs_one_renewal(world: World) -> None:
    world.log_in()
    world.emulator.fail("/api/", Fault.status(401), times=None)
    client = world.client()
    for _ in range(3):
        with pytest.raises(AccessDenied, match=r"even to a token that was just renewed.* app may"):
            seen(client)
    assert world.outcomes() == ["renewed"]


def test_a_right_that_is_missing_renews_nothing(making: Making) -> None:
    world = making(hidden="403")
    world.emulator.add_user("ada", "lovelace", [])
    world.log_in()
    with pytest.raises(AccessDenied, match="login is good, but its user has no right to this"):
        world.client().json("/catalog/datasets/private-towns")
    assert world.outcomes() == []


def test_nobody_logged_in_is_one_sentence_and_no_request(world: World) -> None:
    with pytest.raises(LoginNeeded, match="nobody has logged in yet; run `ods-pipeline login`"):
        seen(world.client())
    assert world.emulator.requests == []


def test_an_endpoint_that_cannot_be_reached_spends_nothing(world: World) -> None:
    before = world.log_in()
    client = world.client(attempts=1)
    world.clock.now += 2 * HOUR
    world.emulator.close()
    with pytest.raises(PortalUnreachable, match="cannot be reached"):
        seen(client)
    assert world.kept() == before


def test_an_endpoint_that_fails_for_a_moment_is_asked_again(world: World) -> None:
    world.log_in()
    world.clock.now += 2 * HOUR
    world.emulator.fail(TOKEN, Fault.status(503), times=2)
    assert seen(world.client()) == BOTH
    assert world.outcomes() == ["renewed"]
    assert world.kept().pending is None


def test_an_endpoint_that_fails_leaves_a_token_in_use_that_still_serves(world: World) -> None:
    world.log_in()
    world.clock.now += HOUR - 60
    world.emulator.fail(TOKEN, Fault.status(503), times=None)
    assert seen(world.client()) == BOTH
    world.clock.now += 61
    with pytest.raises(PortalFailure, match=r"gave no tokens .status 503"):
        seen(world.client(attempts=1))


def test_an_answer_lost_before_the_portal_acted_costs_nothing(world: World) -> None:
    world.log_in()
    world.clock.now += 2 * HOUR
    world.emulator.fail(TOKEN, Fault.reset(), times=1)
    client = world.client(attempts=1)
    with pytest.raises(PortalFailure, match="answer about the login was lost"):
        seen(client)
    assert world.kept().pending == world.clock.now
    assert seen(client) == BOTH
    assert world.outcomes() == ["renewed"]
    assert world.kept().pending is None


def test_an_answer_lost_after_the_portal_acted_is_told_from_a_refusal(world: World) -> None:
    world.log_in()
    world.clock.now += 2 * HOUR
    world.emulator.fail(TOKEN, Fault.cut(0), times=1)
    with pytest.raises(LoginNeeded, match=r"UTC by process \d+ .* was cut off or failed"):
        seen(world.client())
    assert world.outcomes() == ["renewed", "spent"]
    world.emulator.requests.clear()
    with pytest.raises(LoginNeeded, match="if the portal gave new tokens for it, they are lost"):
        seen(world.client())
    assert world.emulator.requests == [], "what is known to be refused is not asked about again"


@pytest.mark.parametrize("status", [400, 401])
def test_a_withdrawn_login_asks_for_a_new_one_and_goes_on_with_it(
    making: Making, status: int
) -> None:
    world = making(invalid_grant_status=status)
    world.log_in()
    client = world.client()
    world.emulator.revoke_logins()
    with pytest.raises(LoginNeeded) as needed:
        seen(client)
    assert str(needed.value) == (
        f"the login of application app at {world.address.base}, kept in {world.file}, does not "
        "serve: the portal takes this login no more (invalid_grant): it was withdrawn, or another "
        "program has renewed it and kept the new tokens; run `ods-pipeline login` once more"
    )
    world.log_in()
    assert seen(client) == BOTH


def test_a_wrong_secret_is_told_and_spends_nothing(world: World) -> None:
    before = world.log_in()
    world.clock.now += 2 * HOUR
    wrong = Client(world.emulator.url, world.oauth2(secret="another one"))
    with pytest.raises(AccessDenied, match=r"its secret \(invalid_client.*SECRET"):
        seen(wrong)
    assert world.kept() == before
    assert seen(world.client()) == BOTH


def test_a_token_that_somebody_else_renewed_is_taken_from_where_it_is_kept(world: World) -> None:
    world.log_in()
    ours, theirs = world.client(), world.client()
    seen(ours)
    world.clock.now += 2 * HOUR
    seen(theirs)
    assert seen(ours) == BOTH
    assert world.outcomes() == ["renewed"]


def test_a_portal_that_keeps_refresh_tokens_good_is_understood(making: Making) -> None:
    world = making(rotates=False)
    before = world.log_in()
    for generation in (1, 2):
        world.clock.now += 2 * HOUR
        assert seen(world.client()) == BOTH
        kept = world.kept()
        assert (kept.refresh_token, kept.generation) == (before.refresh_token, generation)


@pytest.mark.parametrize("auth", ["body", "basic"])
@pytest.mark.parametrize("secret", ["app-secret", "ö+ %&=:/secret", ""])
def test_an_application_proves_itself_either_way_and_sends_nothing_else(
    world: World, auth: str, secret: str
) -> None:
    world.emulator.add_application("app", secret, "http://127.0.0.1:8766/callback", not secret)
    world.log_in(client_auth=auth)
    world.clock.now += 2 * HOUR
    assert seen(Client(world.emulator.url, world.oauth2(secret=secret))) == BOTH
    (asked,) = [r for r in world.emulator.requests if r.path == TOKEN]
    names = {pair.partition("=")[0] for pair in asked.body.decode().split("&")}
    expected = {"grant_type", "refresh_token", "scope", "scopes"}
    if auth == "body":
        expected |= {"client_id", "client_secret"} if secret else {"client_id"}
    assert names == expected
    assert ("authorization" in asked.headers) == (auth == "basic")


def test_a_redirected_token_endpoint_gets_no_secret(world: World) -> None:
    world.log_in()
    world.clock.now += 2 * HOUR
    world.emulator.fail(TOKEN, Fault.redirect(f"{world.emulator.url}/elsewhere"), times=None)
    with pytest.raises(AccessDenied, match=r"on to http.*, where no secret is sent; if"):
        seen(world.client())
    assert [r.path for r in world.emulator.requests] == [TOKEN]


def test_the_tokens_of_one_portal_are_not_taken_for_anothers(world: World) -> None:
    world.log_in()
    with pytest.raises(TokenStoreError, match="belongs to application app at"):
        seen(Client("http://127.0.0.1:9", world.oauth2()))
    assert world.emulator.requests == []


@pytest.mark.parametrize("placement", ["query", "body"])
def test_the_token_can_stand_in_the_query_or_the_body(world: World, placement: str) -> None:
    grant = world.log_in()
    client = Client(world.emulator.url, world.oauth2(placement=placement))
    assert seen(client) == BOTH
    (asked,) = world.emulator.requests
    assert "authorization" not in asked.headers
    stands = asked.query.get("access_token") or asked.body.decode().partition("=")[2]
    assert stands == grant.access_token
    world.emulator.fail("/api/", Fault.status(500), times=None)
    with pytest.raises(PortalFailure) as failed:
        seen(Client(world.emulator.url, world.oauth2(placement=placement), attempts=1))
    assert grant.access_token not in f"{failed.value!r} {failed.value.url}"
