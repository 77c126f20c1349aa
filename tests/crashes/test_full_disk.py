"""No room at any write: one sentence, what was landed stays whole, and room is all it takes."""

from collections.abc import Callable

import pytest

from tests.crashes.nursery import OWN_DISK, Done
from tests.crashes.scene import Scene

# Too little for anything, for a partition, for the catalog, for the warehouse, for new rows in it.
FILES = (0, 500, 3_300, 10_000, 16_000, 40_000, 100_000, 250_000)
DISKS = tuple(kilobytes << 10 for kilobytes in (8, 20, 40, 64, 120, 250, 500))
PLENTY = 64 << 20
ROWS = 5_000

Way = tuple[tuple[int, ...], str, Callable[[Scene, int], Done]]


def with_small_files(here: Scene, size: int) -> Done:
    return here.sync(largest=size)


def on_a_small_disk(here: Scene, size: int) -> Done:
    here.on_a_disk_of(size)
    done = here.sync()
    here.on_a_disk_of(PLENTY)
    return done


# Mounting takes rights that not every machine gives: there, limits on files have to do.
WAYS: dict[str, Way] = {
    "small files": (FILES, "limit on the size of files", with_small_files),
    **({"a small disk": (DISKS, "is full", on_a_small_disk)} if OWN_DISK else {}),
}


@pytest.mark.parametrize("way", WAYS)
def test_no_room_is_told_and_with_room_the_next_run_lands_what_is_missing(
    here: Scene, way: str
) -> None:
    sizes, sentence, sync = WAYS[way]
    ends = []
    for number, size in enumerate(sizes):
        here.publish("two", ROWS + number)
        done = sync(here, size)
        assert done.status in {0, 1, 2}, done.said
        assert (done.status != 0) == (sentence in done.said), done.said
        ends.append(done.status)
    assert 0 not in ends[:-2], ends
    done = here.sync()
    assert done.status == 0, done.said
    here.require_settled()
