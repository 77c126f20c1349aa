"""The file of a quota's state, for all processes of a user on this host, under a lock.

A budget helps and proves nothing: where no file can be written each process has its own, and a
damaged file counts as empty. What the entries mean is not known here.
"""

from __future__ import annotations

import fcntl
import os
import platform
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TypeVar

from platformdirs import user_state_path

from ods_pipeline.portal.quota.account import Change
from ods_pipeline.portal.quota.state import Holder, Lease, State, dump, parse
from ods_pipeline.state.locks import thread_lock

_NAME = "ods-pipeline"
_LARGEST = 1 << 20
#: Seconds to wait for another process, which holds the lock for some ten-thousandths of one.
_PATIENCE = 5.0
_POLL = 0.001
_OLD = 60 * 86_400
_T = TypeVar("_T")

# What is known to this process where no file can be used.
_OURS: dict[str, State] = {}


class StateFile:
    """Keeps one state in a file; see `Account`."""

    def __init__(self, name: str, now: Callable[[], float] = time.time) -> None:
        """Name a state, without secrets; nothing is made or read yet."""
        self._name, self.now = name, now
        self._folder: Path | None = None
        self._alone = False
        self._seen: tuple[bytes, State] = (b"", State())

    @property
    def path(self) -> Path | None:
        """The file; None if there is none, or not yet."""
        return self._folder / f"{self._name}.json" if self._folder else None

    @property
    def holder(self) -> Holder:
        """This process, by its number in its container."""
        return Holder(_host(), os.getpid())

    def is_alive(self, lease: Lease) -> bool:
        """Whether the process may still run; always true for other hosts and containers."""
        if lease.host != _host() or lease.process == os.getpid():
            return True
        try:
            os.kill(lease.process, 0)
        except ProcessLookupError:
            return False
        except (OSError, OverflowError):
            return lease.process > 0
        return True

    def update(self, change: Change[_T]) -> _T:
        """Change the state, and return what the change tells; nobody else does meanwhile."""
        with thread_lock(f"quota/{self._name}"):
            if not self._alone:
                try:
                    return self._update_file(change)
                except OSError:
                    self._alone = True
                    _OURS.setdefault(self._name, self._seen[1])
            _OURS[self._name], answer = change(_OURS[self._name], self.now())
            return answer

    def _update_file(self, change: Change[_T]) -> _T:
        if self._folder is None:
            self._folder = _folder()
        with _locked(self._folder / f"{self._name}.json") as file:
            text = os.pread(file, _LARGEST, 0)
            # Mostly no other process has written since, and it need not be parsed again.
            state = self._seen[1] if text == self._seen[0] else parse(text)
            new, answer = change(state, self.now())
            if new != state:
                # One write, and no shorter than before: a process that is killed leaves no half.
                text = dump(new).ljust(len(text))
                os.pwrite(file, text, 0)
            self._seen = text, new
            return answer


@cache
def _host() -> str:
    # Containers may share a name and a folder, but not the numbers of their processes.
    try:
        return f"{platform.node()}/{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return platform.node()


def _folder() -> Path:
    """The user's folder for such things; where that cannot be written, one for passing files."""
    usual = user_state_path(_NAME, appauthor=False) / "quota"
    passing = Path(tempfile.gettempdir()) / f"{_NAME}-{os.geteuid()}"
    try:
        return _private(usual)
    except OSError:
        return _private(passing)


def _private(folder: Path) -> Path:
    # Without a home to be found its name is left as it is, and would be made wherever we are.
    if not folder.is_absolute():
        raise NotADirectoryError(f"{folder} is no place")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise PermissionError(f"{folder} belongs to somebody else")
    handle, probe = tempfile.mkstemp(dir=folder)
    os.close(handle)
    os.unlink(probe)
    _tidy(folder)
    return folder


def _tidy(folder: Path) -> None:
    """Remove states of portals that were not asked for a long time."""
    with suppress(FileNotFoundError):  # Another process may be at it as well.
        for path in folder.glob("*.json"):
            if path.stat().st_mtime < time.time() - _OLD:
                path.unlink()


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """Open a file for this process alone; the kernel unlocks it if the process dies.

    Not by the package for locks: it does ten times as much at each turn, and there are two turns
    to a request.

    Raises:
        OSError: It cannot be opened or locked, or another one has it for too long.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        end = time.monotonic() + _PATIENCE
        while not _taken(handle):
            if time.monotonic() > end:
                raise TimeoutError(f"{path} is locked")
            time.sleep(_POLL)
        yield handle
    finally:
        # Unlock explicitly: a forked child may hold the descriptor.
        fcntl.flock(handle, fcntl.LOCK_UN)
        os.close(handle)


def _taken(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
