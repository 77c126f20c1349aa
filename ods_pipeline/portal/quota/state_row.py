"""The row of a quota's state in PostgreSQL, for the processes of several hosts.

Time is the server's, so that a host whose clock is wrong counts like the others. What the entries
mean is not known here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from ods_pipeline.portal.quota.account import Change
from ods_pipeline.portal.quota.state import Holder, Lease, State, dump, parse
from ods_pipeline.state.database import Database
from ods_pipeline.state.postgres import made_by_another, psycopg

if TYPE_CHECKING:
    from ods_pipeline.state.database import Connection

_T = TypeVar("_T")
#: What a holder of a lease is called instead of its host.
_SESSION = "session"

# Half of each page is left free, so that a change finds room beside what it replaces.
_CREATE = """
CREATE TABLE IF NOT EXISTS ods_pipeline_quotas (
    name text PRIMARY KEY, state text NOT NULL, changed timestamptz NOT NULL
) WITH (fillfactor = 50)"""
_ADD = """
INSERT INTO ods_pipeline_quotas (name, state, changed) VALUES (%s, '', now())
ON CONFLICT (name) DO NOTHING"""
# The time is read once the row is ours: it may have been waited for.
_TAKE = """
WITH taken AS MATERIALIZED (
    SELECT state FROM ods_pipeline_quotas WHERE name = %s FOR UPDATE
)
SELECT state, extract(epoch FROM pg_catalog.clock_timestamp())::float8 FROM taken"""
_KEEP = "UPDATE ods_pipeline_quotas SET state = %s, changed = now() WHERE name = %s"


class StateRow:
    """Keeps one state in a row; see `Account`."""

    def __init__(
        self, database: Database, name: str, clock: Callable[[], float] = time.time
    ) -> None:
        """Name a state, without secrets; nothing is made or read yet."""
        self._database, self._name, self._clock = database, name, clock
        # By how much the server's clock is ahead, as of the last change.
        self._ahead = 0.0
        self._seen: tuple[str, State] = ("", State())

    @property
    def holder(self) -> Holder:
        """This process by its number, which it locks for as long as it is connected."""
        return Holder(_SESSION, self._database.number)

    def now(self) -> float:
        """The time by the server's clock, as far as it was heard of."""
        return self._clock() + self._ahead

    def is_alive(self, lease: Lease) -> bool:
        """Whether its holder is connected; to be called in a change."""
        return lease.host != _SESSION or self._database.alive(lease.process)

    def update(self, change: Change[_T]) -> _T:
        """Change the state, and return what the change tells; nobody else does meanwhile."""

        def changed(connection: Connection) -> _T:
            return self._changed(connection, change)

        try:
            return self._database.transaction(changed)
        except psycopg().errors.UndefinedTable:
            # Two that create it at once get in each other's way; either way it is there.
            with suppress(*made_by_another()):
                self._database.work(lambda connection: connection.execute(_CREATE))
            return self._database.transaction(changed)

    def _changed(self, connection: Connection, change: Change[_T]) -> _T:
        found = connection.execute(_TAKE, (self._name,)).fetchone()
        if found is None:
            connection.execute(_ADD, (self._name,))
            ((text, now),) = connection.execute(_TAKE, (self._name,)).fetchall()
        else:
            text, now = found
        self._ahead = now - self._clock()
        # Mostly no other process has written since, and it need not be parsed again.
        state = self._seen[1] if text == self._seen[0] else parse(text)
        new, answer = change(state, now)
        if new != state:
            text = dump(new).decode()
            connection.execute(_KEEP, (text, self._name))
        self._seen = text, new
        return answer
