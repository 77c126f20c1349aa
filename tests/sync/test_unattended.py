"""A schedule that nobody watches: weeks of runs on one consent, in fresh processes as it were."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from ods_pipeline.emulator import Fault
from ods_pipeline.errors import LoginNeeded
from ods_pipeline.lake.lake import Lake
from ods_pipeline.portal.portal import Portal
from ods_pipeline.sync.options import RunContext
from ods_pipeline.sync.run import Run
from tests.desk import FIELDS, rows
from tests.portal.auth.world import TOKEN, World, a_world

pytestmark = pytest.mark.slow

HOURS_BETWEEN, WEEKS = 6, 3
RUNS = WEEKS * 7 * 24 // HOURS_BETWEEN
TROUBLE = (Fault.status(503), Fault.reset(), Fault.html(), Fault.stall(0.05))


def run(world: World) -> dict[str, str]:
    """One scheduled run, which remembers nothing but what is on disk."""
    portal = Portal(world.emulator.url, world.oauth2())
    outcomes = Run(RunContext(portal, Lake.of(world.folder, portal.slug)), None)()
    return {outcome.name: outcome.action for outcome in outcomes}


def test_three_weeks_of_runs_go_by_on_one_consent(tmp_path: Path) -> None:
    with a_world(tmp_path) as world:
        world.log_in()
        for number in range(RUNS):
            world.clock.now += HOURS_BETWEEN * 3600
            edited = number % 12 == 0
            if edited:
                world.emulator.publish("private-towns", FIELDS, rows(number + 1))
            if number % 25 == 0:
                world.emulator.fail(TOKEN, TROUBLE[number // 25 % len(TROUBLE)], times=1)
            assert run(world)["private-towns"] == ("landed" if edited else "unchanged"), number
        assert world.outcomes() == ["renewed"] * RUNS
        assert world.kept().generation == RUNS
        lake = Lake.of(world.folder, world.address.slug)
        last = max(range(0, RUNS, 12)) + 1
        assert pq.read_table(lake.partition("records", "private-towns")).num_rows == last
        tokens = world.file.parent
        assert sorted(path.name for path in tokens.iterdir()) == ["login.json", "login.json.lock"]


def test_a_login_that_is_withdrawn_stops_the_schedule_and_leaves_the_data(tmp_path: Path) -> None:
    with a_world(tmp_path) as world:
        world.log_in()
        assert run(world)["private-towns"] == "landed"
        world.emulator.revoke_logins()
        for _ in range(3):
            world.clock.now += HOURS_BETWEEN * 3600
            with pytest.raises(LoginNeeded, match="run `ods-pipeline login` once more"):
                run(world)
        assert world.outcomes() == ["refused"]
        lake = Lake.of(world.folder, world.address.slug)
        assert pq.read_table(lake.partition("records", "private-towns")).num_rows == 7
        world.log_in()
        assert run(world)["private-towns"] == "unchanged"
