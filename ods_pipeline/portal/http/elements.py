r"""A JSON document read as it arrives: of an array each element by itself, anything else whole.

So an array takes no more memory than what is made of its elements. What they mean does not belong
here.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable, Iterator
from typing import Any

from ods_pipeline.portal.http.replies import document, has_halves, without_halves

# The longest byte order mark, or as much as tells the encoding without one.
_HEAD = 4
_SPACE = " \t\n\r"
_AFTER = frozenset({",", "]", *_SPACE})
_scan = json.JSONDecoder().raw_decode


def read(chunks: Iterator[bytes], each: Callable[[int, Any], Any]) -> Any:
    """The document in some bytes, with what is made of each element if it is an array.

    Args:
        chunks: The bytes as they come.
        each: Gets the number of an element, from 1, and the element.

    Raises:
        ValueError: It is no JSON, breaks off, or goes on after its end.
        RecursionError: It is nested too deeply to be any that we know.
    """
    head = b""
    while len(head) < _HEAD and (chunk := next(chunks, None)) is not None:
        head += chunk
    # As `json.loads` has it, which takes UTF-16 and UTF-32 as well.
    decoder = codecs.getincrementaldecoder(json.detect_encoding(head))("surrogatepass")
    text = decoder.decode(head)
    while not text.strip(_SPACE) and (chunk := next(chunks, None)) is not None:
        head, text = head + chunk, text + decoder.decode(chunk)
    text = text.lstrip(_SPACE)
    if text[:1] != "[":
        return document(b"".join([head, *chunks]))
    try:
        return _Array(text[1:], chunks, decoder, each).elements()
    except (ValueError, RecursionError):
        # That the connection broke would be the better reason, and ends the iteration.
        for _ in chunks:
            pass
        raise


class _Array:
    """An array of which the beginning has come."""

    def __init__(
        self,
        text: str,
        chunks: Iterator[bytes],
        decoder: codecs.IncrementalDecoder,
        each: Callable[[int, Any], Any],
    ) -> None:
        self._text, self._at = text, 0
        self._chunks, self._decoder, self._each = chunks, decoder, each

    def elements(self) -> list[Any]:
        """What is made of each element."""
        found: list[Any] = []
        mark = self._mark()
        while mark != "]":
            found.append(self._each(len(found) + 1, self._element()))
            mark = self._mark()
            if mark == ",":
                self._at += 1
            elif mark != "]":
                raise ValueError("an array breaks off")
        self._at += 1
        if self._mark():
            raise ValueError("a document goes on after its end")
        return found

    def _element(self) -> Any:
        """The element that begins at the next character that is no space."""
        self._mark()
        while True:
            try:
                element, end = _scan(self._text, self._at)
                # Of a number, more may come.
                whole = self._text[end : end + 1] in _AFTER
            except ValueError:
                whole = False
            # Twice as much each time: a long element would else be read again with each chunk.
            if not whole and self._more(len(self._text) - self._at):
                continue
            if not whole:
                raise ValueError("an element breaks off")
            if has_halves(self._text, self._at, end):
                element = without_halves(element)
            self._at = end
            return element

    def _mark(self) -> str:
        """The next character that is no space, to which `_at` points then; empty at the end."""
        while True:
            while (mark := self._text[self._at : self._at + 1]) and mark in _SPACE:
                self._at += 1
            if mark or not self._more(1):
                return mark

    def _more(self, characters: int) -> bool:
        """Read so many characters more, or all that there are; whether any came."""
        parts, came, ended = [self._text[self._at :]], 0, False
        while came < max(characters, 1) and not ended:
            chunk = next(self._chunks, None)
            ended = chunk is None
            parts.append(self._decoder.decode(chunk or b"", final=ended))
            came += len(parts[-1])
        self._text, self._at = "".join(parts), 0
        return came > 0
