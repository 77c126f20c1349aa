"""Writes well-known text as WKB, for what GEOS cannot construct from it: open rings, curves.

Only the notation is read here; what the geometry becomes is decided by `tables.geometry_repair`.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import TypeVar

# As WKB numbers them.
_KINDS = {
    **{"POINT": 1, "LINESTRING": 2, "POLYGON": 3, "MULTIPOINT": 4, "MULTILINESTRING": 5},
    **{"MULTIPOLYGON": 6, "GEOMETRYCOLLECTION": 7, "CIRCULARSTRING": 8, "COMPOUNDCURVE": 9},
    **{"CURVEPOLYGON": 10, "MULTICURVE": 11, "MULTISURFACE": 12, "POLYHEDRALSURFACE": 15},
    **{"TIN": 16, "TRIANGLE": 17},
}
# What the parts of a collection are that have no name of their own.
_PARTS = {4: 1, 5: 2, 6: 3, 7: 0, 9: 2, 10: 2, 11: 2, 12: 3, 15: 3, 16: 17}
_POINT, _RINGED = 1, {3, 17}
_HIGH, _MEASURED = 1000, 2000
_DEEPEST = 32
_TOKEN = re.compile(r"\s*([A-Za-z]+|[-+.0-9][-+.0-9Ee]*|[(),]|$)")

Position = tuple[float, ...]
_Item = TypeVar("_Item")


def wkb_of(text: str) -> bytes:
    """A geometry as WKB, whose parts each have the dimensions of their positions.

    Raises:
        ValueError: It is no well-known text, or its positions differ in their numbers.
    """
    reader = _Reader(text)
    geometry = reader.named(_DEEPEST)
    reader.expect("")
    return geometry


class _Reader:
    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0
        self._token = ""
        self._advance()

    def expect(self, *tokens: str) -> str:
        """Take the next token, which has to be one of these."""
        token = self._token
        if token not in tokens:
            raise ValueError(f"{token!r} in a geometry")
        self._advance()
        return token

    def named(self, depth: int, default: int = 0) -> bytes:
        """A geometry with its name; without one it is of the default kind, if there is one."""
        if self._token in {"(", "EMPTY"} and default:
            return self._geometry(default, False, depth)
        word = self._word()
        name = next((n for n in (word, word[:-1], word[:-2]) if n in _KINDS), "")
        suffix = word[len(name) :] or (self._word() if self._token in {"Z", "M", "ZM"} else "")
        if not name or suffix not in {"", "Z", "M", "ZM"}:
            raise ValueError(f"{word!r} is no kind of geometry")
        return self._geometry(_KINDS[name], suffix == "M", depth)

    def _geometry(self, kind: int, measured: bool, depth: int) -> bytes:
        if not depth:
            raise ValueError("nested too deeply")
        if kind in _PARTS:
            parts = self._listed(lambda: self._part(_PARTS[kind], depth))
            return _header(kind) + struct.pack("<I", len(parts)) + b"".join(parts)
        if kind in _RINGED:
            rings = self._listed(lambda: self._listed(self._position))
            positions = [position for ring in rings for position in ring]
            counted = [struct.pack("<I", len(ring)) + _numbers(ring) for ring in rings]
            return (
                _header(kind, positions, measured)
                + struct.pack("<I", len(rings))
                + b"".join(counted)
            )
        positions = self._listed(self._position)
        if kind != _POINT:
            count = struct.pack("<I", len(positions))
            return _header(kind, positions, measured) + count + _numbers(positions)
        if len(positions) > 1:
            raise ValueError("a point of several positions")
        positions = positions or [(float("nan"), float("nan"))]
        return _header(kind, positions, measured) + _numbers(positions)

    def _part(self, kind: int, depth: int) -> bytes:
        if kind == _POINT and self._token not in {"(", "EMPTY"}:
            # The points of a MULTIPOINT may stand without parentheses.
            position = [self._position()]
            return _header(kind, position) + _numbers(position)
        return self.named(depth - 1, kind)

    def _listed(self, read: Callable[[], _Item]) -> list[_Item]:
        """Items in parentheses, with commas between them; none where it says EMPTY."""
        if self.expect("(", "EMPTY") == "EMPTY":
            return []
        items = [read()]
        while self.expect(",", ")") == ",":
            items.append(read())
        return items

    def _position(self) -> Position:
        numbers = []
        while self._token not in {",", ")", ""}:
            numbers.append(float(self._token))
            self._advance()
        if not 2 <= len(numbers) <= 4:
            raise ValueError(f"a position of {len(numbers)} numbers")
        return tuple(numbers)

    def _word(self) -> str:
        word = self._token
        self._advance()
        return word

    def _advance(self) -> None:
        match = _TOKEN.match(self._text, self._at)
        if not match:
            raise ValueError("no well-known text")
        self._token, self._at = match[1].upper(), match.end()


def _header(kind: int, positions: list[Position] | None = None, measured: bool = False) -> bytes:
    widths = {len(position) for position in positions or ()} or {2}
    if len(widths) > 1:
        raise ValueError("positions of different numbers")
    (width,) = widths
    dimensions = {2: 0, 3: _MEASURED if measured else _HIGH, 4: _HIGH + _MEASURED}[width]
    return struct.pack("<BI", 1, kind + dimensions)


def _numbers(positions: list[Position]) -> bytes:
    return b"".join(struct.pack(f"<{len(position)}d", *position) for position in positions)
