"""The token store in PostgreSQL: one row, for the processes of several hosts.

It needs one table and plain transactions, so that it works through a pooler: nothing is kept in a
session, and no connection is held while the portal is waited for. psycopg is imported on first use.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from random import uniform
from threading import Timer
from time import monotonic, sleep
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import uuid4

from ods_pipeline.errors import ConfigurationError, TokenStoreError
from ods_pipeline.portal.auth.grant import Grant
from ods_pipeline.portal.auth.store import busy, login_lock
from ods_pipeline.portal.http.signing import Sealed
from ods_pipeline.redaction import keep_secret
from ods_pipeline.state.postgres import made_by_another, psycopg

TABLE = "ods_pipeline_logins"
#: Seconds after which another one may renew, though the holder has not said that it is done; any
#: honest portal has answered before, or its request was given up.
LEASE = 180
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0
# A connection that was cut comes back by then; every statement may be given twice.
_PAUSES = (0.2, 0.5, 1)
# A server that restarts does, too. What the portal has given is worth waiting for.
_LONG_PAUSES = (1, 2, 4, 8, 15)
# Statements take milliseconds, and the server gives them up after ten seconds.
_LONGEST = 30.0

# Each statement is whole, and leaves no session state.
_CONNECTION = {
    "connect_timeout": 10,
    "client_encoding": "utf8",
    "application_name": "ods-pipeline",
    # Poolers give each transaction another session, which knows no statements prepared before.
    "prepare_threshold": None,
    # A server that vanished without a word is noticed after 20 seconds.
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}

_CREATE = """
create table if not exists ods_pipeline_logins (
    portal text not null,
    client_id text not null,
    record jsonb,
    generation bigint,
    holder text,
    until timestamptz,
    primary key (portal, client_id)
)"""
# For this transaction alone: no wait without end, and a commit that means "on disk".
_CAREFULLY = """
select set_config('statement_timeout', '10s', true),
    case when current_setting('synchronous_commit') = 'off'
        then set_config('synchronous_commit', 'on', true) end"""
_LOAD = """
select record::text from ods_pipeline_logins
where portal = %(portal)s and client_id = %(client_id)s"""
_SAVE = """
insert into ods_pipeline_logins (portal, client_id, record, generation)
values (%(portal)s, %(client_id)s, %(record)s::jsonb, %(generation)s)
on conflict (portal, client_id)
do update set record = excluded.record, generation = excluded.generation
returning true"""
# The second condition recognises what a commit kept whose confirmation got lost.
_SWAP = """
update ods_pipeline_logins set record = %(record)s::jsonb, generation = %(generation)s
where portal = %(portal)s and client_id = %(client_id)s
    and (record->>'refresh_token' = %(old)s or record = %(record)s::jsonb)
returning true"""
# Who begins to spend a refresh token must still be the one who may, with a whole lease ahead.
_BEGIN = """
update ods_pipeline_logins set record = %(record)s::jsonb, generation = %(generation)s,
    until = clock_timestamp() + %(lease)s * interval '1 second'
where portal = %(portal)s and client_id = %(client_id)s
    and record->>'refresh_token' = %(old)s
    and holder = %(holder)s and until > clock_timestamp()
