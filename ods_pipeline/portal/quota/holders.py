"""Who holds something of a budget: a thread of a process of a host, and whether it still lives."""

from __future__ import annotations

import os
import platform
import threading
from functools import cache

from ods_pipeline.portal.quota.state import Hold

#: Seconds after which a hold counts as lost that nobody has heard of.
LEASE = 900


def name() -> str:
    """The calling thread."""
    return f"{_host()}:{os.getpid()}:{threading.get_ident()}"


def hold(now: float, left: int = 0, dataset: str = "", *, place: bool = False) -> Hold:
    """What the calling thread holds from now on.

    Args:
        now: The time.
        left: Requests set aside.
        dataset: The dataset.
        place: Whether it takes one of the portal's places.
    """
    return Hold(_host(), os.getpid(), now + LEASE, dataset, left, place=place)


def lives(held: Hold) -> bool:
    """Whether the holder may still be at it; of other hosts, and of other containers, who knows."""
    if held.host != _host() or held.process == os.getpid():
        return True
    try:
        os.kill(held.process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return held.process > 0
    return True


@cache
def _host() -> str:
    # Containers may share a name and a folder, but not the numbers of their processes.
    try:
        return f"{platform.node()}/{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return platform.node()
