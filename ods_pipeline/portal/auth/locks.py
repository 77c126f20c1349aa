"""Turns among the threads of one process, before the process competes with others.

Stores exclude threads by themselves; with these they need not all poll for it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from ods_pipeline.errors import TokenStoreError

_TURNS: dict[str, Lock] = {}
# A child has none of the threads that could give a turn back.
os.register_at_fork(after_in_child=_TURNS.clear)


@contextmanager
def turn(key: str, where: str, max_wait: float) -> Iterator[None]:
    """Be the only thread of this process at a login.

    Args:
        key: Any name, the same for the same login.
        where: The place where it is kept, for people.
        max_wait: Seconds to wait for another thread at most.

    Raises:
        TokenStoreError: Another one was at it for longer.
    """
    ours = _TURNS.setdefault(key, Lock())
    if not ours.acquire(timeout=max(max_wait, 0)):
        raise busy(where, max_wait)
    try:
        yield
    finally:
        ours.release()


def busy(where: str, max_wait: float) -> TokenStoreError:
    """What somebody is told who waited in vain for a renewal under way."""
    return TokenStoreError(
        f"another process has been renewing the login in {where} for more than "
        f"{max_wait:g} seconds, so nothing was done; try again later"
    )
