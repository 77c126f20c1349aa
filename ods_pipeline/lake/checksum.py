"""The seal of a published file: the digest of all its bytes, footer included, in its own footer.

The digest is taken with 64 zeros where its digits will stand; they are written over the zeros
before anybody sees the file. What else a footer says is `receipt`'s.
"""

from __future__ import annotations

import hashlib
import os
import struct
from pathlib import Path
from typing import BinaryIO

BLANK = "0" * 64

# The entry as Parquet's footer writes it: a text of 11 bytes, then one of 64.
_MARK = b"\x18\x0bfile_sha256\x18\x40"
_MAGIC = b"PAR1"
_TAIL = 8  # length of the footer in four bytes, then the magic
_CHUNK = 1 << 20


class SealedFile:
    """A file for Parquet's writer that is sealed when it is closed.

    Args:
        path: An empty file.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("r+b")
        self._digest = hashlib.sha256()
        self.closed = False

    def write(self, data: bytes) -> int:
        """Append."""
        self._digest.update(data)
        return self._file.write(data)

    def tell(self) -> int:
        """The number of bytes written."""
        return self._file.tell()

    def flush(self) -> None:
        """Pass on to the system what was written."""
        self._file.flush()

    def seal(self) -> str:
        """Write the digest over its zeros, bring everything to the disk, and close.

        Returns:
            The digest.
        """
        digits = self._digest.hexdigest()
        self._file.flush()
        place = _place(self._file)
        if place is None:
            raise ValueError("the footer has no place for a digest")
        self._file.seek(place)
        self._file.write(digits.encode())
        self._file.flush()
        os.fsync(self._file.fileno())
        self.close()
        return digits

    def close(self) -> None:
        """Let go of the file."""
        if not self.closed:
            self.closed = True
            self._file.close()


def intact(file: BinaryIO) -> bool:
    """Whether all bytes of a file are those that were sealed; read in bounded memory."""
    place = _place(file)
    if place is None:
        return False
    digest = hashlib.sha256()
    file.seek(0)
    _take(file, place, digest)
    digits = file.read(len(BLANK))
    digest.update(BLANK.encode())
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digits == digest.hexdigest().encode()


def _take(file: BinaryIO, left: int, digest: hashlib._Hash) -> None:
    while left and (chunk := file.read(min(left, _CHUNK))):
        digest.update(chunk)
        left -= len(chunk)


def _place(file: BinaryIO) -> int | None:
    """Where the digits stand; None where the end of the file is no footer that has them."""
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
    # The last one: it is written after all that a publisher has a say in.
    found = footer.rfind(_MARK)
    place = found + len(_MARK)
    return None if found < 0 or place + len(BLANK) > length else start + place
