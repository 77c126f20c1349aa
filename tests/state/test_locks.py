"""One at a time, threads and processes alike, and nobody waits for the dead: locks of one host."""

import errno
import fcntl
import os
from contextlib import ExitStack
from pathlib import Path

import pytest

from ods_pipeline.errors import LakeUnwritable
from ods_pipeline.lake.lake import Lake
from ods_pipeline.state import locks
from tests.state.lock_behaviour import EveryLock, is_free

pytestmark = pytest.mark.slow


@pytest.fixture
def state() -> str:
    return ""


class TestFile(EveryLock):
    """All that every lock does."""


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake" / "portal.test")


def test_turns_of_many_datasets_leave_one_empty_file(lake: Lake) -> None:
    names = ["towns", "../../x", "é" * 300, "", "\ud83d", "a\0b", *map(str, range(300))]
    with ExitStack() as stack:
        for name in names:
            stack.enter_context(lake.lock("records", name))
        assert not is_free(lake, dataset_id="299")
    assert [(path.name, path.stat().st_size) for path in lake.root.iterdir()] == [(".turns", 0)]


def test_who_opens_and_closes_the_file_gives_no_turn_away(lake: Lake) -> None:
    with lake.lock("records", "towns"):
        (lake.root / ".turns").read_bytes()
        assert not is_free(lake)


def test_a_system_with_locks_of_whole_files_alone_has_one_turn_at_a_time(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "_SET_LOCK", None)
    with lake.lock("records", "towns"):
        assert not is_free(lake)
    assert is_free(lake)


@pytest.mark.parametrize("reason", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL])
def test_a_file_system_without_locks_is_refused(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, reason: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(reason, os.strerror(reason))

    monkeypatch.setattr(fcntl, "fcntl", refuse)
    with pytest.raises(LakeUnwritable) as refused, lake.lock("records", "towns"):
        raise AssertionError("it was trusted")
    assert str(refused.value) == (
        f"the file system of {lake.root} has no locks, so two runs could overwrite each other's "
        "files; set ODS_DATA_DIR to a folder elsewhere, or ODS_STATE to a PostgreSQL database"
    )


def test_a_lake_that_cannot_be_written_has_no_turns(tmp_path: Path) -> None:
    (tmp_path / "lake").write_text("a file")
    with pytest.raises(LakeUnwritable, match="cannot be used"), Lake.of(tmp_path, "p").lock("lake"):
        pass