returning true"""
_FORGET = """
update ods_pipeline_logins set record = null, generation = null
where portal = %(portal)s and client_id = %(client_id)s and record is not null
returning true"""
_TAKE = """
insert into ods_pipeline_logins as kept (portal, client_id, holder, until)
values (
    %(portal)s, %(client_id)s, %(holder)s,
    clock_timestamp() + %(lease)s * interval '1 second'
)
on conflict (portal, client_id)
do update set holder = excluded.holder, until = excluded.until
where kept.holder is null or kept.holder = excluded.holder or kept.until <= clock_timestamp()
returning true"""
_RELEASE = """
update ods_pipeline_logins set holder = null, until = null
where portal = %(portal)s and client_id = %(client_id)s and holder = %(holder)s
returning true"""


class _Lost(TokenStoreError):
    """The server cannot be reached, or broke off."""


class PostgresStore(Sealed):
    """Keeps a login in the row of its portal and application, and there notes who renews it.

    See `TokenStore`.
    """

    def __init__(self, url: str, portal: str, client_id: str, *, lease: float = LEASE) -> None:
        """Name a database; it is not asked yet.

        Args:
            url: Its `postgresql://` URL, in any form that libpq understands.
            portal: Base URL of the portal whose login it keeps.
            client_id: The application.
            lease: Seconds after which a holder that is not heard of counts as dead.

        Raises:
            ConfigurationError: It is no such URL.
        """
        self._url, self._lease, self._holder = url, lease, ""
        self._key = {"portal": portal, "client_id": client_id}
        self._where = f"table {TABLE} of {_without_secrets(url)}"

    def __repr__(self) -> str:
        """The place alone."""
        return f"PostgresStore({self._where!r})"

    @property
    def where(self) -> str:
        """Host, database and table."""
        return self._where

    def load(self) -> Grant | None:
        """The stored login; None if there is none."""
        row = self._patiently("read", self._loaded)
        if row is None or row[0] is None:
            return None
        try:
            return Grant.parse(row[0])
        except ValueError:
            raise TokenStoreError(
                f"{self._where} holds no whole record of the login of "
                f"{self._key['client_id']}; run `ods-pipeline login` to replace it"
            ) from None

    def ready(self) -> None:
        """See that a new login could be kept here."""
        self._did("kept", _RELEASE, holder="nobody")

    def save(self, grant: Grant) -> None:
        """Keep a new login, whatever was kept before."""
        self._did("kept", _SAVE, **_columns(grant))

    def swap(self, old: Grant, new: Grant) -> bool:
        """Keep `new` where the refresh token kept is still `old`'s; else False, and nothing moves.

        The row itself is compared: a holder that was slow keeps what it got, and a person's new
        login stays. Only a renewal that is about to begin needs the lease as well.
        """
        values: dict[str, Any] = {"old": old.refresh_token, **_columns(new)}
        if new.pending is not None and not new.refused:
            # Before a renewal nothing is lost yet, and no process needs to wait.
            values |= {"holder": self._holder, "lease": self._lease}
            return self._did("kept", _BEGIN, (), **values)
        return self._did("kept", _SWAP, _LONG_PAUSES, **values)

    def forget(self) -> bool:
        """Keep nothing; False where nothing was kept."""
        return self._did("taken away", _FORGET)

    @contextmanager
    def exclusive(self, max_wait: float) -> Iterator[None]:
        """Hold the row's lease; that of a holder who died lapses, by the server's clock."""
        end, holder = monotonic() + max_wait, uuid4().hex
        key = " ".join([self._where, *self._key.values()])
        with login_lock(key, self._where, max_wait), self._leased(holder, end, max_wait):
            yield

    @contextmanager
    def _leased(self, holder: str, end: float, max_wait: float) -> Iterator[None]:
        try:
            self._take(holder, end, max_wait)
            self._holder = holder
            yield
        finally:
            # One that cannot be given back lapses.
            with suppress(TokenStoreError):
                self._did("unlocked", _RELEASE, holder=holder)

    def _take(self, holder: str, end: float, max_wait: float) -> None:
        pause = _FIRST_PAUSE
        while not self._did("locked", _TAKE, holder=holder, lease=self._lease):
            left = end - monotonic()
            if left <= 0:
                raise busy(self._where, max_wait)
            sleep(min(left, pause * uniform(0.5, 1)))  # noqa: S311 - jitter is no secret
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _did(
        self, done: str, statement: str, pauses: Sequence[float] = _PAUSES, **values: Any
    ) -> bool:
        return bool(self._patiently(done, lambda: self._made(statement, values), pauses))

    def _patiently(
        self, done: str, ask: Callable[[], Any], pauses: Sequence[float] = _PAUSES
    ) -> Any:
        for pause in pauses:
            try:
                return self._told(done, ask)
            except _Lost:
                sleep(pause)
        return self._told(done, ask)

    def _loaded(self) -> Any:
        try:
            return self._once(_LOAD, {})
        except psycopg().errors.UndefinedTable:
            return None

    def _made(self, statement: str, values: dict[str, Any]) -> bool:
        try:
            return self._once(statement, values) is not None
        except psycopg().errors.UndefinedTable:
            # Two that create it at once get in each other's way; either way it is there.
            with suppress(*made_by_another()):
                self._once(_CREATE, {})
            return self._once(statement, values) is not None

    def _once(self, statement: str, values: dict[str, Any]) -> Any:
        driver = psycopg()
        with driver.connect(self._url, **_CONNECTION) as connection:
            connection.isolation_level = driver.IsolationLevel.READ_COMMITTED
            # libpq waits for ever where something between here and the server has gone silent.
            watch = Timer(_LONGEST, _hang_up, [connection.fileno()])
            watch.daemon = True
            watch.start()
            try:
                connection.execute(_CAREFULLY)
                cursor = connection.execute(statement, {**self._key, **values})
                found = cursor.fetchone() if cursor.description else None
                connection.commit()
                return found
            finally:
                watch.cancel()

    def _told(self, done: str, ask: Callable[[], Any]) -> Any:
        driver = psycopg()
        try:
            return ask()
        except driver.Error as error:
            kind = _Lost if isinstance(error, driver.OperationalError) else TokenStoreError
            said = error.diag.message_primary or str(error).partition("\n")[0]
        # Not as its cause or context: what the server adds may quote the row, or the password.
        raise kind(f"the login in {self._where} cannot be {done}: {said}")


def _columns(grant: Grant) -> dict[str, Any]:
    return {"record": grant.dump(), "generation": int(grant.generation)}


def _hang_up(number: int) -> None:
    # A copy of the descriptor: the connection closes its own.
    with suppress(OSError), socket.socket(fileno=os.dup(number)) as connection:
        connection.shutdown(socket.SHUT_RDWR)


def _without_secrets(url: str) -> str:
    try:
        parts = urlsplit(url)
        named = parse_qs(parts.query)
    except ValueError:
        raise _no_url() from None
    user, _, host = parts.netloc.rpartition("@")
    # The password's own / or ? ends the host too early: what follows would be shown as its name.
    if "@" in parts.path + parts.query + parts.fragment:
        raise _no_url()
    passwords = [user.partition(":")[2], *named.get("password", []), *named.get("sslpassword", [])]
    keep_secret(*passwords, *map(unquote, passwords))
    shown = host or ",".join(named.get("host", []))
    return f"postgresql://{shown}/{parts.path.lstrip('/') or ','.join(named.get('dbname', []))}"


def _no_url() -> ConfigurationError:
    return ConfigurationError(
        "ODS_TOKEN_FILE is no URL of a database, such as postgresql://USER:PASSWORD@HOST/DATABASE; "
        "write special characters of the password with %, such as %40 for @"
    )
