"""Processes of several hosts, as it were, share a login in one row: one of them renews it."""

from pathlib import Path

import pytest

from ods_pipeline.emulator import Fault
from tests.portal.auth.crowd import RIGHT, crowd
from tests.portal.auth.world import TOKEN, a_world
from tests.servers.postgres.server import Server

pytestmark = pytest.mark.servers

PROCESSES, THREADS, ROUNDS = 8, 4, 10
# By the server's clock and nobody else's: so it is the server that is told of another time.
LAPSE = "update kept.ods_pipeline_logins set until = clock_timestamp() where holder is not null"


def test_a_login_in_a_row_is_renewed_once_and_a_killed_host_costs_nothing(
    tmp_path: Path, postgres: Server, database: str
) -> None:
    with a_world(tmp_path) as world:
        world.database = database
        world.log_in()
        store = world.oauth2().store(world.address)
        with crowd(world, store, database, PROCESSES, THREADS) as gathered:
            for number in range(ROUNDS):
                world.emulator.fail(TOKEN, Fault.late(0.05), times=1)
                world.clock.now += 7200
                gathered.begin()
                assert gathered.end() == [RIGHT] * (PROCESSES * THREADS), number
            world.emulator.fail(TOKEN, Fault.unheard(60), times=1)
            world.clock.now += 7200
            gathered.begin()
            gathered.kill_the_one_that_renews()
            postgres.ask(LAPSE, database.rpartition("/")[2])
            assert gathered.end() == [RIGHT] * ((PROCESSES - 1) * THREADS)
        assert world.outcomes() == ["renewed"] * (ROUNDS + 1)
        assert world.kept().generation == ROUNDS + 1
