"""Locks of names in PostgreSQL, for the processes of several hosts.

They are advisory locks of a session: the server gives them back when the process or its host dies.
Which names there are does not belong here.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from ods_pipeline.errors import StateError
from ods_pipeline.state.database import Database
from ods_pipeline.state.locks import Stopped, holding, thread_lock
from ods_pipeline.state.postgres import lock_number

if TYPE_CHECKING:
    from ods_pipeline.state.database import Connection

_FIRST_PAUSE, _LONGEST_PAUSE = 0.002, 0.1
_TRY = "SELECT pg_catalog.pg_try_advisory_lock(%s)"
_RELEASE = "SELECT pg_catalog.pg_advisory_unlock(%s)"


class DatabaseLocks:
    """Locks of names in a database; see `Locks`."""

    def __init__(self, database: Database, scope: str) -> None:
        """Name the locks of one scope, such as a portal; nothing is locked yet."""
        self._database, self._scope = database, scope

    @contextlib.contextmanager
    def lock(self, name: str, stop: Callable[[], bool]) -> Iterator[None]:
        """Hold the lock of a name until the end of the block."""
        number, database = lock_number("lock", self._scope, name), self._database
        # A session may take a lock twice: among the threads that share it, this one counts.
        with _turn(f"{database.where}/{number}", stop):
            connection = self._acquired(number, stop)
            try:
                with holding(lambda: self._require(connection, name)):
                    yield
            finally:
                database.on(connection, lambda session: session.execute(_RELEASE, (number,)))

    def _acquired(self, number: int, stop: Callable[[], bool]) -> Connection:
        def attempt(session: Connection) -> Connection | None:
            try:
                ((taken,),) = session.execute(_TRY, (number,)).fetchall()
            except BaseException:  # Ctrl-C as well: it may have been taken.
                session.close()
                raise
            return session if taken else None

        pause = _FIRST_PAUSE
        while (connection := self._database.work(attempt)) is None:
            if stop():
                raise Stopped
            time.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE)
        return connection

    def _require(self, connection: Connection, name: str) -> None:
        if not self._database.on(connection, lambda session: session.execute("SELECT 1")):
            raise StateError(
                f"the lock on {name} was lost, since the connection to {self._database.where} "
                "broke off: another run may be at it, so nothing was published; run again"
            )


@contextlib.contextmanager
def _turn(name: str, stop: Callable[[], bool]) -> Iterator[None]:
    lock = thread_lock(f"advisory/{name}")
    while not lock.acquire(timeout=_LONGEST_PAUSE):
        if stop():
            raise Stopped
    try:
        yield
    finally:
        lock.release()
