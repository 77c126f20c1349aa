"""Folders and renames that a power cut does not undo.

The system keeps the entries of a folder in memory until the folder itself is flushed. What the
files hold is flushed by who writes them.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

# Some network file systems cannot flush a folder, or not for everybody: no promise is to be had.
_REFUSED = {errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EPERM, errno.EBADF}


def make_durably(folder: Path) -> None:
    """Make a folder and those above it, as far as they are missing."""
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
    """Rename a finished file into place so that a power cut leaves the old or the new one."""
    make_durably(target.parent)
    path.replace(target)
    _flush(target.parent)


def _flush(folder: Path) -> None:
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _REFUSED:
            raise
