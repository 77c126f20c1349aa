"""Copies of a bucket's objects on the disk: found again, and making room for one another."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ods_pipeline.errors import LakeError
from ods_pipeline.lake import copies

ROOT = "s3://bucket/team"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(copies, "_MOST", 250)
    monkeypatch.setattr(copies, "_LOOKED_AT", {})
    copies.folder.cache_clear()
    yield
    copies.folder.cache_clear()


def kept(key: str, idle: float = 0) -> Path:
    """Keep a copy of 100 bytes, which was not used for some seconds."""
    path = copies.incoming(ROOT) / key
    path.write_bytes(bytes(100))
    copy = copies.place(ROOT, f"{key}.parquet", "tag")
    copies.keep(path, copy)
    os.utime(copy, (time.time() - idle,) * 2)
    return copy


def test_a_version_is_found_again_and_no_other_one() -> None:
    copy = kept("one")
    assert copies.used(copies.place(ROOT, "one.parquet", "tag"))
    assert copies.place(ROOT, "one.parquet", "tag") == copy
    assert not copies.used(copies.place(ROOT, "one.parquet", "another tag"))
    assert not copies.used(copies.place("s3://bucket/other", "one.parquet", "tag"))


def test_the_ones_that_were_unused_for_longest_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "_LOOK_EVERY", 0)
    oldest, older = kept("one", idle=9000), kept("two", idle=8000)
    new = kept("three")
    assert [path.exists() for path in (oldest, older, new)] == [False, True, True]


def test_what_was_used_within_the_hour_stays_whatever_it_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(copies, "_LOOK_EVERY", 0)
    assert all(path.exists() for path in [kept(str(number), idle=60) for number in range(9)])


def test_thousands_of_copies_are_not_looked_at_for_each_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks: list[object] = []
    scan = os.scandir
    monkeypatch.setattr(copies.os, "scandir", lambda path: looks.append(path) or scan(path))
    for number in range(50):
        kept(str(number))
    assert [path for path in looks if str(path).endswith("copies")] == [
        copies.folder(ROOT) / "copies"
    ]


def test_a_disk_that_refuses_is_named_with_the_setting_that_helps() -> None:
    with pytest.raises(LakeError, match="XDG_CACHE_HOME"), copies.disk_errors(ROOT):
        raise PermissionError(13, "Permission denied")
    with pytest.raises(LakeError, match="too many open files"), copies.disk_errors(ROOT):
        raise OSError(24, "Too many open files")
    with pytest.raises(FileNotFoundError), copies.disk_errors(ROOT):
        raise FileNotFoundError
