"""The token store in a file: one login, for all threads and processes of one machine.

Readers take no lock: the file under its name is always complete. When a login is renewed is not
decided here.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EACCES, EDQUOT, EMFILE, ENFILE, ENOSPC, ENOTDIR, EPERM, EROFS
from pathlib import Path
from time import monotonic

from filelock import FileLock, Timeout

from ods_pipeline.errors import TokenStoreError
from ods_pipeline.portal.auth.grant import Grant
from ods_pipeline.portal.auth.store import busy, login_lock

#: Seconds that a new login or a logout waits for a renewal under way.
_PATIENCE = 120
#: Reserved for the record to come; one of the usual size takes a sixtieth of it.
_ROOM = 64 * 1024
_LARGEST = 1024 * 1024
# Every record begins so. A file that begins otherwise may be a key of the user's.
_BEGINNING = b'{"portal": '
_ELSEWHERE = "give another ODS_TOKEN_FILE"
_AGAIN = "run `ods-pipeline login` to replace it"
_ADVICE = {
    **dict.fromkeys((EACCES, EPERM), "see that you may read and write it and its folder"),
    **dict.fromkeys((ENOSPC, EDQUOT), f"make room on its disk, or {_ELSEWHERE}"),
    **dict.fromkeys((EROFS, ENOTDIR), _ELSEWHERE),
    **dict.fromkeys((EMFILE, ENFILE), "raise the limit (`ulimit -n`)"),
}


class _Damaged(TokenStoreError):
    """The file is ours and safe, but no record can be read from it."""


class FileStore:
    """Keeps a login in a JSON file that only its user can read; see `TokenStore`.

    Beside the file stand its lock, which stays for good, and while the lock is held the records
    to come.
    """

    def __init__(self, path: Path, portal: str, client_id: str) -> None:
        """Name a file for one application's login at a portal; nothing is made or read yet."""
        # A process that changes its folder still means the same file.
        self._path = Path(os.path.abspath(path))
        self._portal, self._client_id = portal, client_id
        self._lock, self._part, self._spare = (
            self._path.with_name(f"{self._path.name}.{kind}") for kind in ("lock", "part", "spare")
        )

    def __repr__(self) -> str:
        """The path alone."""
        return f"FileStore({str(self._path)!r})"

    @property
    def where(self) -> str:
        """The path."""
        return str(self._path)

    def load(self) -> Grant | None:
        """The stored login; also raises where it is another application's."""
        with self._told("read"):
            text = self._text()
        if text is None:
            return None
        try:
            grant = Grant.parse(text.decode(errors="replace"))
        except ValueError:
            if not (text.startswith(_BEGINNING) or _BEGINNING.startswith(text)):
                raise TokenStoreError(f"{self._path} is no login of ours; {_ELSEWHERE}") from None
            raise _Damaged(
                f"{self._path} is damaged, it holds no whole record of a login; {_AGAIN}"
            ) from None
        if (grant.portal, grant.client_id) != (self._portal, self._client_id):
            raise TokenStoreError(
                f"{self._path} belongs to application {grant.client_id} at {grant.portal}, not to "
                f"{self._client_id} at {self._portal}; {_ELSEWHERE}"
            )
        return grant

    def ready(self) -> None:
        """See that a new login could be kept here, even in place of a damaged one."""
        with self.exclusive(_PATIENCE), self._told("kept"):
            with suppress(_Damaged):
                self.load()
            _reserve(self._spare, _ROOM)

    def save(self, grant: Grant) -> None:
        """Store a new login, also over a damaged one, but never over another application's."""
        with self.exclusive(_PATIENCE):
            with suppress(_Damaged):
                self.load()
            self._write(grant)

    def swap(self, old: Grant, new: Grant) -> bool:
        """Keep `new` where the refresh token kept is still `old`'s; else False, and nothing moves.

        Where `new` says that a renewal is about to begin, room for its outcome is reserved first:
        a full disk is found out before the refresh token is spent, not after.
        """
        kept = self.load()
        if kept is None or kept.refresh_token != old.refresh_token:
            return False
        self._write(new)
        return True

    def forget(self) -> bool:
        """Keep nothing; False where nothing was kept."""
        with suppress(_Damaged):
            if self.load() is None:
                return False
        with self.exclusive(_PATIENCE), self._told("taken away"):
            try:
                self._path.unlink()
            except FileNotFoundError:
                return False
            _sync(self._path.parent)
            return True

    @contextmanager
    def exclusive(self, max_wait: float) -> Iterator[None]:
        """Hold the lock; the kernel releases it if this process dies."""
        end = monotonic() + max_wait
        with login_lock(os.path.realpath(self._lock), self.where, max_wait):
            lock = FileLock(self._lock, mode=0o600, thread_local=False, fallback_to_soft=False)
            self._acquire(lock, end, max_wait)
            try:
                with self._told("kept"):
                    self._tidy()
                yield
            finally:
                with suppress(OSError):
                    self._tidy()
                with self._told("unlocked"):
                    lock.release()

    def _acquire(self, lock: FileLock, end: float, max_wait: float) -> None:
        with self._told("locked", "give an ODS_TOKEN_FILE on a local disk"):
            with suppress(FileExistsError):
                self._path.parent.mkdir(mode=0o700, parents=True)
            _require_safe_folder(self._path.parent)
            with suppress(FileNotFoundError):
                _require_private(self._lock)
            try:
                lock.acquire(timeout=max(end - monotonic(), 0))
            except Timeout:
                raise busy(self.where, max_wait) from None

    def _text(self) -> bytes | None:
        try:
            _require_safe_folder(self._path.parent)
            _require_private(self._path)
            handle = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW)
        except FileNotFoundError:
            return None
        with os.fdopen(handle, "rb") as file:
            return file.read(_LARGEST)

    def _write(self, grant: Grant) -> None:
        record = grant.dump().encode()
        with self._told("kept"):
            source = self._part
            if grant.pending is not None and not grant.refused:
                _reserve(self._spare, max(_ROOM, 2 * len(record)))
            elif self._spare.exists():
                source = self._spare
            _fill(source, record)
            os.replace(source, self._path)
            _sync(self._path.parent)

    def _tidy(self) -> None:
        for left in (self._part, self._spare):
            left.unlink(missing_ok=True)

    @contextmanager
    def _told(self, done: str, advice: str = _ELSEWHERE) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise TokenStoreError(
                f"the login in {self._path} cannot be {done}: {error.strerror or error}; "
                f"{_ADVICE.get(error.errno or 0, advice)}"
            ) from error


