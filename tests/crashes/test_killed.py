"""Killed at any instant: what is published is whole, and the next run needs nobody's help."""

import random

import pytest

from tests.crashes.nursery import Done
from tests.crashes.scene import Scene

KILLS = 8
# More than a first run touches, so that some runs come to their end.
TOUCHES = 130
NAMES = ("one", "two", "three", "four")


def require_recovery(here: Scene) -> None:
    done = here.sync()
    assert done.status == 0, done.said
    here.require_settled()
    assert here.sync().status == 0
    assert not here.exported()


def require_an_end(done: Done) -> bool:
    """Whether it was killed; what was not killed has ended well."""
    assert done.killed or done.status == 0, done.said
    return done.killed


@pytest.mark.parametrize("seed", range(3))
def test_runs_that_are_killed_before_any_touch_of_a_file_lose_and_double_nothing(
    here: Scene, seed: int
) -> None:
    dice = random.Random(seed)
    killed = 0
    for number in range(KILLS):
        if number:
            here.publish(dice.choice(NAMES), dice.randrange(1, 200))
        killed += require_an_end(here.sync(touch=dice.randrange(1, TOUCHES)))
    assert killed
    require_recovery(here)


@pytest.mark.parametrize("seed", range(2))
def test_runs_that_are_killed_after_any_time_lose_and_double_nothing(
    here: Scene, seed: int
) -> None:
    dice = random.Random(seed)
    here.publish("four", 2_000)
    whole = here.sync().seconds
    for _ in range(KILLS):
        here.publish(dice.choice(NAMES), dice.randrange(1, 2_000))
        require_an_end(here.sync(seconds=whole * dice.uniform(0.2, 1.1)))
    require_recovery(here)
