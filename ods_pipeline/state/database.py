"""The database that several hosts share their state in: one connection for each process.

What a session locks is given back when its process or its host dies, so a session is never shared
and never replaced unnoticed. Which rows and locks there are does not belong here.
"""

from __future__ import annotations

import atexit
import os
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import RLock
from typing import TYPE_CHECKING, Any, TypeVar

from ods_pipeline.errors import ConfigurationError, StateError
from ods_pipeline.state.postgres import Address, made_by_another, parse, psycopg, said

if TYPE_CHECKING:
    import psycopg as driver

    Connection = driver.Connection[tuple[Any, ...]]

_T = TypeVar("_T")
_SETTING = "ODS_STATE"
_SCHEMES = ("postgresql://", "postgres://")

# A crash may lose the last half second of the quota's account, and no lock outlives it anyway. A
# host that vanished without a word is noticed by the server after 20 seconds.
_SETTINGS = """
    SET TimeZone = 'UTC'; SET client_min_messages = error; SET synchronous_commit = off;
    SET lock_timeout = 0; SET statement_timeout = '30s';
    SET idle_in_transaction_session_timeout = '5s';
    SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3;
    SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED;
    SELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings
    WHERE name = 'idle_session_timeout'
"""
_PRESENT = "SELECT pg_catalog.pg_backend_pid(), pg_catalog.pg_try_advisory_lock_shared(%s)"
_SESSIONS = """
    SELECT (classid::bigint << 32) | objid::bigint FROM pg_catalog.pg_locks
    WHERE locktype = 'advisory' AND objsubid = 1 AND granted AND database =
        (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
"""
#: Seconds between two tries: a server that restarts is back by then.
_PAUSES = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0)
#: Seconds for which a process that was seen alive is believed to be.
_BELIEVED = 1.0

# By SQLSTATE, or by its first characters.
_SENTENCES: Mapping[str, str] = {
    "28": "the shared state {where} does not let you in ({said}): correct user and password, which "
    "may also be in PGUSER, PGPASSWORD or .pgpass",
    "3D000": "the shared state {where} is no database that is there ({said}): create it, or "
    "correct ODS_STATE",
    "3F000": "the shared state {where} has no schema for its tables ({said}): have the owner of "
    "the database run CREATE SCHEMA … AUTHORIZATION, and ALTER ROLE … SET search_path for the user "
    "of ODS_STATE",
    "42501": "the shared state {where} does not allow it ({said}): have its owner run GRANT USAGE, "
    "CREATE ON SCHEMA for the first schema in the search_path of the user of ODS_STATE",
    "25006": "the shared state {where} can only be read ({said}): set ODS_STATE to its primary "
    "server",
    "53300": "the shared state {where} has no connection left ({said}): allow one for each "
    "process, or run fewer at once",
}
_REFUSED = "the shared state {where} refused ({said})"
_UNREACHED = (
    "the shared state {where} cannot be reached ({said}): check that it is up and that ODS_STATE, "
    "the PG variables and .pgpass are right"
)
_POOLED = (
    "the shared state {where} is reached through a pooler, which may give the locks of one process "
    "to another: name the server itself in ODS_STATE"
)
# In libpq's report of a connection that was never had, the server's code is missing.
_PASSING = ("is starting up", "is shutting down", "too many", "remaining connection slots")


