"""Replaces element names that XML does not allow, such as `<ods:2024-trees>`, by valid ones.

Datasets may have such names, and portals write them into tags unchanged. Only names in tags are
changed, not texts, comments, CDATA or attributes. Nothing here refuses a document.
"""

from __future__ import annotations

import re
import secrets

_START, _REST = rb"[A-Za-z_\x80-\xff]", rb"[\w.\-\x80-\xff]*"
_VALID = rb"(?:" + _START + _REST + rb":)?" + _START + _REST
# Every `<` but that of a tag with a valid name: of comments, CDATA, cut tags, invalid names.
_ODD = re.compile(rb"<(?!/?" + _VALID + rb"[\s/>])")
_INVALID = re.compile(rb"<(/?(?:" + _START + _REST + rb":)?)([\w.\-@\x80-\xff]+)(?=[\s/>])")
_OPAQUE = {b"<!--": b"-->", b"<![CDATA[": b"]]>", b"<?": b"?>"}
_CUT = re.compile(rb"<(?:/?[^\s<>/]*|!-?|!\[[CDAT]*)\Z")
_LONGEST_NAME = 1024


class NameEscaper:
    """Replaces invalid names by valid ones that encode them.

    The valid names begin with a random mark, so that no document can contain one already.
    """

    def __init__(self) -> None:
        self._mark = f"_{secrets.token_hex(8)}-"
        self._pending = b""
        self._closing = b""

    def feed(self, block: bytes) -> bytes:
        """The block with valid names; a tag that is cut off is kept for the next block."""
        data = self._pending + block
        self._pending = b""
        done: list[bytes] = []
        position = 0
        while position < len(data):
            if self._closing:
                position = self._copy_opaque(data, position, done)
            else:
                position = self._escape_names(data, position, done)
        return done[0] if len(done) == 1 else b"".join(done)

    @property
    def idle(self) -> bool:
        """Whether nothing is pending, and the next byte is outside of comments and the like."""
        return not self._pending and not self._closing

    def rest(self) -> bytes:
        """The bytes that are pending."""
        return self._pending

    def original(self, text: str) -> str:
        """A name, or a sentence with names in it, with the names that the document has."""
        if self._mark not in text:
            return text
        return re.sub(
            self._mark + "([0-9a-f]+)", lambda match: bytes.fromhex(match[1]).decode(), text
        )

    def _copy_opaque(self, data: bytes, position: int, done: list[bytes]) -> int:
        end = data.find(self._closing, position)
        if end >= 0:
            end += len(self._closing)
            self._closing = b""
        else:
            end = max(position, len(data) - len(self._closing) + 1)
            self._pending = data[end:]
        done.append(data[position:end])
        return end if not self._pending else len(data)

    def _escape_names(self, data: bytes, position: int, done: list[bytes]) -> int:
        odd = _ODD.search(data, position)
        if odd is None:
            done.append(data[position:])
            return len(data)
        start = odd.start()
        done.append(data[position:start])
        for opening, closing in _OPAQUE.items():
            if data.startswith(opening, start):
                self._closing = closing
                done.append(opening)
                return start + len(opening)
        invalid = _INVALID.match(data, start)
        if invalid is not None and _is_text(invalid[2]):
            done.append(b"<" + invalid[1] + (self._mark + invalid[2].hex()).encode())
            return invalid.end()
        if len(data) - start < _LONGEST_NAME and _CUT.match(data, start):
            self._pending = data[start:]
            return len(data)
        done.append(b"<")
        return start + 1


def _is_text(name: bytes) -> bool:
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True
