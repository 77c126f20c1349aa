"""A portal in trouble, and processes that are broken off: no renewal too many, no login lost."""

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from ods_pipeline.emulator import Fault
from ods_pipeline.errors import (
    AccessDenied,
    ConfigurationError,
    OdsPipelineError,
    PortalFailure,
    PortalUnreachable,
    QuotaExhausted,
    TokenStoreError,
)
from ods_pipeline.portal.auth import OAuth2
from ods_pipeline.portal.auth.uninterrupted import unbroken
from ods_pipeline.portal.http.address import Address
from ods_pipeline.portal.http.client import Client
from tests import retries
from tests.portal.auth.crowd import ROOT
from tests.portal.auth.world import TOKEN, Making, World, seen

pytestmark = pytest.mark.slow

BOTH = ["private-towns", "public-towns"]
HOUR = 3600.0


@pytest.mark.parametrize("status", [403, 404, 500, 502, 503])
def test_an_error_page_of_a_web_server_renews_nothing(world: World, status: int) -> None:
    world.log_in()
    world.clock.now += 120
    world.emulator.fail("/api/", Fault.status(status), times=None)
    with pytest.raises(OdsPipelineError):
        seen(world.client(attempts=1))
    assert world.outcomes() == []


def test_one_thing_that_stays_closed_costs_one_renewal_however_often_it_is_asked(
    world: World,
) -> None:
    world.log_in()
    world.emulator.fail("/private-towns", Fault.status(401), times=None)
    client = world.client()
    for _ in range(5):
        assert seen(client) == BOTH
        with pytest.raises(AccessDenied, match="may have lost the right to it"):
            client.json("/catalog/datasets/private-towns")
    assert world.outcomes() == ["renewed"]
    world.emulator.faults.clear()
    assert client.json("/catalog/datasets/private-towns")["dataset_id"] == "private-towns"


def test_an_endpoint_in_trouble_is_left_in_peace_while_the_token_serves(world: World) -> None:
    world.log_in()
    world.clock.now += HOUR - 200
    world.emulator.fail(TOKEN, Fault.status(503), times=None)
    client = world.client()
    for _ in range(5):
        assert seen(client) == BOTH
    asked = [r for r in world.emulator.requests if r.path == TOKEN]
    assert len(asked) == 1
    world.emulator.faults.clear()
    world.clock.now += 31
    assert seen(client) == BOTH
    assert world.outcomes() == ["renewed"]


def test_a_host_whose_clock_is_hours_ahead_costs_the_others_nothing(making: Making) -> None:
    world = making(expired="login")
    world.log_in()
    right, ahead = world.clock.now, world.clock.now + 3 * HOUR
    world.clock.now = ahead
    seen(world.client())
    world.clock.now = right
    world.emulator.expire_access_tokens()
    client = world.client()
    assert seen(client) == seen(client) == BOTH
    assert world.outcomes() == ["renewed", "renewed"]


def test_a_token_renewed_elsewhere_in_that_very_moment_is_taken(world: World) -> None:
    world.log_in()
    client = world.client()
    seen(client)
    world.emulator.expire_access_tokens()
    given = client.signer.another(world.kept().access_token, certainly=True)
    world.emulator.expire_access_tokens()
    assert seen(world.client()) == BOTH
    assert given
    assert client.signer.another(given, certainly=True) == world.kept().access_token
    assert world.outcomes() == ["renewed", "renewed"]


def test_a_quota_at_the_token_endpoint_leaves_a_token_that_serves_in_use(world: World) -> None:
    world.log_in()
    world.clock.now += HOUR - 60
    world.emulator.fail(TOKEN, Fault.quota("2099-01-01T00:00:00Z"), times=None)
    assert seen(world.client()) == BOTH
    world.clock.now += 61
    with pytest.raises(QuotaExhausted):
        seen(world.client())
    assert world.kept().pending is None


def test_threads_that_waited_for_a_renewal_share_its_failure(world: World) -> None:
    world.log_in()
    world.clock.now += 2 * HOUR
    world.emulator.fail(TOKEN, Fault.unheard(0.5), times=None)
    client = world.client(attempts=1)
    together = threading.Barrier(8)

    def ask(_: int) -> type[BaseException] | None:
        together.wait()
        try:
            seen(client)
        except PortalFailure as error:
            return type(error)
        return None

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(8))) == [PortalFailure] * 8
    assert len([r for r in world.emulator.requests if r.path == TOKEN]) == 1


