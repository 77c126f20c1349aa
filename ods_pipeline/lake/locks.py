"""Turns: who works at something waits for the others, threads and processes alike.

A turn is a locked byte of one file that holds nothing. The system releases it when its owner is
killed. What turns are for is not known here.
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

_SHORTEST, _LONGEST = 0.002, 0.1
_TAKEN = {errno.EAGAIN, errno.EACCES}
_WITHOUT_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}
# Locks of an open file and not of a process: they hold between threads too, and stay when another
# part of the process opens and closes the same file.
_SET_LOCK: int | None = getattr(fcntl, "F_OFD_SETLK", None)


class Stopped(Exception):
    """Waiting was broken off."""


@contextlib.contextmanager
def turn(file: Path, name: str, stop: Callable[[], bool]) -> Iterator[None]:
    """Hold the turn of a name until the end of the block; not twice in one thread.

    A file system without locks gives everybody a turn at once.

    Args:
        file: Where turns are held; made if needed, and left.
        name: Any text. Names that share a byte, one pair in 2**60, wait for each other.
        stop: Asked while waiting; the wait ends when it says so.

    Raises:
        Stopped: `stop` said so.
        OSError: The file cannot be made or opened.
    """
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()
    byte = int.from_bytes(digest[:8], "big") >> 4
    descriptor = _waited(file, byte, stop)
    try:
        yield
    finally:
        # Said aloud: a process that was forked meanwhile has the file open as well.
        with contextlib.suppress(OSError):
            _call(descriptor, byte, fcntl.F_UNLCK)
        os.close(descriptor)


def _waited(file: Path, byte: int, stop: Callable[[], bool]) -> int:
    pause = _SHORTEST
    while True:
        # Anew each time, for somebody may remove the file.
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            if _taken(descriptor, byte):
                return descriptor
        except BaseException:  # Ctrl-C as well: a file left open keeps the turn.
            os.close(descriptor)
            raise
        os.close(descriptor)
        if stop():
            raise Stopped
        time.sleep(pause)
        pause = min(pause * 1.5, _LONGEST)


def _taken(descriptor: int, byte: int) -> bool:
    try:
        _call(descriptor, byte, fcntl.F_WRLCK)
    except OSError as error:
        if error.errno in _TAKEN:
            return False
        if error.errno not in _WITHOUT_LOCKS:
            raise
    return True


def _call(descriptor: int, byte: int, kind: int) -> None:
    if _SET_LOCK is None:
        # One turn at a time then, whatever its name.
        released = kind == fcntl.F_UNLCK
        fcntl.flock(descriptor, fcntl.LOCK_UN if released else fcntl.LOCK_EX | fcntl.LOCK_NB)
    elif sys.platform == "darwin":
        fcntl.fcntl(descriptor, _SET_LOCK, struct.pack("qqihh", byte, 1, 0, kind, os.SEEK_SET))
    else:
        fcntl.fcntl(descriptor, _SET_LOCK, struct.pack("hhqqi4x", kind, os.SEEK_SET, byte, 1, 0))
