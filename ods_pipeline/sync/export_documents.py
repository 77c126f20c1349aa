"""Whether an exported file is a whole one of its kind, for formats whose records nothing counts.

A page or an error in place of data, a document that breaks off, and an archive that is not whole
are told here, in little memory. Counting belongs to `export_counts`.
"""

from __future__ import annotations

import gzip
import re
import zipfile
import zlib
from pathlib import Path
from typing import Any
from xml.parsers import expat

from ods_pipeline.errors import Unproven
from ods_pipeline.portal.exports.sniffing import require_no_page
from ods_pipeline.sync import json_text

_PIECE = 1 << 20
#: Enough for a line, and for what tells XML from JSON.
_END = 4096
_MARKED = re.compile(rb"\s*<(\?xml|[A-Za-z_][\w.-]*(:[A-Za-z_][\w.-]*)?[\s/>])")
#: Kinds of points have lower numbers than letters.
_LETTERS = 0x20
_GRAPHS = frozenset({"turtle", "ttl", "n3", "nt"})
#: What their names begin with; profiles of DCAT have names of countries.
_XML = ("rdf", "rss", "xml", "dcat", "dublin")


def require_whole(path: Path, format: str) -> None:
    """Refuse a file that cannot be a whole export of its format.

    Raises:
        Unproven: It is empty, a page or an error, or not whole.
    """
    with path.open("rb") as file:
        head = file.read(_END).removeprefix(b"\xef\xbb\xbf")
    if not head.strip():
        raise Unproven(f"the {format} export is empty")
    if format in _GRAPHS:
        require_no_page(head, format)
        _require_sentence(path, format)
    elif "json" in format or head.lstrip()[:1] in {b"{", b"["}:
        require_no_page(head, format)
        json_text.parts(path)
    elif format.startswith(_XML) or _MARKED.match(head):
        require_xml(path)
    else:
        require_no_page(head, format)


def _require_sentence(path: Path, format: str) -> None:
    """The last words of a graph that is written as text end a sentence, or are a declaration."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _END))
        lines = file.read().rstrip().splitlines()
    words = lines[-1].split() if lines else []
    declares = bool(words) and words[0].upper().startswith((b"PREFIX", b"BASE", b"#"))
    last = words[-1] if words else b""
    ends = last.endswith((b".", b"}")) and last.count(b"<") == last.count(b">")
    if not (ends or declares):
        raise Unproven(f"the {format} export ends in the middle of a statement: it was cut off")


def require_xml(path: Path) -> None:
    """Refuse XML that is not well formed to its end, and a page.

    Raises:
        Unproven: It is.
    """
    parser = expat.ParserCreate()

    def begun(name: str, attributes: Any) -> None:
        if name.lower() in {"html", "head", "body"}:
            raise Unproven("a web page came instead of the export, with status 200")
        # The first element tells it.
        parser.StartElementHandler = None

    parser.StartElementHandler = begun
    with path.open("rb") as file:
        try:
            parser.ParseFile(file)
        except expat.ExpatError as error:
            raise Unproven(f"the XML export cannot be read to its end: {error}") from error


def require_archive(path: Path) -> None:
    """Refuse a ZIP archive that is not whole, down to the checksum of each file in it.

    Raises:
        Unproven: It is not.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            bad = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise Unproven(f"the export is no whole ZIP archive: {error}") from error
    if bad:
        raise Unproven(f"the export is no whole ZIP archive: {bad} in it is damaged")


def require_packed(path: Path) -> None:
    """Refuse a gzip file that is not whole, or of nothing, or of a page.

    Raises:
        Unproven: It is not.
    """
    try:
        with gzip.open(path) as file:
            head = file.read(_END)
            while file.read(_PIECE):
                pass
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise Unproven(f"the packed export is no whole gzip file: {error}") from error
    if not head.strip():
        raise Unproven("the packed export is empty")
    require_no_page(head, "packed")


def rows_of_workbook(path: Path) -> int:
    """The lines below the header of each sheet of an XLSX workbook.

    Raises:
        Unproven: It is not whole, or has no sheet.
    """
    require_archive(path)
    found, sheets = 0, 0
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if re.fullmatch(r"xl/worksheets/[^/]+\.xml", name):
                sheets += 1
                # Of a sheet without any line the header is missing, not a record.
                found += max(0, _lines(archive, name) - 1)
    if not sheets:
        raise Unproven("the XLSX export is no workbook: it has no sheet")
    return found


def _lines(archive: zipfile.ZipFile, name: str) -> int:
    last = 0

    def begun(tag: str, attributes: dict[str, str]) -> None:
        nonlocal last
        if tag.rpartition(":")[2] == "row":
            # A line without a value may be left out, and the next one numbered on.
            number = attributes.get("r", "")
            last = int(number) if number.isdecimal() else last + 1

    parser = expat.ParserCreate()
    parser.StartElementHandler = begun
    with archive.open(name) as sheet:
        try:
            parser.ParseFile(sheet)
        except expat.ExpatError as error:
            raise Unproven(f"a sheet of the XLSX export breaks off: {error}") from error
    return last


def points_of_ov2(path: Path) -> int | None:
    """The points of an OV2 file; None where it has records of kinds that are not known here.

    Raises:
        Unproven: It ends inside a record.
    """
    found, size = 0, path.stat().st_size
    with path.open("rb") as file:
        require_no_page(file.read(_END), "ov2")
        file.seek(0)
        while head := file.read(5):
            kind, length = head[0], int.from_bytes(head[1:], "little")
            # 0 is a deleted point, 1 says what area the next ones lie in and has a fixed size.
            length = 21 if kind == 1 else length
            if kind >= _LETTERS:
                raise Unproven("the OV2 export is none: it begins, or goes on, as a text")
            if kind > 3:
                return None
            end = file.tell() - len(head) + length
            if length < 5 or end > size:
                raise Unproven("the OV2 export ends in the middle of a record: it was cut off")
            file.seek(end)
            found += kind in {2, 3}
    return found