def _require_safe_folder(folder: Path) -> None:
    found = folder.stat()
    if not stat.S_ISDIR(found.st_mode):
        raise TokenStoreError(f"{folder} is no folder to keep a login in; {_ELSEWHERE}")
    if found.st_uid not in (os.geteuid(), 0):
        raise TokenStoreError(
            f"the folder {folder} belongs to another user, who could change the login in it; "
            f"{_ELSEWHERE}"
        )
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        # A folder for everybody, such as that for temporary files, is to stay one.
        ours = "" if found.st_mode & stat.S_ISVTX else f"run `chmod go-w {folder}`, or "
        raise TokenStoreError(
            f"others can write to the folder {folder}, and so change the login in it; "
            f"{ours}{_ELSEWHERE}"
        )


def _require_private(path: Path) -> None:
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode):
        raise TokenStoreError(
            f"{path} is a symbolic link; give the file that it points to as ODS_TOKEN_FILE"
        )
    if not stat.S_ISREG(found.st_mode):
        raise TokenStoreError(f"{path} is no file to keep a login in; {_ELSEWHERE}")
    if found.st_uid != os.geteuid():
        raise TokenStoreError(f"{path} belongs to another user; run as that one, or {_ELSEWHERE}")
    if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise TokenStoreError(f"{path} is open to others; run `chmod 600 {path}`")


def _reserve(path: Path, size: int) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        if hasattr(os, "posix_fallocate"):  # macOS has none
            os.posix_fallocate(handle, 0, size)
        else:
            os.pwrite(handle, b" " * size, 0)
        os.fsync(handle)
    finally:
        os.close(handle)


def _fill(path: Path, content: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.truncate()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
