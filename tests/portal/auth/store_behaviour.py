"""What every token store does, whatever it keeps the login in: each one's tests inherit these."""

from __future__ import annotations

import random
import re
import subprocess
import threading
import time
from dataclasses import replace

import pytest

from ods_pipeline.errors import TokenStoreError
from tests.portal.auth.store_places import LEASE, after, login, opened
from tests.portal.auth.store_process import started, told

PROCESSES, THREADS, TIMES = 8, 4, 10
KILLED = 8


class EveryStore:
    """The tests of one kind of store; the fixture `place` names a fresh one."""

    def test_at_first_nobody_has_logged_in(self, place: str) -> None:
        store = opened(place)

        assert store.load() is None
        assert not store.swap(login(), login(1))
        assert store.load() is None
        assert not store.forget()

    def test_what_was_kept_is_read_back_to_the_last_field(self, place: str) -> None:
        kept = login(
            7, expires_at=1_700_003_600.125, scope="tout, même ça", client_auth="basic", pending=2.5
        )

        opened(place).save(kept)

        assert opened(place).load() == kept

    def test_a_new_login_replaces_the_old_one(self, place: str) -> None:
        opened(place).save(login(5))
        opened(place).save(login())

        assert opened(place).load() == login()

    def test_a_renewal_is_kept_where_its_refresh_token_was_the_last_one(self, place: str) -> None:
        store = opened(place)
        store.save(login())

        with store.exclusive(5):
            assert store.swap(login(), login(pending=1.0))
            assert store.load() == login(pending=1.0)
            assert store.swap(login(pending=1.0), login(1))

        assert opened(place).load() == login(1)

    def test_a_renewal_that_was_not_sent_is_taken_back(self, place: str) -> None:
        store = opened(place)
        store.save(login())

        with store.exclusive(5):
            assert store.swap(login(), login(pending=1.0))
            assert store.swap(login(pending=1.0), login())

        assert store.load() == login()

    def test_a_renewal_never_replaces_what_it_did_not_begin_with(self, place: str) -> None:
        store = opened(place)
        store.save(login(5))

        with store.exclusive(5):
            assert not store.swap(login(4), login(6))

        assert store.load() == login(5)

    def test_a_forgotten_login_is_gone_and_no_renewal_brings_it_back(self, place: str) -> None:
        store = opened(place)
        store.save(login())

        assert store.forget()
        with store.exclusive(5):
            assert not store.swap(login(), login(1))

        assert store.load() is None
        assert not store.forget()

    def test_whoever_waits_for_too_long_is_told_where_and_how_long(self, place: str) -> None:
        holder = started("hold", place)
        assert told(holder) == "held"
        began = time.monotonic()

        with (
            pytest.raises(TokenStoreError, match=r"another process .* more than 0.3 seconds") as no,
            opened(place).exclusive(0.3),
        ):
            pytest.fail("two hold it")

        assert time.monotonic() - began < LEASE
        assert re.search(re.escape(opened(place).where), str(no.value))
        _kill(holder)

    def test_threads_with_stores_of_their_own_exclude_each_other(self, place: str) -> None:
        with opened(place).exclusive(5):
            seen: list[str] = []
            other = threading.Thread(target=_try_to_hold, args=(place, seen))
            other.start()
            other.join()

        assert seen == ["refused"]
        _try_to_hold(place, seen)
        assert seen == ["refused", "held"]

    def test_an_error_within_frees_it(self, place: str) -> None:
        with pytest.raises(OSError, match="a portal"), opened(place).exclusive(5):
            raise OSError("a portal that is down")

        with opened(place).exclusive(0):
            pass

    def test_a_killed_holder_is_no_obstacle(self, place: str) -> None:
        holder = started("hold", place)
        assert told(holder) == "held"
        _kill(holder)
        began = time.monotonic()

        with opened(place).exclusive(3 * LEASE):
            pass

        assert time.monotonic() - began < 2 * LEASE

    @pytest.mark.timeout(1200)
    def test_many_processes_and_threads_lose_no_renewal_and_do_none_twice(self, place: str) -> None:
        opened(place).save(login())

        working = [started("renew", place, THREADS, TIMES) for _ in range(PROCESSES)]
        printed = [process.communicate()[0].split() for process in working]

        assert [process.returncode for process in working] == [0] * PROCESSES
        total = PROCESSES * THREADS * TIMES
        assert sorted(int(number) for one in printed for number in one) == [*range(1, total + 1)]
        assert opened(place).load() == login(total)

    def test_a_process_killed_at_any_instant_leaves_a_whole_record(self, place: str) -> None:
        instants = random.Random(4)
        opened(place).save(login())

        for _ in range(KILLED):
            hurrying = started("hurry", place)
            last = int(told(hurrying))
            time.sleep(instants.uniform(0, 0.1))
            last = max([last, *map(int, _kill(hurrying).split())])
            kept = opened(place).load()

            assert kept is not None
            before, since = login(last), login(last + 1)
            assert kept in (before, replace(before, pending=1.0), since)

        with opened(place).exclusive(2 * LEASE):
            assert opened(place).swap(kept, after(kept))

    def test_no_token_is_shown(self, place: str) -> None:
        store = opened(place)
        store.save(login())

        assert not re.search("access|refresh|secret", f"{store!r} {store.where}")


def _try_to_hold(place: str, seen: list[str]) -> None:
    try:
        with opened(place).exclusive(0.1):
            seen.append("held")
    except TokenStoreError:
        seen.append("refused")


def _kill(process: subprocess.Popen[str]) -> str:
    """End a process without a chance to tidy up; gives what it had yet to say."""
    process.kill()
    assert process.stdout
    # What is read ahead of a line already would be lost to communicate().
    said = process.stdout.read()
    process.communicate()
    return said
