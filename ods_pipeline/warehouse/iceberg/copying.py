"""Copies a landed file to a table's place with another footer, and proves its bytes on the way.

They are read and hashed once: what is proven is what was copied. Which numbers the footer gets, and
what the file is called, is not decided here.
"""

from __future__ import annotations

import errno
import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO

from pyiceberg.io import FileIO, OutputStream
from pyiceberg.io.pyarrow import BUFFER_SIZE, PyArrowFileIO

from ods_pipeline.lake.checksum import is_sealed, resealed

_PIECE, _IN_FLIGHT = 1 << 22, 1 << 25
# File systems and kernels that cannot copy by themselves, or not from one to the other.
_CANNOT_COPY = {errno.EXDEV, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM, errno.EBADF}


def copied(io: FileIO, location: str, source: BinaryIO, end: int, old: bytes, new: bytes) -> bool:
    """Copy a file with a new end.

    Args:
        io: Writes the table's files.
        location: Where to.
        source: The file, as it lies on this machine.
        end: Where its rows end.
        old: What follows them: the footer, to the end of the file.
        new: The same of the copy, with a place for a checksum.

    Returns:
        Whether the file is as it was published; else the copy is worth nothing.

    Raises:
        ValueError: The file became shorter.
        OSError: It cannot be read, or the copy not be written.
    """
    source.seek(0)
    path = _local(io, location)
    if path and (digest := _copied_by_system(io, location, path, source, end, new)):
        return is_sealed(digest, old)
    with _unbuffered(io).new_output(location).create(overwrite=bool(path)) as target:
        digest = _streamed(source, end, target)
        target.write(resealed(digest, new))
    return is_sealed(digest, old)


def _local(io: FileIO, location: str) -> str:
    """The path of a location on this machine; empty for one elsewhere."""
    if type(io) is not PyArrowFileIO or not hasattr(os, "copy_file_range"):
        return ""
    scheme, _, path = io.parse_location(location, io.properties)
    return path if scheme == "file" else ""


def _copied_by_system(
    io: FileIO, location: str, path: str, source: BinaryIO, end: int, new: bytes
) -> hashlib._Hash | None:
    """Let the system copy while the bytes are hashed; some file systems only refer to them then."""
    # Makes the folders as well, as every other file of the table is made.
    io.new_output(location).create().close()
    with open(path, "r+b") as target, ThreadPoolExecutor(1, "copy") as pool:
        copying = pool.submit(_copy_by_system, source.fileno(), target.fileno(), end)
        digest = _hashed(source, end)
        try:
            copying.result()
        except OSError as error:
            if error.errno not in _CANNOT_COPY:
                raise
            source.seek(0)
            return None
        target.seek(end)
        target.write(resealed(digest, new))
    return digest


def _copy_by_system(source: int, target: int, end: int) -> None:
    at = 0
    while at < end:
        count = os.copy_file_range(source, target, end - at, at, at)
        if not count:
            raise ValueError("it became shorter")
        at += count


def _hashed(source: BinaryIO, end: int) -> hashlib._Hash:
    digest, buffer = hashlib.sha256(), memoryview(bytearray(_PIECE))
    while end:
        count = source.readinto(buffer[: min(end, _PIECE)])  # type: ignore[attr-defined]
        if not count:
            raise ValueError("it became shorter")
        digest.update(buffer[:count])
        end -= count
    return digest


def _streamed(source: BinaryIO, end: int, target: OutputStream) -> hashlib._Hash:
    """Hash each piece while it is written."""
    digest, left = hashlib.sha256(), end
    with ThreadPoolExecutor(1, "checksum") as pool:
        while left:
            piece = source.read(min(left, _PIECE))
            if not piece:
                raise ValueError("it became shorter")
            hashing = pool.submit(digest.update, piece)
            target.write(piece)
            hashing.result()
            left -= len(piece)
            if left // _IN_FLIGHT != (left + len(piece)) // _IN_FLIGHT:
                _await_writes(target)
    return digest


def _unbuffered(io: FileIO) -> FileIO:
    """The same store, where nothing stands between a stream and what it has not sent yet."""
    if type(io) is not PyArrowFileIO:
        return io
    return PyArrowFileIO({**io.properties, BUFFER_SIZE: "0"})


def _await_writes(target: object) -> None:
    # A stream to a bucket takes all that it is given, and holds it until it is sent.
    flush = getattr(target, "flush", None)
    if flush is not None:
        flush()
