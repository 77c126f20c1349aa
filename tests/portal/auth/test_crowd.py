"""Many processes meet an expired token at once: one renews it, and nobody is lost."""

import pytest

from ods_pipeline.emulator import Fault
from tests.portal.auth.crowd import RIGHT, Crowd, crowd
from tests.portal.auth.world import TOKEN, World

pytestmark = pytest.mark.slow

PROCESSES, THREADS, ROUNDS = 16, 8, 8
SLOW = Fault.late(0.03)


def expire(world: World, number: int) -> None:
    """Let the token have run out: by the clock, or by the portal's decision."""
    if number % 2:
        world.clock.now += 7200
    else:
        world.emulator.expire_access_tokens()


def a_round(gathered: Crowd, number: int) -> list[str]:
    expire(gathered.world, number)
    gathered.begin()
    return gathered.end()


def lose_one(gathered: Crowd) -> None:
    """Kill one of the crowd amid its renewal, see that the others go on, and take on a new one."""
    world = gathered.world
    world.emulator.faults.clear()
    world.emulator.fail(TOKEN, Fault.unheard(60), times=1)
    world.emulator.fail(TOKEN, SLOW, times=None)
    world.clock.now += 7200
    gathered.begin()
    gathered.kill_the_one_that_renews()
    assert gathered.end() == [RIGHT] * ((PROCESSES - 1) * THREADS)
    gathered.grow(1)


@pytest.mark.timeout(1800)
def test_sixteen_processes_of_eight_threads_spend_no_refresh_token_twice(world: World) -> None:
    world.log_in()
    world.emulator.fail(TOKEN, SLOW, times=None)
    store = world.oauth2().store(world.address)
    with crowd(world, store, str(world.file), PROCESSES, THREADS) as gathered:
        for number in range(ROUNDS):
            if number == ROUNDS // 2:
                lose_one(gathered)
            assert a_round(gathered, number) == [RIGHT] * (PROCESSES * THREADS)
    assert world.outcomes() == ["renewed"] * (ROUNDS + 1)
    assert len({renewal.presented for renewal in world.emulator.renewals}) == ROUNDS + 1
    assert world.kept().generation == ROUNDS + 1


@pytest.mark.timeout(900)
def test_one_killed_before_the_portal_heard_it_costs_the_others_nothing(world: World) -> None:
    world.log_in()
    store = world.oauth2().store(world.address)
    with crowd(world, store, str(world.file), 4, 4) as gathered:
        for number in range(4):
            world.emulator.fail(TOKEN, Fault.unheard(60), times=1)
            world.clock.now += 7200
            gathered.begin()
            gathered.kill_the_one_that_renews()
            assert gathered.end() == [RIGHT] * 12
            assert world.outcomes() == ["renewed"] * (number + 1)
            gathered.grow(1)


@pytest.mark.timeout(900)
def test_one_killed_with_the_answer_in_its_hands_asks_for_a_login_and_no_more(world: World) -> None:
    world.log_in()
    store = world.oauth2().store(world.address)
    with crowd(world, store, str(world.file), 4, 4) as gathered:
        world.emulator.fail(TOKEN, Fault.late(60), times=1)
        world.clock.now += 7200
        gathered.begin()
        gathered.kill_the_one_that_renews()
        became = gathered.end()
        assert len(became) == 12
        assert all(item.startswith("LoginNeeded") for item in became), became
        assert all("if the portal gave new tokens for it, they are lost" in item for item in became)
        assert world.outcomes() == ["renewed", "spent"]

        world.log_in()
        gathered.grow(1)
        assert a_round(gathered, 1) == [RIGHT] * 16
    assert world.outcomes() == ["renewed", "spent", "renewed"]
