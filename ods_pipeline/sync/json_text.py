"""JSON of any length read to its end, word by word: whether it is whole, and of how many parts.

Values are not kept. Readers that are faster refuse what the grammar allows, such as half a
surrogate pair, or want one document in memory.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from pathlib import Path

from ods_pipeline.errors import Unproven
from ods_pipeline.portal.http.limits import BOUNDS, require_size

_PIECE = 1 << 20
# No number or name is longer: what is not read in so many letters is none.
_LONG = 4096
_PLAIN = r'[^"\\\x00-\x1f]*+'
_ESCAPED = r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})'
_TOKEN = re.compile(
    rf'[ \t\r\n]*+(?:(?P<text>"{_PLAIN}(?:{_ESCAPED}{_PLAIN})*+")'
    r"|(?P<plain>-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null)"
    r"|(?P<mark>[][{},:]))"
)
_BLANK = re.compile(r"[ \t\r\n]*+")


def parts(path: Path) -> int | None:
    """Read a JSON document to its end.

    Args:
        path: The file.

    Returns:
        The number of values in its list; None if it is no list.

    Raises:
        Unproven: It is no JSON, or breaks off, or goes on after its end.
    """
    with path.open("rb") as file:
        reader = codecs.getreader("utf-8-sig")(file)
        pieces = iter(lambda: reader.read(_PIECE), "")
        try:
            return _Grammar().read(_words(pieces))
        except UnicodeDecodeError as error:
            raise Unproven(f"the JSON export is not UTF-8: {error.reason}") from error


def _words(pieces: Iterator[str]) -> Iterator[str]:
    """Each word: a mark as it is, `"` for a text, `0` for any other value."""
    waiting, place, wanted, ended = "", 0, 0, False
    while True:
        found = _TOKEN.match(waiting, place)
        # A number may go on in the next piece, as after `1.` and `1e-`.
        if found and (found.end() + 2 < len(waiting) or ended or not found["plain"]):
            yield found["mark"] or ('"' if found["text"] else "0")
            place = found.end()
            continue
        waiting, place = waiting[_BLANK.match(waiting, place).end() :], 0  # type: ignore[union-attr]
        if ended and not waiting:
            return
        if ended or (len(waiting) > _LONG and waiting[0] != '"'):
            raise Unproven("the JSON export cannot be read to its end: it breaks off or is no JSON")
        require_size("a text of the JSON export", len(waiting), BOUNDS.record)
        # Twice as much each time, or a long text would be looked at again with every piece.
        wanted = max(_PIECE, 2 * len(waiting))
        more = [waiting]
        while sum(map(len, more)) < wanted and not ended:
            piece = next(pieces, "")
            ended = not piece
            more.append(piece)
        waiting = "".join(more)


class _Grammar:
    """What may come next: a value, a key, a colon, a comma, or an end."""

    def read(self, words: Iterator[str]) -> int | None:
        inside: list[str] = []
        found, listed, allowed = 0, False, "value"
        for word in words:
            if word in "]}":
                if not inside or inside.pop() != word or "end" not in allowed:
                    raise self._broken()
                allowed = "comma end"
            elif word == "," and "comma" in allowed and inside:
                allowed = "value" if inside[-1] == "]" else "key"
            elif word == ":" and allowed == "colon":
                allowed = "value"
            elif word == '"' and "key" in allowed:
                allowed = "colon"
            elif word in '"0[{' and "value" in allowed:
                found += inside == ["]"]
                listed = listed or (not inside and word == "[")
                allowed = "comma end"
                if word in "[{":
                    inside.append("]" if word == "[" else "}")
                    allowed = "value end" if word == "[" else "key end"
            else:
                raise self._broken()
        if inside or allowed != "comma end":
            raise self._broken()
        return found if listed else None

    @staticmethod
    def _broken() -> Unproven:
        return Unproven("the JSON export breaks off, or goes on after its end, or is no JSON")
