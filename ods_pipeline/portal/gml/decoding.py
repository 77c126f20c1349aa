"""A document's bytes, before anything is parsed: is it XML at all, and in which encoding?

What leaves here is UTF-8 without a byte order mark, in blocks of bounded size. Tags are not looked
at.
"""

from __future__ import annotations

import codecs
import pyexpat
import re
from collections.abc import Iterable, Iterator

from ods_pipeline.errors import GmlRefused, NoXml, Unproven

#: Size of the pieces that a document is read in; batches end where a piece ends.
BLOCK = 1 << 18

_PROLOG = 1024  # an XML declaration ends within it
_DECLARED = re.compile(rb"""<\?xml\s[^>]*?\bencoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")
_EIGHT_BITS = re.compile(r"(us-)?ascii|iso-?8859-\d+|latin-?1|windows-125\d|cp125\d", re.IGNORECASE)
_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
    b"<\x00": "utf-16-le",
    b"\x00<": "utf-16-be",
}


def blocks(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The document in UTF-8, in pieces of at most about `BLOCK`.

    Args:
        chunks: The bytes as they come, in pieces of any size.

    Raises:
        Unproven: There is nothing, or it breaks off inside a character.
        GmlRefused: It is no XML, or in an encoding that is not read.
    """
    pieces = _pieces(chunks)
    head = b""
    for piece in pieces:
        head += piece
        if len(head) >= _PROLOG:
            break
    encoding, mark = _encoding(head)
    head = head[mark:]
    if encoding == "utf-8":
        _look(head)
        yield head
        yield from pieces
        return
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        text = decoder.decode(head)
        _look(text.encode())
        yield text.encode()
        for piece in pieces:
            yield decoder.decode(piece).encode()
        decoder.decode(b"", final=True)
    except UnicodeError as error:
        raise Unproven(f"the document is not {encoding}, as it says, to its end") from error


def _pieces(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Small chunks put together, large ones cut: the parser is called neither often nor long."""
    waiting: list[bytes] = []
    size = 0
    for chunk in chunks:
        waiting.append(chunk)
        size += len(chunk)
        if size < BLOCK:
            continue
        joined = b"".join(waiting)
        end = size - size % BLOCK
        yield from (joined[start : start + BLOCK] for start in range(0, end, BLOCK))
        waiting, size = [joined[end:]], size - end
    if size:
        yield b"".join(waiting)


def _encoding(head: bytes) -> tuple[str, int]:
    """The encoding that a document's beginning shows or declares, and its mark's length."""
    for mark, encoding in _MARKS.items():
        if head.startswith(mark):
            return encoding, 0 if b"<" in mark else len(mark)
    declared = _DECLARED.match(head.lstrip()[:_PROLOG])
    name = declared.group(1).decode() if declared else "utf-8"
    if name.lower() in {"utf-8", "utf8"}:
        return "utf-8", 0
    if not _EIGHT_BITS.fullmatch(name):
        raise GmlRefused(f"the document is in the encoding {name}, which is not read")
    try:
        return codecs.lookup(name).name, 0
    except LookupError as error:
        raise GmlRefused(f"the document is in the encoding {name}, which is not known") from error


def _look(head: bytes) -> None:
    """Recognise what servers send instead of GML."""
    start = head.lstrip()[:200]
    if not start:
        raise Unproven("the document is empty")
    if start.startswith((b"{", b"[")):
        raise GmlRefused(f"this is JSON, not GML: {_shown(start)}")
    if start.startswith(b"--"):
        raise GmlRefused("this is a multipart reply, not one GML document: ask for plain GML")
    if not start.startswith(b"<"):
        raise NoXml(f"this is no XML: {_shown(start)}")


def _shown(start: bytes) -> str:
    return " ".join(start.decode("utf-8", "replace").split())[:120]


def parser() -> pyexpat.XMLParserType:
    """A parser for what leaves here, which names elements `namespace local`."""
    made = pyexpat.ParserCreate("utf-8", " ")
    made.buffer_text = True
    made.buffer_size = 1 << 20
    made.StartDoctypeDeclHandler = refuse_doctype
    return made


def refuse_doctype(name: str, *_: object) -> None:
    """Refuse the place where XML hides entities.

    Raises:
        GmlRefused: Always.
    """
    if name.lower() == "html":
        raise GmlRefused("this is an HTML page, not GML: perhaps a login page")
    raise GmlRefused("the document has a DOCTYPE, which no GML needs: it may hide entities")