class Database:
    """One database for all threads of this process; `shared` gives it.

    Attributes:
        where: Host and database, for messages.
        number: What this process is known by among all that share the database.
    """

    def __init__(self, address: Address) -> None:
        self._address, self.where = address, address.where
        self._mutex, self.number = RLock(), _number()
        self._open: Connection | None = None
        self._was_open = False
        self._seen: frozenset[int] = frozenset()
        self._seen_at = 0.0

    def __repr__(self) -> str:
        """The place alone."""
        return f"Database({self.where!r})"

    def work(self, step: Callable[[Connection], _T]) -> _T:
        """Do a step on the connection, and once more on another where that broke off amid it.

        Args:
            step: What is done.

        Raises:
            StateError: The server refuses it, or cannot be reached.
            psycopg.Error: A table is not there yet, or two make it at once.
        """
        for pause in _PAUSES:
            with suppress(_Broken), self._mutex:
                return self._attempt(step)
            time.sleep(pause)
        with self._mutex:
            return self._attempt(step)

    def transaction(self, step: Callable[[Connection], _T]) -> _T:
        """Do a step in a transaction; see `work`."""

        def whole(connection: Connection) -> _T:
            with connection.transaction():
                return step(connection)

        return self.work(whole)

    def on(self, connection: Connection, step: Callable[[Connection], object]) -> bool:
        """Do a step on the very connection, where that is still the one; else False."""
        with self._mutex:
            if connection is not self._open or connection.closed:
                return False
            try:
                step(connection)
            except psycopg().Error:
                # With the connection everything ends that it may still hold.
                connection.close()
                return False
            return True

    def alive(self, number: int) -> bool:
        """Whether the process of a number is still connected; to be called in a step."""
        if number == self.number:
            return True
        if number not in self._seen or time.monotonic() - self._seen_at > _BELIEVED:
            assert self._open is not None  # noqa: S101
            self._seen = frozenset(int(row[0]) for row in self._open.execute(_SESSIONS))
            self._seen_at = time.monotonic()
        return number in self._seen

    def _attempt(self, step: Callable[[Connection], _T]) -> _T:
        library = psycopg()
        if self._open is None or self._open.closed:
            self._open = self._connected()
            self._was_open = True
        connection, problem = self._open, None
        try:
            return step(connection)
        except (library.errors.UndefinedTable, *made_by_another()):
            raise
        except library.Error as error:
            text = _sentence(error, self.where, _REFUSED)
            problem = _Broken(text) if connection.closed else StateError(text)
        # Not as its cause or context: what the server adds may quote a row, or the password.
        raise problem

    def _connected(self) -> Connection:
        library = psycopg()
        made: Connection | None = None
        problem: Exception
        try:
            made = library.connect(**self._address.parameters, autocommit=True)
            made.execute(_SETTINGS)
            ((process, _),) = made.execute(_PRESENT, (self.number,)).fetchall()
            # A pooler tells its clients a number of its own.
            if process == made.info.backend_pid:
                return made
            problem = ConfigurationError(_POOLED.format(where=self.where))
        except library.Error as error:
            text = _sentence(error, self.where, _UNREACHED)
            passes = self._was_open or any(sign in said(error) for sign in _PASSING)
            problem = _Broken(text) if passes else StateError(text)
        if made is not None:
            made.close()
        raise problem

    def ended(self) -> None:
        """Say goodbye to the server, unless a thread is still amid a step."""
        if self._mutex.acquire(blocking=False):
            if self._open is not None:
                self._open.close()
            self._mutex.release()

    def forked(self) -> None:
        """Leave the connection to the parent: a child has a number and a connection of its own."""
        if self._open is not None and not self._open.closed:
            # Else the child, as long as it lives, keeps the locks of a parent that was killed.
            with suppress(OSError):
                os.close(self._open.fileno())
        self._mutex, self.number, self._open = RLock(), _number(), None


class _Broken(StateError):
    """The connection broke off, or one that was there before cannot be had again."""


def shared(url: str) -> Database | None:
    """The database of a setting; None where it says nothing, and processes share local files.

    Args:
        url: A `postgresql://` URL, as libpq reads it. Nothing is connected to yet.

    Raises:
        ConfigurationError: It is none, or psycopg is not installed.
    """
    if not url:
        return None
    if not url.startswith(_SCHEMES):
        raise ConfigurationError(
            "ODS_STATE is no URL of PostgreSQL, such as postgresql://USER@HOST/DATABASE; leave "
            "it out where all processes run on one host"
        )
    if url not in _DATABASES:
        _DATABASES.setdefault(url, Database(parse(url, _SETTING)))
    return _DATABASES[url]


_DATABASES: dict[str, Database] = {}


def _after_fork() -> None:
    for database in _DATABASES.values():
        database.forked()


def _at_exit() -> None:
    for database in _DATABASES.values():
        database.ended()


os.register_at_fork(after_in_child=_after_fork)
atexit.register(_at_exit)


def _number() -> int:
    return secrets.randbits(62)


def _sentence(error: driver.Error, where: str, otherwise: str) -> str:
    state, words = error.sqlstate or "", said(error)
    if not state and ("authentication" in words or "password" in words):
        state = "28"
    found = next((text for sign, text in _SENTENCES.items() if state.startswith(sign)), otherwise)
    return found.format(where=where, said=words)
