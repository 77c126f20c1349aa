"""What a power cut would undo: the order in which files, folders and renames reach the disk."""

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ods_pipeline.lake.files import make_durably, replace_durably
from ods_pipeline.lake.lake import Lake
from ods_pipeline.lake.receipt import Receipt
from ods_pipeline.lake.writer import PartitionWriter

SCHEMA = pa.schema({"a": pa.int64()})
ROWS = pa.RecordBatch.from_pydict({"a": [1, 2]}, schema=SCHEMA)


class Spy:
    """Keeps what the real functions of the system were asked, in order."""

    def __init__(self, patch: pytest.MonkeyPatch, root: Path) -> None:
        self.seen: list[tuple[str, str]] = []
        self.flushed: dict[str, bytes] = {}
        self._root = root
        for name in ("mkdir", "replace", "rename", "fsync"):
            patch.setattr(os, name, self._watched(name, getattr(os, name)))

    def _watched(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*arguments: Any, **options: Any) -> Any:
            done = real(*arguments, **options)
            about = self._named(arguments[-1] if name in {"replace", "rename"} else arguments[0])
            self.seen.append((name, about))
            return done

        return watched

    def _named(self, what: object) -> str:
        path = Path(os.readlink(f"/proc/self/fd/{what}") if isinstance(what, int) else str(what))
        if isinstance(what, int) and path.is_file():
            self.flushed["file"] = path.read_bytes()
            return "file"
        return path.relative_to(self._root).as_posix()


@pytest.fixture
def spy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Spy]:
    with monkeypatch.context() as patch:
        yield Spy(patch, tmp_path)


def publish(lake: Lake) -> Path:
    target = lake.partition("records", "d")
    with PartitionWriter(lake, target, SCHEMA) as writer:
        writer.write(ROWS)
        writer.publish(Receipt(lake.root.name, "records", "d"))
    return target


def made(seen: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Without the attempts that found no folder above: those raised, and were not kept."""
    return [step for step in seen if not step[1].endswith(".incoming")]


def test_a_first_partition_reaches_the_disk_with_all_the_folders_above_it(
    tmp_path: Path, spy: Spy
) -> None:
    path = publish(Lake.of(tmp_path / "data", "portal.test"))
    assert made(spy.seen) == [
        ("mkdir", "data"),
        ("fsync", "."),
        ("mkdir", "data/lake"),
        ("fsync", "data"),
        ("mkdir", "data/lake/portal.test"),
        ("fsync", "data/lake"),
        ("fsync", "data/lake/portal.test"),
        ("fsync", "file"),
        ("mkdir", "data/lake/portal.test/records"),
        ("fsync", "data/lake/portal.test"),
        ("replace", "data/lake/portal.test/records/d.parquet"),
        ("fsync", "data/lake/portal.test/records"),
    ]
    assert spy.flushed["file"] == path.read_bytes()


def test_a_second_version_costs_two_flushes(tmp_path: Path, spy: Spy) -> None:
    lake = Lake.of(tmp_path / "data", "portal.test")
    publish(lake)
    spy.seen.clear()
    publish(lake)
    assert spy.seen == [
        ("fsync", "file"),
        ("replace", "data/lake/portal.test/records/d.parquet"),
        ("fsync", "data/lake/portal.test/records"),
    ]


def test_a_folder_that_another_process_makes_meanwhile_is_no_failure(tmp_path: Path) -> None:
    make_durably(tmp_path / "a" / "b")
    make_durably(tmp_path / "a" / "b")
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        make_durably(tmp_path / "file")
    with pytest.raises(NotADirectoryError):
        make_durably(tmp_path / "file" / "b")


def test_a_working_folder_that_is_gone_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(FileNotFoundError):
        make_durably(Path("data") / "lake")


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP, errno.EIO])
def test_a_folder_that_cannot_be_flushed_is_let_be_but_a_broken_disk_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(_: int) -> None:
        raise OSError(code, os.strerror(code))

    (tmp_path / "new").touch()
    monkeypatch.setattr(os, "fsync", refuse)
    if code == errno.EIO:
        with pytest.raises(OSError, match="Input/output"):
            replace_durably(tmp_path / "new", tmp_path / "d.parquet")
    else:
        replace_durably(tmp_path / "new", tmp_path / "d.parquet")
    assert (tmp_path / "d.parquet").exists()
