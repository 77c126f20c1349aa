"""Copies of a bucket's objects on this machine's disk, and room for files that are being written.

A copy is of one version, and never changed. Those that were not used for some time make room for
others. What is in a bucket does not belong here.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from ods_pipeline.errors import LakeError
from ods_pipeline.lake.files import disk_error, sweep

# A reader opens what it was given within this time; a frame that reads when it is asked, and was
# not asked for longer, may find its file gone.
_IDLE = 3600
_MOST = 1 << 30
# Each look is one at all copies: with thousands, one for each of them would take longer than them.
_LOOK_EVERY = 60
_LOOKED_AT: dict[Path, float] = {}

#: The variable that names another folder for copies.
SETTING = "XDG_CACHE_HOME"


def incoming(root: str) -> Path:
    """The folder for unfinished files of a data folder in a bucket; rid of those of dead processes.

    Raises:
        LakeError: It cannot be made.
    """
    place = folder(root) / "incoming"
    sweep(place)
    return place


def locks_file(root: str) -> Path:
    """The file whose bytes are the locks of this machine's runs.

    Raises:
        LakeError: Its folder cannot be made.
    """
    return folder(root) / "turns"


def place(root: str, key: str, tag: str) -> Path:
    """Where the copy of an object's version is, or would be.

    Raises:
        LakeError: Its folder cannot be made.
    """
    digest = hashlib.sha256(f"{key}\n{tag}".encode("utf-8", "surrogatepass")).hexdigest()[:32]
    suffix = key.rpartition(".")[2]
    return folder(root) / "copies" / f"{digest}.{suffix}"


def used(copy: Path) -> bool:
    """Whether a copy is there; it counts as used from now on."""
    try:
        os.utime(copy)
    except OSError:
        return False
    return True


def keep(path: Path, copy: Path) -> None:
    """Make a finished file the copy, and make room where others were not used for long."""
    path.replace(copy)
    used(copy)
    _make_room(copy.parent)


@contextlib.contextmanager
def disk_errors(root: str) -> Iterator[None]:
    """Make an error of this machine's disk ours.

    Raises:
        FileNotFoundError: As it comes: an object is missing.
        LakeError: Instead of any other OSError.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise disk_error(error, folder(root), SETTING) from error


def _make_room(place: Path) -> None:
    looked_at = _LOOKED_AT.get(place)
    if looked_at is not None and time.monotonic() - looked_at < _LOOK_EVERY:
        return
    _LOOKED_AT[place] = time.monotonic()
    entries = []
    with os.scandir(place) as found:
        for entry in found:
            with contextlib.suppress(OSError):
                stat = entry.stat()
                entries.append((stat.st_mtime, stat.st_size, entry.path))
    total, now = sum(size for _, size, _ in entries), time.time()
    for at, size, path in sorted(entries):
        if total <= _MOST or now - at < _IDLE:
            return
        with contextlib.suppress(OSError):
            os.unlink(path)
            total -= size


@cache
def folder(root: str) -> Path:
    """This user's folder for a data folder in a bucket.

    Raises:
        LakeError: It cannot be made.
    """
    base = os.environ.get(SETTING) or "~/.cache"
    name = hashlib.sha256(root.encode()).hexdigest()[:16]
    try:
        found = Path(base).expanduser() / "ods-pipeline" / name
        for part in ("incoming", "copies"):
            (found / part).mkdir(mode=0o700, parents=True, exist_ok=True)
        if found.stat().st_uid != os.getuid():
            raise PermissionError(f"{found} belongs to somebody else")
    except (OSError, RuntimeError) as error:
        raise LakeError(
            f"there is no place for copies of {root} on this machine ({error}); set "
            f"{SETTING} to a folder that can be written"
        ) from error
    return found
