"""A login in a row of PostgreSQL: shared by hosts, safe from slow ones, dead ones and restarts."""

from __future__ import annotations

import os
import select
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from ods_pipeline.errors import ConfigurationError, TokenStoreError
from ods_pipeline.portal.auth import postgres as postgres_store
from ods_pipeline.portal.auth.postgres import PostgresStore
from tests.portal.auth.store_behaviour import EveryStore
from tests.portal.auth.store_places import CLIENT, LEASE, PORTAL, login, opened
from tests.portal.auth.store_process import started, tell, told
from tests.servers.postgres.server import QUOTED, USER, Server

pytestmark = pytest.mark.servers


@pytest.fixture
def place(database: str) -> str:
    return database


class TestRow(EveryStore):
    """All that every store does."""


def test_a_place_is_named_without_user_and_password(postgres: Server, database: str) -> None:
    name = database.rpartition("/")[2]
    store = opened(database)

    place = f"table ods_pipeline_logins of postgresql://127.0.0.1:{postgres.port}/{name}"
    assert store.where == place
    assert repr(store) == f"PostgresStore('{place}')"


def test_logins_of_other_portals_and_applications_are_kept_apart(database: str) -> None:
    others = [
        PostgresStore(database, "https://other.example.org", CLIENT),
        PostgresStore(database, PORTAL, "another-client"),
    ]
    opened(database).save(login(3))
    with opened(database).exclusive(0), others[0].exclusive(0), others[1].exclusive(0):
        assert [other.load() for other in others] == [None, None]
    others[0].save(login(5))

    assert others[0].forget()
    assert opened(database).load() == login(3)


def test_many_who_come_first_at_once_all_find_the_table(database: str) -> None:
    start = threading.Barrier(12)

    def save(number: int) -> None:
        start.wait()
        opened(database).save(login(number))

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(save, range(12)))

    assert opened(database).load() in [login(number) for number in range(12)]


def test_a_user_who_may_not_create_tables_uses_the_one_that_is_there(
    postgres: Server, database: str
) -> None:
    name = database.rpartition("/")[2]
    opened(database).save(login())
    postgres.ask(f"alter schema kept owner to admin; grant usage on schema kept to {USER}", name)

    with opened(database).exclusive(0):
        assert opened(database).swap(login(), login(1))
    assert opened(database).forget()


def test_a_user_who_may_not_create_it_either_is_told_so(postgres: Server, database: str) -> None:
    postgres.ask("drop schema kept", name := database.rpartition("/")[2])
    postgres.ask("create schema kept", name)
    postgres.ask(f"grant usage on schema kept to {USER}", name)
    store = opened(database)

    assert store.load() is None
    with pytest.raises(TokenStoreError) as error:
        store.save(login())
    assert str(error.value) == (
        f"the login in {store.where} cannot be kept: permission denied for schema kept"
    )


def test_a_holder_whose_lease_lapsed_keeps_what_the_portal_gave_it(database: str) -> None:
    opened(database).save(login())
    slow = lingering(database)

    with opened(database).exclusive(5):
        assert tell(slow) == "True"
        assert opened(database).load() == login(1)
        assert not opened(database).swap(login(pending=1.0), login(2))

    assert opened(database).load() == login(1)


def test_a_holder_whose_lease_lapsed_does_not_replace_a_persons_new_login(database: str) -> None:
    opened(database).save(login())
    slow = lingering(database)
    anew = login(refresh_token="of-the-new-login", logged_in_at=1_800_000_000.0)
    opened(database).save(anew)

    assert tell(slow) == "False"
    assert opened(database).load() == anew


def test_a_holder_whose_lease_lapsed_begins_no_renewal(database: str) -> None:
    store = opened(database, lease=0.3)
    store.save(login())
    with store.exclusive(5):
        time.sleep(0.5)
        assert not store.swap(login(), login(pending=1.0))
    with store.exclusive(5):
        assert store.swap(login(), login(pending=1.0))
    assert opened(database).load() == login(pending=1.0)


def test_a_renewal_begins_with_a_whole_lease_ahead(database: str) -> None:
    store = opened(database, lease=1)
    store.save(login())
    with store.exclusive(5):
        time.sleep(0.7)
        assert store.swap(login(), login(pending=1.0))
        time.sleep(0.7)
        with pytest.raises(TokenStoreError, match="another process"), opened(database).exclusive(0):
            pytest.fail("two hold it")


def test_a_holder_whose_lease_lapsed_does_not_give_back_that_of_the_next(database: str) -> None:
    opened(database).save(login())
    first = lingering(database)
    second = lingering(database, lease=60)
    assert tell(first) == "True"

    with pytest.raises(TokenStoreError, match="another process"), opened(database).exclusive(0):
        pytest.fail("two hold it")
    tell(second)
    with opened(database).exclusive(0):
        pass


def lingering(database: str, lease: float = 1.5) -> subprocess.Popen[str]:
    """A process amid a renewal, as if on another host."""
    process = started("linger", database, lease)
    assert told(process) == "begun"
    return process


def test_a_person_can_log_in_while_another_process_renews(database: str) -> None:
    opened(database).save(login())
    with opened(database).exclusive(0):
        opened(database).save(login(7))

    assert opened(database).load() == login(7)


def test_no_connection_is_held_while_the_portal_is_waited_for(
    postgres: Server, database: str
) -> None:
    count = f"select count(*) from pg_stat_activity where usename = '{USER}'"
    opened(database).save(login())
    with opened(database).exclusive(0):
        opened(database).swap(login(), login(pending=1.0))
        end = time.monotonic() + 60
        while (held := postgres.ask(count)) != "0" and time.monotonic() < end:
            time.sleep(0.02)

    assert held == "0"


