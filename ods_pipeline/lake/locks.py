"""Locks of names: between threads, and between processes as locked bytes of one empty file.

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
from pathlib import Path
from threading import Lock

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


@contextlib.contextmanager
def lock(file: Path, name: str, stop: Callable[[], bool]) -> Iterator[None]:
    """Hold the lock of a name until the end of the block; a thread must not take it twice.

    On a file system without locks every caller gets the lock at once.

    Args:
        file: The file to lock bytes of; made if needed, never removed.
        name: Any text. Names that share a byte, one pair in 2**60, wait for each other.
        stop: Called while waiting; the wait ends when it returns true.

    Raises:
        Stopped: `stop` returned true.
        OSError: The file cannot be made or opened.
    """
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()
    byte = int.from_bytes(digest[:8], "big") >> 4
    descriptor = _acquire(file, byte, stop)
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
        if error.errno not in _WITHOUT_LOCKS:
            raise
    return True


def _set_lock(descriptor: int, byte: int, kind: int) -> None:
    if _SET_LOCK is None:
        # A single lock for all names then.
        released = kind == fcntl.F_UNLCK
        fcntl.flock(descriptor, fcntl.LOCK_UN if released else fcntl.LOCK_EX | fcntl.LOCK_NB)
    elif sys.platform == "darwin":
        fcntl.fcntl(descriptor, _SET_LOCK, struct.pack("qqihh", byte, 1, 0, kind, os.SEEK_SET))
    else:
        fcntl.fcntl(descriptor, _SET_LOCK, struct.pack("hhqqi4x", kind, os.SEEK_SET, byte, 1, 0))