def test_an_endpoint_that_is_not_up_yet_is_tried_again(world: World) -> None:
    world.log_in()
    world.clock.now += 2 * HOUR
    client = world.client(attempts=3, pause=retries.USUAL)
    world.emulator.close()
    began = time.monotonic()
    with pytest.raises(PortalUnreachable):
        seen(client)
    assert time.monotonic() - began > 0.5, "it was asked once and given up"


def _ask_in_a_child(client: Client, told: "multiprocessing.SimpleQueue[list[str]]") -> None:
    told.put(seen(client))


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_process_forked_amid_a_renewal_does_not_wait_for_ever(world: World) -> None:
    world.log_in()
    world.clock.now += 2 * HOUR
    world.emulator.fail(TOKEN, Fault.late(1.0), times=1)
    client = world.client()
    renewing = threading.Thread(target=seen, args=[client])
    renewing.start()
    while not world.outcomes():
        time.sleep(0.01)
    fork = multiprocessing.get_context("fork")
    told = fork.SimpleQueue()
    child = fork.Process(target=_ask_in_a_child, args=[client, told])
    child.start()
    child.join(120)
    assert child.exitcode == 0
    assert told.get() == BOTH
    renewing.join()
    assert world.outcomes() == ["renewed"]


def test_whoever_presses_ctrl_c_twice_waits_for_a_renewal_all_the_same() -> None:
    done: list[str] = []
    begun, pressed = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        assert pressed.wait(120)
        done.append("kept")

    def press() -> None:
        begun.wait(120)
        for _ in range(2):
            time.sleep(0.1)
            os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.1)
        pressed.set()

    threading.Thread(target=press).start()
    with pytest.raises(KeyboardInterrupt):
        unbroken(work)
    assert done == ["kept"]


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("where", ["main", "worker"])
def test_a_command_broken_off_amid_a_renewal_keeps_what_the_portal_gave(
    world: World, sign: signal.Signals, where: str
) -> None:
    world.log_in()
    world.clock.now += 2 * HOUR
    world.emulator.fail(TOKEN, Fault.late(1.5), times=1)
    program = f"""
        import threading

        import click
        from ods_pipeline.cli import main as cli
        from ods_pipeline.portal.auth import OAuth2
        from ods_pipeline.portal.http.client import Client

        def ask():
            login = OAuth2("app", "app-secret", "{world.file}", clock=lambda: {world.clock.now})
            Client("{world.emulator.url}", login).json("/catalog/datasets")

        @click.command()
        def command():
            if "{where}" == "worker":
                threading.Thread(target=ask, daemon=True).start()
                threading.Event().wait()
            ask()

        cli.cli = command
        cli.main()
    """
    run = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    while not world.outcomes():
        assert run.poll() is None, run.communicate()
        time.sleep(0.01)
    run.send_signal(sign)
    _, said = run.communicate(timeout=120)
    assert run.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143}[sign], said
    assert "Traceback" not in said
    kept = world.kept()
    assert (kept.generation, kept.pending) == (1, None)
    assert seen(world.client()) == BOTH


@pytest.mark.parametrize(
    "place",
    ["postgresql+psycopg://me:hush-hush@db/x", "mysql://me:hush-hush@db/x", "s3://hush-hush/t"],
)
def test_a_place_of_another_kind_is_refused_by_its_kind_alone(place: str) -> None:
    with pytest.raises(ConfigurationError, match="no login can be kept") as refused:
        OAuth2("app", "", place).store(Address.parse("https://portal.test"))
    assert "hush" not in str(refused.value)


def test_the_home_of_nobody_is_told() -> None:
    login = OAuth2("app", "", "~nobody-of-this-name/login.json")
    with pytest.raises(ConfigurationError, match="ODS_TOKEN_FILE is ~nobody-of-this-name"):
        login.store(Address.parse("https://portal.test"))


def test_a_scheme_in_capitals_is_the_same_scheme() -> None:
    store = OAuth2("app", "", "PostgreSQL://me:hush-hush@db/x").store(
        Address.parse("https://portal.test")
    )
    assert store.where == "table ods_pipeline_logins of postgresql://db/x"


def test_a_place_that_cannot_keep_a_login_is_told_before_anybody_is_asked(world: World) -> None:
    world.file.parent.mkdir(mode=0o777)
    world.file.parent.chmod(0o777)
    with pytest.raises(TokenStoreError, match="others can write to the folder"):
        world.oauth2().consent(world.address, "http://127.0.0.1:8766/callback")
    assert world.emulator.requests == []