def test_a_holder_killed_on_another_host_is_no_obstacle_once_its_lease_lapsed(
    database: str,
) -> None:
    holder = started("hold", database)
    assert told(holder) == "held"
    holder.kill()
    holder.communicate()

    with pytest.raises(TokenStoreError, match="another process"), opened(database).exclusive(0):
        pytest.fail("it died just now")
    with opened(database).exclusive(2 * LEASE):
        pass


def test_a_login_outlives_a_crash_of_the_server_and_a_renewal_waits_for_it(
    postgres: Server, database: str
) -> None:
    store = opened(database)
    store.save(login())
    with store.exclusive(0):
        assert store.swap(login(), login(pending=1.0))
        postgres.stop("immediate")
        back = threading.Timer(2, postgres.start)
        back.start()
        try:
            assert store.swap(login(pending=1.0), login(1))
        finally:
            back.join()

    assert store.load() == login(1)


def test_a_server_that_is_down_is_named_and_no_renewal_begins(
    postgres: Server, database: str
) -> None:
    store = opened(database)
    store.save(login())
    postgres.stop()
    began = time.monotonic()
    try:
        for refused in (
            store.load,
            store.forget,
            lambda: store.save(login(1)),
            lambda: store.swap(login(), login(pending=1.0)),
            store.exclusive(5).__enter__,
        ):
            with pytest.raises(TokenStoreError, match=r"refused|closed the conn") as error:
                refused()
            assert store.where in str(error.value)
            assert "\n" not in str(error.value)
    finally:
        postgres.start()

    assert time.monotonic() - began < 20
    assert store.load() == login()


def test_a_connection_that_goes_silent_is_given_up(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_store, "_LONGEST", 0.5)
    monkeypatch.setattr(postgres_store, "_PAUSES", ())
    opened(database).save(login())
    with swallowing(database, b"set_config") as through:
        store = opened(through)
        began = time.monotonic()
        with pytest.raises(TokenStoreError, match="cannot be read"):
            store.load()
    assert time.monotonic() - began < 10


def test_a_lease_is_given_back_though_the_server_restarts_in_that_moment(
    postgres: Server, database: str
) -> None:
    store = opened(database, lease=60)
    store.save(login())
    with store.exclusive(0):
        postgres.stop("immediate")
        back = threading.Timer(0.3, postgres.start)
        back.start()
    back.join()
    with opened(database).exclusive(1):
        pass


@contextmanager
def swallowing(url: str, after: bytes) -> Iterator[str]:
    """The database through a proxy that falls silent once it has passed on certain bytes."""
    port = int(url.rpartition(":")[2].partition("/")[0])

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            silent = False
            with socket.create_connection(("127.0.0.1", port)) as server:
                while True:
                    for ready in select.select([self.request, server], [], [])[0]:
                        passed = ready.recv(1 << 16)
                        if not passed:
                            return
                        silent = silent or after in passed
                        if not silent:
                            (server if ready is self.request else self.request).sendall(passed)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as proxy:
        threading.Thread(target=proxy.serve_forever, args=(0.01,), daemon=True).start()
        yield url.replace(f":{port}/", f":{proxy.server_address[1]}/") + "?sslmode=disable"
        proxy.shutdown()


def test_a_confirmation_that_got_lost_is_recognised_when_asked_again(database: str) -> None:
    store = opened(database)
    store.save(login())
    with store.exclusive(0):
        assert store.swap(login(), login(1))
        assert store.swap(login(), login(1))
        assert not store.swap(login(), login(2))


def test_a_wrong_password_is_not_repeated(database: str) -> None:
    store = opened(database.replace(QUOTED, QUOTED + "-wrong"))

    with pytest.raises(TokenStoreError, match="password authentication failed") as error:
        store.load()
    assert "a-pass" not in f"{error.value} {store!r} {error.value.__cause__}"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://owner:pass/word@host/name",
        "postgresql://owner:pass?word@host/name",
        "postgresql://owner:pass#word@host/name",
        "postgresql://[owner:password@host/name",
    ],
)
def test_a_url_whose_password_is_not_quoted_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ConfigurationError, match="such as %40 for @") as error:
        opened(url)
    assert "word@" not in str(error.value)


def test_a_record_that_is_none_is_not_taken_for_no_login(postgres: Server, database: str) -> None:
    name = database.rpartition("/")[2]
    opened(database).save(login())
    postgres.ask("""update kept.ods_pipeline_logins set record = '{"portal": "half"}'""", name)

    with pytest.raises(TokenStoreError, match=r"no whole record .*run `ods-pipeline login`"):
        opened(database).load()
    with opened(database).exclusive(0):
        assert not opened(database).swap(login(), login(1))
    opened(database).save(login(2))
    assert opened(database).load() == login(2)


def test_a_database_that_commits_before_it_has_written_is_asked_to_write(
    postgres: Server, database: str
) -> None:
    name = database.rpartition("/")[2]
    postgres.ask(f'alter database "{name}" set synchronous_commit = off', name)
    postgres.ask(f'alter database "{name}" set default_transaction_isolation = serializable', name)
    store = opened(database)
    store.save(login())
    with store.exclusive(0):
        assert store.swap(login(), login(1))
        postgres.stop("immediate")
        postgres.start()

    assert store.load() == login(1)


def test_without_psycopg_the_user_is_told_what_to_install(database: str) -> None:
    code = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from tests.portal.auth.store_places import opened\n"
        "from ods_pipeline.errors import ConfigurationError\n"
        "store = opened(sys.argv[1])\n"
        "try: store.load()\n"
        "except ConfigurationError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, database],
        env={**os.environ, "PYTHONPATH": os.getcwd()},
        capture_output=True,
        text=True,
        check=True,
    )

    assert 'run `pip install "ods-pipeline[postgres]"`' in done.stdout
