"""A quota in PostgreSQL: one account for all hosts, by the server's clock, free of the dead."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from ods_pipeline.emulator import Emulator
from ods_pipeline.errors import QuotaExhausted, StateError
from ods_pipeline.portal.http.client import Client
from ods_pipeline.portal.quota.state import State
from ods_pipeline.portal.quota.state_row import StateRow
from ods_pipeline.state.database import Database
from ods_pipeline.state.postgres import parse
from tests.portal.quota.account_behaviour import (
    DATASETS,
    EveryAccount,
    by_the_month,
    client_of,
    state_of,
)
from tests.servers.postgres.server import USER, Server

pytestmark = pytest.mark.servers

CUT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'ods%'"


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(sample=False, quota=100) as running:
        by_the_month(running)
        yield running


class TestRow(EveryAccount):
    """All that every account does."""


@pytest.fixture
def another_process(state: str) -> Iterator[Callable[[], Database]]:
    """The database as another process reaches it, by a connection and a number of its own."""
    made: list[Database] = []

    def reached() -> Database:
        made.append(Database(parse(state, "ODS_STATE")))
        return made[-1]

    yield reached
    for database in made:
        database.work(lambda connection: connection.close())


def counted(found: State, _: float) -> tuple[State, int]:
    return State(sent=found.sent + 1), found.sent + 1


def test_no_change_is_lost_among_many_threads_and_connections_that_come_first(
    another_process: Callable[[], Database],
) -> None:
    accounts = [StateRow(another_process(), "p") for _ in range(4)]

    def count(number: int) -> None:
        for _ in range(50):
            accounts[number % 4].update(counted)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count, range(8)))
    assert accounts[0].update(counted) == 401


def test_portals_and_payers_have_accounts_of_their_own(
    another_process: Callable[[], Database],
) -> None:
    names = ["one.test--anonymous", "one.test--key-1", "two.test--anonymous"]
    assert [StateRow(another_process(), name).update(counted) for name in names] == [1, 1, 1]


def test_a_host_whose_clock_is_an_hour_off_waits_for_the_same_reset(
    emulator: Emulator, another_process: Callable[[], Database]
) -> None:
    emulator.use_up(90)
    right = Client(emulator.url, max_wait=0, attempts=1, state=another_process())
    ahead = Client(
        emulator.url,
        max_wait=0,
        attempts=1,
        state=another_process(),
        now=lambda: time.time() + 3600,
    )
    ahead.json(DATASETS)
    with ahead.reserved(2, "d"):
        # Of the right clock's: what was set aside has 900 seconds to live, and not 4,500.
        (lease,) = state_of(right).holds.values()
        assert 890 < lease.until - time.time() < 910
    resets = []
    for client in (right, ahead):
        with pytest.raises(QuotaExhausted) as spent, client.reserved(9, "d"):
            pass
        resets.append(spent.value.reset)
    assert resets[0] == resets[1]
    assert abs(ahead._budget._account.now() - time.time()) < 5


def test_what_was_set_aside_by_a_process_that_was_cut_off_is_its_own_again(
    postgres: Server, emulator: Emulator, state: str
) -> None:
    client = client_of(emulator, state)
    client.json(DATASETS)
    with client.reserved(60, "d"):
        postgres.ask(CUT)
        client.json(DATASETS)
        assert [lease.left for lease in state_of(client).holds.values()] == [59]


def test_a_server_that_restarts_amid_a_run_costs_no_request(
    postgres: Server, emulator: Emulator, state: str
) -> None:
    client = client_of(emulator, state)
    client.json(DATASETS)
    postgres.stop("immediate")
    back = threading.Timer(1, postgres.start)
    back.start()
    try:
        client.json(DATASETS)
    finally:
        back.join()
    assert client.requests_made == 2


def test_nothing_is_asked_of_the_portal_where_the_account_cannot_be_reached(
    postgres: Server, emulator: Emulator, state: str
) -> None:
    client = client_of(emulator, state)
    postgres.stop()
    try:
        with pytest.raises(StateError, match="cannot be reached"):
            client.json(DATASETS)
    finally:
        postgres.start()
    assert not emulator.requests


def test_a_holder_that_stops_amid_a_change_is_not_waited_for_long(
    another_process: Callable[[], Database],
) -> None:
    stopped, account = another_process(), StateRow(another_process(), "p")
    account.update(counted)
    taken, done = threading.Event(), threading.Event()

    def stop(found: State, _: float) -> tuple[State, None]:
        taken.set()
        done.wait(120)
        return found, None

    thread = threading.Thread(target=StateRow(stopped, "p").update, args=[stop])
    thread.start()
    taken.wait(60)
    began = time.monotonic()
    assert account.update(counted) == 2
    assert time.monotonic() - began < 10
    done.set()
    thread.join()


def test_a_user_who_may_not_make_the_table_is_told_what_to_ask_for(
    postgres: Server, state: str, another_process: Callable[[], Database]
) -> None:
    name = state.rpartition("/")[2]
    postgres.ask("alter schema kept owner to admin", name)
    postgres.ask(f"grant usage on schema kept to {USER}", name)
    account = StateRow(another_process(), "p")
    with pytest.raises(StateError, match="GRANT USAGE, CREATE ON SCHEMA"):
        account.update(counted)
    # Nor is more needed, once somebody has made it.
    postgres.ask(f"grant create on schema kept to {USER}", name)
    account.update(counted)
    postgres.ask(f"revoke create on schema kept from {USER}", name)
    assert StateRow(another_process(), "p").update(counted) == 2


def test_a_damaged_row_is_begun_again(
    postgres: Server, state: str, another_process: Callable[[], Database]
) -> None:
    StateRow(another_process(), "p").update(counted)
    postgres.ask("update kept.ods_pipeline_quotas set state = '{'", state.rpartition("/")[2])
    assert StateRow(another_process(), "p").update(counted) == 1
