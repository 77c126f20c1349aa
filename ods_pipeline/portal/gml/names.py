"""Element names that XML does not allow, such as `<ods:2024-trees>`, made readable on the way.

Datasets may be called so, and portals write their names into tags as they are. The scanner changes
names in tags alone: text, comments, CDATA and attributes pass untouched, and whatever else is wrong
stays wrong, for the parser to refuse.
"""

from __future__ import annotations

import re
import secrets

_START, _REST = rb"[A-Za-z_\x80-\xff]", rb"[\w.\-\x80-\xff]*"
_GOOD = rb"(?:" + _START + _REST + rb":)?" + _START + _REST
# All but a tag with a proper name: comments, CDATA, instructions, tags cut off, and bad names.
_ODD = re.compile(rb"<(?!/?" + _GOOD + rb"[\s/>])")
_BAD = re.compile(rb"<(/?(?:" + _START + _REST + rb":)?)([\w.\-@\x80-\xff]+)(?=[\s/>])")
_OPAQUE = {b"<!--": b"-->", b"<![CDATA[": b"]]>", b"<?": b"?>"}
_CUT = re.compile(rb"<(?:/?[^\s<>/]*|!-?|!\[[CDAT]*)\Z")
_LONGEST_NAME = 1024


class Mender:
    """Replaces bad names by good ones that say what they stood for.

    The good names begin with a mark drawn by lot, so that no document can contain one already.
    """

    def __init__(self) -> None:
        self._mark = f"_{secrets.token_hex(8)}-"
        self._held = b""
        self._until = b""

    def feed(self, block: bytes) -> bytes:
        """The block with its names mended; a tag that is cut off waits for the next block."""
        data = self._held + block
        self._held = b""
        done: list[bytes] = []
        position = 0
        while position < len(data):
            if self._until:
                position = self._pass_opaque(data, position, done)
            else:
                position = self._mend_plain(data, position, done)
        return done[0] if len(done) == 1 else b"".join(done)

    @property
    def idle(self) -> bool:
        """Whether nothing waits, and the next byte stands outside of comments and the like."""
        return not self._held and not self._until

    def _good(self, name: bytes) -> bytes:
        return (self._mark + name.hex()).encode()

    def rest(self) -> bytes:
        """What still waits when the document has ended."""
        return self._held

    def original(self, text: str) -> str:
        """A name, or a sentence with names in it, as the document has them."""
        if self._mark not in text:
            return text
        return re.sub(
            self._mark + "([0-9a-f]+)", lambda found: bytes.fromhex(found[1]).decode(), text
        )

    def _pass_opaque(self, data: bytes, position: int, done: list[bytes]) -> int:
        end = data.find(self._until, position)
        if end >= 0:
            end += len(self._until)
            self._until = b""
        else:
            end = max(position, len(data) - len(self._until) + 1)
            self._held = data[end:]
        done.append(data[position:end])
        return end if not self._held else len(data)

    def _mend_plain(self, data: bytes, position: int, done: list[bytes]) -> int:
        odd = _ODD.search(data, position)
        if odd is None:
            done.append(data[position:])
            return len(data)
        start = odd.start()
        done.append(data[position:start])
        for opening, closing in _OPAQUE.items():
            if data.startswith(opening, start):
                self._until = closing
                done.append(opening)
                return start + len(opening)
        bad = _BAD.match(data, start)
        if bad is not None and _is_text(bad[2]):
            done.append(b"<" + bad[1] + self._good(bad[2]))
            return bad.end()
        if len(data) - start < _LONGEST_NAME and _CUT.match(data, start):
            self._held = data[start:]
            return len(data)
        done.append(b"<")
        return start + 1


def _is_text(name: bytes) -> bool:
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True
