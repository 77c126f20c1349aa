"""The checksum of a published file: the digest of all its bytes, stored in its own footer.

The digest is computed with 64 zeros in its place, and written over the zeros before the file is
published. The meaning of other footer entries does not belong here.
"""

from __future__ import annotations

import hashlib
import io
import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

BLANK = "0" * 64

# The entry in Parquet's footer: a text of 11 bytes, then one of 64.
_ENTRY = b"\x18\x0bfile_sha256\x18\x40"
_MAGIC = b"PAR1"
_TAIL = 8  # length of the footer in four bytes, then the magic
_CHUNK = 1 << 20


class SealedFile(io.BufferedRandom):
    """A file for Parquet's writer that gets its checksum at the end.

    Args:
        path: An empty file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path, "r+"))
        self._digest = hashlib.sha256()

    def write(self, data: ReadableBuffer) -> int:
        """Append."""
        self._digest.update(data)
        return super().write(data)

    def seal(self) -> str:
        """Write the digest over its zeros, flush everything to the disk, and close.

        Returns:
            The digest.
        """
        digest = self._digest.hexdigest()
        offset = _digest_offset(self)
        if offset is None:
            raise ValueError("the footer has no place for a digest")
        self.seek(offset)
        super().write(digest.encode())
        self.flush()
        os.fsync(self.fileno())
        self.close()
        return digest


def intact(file: BinaryIO) -> bool:
    """Whether the bytes of a file match its checksum; read in bounded memory."""
    offset = _digest_offset(file)
    if offset is None:
        return False
    digest = hashlib.sha256()
    file.seek(0)
    _read_into(digest, file, offset)
    digits = file.read(len(BLANK))
    digest.update(BLANK.encode())
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digits == digest.hexdigest().encode()


def resealed(before: hashlib._Hash, end: bytes) -> bytes:
    """The last bytes of a file that got another footer, with its checksum in place.

    Args:
        before: The digest of all bytes before them.
        end: The footer and what follows it.
    """
    entry = end.rfind(_ENTRY)
    if entry < 0:
        return end
    place = slice(entry + len(_ENTRY), entry + len(_ENTRY) + len(BLANK))
    digest = before.copy()
    digest.update(end[: place.start] + BLANK.encode() + end[place.stop :])
    return end[: place.start] + digest.hexdigest().encode() + end[place.stop :]


def is_sealed(before: hashlib._Hash, end: bytes) -> bool:
    """Whether the bytes of a file match its checksum, as `intact` has it, once they are hashed.

    Args:
        before: The digest of all bytes before its end.
        end: The footer and what follows it.
    """
    return _ENTRY in end and resealed(before, end) == end


def _read_into(digest: hashlib._Hash, file: BinaryIO, left: int) -> None:
    while left and (chunk := file.read(min(left, _CHUNK))):
        digest.update(chunk)
        left -= len(chunk)


def _digest_offset(file: BinaryIO) -> int | None:
    """Offset of the digest in the file; None where the file does not end in a footer with one."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - _TAIL, 0))
    tail = file.read(_TAIL)
    if len(tail) < _TAIL or tail[4:] != _MAGIC:
        return None
    (length,) = struct.unpack("<I", tail[:4])
    if length > size - _TAIL:
        return None
    start = size - _TAIL - length
    file.seek(start)
    footer = file.read(length)
    # The last one: it is written after everything that a publisher can influence.
    entry = footer.rfind(_ENTRY)
    offset = entry + len(_ENTRY)
    return None if entry < 0 or offset + len(BLANK) > length else start + offset
