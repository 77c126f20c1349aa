"""Locks of names: what every kind of them does, and those of one host, locked bytes of a file.

The system releases a lock when its process is killed. What gets locked does not belong here.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import struct
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from threading import Lock, local
from typing import Protocol

# Not `filelock`: it locks whole files, so that each dataset would leave a lock file behind, which
# cannot be removed while another process may be waiting for it.

_FIRST_PAUSE, _LONGEST_PAUSE = 0.002, 0.1
_LOCKED_BY_OTHERS = {errno.EAGAIN, errno.EACCES}
_WITHOUT_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}
# Locks of an open file, not of a process: they also work between threads, and stay when another
# part of the process opens and closes the same file.
_SET_LOCK: int | None = getattr(fcntl, "F_OFD_SETLK", None)


_THREAD_LOCKS: dict[str, Lock] = {}
# A forked child has none of the threads that could release these.
os.register_at_fork(after_in_child=_THREAD_LOCKS.clear)


def thread_lock(name: str) -> Lock:
    """The lock of a name among the threads of this process."""
    return _THREAD_LOCKS.setdefault(name, Lock())


class Stopped(Exception):
    """Waiting for a lock was stopped."""


class NoLocks(Exception):
    """The file system has no locks."""


class Locks(Protocol):
    """Locks of names, which threads and processes take in turn; those of the dead are free."""

    def lock(self, name: str, stop: Callable[[], bool]) -> AbstractContextManager[None]:
        """Hold the lock of a name until the end of the block; a thread must not take it twice.

        Where a lock can be lost, `require_held` tells the thread that holds it.

        Args:
            name: Any text. Names that share a number, one pair in 2**60, wait for each other.
            stop: Called while waiting; the wait ends when it returns true.

        Raises:
            Stopped: `stop` returned true.
            NoLocks: The file system has none.
            OSError: The file cannot be made or opened.
            StateError: The database cannot be reached.
        """


class _Held(local):
    """What sees to it that the locks of the thread at hand are still held."""

    def __init__(self) -> None:
        self.checks: list[Callable[[], None]] = []


_HELD = _Held()


@contextlib.contextmanager
def holding(check: Callable[[], None]) -> Iterator[None]:
    """Let `require_held` make this check until the end of the block."""
    _HELD.checks.append(check)
    try:
        yield
    finally:
        _HELD.checks.remove(check)


def require_held() -> None:
    """Refuse to publish what was made under a lock that was lost meanwhile.

    Raises:
        StateError: A lock of this thread was lost.
    """
    for check in _HELD.checks:
        check()


class FileLocks:
    """Locks of names as bytes of a file, for the processes of one host; see `Locks`."""

    def __init__(self, file: Path) -> None:
        """Name the file, which is made if needed and never removed."""
        self._file = file

    @contextlib.contextmanager
    def lock(self, name: str, stop: Callable[[], bool]) -> Iterator[None]:
        """Hold the lock of a name until the end of the block."""
        digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()
        byte = int.from_bytes(digest[:8], "big") >> 4
        descriptor = _acquire(self._file, byte, stop)
        try:
            yield
        finally:
            # Unlock explicitly: a forked child may hold the descriptor.
            with contextlib.suppress(OSError):
                _set_lock(descriptor, byte, fcntl.F_UNLCK)
            os.close(descriptor)


def _acquire(file: Path, byte: int, stop: Callable[[], bool]) -> int:
    pause = _FIRST_PAUSE
    while True:
        # Opened again each time, since the file may have been removed.
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            if _try_lock(descriptor, byte):
                return descriptor
        except BaseException:  # Ctrl-C as well: a file left open keeps the lock.
            os.close(descriptor)
            raise
        os.close(descriptor)
        if stop():
            raise Stopped
        time.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE)


def _try_lock(descriptor: int, byte: int) -> bool:
    try:
        _set_lock(descriptor, byte, fcntl.F_WRLCK)
    except OSError as error:
        if error.errno in _LOCKED_BY_OTHERS:
            return False
        if error.errno in _WITHOUT_LOCKS:
            raise NoLocks from error
        raise
    return True


def locked_elsewhere(descriptor: int) -> bool:
    """Whether another process has locked any part of an open file; locks nothing itself.

    Raises:
        OSError: The file system does not say.
    """
    asked = _packed(fcntl.F_WRLCK, 0, 0)
    return _kind(fcntl.fcntl(descriptor, fcntl.F_GETLK, asked)) != fcntl.F_UNLCK


def _set_lock(descriptor: int, byte: int, kind: int) -> None:
    if _SET_LOCK is None:
        # A single lock for all names then.
        released = kind == fcntl.F_UNLCK
        fcntl.flock(descriptor, fcntl.LOCK_UN if released else fcntl.LOCK_EX | fcntl.LOCK_NB)
    else:
        fcntl.fcntl(descriptor, _SET_LOCK, _packed(kind, byte, 1))


def _packed(kind: int, begin: int, length: int) -> bytes:
    """A lock as the system takes it; of the length 0, up to the end of the file."""
    if sys.platform == "darwin":
        return struct.pack("qqihh", begin, length, 0, kind, os.SEEK_SET)
    return struct.pack("hhqqi4x", kind, os.SEEK_SET, begin, length, 0)


def _kind(packed: bytes) -> int:
    fields = struct.unpack("qqihh" if sys.platform == "darwin" else "hhqqi4x", packed)
    return int(fields[3 if sys.platform == "darwin" else 0])
