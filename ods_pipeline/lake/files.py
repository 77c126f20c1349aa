"""Folders and renames that survive a power cut, and unfinished files.

A process locks the files that it writes. The system releases these locks when the process ends, so
an unlocked unfinished file was left behind and can be removed. File contents do not belong here.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

from ods_pipeline.errors import OUT_OF_FILES, LakeError, LakeUnwritable, out_of_files
from ods_pipeline.state.locks import NoLocks

#: What the name of a partition ends with that holds another one's rejected values.
REJECTED = ".rejected"

_HOST = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())
# Some network file systems cannot flush a folder, or not for every user: no guarantee there.
_CANNOT_FLUSH = {errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EPERM, errno.EBADF}
_NAME = re.compile(r"(?P<kernel>[0-9a-f]{8}|)~(?P<host>[A-Za-z0-9-]*)~\d+\.[0-9a-f]{8}\.")
# A name by `tempfile` where the system has no nameless files; it is removed right after creation.
_NAMELESS = re.compile(r"export\.\w+")
_DAY = 86_400
_OURS: set[Path] = set()


def _kernel() -> str:
    """Identity of the machine's current boot, the same in all of its containers."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii")[:8]
    return ""


_KERNEL = _kernel()


def absolute(path: str | Path) -> str:
    """A path from the root; as it is where the folder that this process is in was removed."""
    with contextlib.suppress(FileNotFoundError):
        return os.path.abspath(path)
    return os.fspath(path)


def is_text(path: str) -> bool:
    """Whether a path is UTF-8 without NUL: Arrow and DuckDB cannot open any other."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in path


def readable(path: str) -> str:
    """A path for people, whatever its bytes are."""
    return path.encode("utf-8", "backslashreplace").decode().replace("\0", r"\0")


def require_files(error: Exception) -> None:
    """Refuse to call a file damaged or lost where no more files may be opened.

    Raises:
        LakeError: This is the reason of the error.
    """
    if out_of_files(error):
        raise LakeError(OUT_OF_FILES) from error


def disk_error(error: OSError | NoLocks, folder: Path, setting: str) -> LakeError:
    """An error of the operating system as one sentence.

    Args:
        error: What it said.
        folder: Where.
        setting: The variable that names another folder.
    """
    if isinstance(error, NoLocks):
        return LakeUnwritable(
            f"the file system of {folder} has no locks, so two runs could overwrite each other's "
            f"files; set {setting} to a folder elsewhere, or ODS_STATE to a PostgreSQL database"
        )
    if out_of_files(error):
        return LakeError(OUT_OF_FILES)
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return LakeError(
            f"the disk of {folder} is full; free some space: what was landed is complete"
        )
    if error.errno == errno.EFBIG:
        advice = "raise it (`ulimit -f`); what was landed is complete"
        return LakeError(f"a file in {folder} has reached the limit on the size of files: {advice}")
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        advice = f"correct its permissions or set {setting} to another folder"
        return LakeUnwritable(f"{folder} cannot be written; {advice}")
    reason = error.strerror or error
    return LakeUnwritable(f"{folder} cannot be used ({reason}); set {setting} to a folder")


def make_durably(folder: Path) -> None:
    """Make a folder and its missing parents so that a power cut does not undo it."""
    try:
        folder.mkdir()
    except FileExistsError:
        if not folder.is_dir():
            raise
        return
    except FileNotFoundError:
        if folder.parent == folder:
            raise
        make_durably(folder.parent)
        folder.mkdir(exist_ok=True)
    _flush(folder.parent)


def replace_durably(path: Path, target: Path) -> None:
    """Rename a finished, flushed file so that a power cut leaves the old file or the new one."""
    make_durably(target.parent)
    path.replace(target)
    _flush(target.parent)


def _flush(folder: Path) -> None:
    """Write the entries of a folder to the disk; the system keeps them in memory until then."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_FLUSH:
            raise


@contextlib.contextmanager
def unfinished(folder: Path, name: str) -> Iterator[Path]:
    """Make an empty file, locked by this process until the end of the block, then removed.

    Args:
        folder: An existing folder.
        name: Name of the finished file; part of this file's name, for people.
    """
    path, descriptor = _made(folder, name)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)
        _OURS.discard(path)
        os.close(descriptor)


def discard_unfinished() -> None:
    """Remove the unfinished files of this process; for an exit that does not wait for threads."""
    for path in tuple(_OURS):
        path.unlink(missing_ok=True)


def sweep(folder: Path, *, shared: bool = False) -> None:
    """Remove the unfinished files of killed processes, never one that is being written.

    On a file system without locks nothing can tell the two apart, so nothing is removed.

    Args:
        folder: The folder.
        shared: Whether others keep files there as well. Then a name that `tempfile` could have
            made says nothing of whose file it is.
    """
    now = folder.stat().st_mtime
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            found = _NAME.match(path.name)
            near = found and (found["kernel"] == _KERNEL or found["host"] == _HOST)
            # A lock may not be visible to other machines: their files must be old as well, by the
            # clock of the file system.
            ours = found or (not shared and _NAMELESS.fullmatch(path.name))
            if near or (ours and now - path.lstat().st_mtime > _DAY):
                _remove_unlocked(path)


def _made(folder: Path, name: str) -> tuple[Path, int]:
    while True:
        random = os.urandom(4).hex()
        path = folder / f"{_KERNEL}~{_HOST}~{os.getpid()}.{random}.{name[:80]}"
        _OURS.add(path)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        except BaseException:  # Ctrl-C as well: there is no file to discard.
            _OURS.discard(path)
            raise
        # Another process may have removed it before it was locked; from now on none can.
        if _lock(descriptor) is not False and path.exists():
            return path, descriptor
        os.close(descriptor)
        _OURS.discard(path)


def _remove_unlocked(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return  # Gone, another user's, or no file.
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
