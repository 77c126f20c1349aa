"""Turns a document's bytes into blocks of UTF-8, and refuses what is not XML.

The blocks have limited size and no byte order mark. Nothing here parses them.
"""

from __future__ import annotations

import codecs
import pyexpat
import re
from collections.abc import Iterable, Iterator

from ods_pipeline.errors import GmlRefused, NoXml, Unproven
from ods_pipeline.redaction import excerpt

#: Size of the blocks that a document is read in; batches end where a block ends.
BLOCK = 1 << 18

_PROLOG = 1024  # an XML declaration ends within it
_DECLARATION = re.compile(rb"""<\?xml\s[^>]*?\bencoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")
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

    Raises:
        Unproven: There are none, or they end within a character.
        GmlRefused: They are not XML, or in an encoding that is not supported.
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
        _require_xml(head)
        yield head
        yield from pieces
        return
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        text = decoder.decode(head)
        _require_xml(text.encode())
        yield text.encode()
        for piece in pieces:
            yield decoder.decode(piece).encode()
        decoder.decode(b"", final=True)
    except UnicodeError as error:
        raise Unproven(f"the document is not {encoding}, as it says, to its end") from error


def _pieces(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The chunks, with small ones joined and large ones cut."""
    pending: list[bytes] = []
    size = 0
    for chunk in chunks:
        pending.append(chunk)
        size += len(chunk)
        if size < BLOCK:
            continue
        joined = b"".join(pending)
        end = size - size % BLOCK
        yield from (joined[start : start + BLOCK] for start in range(0, end, BLOCK))
        pending, size = [joined[end:]], size - end
    if size:
        yield b"".join(pending)


def _encoding(head: bytes) -> tuple[str, int]:
    """The encoding that a document's beginning shows or declares, and the length of its mark."""
    for mark, encoding in _MARKS.items():
        if head.startswith(mark):
            return encoding, 0 if b"<" in mark else len(mark)
    declared = _DECLARATION.match(head.lstrip()[:_PROLOG])
    name = declared.group(1).decode() if declared else "utf-8"
    if name.lower() in {"utf-8", "utf8"}:
        return "utf-8", 0
    if not _EIGHT_BITS.fullmatch(name):
        raise GmlRefused(f"the document is in the encoding {name}, which is not supported")
    try:
        return codecs.lookup(name).name, 0
    except LookupError as error:
        raise GmlRefused(f"the document is in the encoding {name}, which is not known") from error


def _require_xml(head: bytes) -> None:
    """Refuse what servers send instead of GML."""
    start = head.lstrip()[:_PROLOG]
    if not start:
        raise Unproven("the document is empty")
    if start.startswith((b"{", b"[")):
        raise GmlRefused(f"this is JSON, not GML: {_excerpt(start)}")
    if start.startswith(b"--"):
        raise GmlRefused("this is a multipart reply, not one GML document: ask for plain GML")
    if not start.startswith(b"<"):
        raise NoXml(f"this is not XML: {_excerpt(start)}")


def _excerpt(start: bytes) -> str:
    return excerpt(" ".join(start.decode("utf-8", "replace").split()), 120)


def parser() -> pyexpat.XMLParserType:
    """A parser for such blocks, which names elements `namespace local`."""
    result = pyexpat.ParserCreate("utf-8", " ")
    result.buffer_text = True
    result.buffer_size = 1 << 20
    result.StartDoctypeDeclHandler = _refuse_doctype
    return result


def _refuse_doctype(name: str, *_: object) -> None:
    if name.lower() == "html":
        raise GmlRefused("this is an HTML page, not GML: perhaps a login page")
    raise GmlRefused(
        "the document has a DOCTYPE, which GML does not need and which may hide entities"
    )
