"""Unfinished files, and the sweeping of those that killed processes left behind.

Who writes a file holds a lock on it, which the system releases when its process ends, however it
ends: a leftover is a file that nobody has locked. What is written is not known here.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

from ods_pipeline.errors import ConfigurationError

_HOST = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())
_NAME = re.compile(r"(?P<kernel>\w*)~(?P<host>[^~]*)~\d+\.")
# Of `tempfile`, where the system has no nameless files: it removes the name right after making it.
_NAMELESS = re.compile(r"export\.\w+")
_DAY = 86_400
_OURS: set[Path] = set()


def _kernel() -> str:
    """Which start of which machine this is, the same in all of its containers."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii")[:8]
    return ""


_KERNEL = _kernel()


def data_folder(given: str | None) -> Path:
    """The root of lake and warehouse.

    Args:
        given: A folder; `data` without it.

    Raises:
        ConfigurationError: It is the address of an object store, or in the home of an unknown user.
    """
    folder = given or "data"
    if "://" in folder:
        raise ConfigurationError(
            f"{folder} is an object store, which this version cannot land into; "
            "set ODS_DATA_DIR to a folder"
        )
    try:
        return Path(folder).expanduser()
    except RuntimeError:
        raise ConfigurationError(
            f"{folder} is in the home of a user that this machine does not know; "
            "set ODS_DATA_DIR to another folder"
        ) from None


@contextlib.contextmanager
def unfinished(folder: Path, name: str) -> Iterator[Path]:
    """An empty file, locked by this process until the end of the block, and gone afterwards.

    Args:
        folder: Where it lies; it exists.
        name: What it becomes, for people who look.
    """
    path, descriptor = _made(folder, name)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)
        _OURS.discard(path)
        os.close(descriptor)


def discard_unfinished() -> None:
    """Remove what this process has begun and not published; for an end that waits for no thread."""
    for path in tuple(_OURS):
        path.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Remove what was left behind, and nothing that anybody is writing.

    A file system without locks cannot tell one from the other: there everything stays.
    """
    now = folder.stat().st_mtime
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            found = _NAME.match(path.name)
            near = found and (found["kernel"] == _KERNEL or found["host"] == _HOST)
            # Locks need not reach from machine to machine: what lies there must be old as well,
            # by the clock that dates files.
            if near or (_swept(path.name) and now - path.lstat().st_mtime > _DAY):
                _remove_unlocked(path)


def _swept(name: str) -> bool:
    return bool(_NAME.match(name) or _NAMELESS.fullmatch(name))


def _made(folder: Path, name: str) -> tuple[Path, int]:
    while True:
        random = os.urandom(4).hex()
        path = folder / f"{_KERNEL}~{_HOST}~{os.getpid()}.{random}.{name[:80]}"
        _OURS.add(path)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        except BaseException:  # Whatever it is, there is no file to discard.
            _OURS.discard(path)
            raise
        # Another process may have swept it before it was locked, and not any more from now on.
        if _lock(descriptor) is not False and path.exists():
            return path, descriptor
        os.close(descriptor)
        _OURS.discard(path)


def _remove_unlocked(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return  # Gone, somebody else's, or no file: not for us to judge.
    try:
        if _lock(descriptor):
            path.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool | None:
    """Lock an open file; False if another has it locked, None if the file system has no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True
