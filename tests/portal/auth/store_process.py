"""Other processes at a token store, which tests start, watch and kill.

Run as `python -m tests.portal.auth.store_process ROLE PLACE …`.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

from ods_pipeline.errors import TokenStoreError
from tests.portal.auth.store_places import after, opened

ROOT = Path(__file__).parents[3]
_LONG = 100.0


def started(role: str, place: str, *arguments: object) -> subprocess.Popen[str]:
    """A process in one of the roles below."""
    return subprocess.Popen(
        [sys.executable, "-m", __name__, role, place, *map(str, arguments)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def told(process: subprocess.Popen[str]) -> str:
    """The next line of a process."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def tell(process: subprocess.Popen[str]) -> str:
    """Let a process go on to its end; gives what it had yet to say."""
    return process.communicate("go on\n")[0].strip()


def renew(place: str, threads: str, times: str) -> None:
    """Renew so many times in each thread, and print which renewals these were."""

    def work() -> None:
        store = opened(place, lease=_LONG)
        for _ in range(int(times)):
            with store.exclusive(_LONG):
                kept = store.load()
                assert kept is not None
                begun = replace(kept, pending=1.0)
                assert store.swap(kept, begun)
                renewed = after(begun)
                assert store.swap(begun, renewed)
            print(f"{renewed.generation}\n", end="", flush=True)

    workers = [threading.Thread(target=work) for _ in range(int(threads))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def hold(place: str) -> None:
    """Be the one who renews until killed."""
    with opened(place).exclusive(_LONG):
        print("held", flush=True)
        time.sleep(_LONG)


def linger(place: str, lease: str) -> None:
    """Begin a renewal, end it when told to, and print whether it was kept."""
    store = opened(place, float(lease))
    with store.exclusive(_LONG):
        kept = store.load()
        assert kept is not None
        begun = replace(kept, pending=1.0)
        assert store.swap(kept, begun)
        print("begun", flush=True)
        sys.stdin.readline()
        print(store.swap(begun, after(begun)), flush=True)


def hurry(place: str) -> None:
    """Renew without a pause until killed, and print each renewal once it is kept."""
    store = opened(place)
    with store.exclusive(_LONG):
        while True:
            kept = store.load()
            assert kept is not None
            begun = replace(kept, pending=1.0)
            store.swap(kept, begun)
            store.swap(begun, after(begun))
            print(kept.generation + 1, flush=True)


def begin_with_room_for(place: str, size: str) -> None:
    """Begin a renewal where no file may grow beyond a size, and print what comes of it."""
    store = opened(place)
    with store.exclusive(_LONG):
        kept = store.load()
        assert kept is not None
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(size), int(size)))
        try:
            print(store.swap(kept, replace(kept, pending=1.0)))
        except TokenStoreError as error:
            print(error)


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
