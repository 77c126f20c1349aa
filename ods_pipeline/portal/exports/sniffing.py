"""What a body is, by its headers and first bytes: an export, or something else in its place.

Proxies and portals in trouble answer with pages and error texts under the status and the type of
data. Whether the rest is whole is the readers' to find out.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping

from ods_pipeline.errors import DataError, Unproven
from ods_pipeline.portal.http import replies

_LOOKED_AT = 4096
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([^\s;\"']+)", re.IGNORECASE)
_UTF8 = {"utf-8", "utf8", "utf-8-sig", "us-ascii", "ascii"}
_JSON = re.compile(rb"\s*[{\[]")
_MARKUP = re.compile(rb"\s*<\s*([!?]?\s*[A-Za-z][\w:.-]*)")
_PAGES = ("!doctype", "html", "head", "body")
_PARQUET = b"PAR1"
_BINARY = {
    _PARQUET: "a Parquet file",
    b"PK\x03\x04": "a ZIP archive",
    b"\x1f\x8b": "gzip that nobody announced",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}


def opening_of_csv(
    status: int, headers: Mapping[str, str], chunks: Iterator[bytes], where: dict[str, str]
) -> bytes:
    """Tell a CSV export from errors by its headers; see `replies.opening`.

    Raises:
        PortalError: The reply is an error, or a web page.
        DataError: It says that it is in another charset than UTF-8.
    """
    head = replies.opening(status, headers, chunks, where)
    charset = _CHARSET.search(headers.get("Content-Type", ""))
    if charset and charset[1].lower() not in _UTF8:
        raise DataError(
            f"the portal says that its CSV export is in {charset[1]}, and only UTF-8 is read; "
            "read the dataset as Parquet",
            **where,
        )
    return head


def require_csv(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same body, unless its first bytes are no CSV's.

    Raises:
        Unproven: It begins as a page, an error or another format does.
    """
    body = iter(chunks)
    kept = _first(body)
    _require(b"".join(kept), "CSV", _BINARY)
    return itertools.chain(kept, body)


def require_parquet(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same body, unless its first bytes are no Parquet's.

    Raises:
        Unproven: They are not.
    """
    body = iter(chunks)
    kept = _first(body)
    head = b"".join(kept)
    _require(head, "Parquet", {})
    if head and not head.startswith(_PARQUET):
        raise Unproven("the Parquet export cannot be read whole: it does not begin as Parquet does")
    return itertools.chain(kept, body)


def _first(body: Iterator[bytes]) -> list[bytes]:
    kept: list[bytes] = []
    for chunk in body:
        kept.append(chunk)
        if sum(map(len, kept)) >= _LOOKED_AT:
            break
    return kept


def _require(head: bytes, format: str, binary: Mapping[bytes, str]) -> None:
    shown = head.removeprefix(b"\xef\xbb\xbf")[:_LOOKED_AT]
    markup = _MARKUP.match(shown)
    found = next((name for magic, name in binary.items() if shown.startswith(magic)), "")
    if markup:
        page = markup[1].decode().lower().startswith(_PAGES)
        found = "a web page" if page else "XML"
    elif _JSON.match(shown):
        found = _told(shown)
    if found:
        advice = "it may pass: run again, or open the dataset's page on the portal to see"
        raise Unproven(f"{found} came instead of the {format} export, with status 200; {advice}")


def _told(head: bytes) -> str:
    """What a JSON document that came instead says, if it is an error's envelope."""
    try:
        said = json.loads(head)
    except (ValueError, RecursionError):
        return "JSON"
    words = said.get("message") or said.get("error") if isinstance(said, dict) else ""
    code = said.get("error_code") or "" if isinstance(said, dict) else ""
    text = str(words or code)[:300].rstrip(".")
    return f"an error ({text})" if text else "JSON"
