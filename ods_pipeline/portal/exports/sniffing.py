"""What a body is, by its headers and first bytes: an export, or something else in its place.

Proxies and failing portals answer with pages and error texts under the status and content type of
data. Whether the rest is complete is checked while it is read, not here.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from email.message import Message

from ods_pipeline.dataset import instant
from ods_pipeline.errors import Contradicted, DataError, Unproven
from ods_pipeline.portal.http import replies
from ods_pipeline.redaction import excerpt

_LOOKED_AT = 4096
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([^\s;\"']+)", re.IGNORECASE)
_UTF8 = {"utf-8", "utf8", "utf-8-sig", "us-ascii", "ascii"}
_JSON = re.compile(rb"\s*[{\[]")
_MARKUP = re.compile(rb"\s*<\s*([!?]?\s*[A-Za-z][\w:.-]*)")
_PAGES = ("!doctype", "html", "head", "body")
# Names of files that say nothing of the dataset.
_GENERAL = {"data", "dataset", "datasets", "download", "export", "file", "records"}
_PARQUET = b"PAR1"
_BINARY = {
    _PARQUET: "a Parquet file",
    b"PK\x03\x04": "a ZIP archive",
    b"\x1f\x8b": "gzip that no header announced",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}


def opening_of_csv(
    status: int, headers: Mapping[str, str], chunks: Iterator[bytes], where: dict[str, str]
) -> bytes:
    """Distinguish a CSV export from an error by its headers; see `replies.opening`.

    Raises:
        PortalError: The reply is an error, or a web page.
        DataError: Its headers name another charset than UTF-8.
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


def require_newer(headers: Mapping[str, str], data_processed: str) -> None:
    """Refuse an export that a cache has kept since before the data that it should hold.

    Raises:
        Contradicted: A cache on the way kept it since.
    """
    made, processed = replies.made_at(headers), instant(data_processed)
    if headers.get("Age", "0") == "0" or not made or not processed:
        return
    # The header has whole seconds.
    if made + timedelta(seconds=1) < processed:
        raise Contradicted(
            f"the export was made at {made:%Y-%m-%d %H:%M:%S} UTC, before the data of "
            f"{processed:%Y-%m-%d %H:%M:%S}: a cache on the way keeps old ones"
        )


def require_of_dataset(headers: Mapping[str, str], dataset_id: str) -> None:
    """Refuse an export whose headers name another dataset; no name, or a general one, will do.

    Raises:
        Contradicted: The file is called like another dataset.
    """
    message = Message()
    message["Content-Disposition"] = headers.get("Content-Disposition", "")
    stem = _letters((message.get_filename() or "").rpartition(".")[0])
    own = _letters(dataset_id)
    if stem and stem not in _GENERAL and stem not in own and own not in stem:
        raise Contradicted(f"the export came as {message.get_filename()!r}: of another dataset")


def _letters(name: str) -> str:
    return "".join(filter(str.isalnum, name.casefold()))


def require_csv(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same body, if its first bytes may begin a CSV file.

    Raises:
        Unproven: It begins like a page, an error or another format.
    """
    body = iter(chunks)
    kept = _first(body)
    _require(b"".join(kept), "CSV", _BINARY)
    return itertools.chain(kept, body)


def require_parquet(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same body, if its first bytes begin a Parquet file.

    Raises:
        Unproven: They do not.
    """
    body = iter(chunks)
    kept = _first(body)
    head = b"".join(kept)
    _require(head, "Parquet", {})
    if head and not head.startswith(_PARQUET):
        raise Unproven("the Parquet export cannot be read whole: it does not begin as Parquet does")
    return itertools.chain(kept, body)


def require_no_page(head: bytes, format: str) -> None:
    """Refuse what begins like a web page, or is an error of the portal, in place of an export.

    For formats that may themselves begin with a bracket of any kind.

    Raises:
        Unproven: It does.
    """
    start = head.removeprefix(b"\xef\xbb\xbf")[:_LOOKED_AT]
    markup = _MARKUP.match(start)
    page = markup and markup[1].decode().lower().startswith(_PAGES)
    kind = "a web page" if page else _json_error(start) if _JSON.match(start) else ""
    if kind not in {"", "JSON"}:
        raise _instead(kind, format)


def _first(body: Iterator[bytes]) -> list[bytes]:
    kept: list[bytes] = []
    for chunk in body:
        kept.append(chunk)
        if sum(map(len, kept)) >= _LOOKED_AT:
            break
    return kept


def _require(head: bytes, format: str, binary: Mapping[bytes, str]) -> None:
    start = head.removeprefix(b"\xef\xbb\xbf")[:_LOOKED_AT]
    markup = _MARKUP.match(start)
    kind = next((name for magic, name in binary.items() if start.startswith(magic)), "")
    if markup:
        page = markup[1].decode().lower().startswith(_PAGES)
        kind = "a web page" if page else "XML"
    elif _JSON.match(start):
        kind = _json_error(start)
    if kind:
        raise _instead(kind, format)


def _instead(kind: str, format: str) -> Unproven:
    advice = "it may pass: run again, or open the dataset's page on the portal to see"
    return Unproven(f"{kind} came instead of the {format} export, with status 200; {advice}")


def _json_error(head: bytes) -> str:
    """What a JSON document that came instead is: an error with its message, if it has one."""
    try:
        document = json.loads(head)
    except (ValueError, RecursionError):
        return "JSON"
    if not isinstance(document, dict):
        return "JSON"
    words = document.get("message") or document.get("error")
    code = document.get("error_code") or ""
    text = excerpt(str(words or code), 300).rstrip(".")
    return f"an error ({text})" if text else "JSON"
