"""Locks in PostgreSQL: shared by hosts, free when a holder dies, and noticed when they are lost."""

from __future__ import annotations

import signal
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pyarrow as pa
import pytest

from ods_pipeline.errors import ConfigurationError, StateError
from ods_pipeline.lake.lake import Lake, receipt
from ods_pipeline.lake.receipt import Receipt
from ods_pipeline.lake.writer import PartitionWriter
from ods_pipeline.state.database import shared
from tests.ports import free_port
from tests.servers.postgres.pooler import pooler
from tests.servers.postgres.server import PASSWORD, QUOTED, USER, Server
from tests.state.lock_behaviour import EveryLock, holder, is_free, program

pytestmark = pytest.mark.servers

PARENT = """
    with lake.lock("records", "towns"):
        if not os.fork():
            print("mine", flush=True)
            time.sleep(60)
            os._exit(0)
        time.sleep(60)
"""
# Publishes once a line comes, and says what came of it.
WRITER = """
    import pyarrow as pa
    from ods_pipeline.errors import StateError
    from ods_pipeline.lake.receipt import Receipt
    from ods_pipeline.lake.writer import PartitionWriter
    schema = pa.schema({"a": pa.int64()})
    target = lake.partition("records", "towns")
    try:
        with lake.lock("records", "towns"), PartitionWriter(lake, target, schema) as writer:
            writer.write(pa.record_batch({"a": [1]}))
            print("mine", flush=True)
            sys.stdin.readline()
            writer.publish(Receipt("portal.test", "records", "towns", title="slow"))
            print("published")
    except StateError as error:
        print(error)
"""
CUT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'ods%'"


@pytest.fixture
def lake(tmp_path: Path, state: str) -> Lake:
    return Lake(tmp_path / "lake" / "portal.test", shared(state))


class TestRow(EveryLock):
    """All that every lock does."""


def publish(lake: Lake, title: str) -> None:
    target = lake.partition("records", "towns")
    with PartitionWriter(lake, target, pa.schema({"a": pa.int64()})) as writer:
        writer.write(pa.record_batch({"a": [2]}))
        writer.publish(Receipt("portal.test", "records", "towns", title=title))


def published(lake: Lake) -> str:
    found = receipt(lake.partition("records", "towns"))
    return found.title if found else ""


def soon_free(lake: Lake) -> bool:
    end = time.monotonic() + 60
    while not is_free(lake) and time.monotonic() < end:
        time.sleep(0.02)
    return is_free(lake)


def test_a_killed_process_gives_its_lock_back_though_its_child_lives(
    lake: Lake, state: str
) -> None:
    with holder(lake, state, PARENT) as process:
        assert not is_free(lake)
        process.kill()
        process.wait()
        assert soon_free(lake)


def test_lakes_in_other_folders_of_the_same_portal_share_their_locks(
    lake: Lake, state: str, tmp_path: Path
) -> None:
    elsewhere = Lake(tmp_path / "mounted elsewhere" / "portal.test", shared(state))
    another = Lake(tmp_path / "lake" / "another.test", shared(state))
    with holder(lake, state):
        assert not is_free(elsewhere)
        assert is_free(another)


def test_a_writer_that_lost_its_lock_does_not_publish_over_a_newer_file(
    postgres: Server, lake: Lake, state: str
) -> None:
    slow = program(WRITER, lake, state)
    assert slow.stdout
    assert slow.stdout.readline() == "mine\n"
    slow.send_signal(signal.SIGSTOP)
    postgres.ask(CUT)
    with lake.lock("records", "towns"):
        publish(lake, "newer")
    slow.send_signal(signal.SIGCONT)

    said = slow.communicate("go on\n", timeout=120)[0]

    name = state.rpartition("/")[2]
    assert said == (
        "the lock on records/towns was lost, since the connection to "
        f"postgresql://127.0.0.1:{postgres.port}/{name} broke off: another run may be at it, so "
        "nothing was published; run again\n"
    )
    assert published(lake) == "newer"
    assert not [path.name for path in lake.staging_dir().iterdir()]


def test_a_lock_is_lost_with_a_restart_of_the_server_and_can_be_taken_after_it(
    postgres: Server, lake: Lake
) -> None:
    with lake.lock("records", "towns"):
        postgres.stop("immediate")
        postgres.start()
        with pytest.raises(StateError, match="the lock on records/towns was lost"):
            publish(lake, "late")
    assert not published(lake)
    with lake.lock("records", "towns"):
        publish(lake, "in time")
    assert published(lake) == "in time"


def test_a_lost_lock_does_not_come_back_with_the_connection(postgres: Server, lake: Lake) -> None:
    with lake.lock("records", "towns"):
        postgres.ask(CUT)
        with lake.lock("records", "roads"), pytest.raises(StateError, match="records/towns was"):
            publish(lake, "late")
    assert not published(lake)


def test_a_restart_is_waited_for(postgres: Server, lake: Lake) -> None:
    assert is_free(lake)
    postgres.stop("immediate")
    back = threading.Timer(2, postgres.start)
    back.start()
    try:
        assert is_free(lake)
    finally:
        back.join()


def test_a_server_that_cannot_be_reached_is_named_at_once_and_without_its_password(
    tmp_path: Path,
) -> None:
    port = free_port()
    lake = Lake(tmp_path / "p", shared(f"postgresql://{USER}:{QUOTED}@127.0.0.1:{port}/none"))
    began = time.monotonic()
    with pytest.raises(StateError) as error:
        is_free(lake)
    assert time.monotonic() - began < 5
    assert error.value.exit_status == 2
    assert str(error.value).startswith(
        f"the shared state postgresql://127.0.0.1:{port}/none cannot be reached ("
    )
    assert str(error.value).endswith(
        "): check that it is up and that ODS_STATE, the PG variables and .pgpass are right"
    )
    assert "a-pass" not in f"{error.value!r} {error.value.__context__}"


def test_a_wrong_password_is_not_repeated(state: str, tmp_path: Path) -> None:
    wrong = shared(state.replace(QUOTED, f"{QUOTED}-wrong"))
    with pytest.raises(StateError, match="does not let you in") as error:
        is_free(Lake(tmp_path / "p", wrong))
    assert "a-pass" not in f"{error.value!r} {wrong!r} {error.value.__context__}"


@pytest.mark.parametrize("url", ["mysql://host/name", "owner:pass@host/name"])
def test_a_state_that_is_no_url_of_postgresql_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ConfigurationError, match="ODS_STATE is no URL of PostgreSQL") as error:
        shared(url)
    assert "host" not in str(error.value).replace("USER@HOST", "").replace("one host", "")


def test_a_state_whose_password_is_not_quoted_is_refused_without_repeating_it() -> None:
    with pytest.raises(ConfigurationError, match="ODS_STATE is no URL that libpq can") as error:
        shared("postgresql://owner:pass/word@host/name")
    assert "word@" not in str(error.value)


def test_the_password_may_be_in_libpqs_variables(
    state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    assert is_free(Lake(tmp_path / "p", shared(state.replace(f":{QUOTED}", ""))))


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_a_pooler_is_refused_since_it_may_give_locks_to_another(
    postgres: Server, state: str, tmp_path: Path, mode: str
) -> None:
    with ExitStack() as stack:
        # Not in pytest's folder: the pooler's user could not reach it there.
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="pooler-"))
        port = stack.enter_context(pooler(postgres, Path(folder), mode))
        pooled = shared(state.replace(f":{postgres.port}/", f":{port}/"))
        with pytest.raises(ConfigurationError, match=r"through a pooler.*name the server itself"):
            is_free(Lake(tmp_path / "p", pooled))
