"""The lock of a login among the threads of one process, before it competes with other processes.

Stores exclude other processes by themselves; with this lock their threads need not all poll.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ods_pipeline.errors import TokenStoreError
from ods_pipeline.lake.locks import thread_lock


@contextmanager
def login_lock(key: str, where: str, max_wait: float) -> Iterator[None]:
    """Be the only thread of this process that works on a login; `where` names it for people.

    Raises:
        TokenStoreError: Another thread held it for longer.
    """
    lock = thread_lock(f"login/{key}")
    if not lock.acquire(timeout=max(max_wait, 0)):
        raise busy(where, max_wait)
    try:
        yield
    finally:
        lock.release()


def busy(where: str, max_wait: float) -> TokenStoreError:
    """The error of waiting too long for another renewal."""
    return TokenStoreError(
        f"another process has been renewing the login in {where} for more than "
        f"{max_wait:g} seconds, so nothing was done; try again later"
    )
