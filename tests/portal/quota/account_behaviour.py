"""What a quota's account does wherever it is kept, with processes that share it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from ods_pipeline.emulator import Emulator, Fault
from ods_pipeline.errors import QuotaExhausted
from ods_pipeline.portal.http.client import Client
from ods_pipeline.portal.quota.state import State
from ods_pipeline.state.database import shared

DATASETS = "/catalog/datasets"


def state_of(client: Client) -> State:
    return client._budget._account.update(lambda state, _: (state, state))


def started(state: str, *arguments: object) -> subprocess.Popen[str]:
    """A process of `quota_worker`, with this shared state."""
    command = [sys.executable, "-m", "tests.portal.quota.quota_worker", *map(str, arguments)]
    environment = {**os.environ, "STATE": state}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def client_of(emulator: Emulator, state: str) -> Client:
    return Client(emulator.url, max_wait=0, attempts=1, state=shared(state))


def by_the_month(emulator: Emulator) -> None:
    """A quota that does not start again while a test runs, by the real time."""
    emulator.quota_clock.jump(time.time() - emulator.quota_clock())
    emulator.ration(100, "month")


class EveryAccount:
    """The tests of all accounts; a test file says in `state` where they are."""

    def test_two_processes_never_send_more_than_the_quota_and_never_meet_its_end(
        self, emulator: Emulator, state: str
    ) -> None:
        by_the_month(emulator)
        workers = [started(state, "spend", emulator.url, 3) for _ in range(2)]
        ends = [worker.communicate(timeout=120)[0].partition(" ") for worker in workers]
        assert len(emulator.requests) == sum(int(sent) for sent, _, _ in ends)
        assert 85 <= len(emulator.requests) <= 95
        for _, _, end in ends:
            assert end.startswith("QuotaExhausted: ")
            assert "of 100 requests" in end

    def test_what_a_killed_process_had_set_aside_is_free_again(
        self, emulator: Emulator, state: str
    ) -> None:
        by_the_month(emulator)
        client = client_of(emulator, state)
        client.json(DATASETS)
        with started(state, "hold", emulator.url, 90) as worker:
            assert worker.stdout
            assert worker.stdout.readline() == "held\n"
            with pytest.raises(QuotaExhausted, match="90 are promised"), client.reserved(10, "d"):
                pass
            worker.kill()
        end = time.monotonic() + 60
        while len(state_of(client).holds) and time.monotonic() < end:
            with suppress(QuotaExhausted), client.reserved(10, "d"):
                assert len(state_of(client).holds) == 1
        assert not state_of(client).holds

    def test_a_429_for_next_month_is_not_asked_again_by_another_process(
        self, emulator: Emulator, state: str
    ) -> None:
        reset = (datetime.now(UTC) + timedelta(days=20)).isoformat()
        emulator.fail(".", Fault.quota(reset, unit="month"), times=None)
        client = client_of(emulator, state)
        with pytest.raises(QuotaExhausted, match="10000 requests a month"):
            client.json(DATASETS)
        emulator.faults.clear()
        with started(state, "ask", emulator.url) as worker:
            assert worker.stdout
            told = worker.stdout.read()
        assert told.startswith("0 QuotaExhausted: the request quota of 10000 requests a month of ")
        assert "nothing was asked" in told
        with pytest.raises(QuotaExhausted, match="is spent"), client.reserved(1, "d"):
            pass
        assert len(emulator.requests) == 1

    def test_a_forked_process_shares_the_budget_and_none_of_the_reservations(
        self, emulator: Emulator, state: str
    ) -> None:
        by_the_month(emulator)
        client = client_of(emulator, state)
        client.json(DATASETS)
        with client.reserved(80, "d"):
            child = os.fork()
            if child == 0:
                try:
                    with client.reserved(20, "d"):
                        os._exit(1)
                except QuotaExhausted:
                    os._exit(7)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
