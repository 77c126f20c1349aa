"""Values of fields of type `file` as portals write them, and made-up pictures for them.

Which dataset has which files, and HTTP, does not belong here.
"""

from __future__ import annotations

import base64
import hashlib
import struct
import zlib
from typing import Any

_WIDTH, _HEIGHT = 24, 16


def _md5(content: bytes) -> Any:
    return hashlib.md5(content, usedforsecurity=False)


def recorded(name: str, content: bytes, mimetype: str) -> dict[str, Any]:
    """A file as the value of a field, with the keys that were recorded at a portal.

    Args:
        name: What it is called; its identifier follows from that, and stays when it changes.
        content: Its bytes.
        mimetype: Its media type.
    """
    return {
        "exif_orientation": 1,
        "thumbnail": True,
        "filename": name,
        "width": _WIDTH,
        "format": mimetype.rpartition("/")[2].upper(),
        "etag": base64.b64encode(_md5(content).digest()).decode(),
        "mimetype": mimetype,
        "id": _md5(name.encode()).hexdigest(),
        "last_synchronized": "2023-04-25T12:22:21.990158",
        "color_summary": ["rgba(91, 89, 71, 1.00)"],
        "height": _HEIGHT,
    }


def picture(seed: str) -> bytes:
    """A small PNG of two colours, always the same for a seed."""
    colours = _md5(seed.encode()).digest()
    upper, lower = (b"\0" + colours[at : at + 3] * _WIDTH for at in (0, 3))
    rows = upper * (_HEIGHT // 2) + lower * (_HEIGHT - _HEIGHT // 2)
    head = struct.pack(">IIBBBBB", _WIDTH, _HEIGHT, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, body) for kind, body in parts)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
