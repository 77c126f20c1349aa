"""What each fault does to a reply: replaces or delays it, changes its body or its bytes.

Faults of rows, columns and features do not belong here.
"""

from __future__ import annotations

import json
import re
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from http import HTTPStatus

from ods_pipeline.emulator.faults.fault import HTML, Fault
from ods_pipeline.emulator.http.errors import ApiError, api_error, quota_exceeded
from ods_pipeline.emulator.http.reply import COMMON_HEADERS, Piece, Reply, error_reply
from ods_pipeline.emulator.wfs.exception_report import internal_error
from ods_pipeline.emulator.wfs.xml import XML_DECLARATION, XML_TYPE

LOGIN_PAGE = b"<!DOCTYPE html>\n<html><title>Login</title><body>Please log in.</body></html>\n"
PARQUET = "application/vnd.apache.parquet"
COUNTS = re.compile(
    rb'("total_count": |numberOfFeatures="|numberMatched="|numberReturned=")([0-9]+)'
)


class ConnectionCut(Exception):
    """The connection is to be closed here, before the end of the message."""

    def __init__(self, reset: bool = False):
        """Say whether it is reset."""
        super().__init__("cut")
        self.reset = reset


def substitute_reply(fault: Fault) -> Reply | None:
    """The reply in place of the real one, for faults that have such a reply."""
    if fault.kind == "status":
        return _error_page(int(fault.number))
    if fault.kind == "refused":
        message = "You don't have permission to access the requested resource"
        return error_reply(api_error(int(fault.number), "ForbiddenAccess", message))
    if fault.kind == "quota":
        return error_reply(_quota_error(fault))
    if fault.kind == "html" and not fault.flag:
        return Reply(200, [LOGIN_PAGE], HTML)
    if fault.kind == "empty_body":
        return Reply(200, [], whole=True, compressible=False)
    if fault.kind == "redirect":
        return Reply(302, [], HTML, (("location", fault.text), *COMMON_HEADERS), True, False)
    return None


def apply_before_reply(fault: Fault) -> None:
    """Do what a fault does before the request is answered."""
    if fault.after is not None:
        return
    if fault.kind == "reset":
        raise ConnectionCut(reset=True)
    if fault.kind in {"stall", "unheard"}:
        time.sleep(fault.number)
    if fault.kind == "unheard":
        raise ConnectionCut


def apply_to_reply(fault: Fault, reply: Reply) -> Reply:
    """The real reply, delayed or changed by a fault."""
    if fault.kind == "late":
        time.sleep(fault.number)
    if fault.kind in _BODY_CHANGES and reply.status == 200:
        reply = _decompressed(reply)
        reply = replace(reply, body=_BODY_CHANGES[fault.kind](fault, reply))
    if fault.kind == "header":
        others = tuple(header for header in reply.headers if header[0] != fault.unit)
        reply = replace(reply, headers=(*others, (fault.unit, fault.text)))
    if fault.kind == "charset" and fault.flag:
        kind = reply.content_type.partition(";")[0]
        reply = replace(reply, content_type=f"{kind}; charset={fault.text}")
    return reply


def apply_to_encoded_body(fault: Fault, pieces: Iterable[Piece]) -> Iterable[Piece]:
    """A body as a fault changes it after compression, before its length is known."""
    if fault.kind == "short_body" and fault.flag:
        return split_at(pieces, fault.after or 0)[0]
    return _with_damaged_gzip(pieces, fault.text) if fault.kind == "bad_gzip" else pieces


def apply_while_sending(
    fault: Fault, pieces: Iterable[Piece], act: Callable[[], object]
) -> Iterable[Piece]:
    """The bytes as a fault sends them; ``act`` does the verbs of a fault."""
    if fault.kind == "slow":
        return _throttled(pieces, fault.number)
    if fault.after is None or fault.kind not in _MID_BODY_ACTIONS:
        return pieces
    first, rest = split_at(pieces, fault.after)
    return _interrupted(first, rest, lambda: _MID_BODY_ACTIONS[fault.kind](fault, act))


def split_at(pieces: Iterable[Piece], after: int) -> tuple[Iterator[Piece], Iterator[Piece]]:
    """The pieces up to so many bytes, and the rest, to be read after them."""
    if after < 0:
        body = b"".join(pieces)
        return iter([body[:after]]), iter([body[after:]])
    source, cut_off = iter(pieces), list[Piece]()

    def first() -> Iterator[Piece]:
        left = after
        for piece in source:
            if len(piece) >= left:
                cut_off.append(piece[left:])
                yield piece[:left]
                return
            left -= len(piece)
            yield piece

    def rest() -> Iterator[Piece]:
        yield from cut_off
        yield from source

    return first(), rest()


def _interrupted(
    first: Iterator[Piece], rest: Iterator[Piece], act: Callable[[], object]
) -> Iterator[Piece]:
    yield from first
    act()
    yield from rest


def _cut(fault: Fault, _: object) -> None:
    raise ConnectionCut(reset=fault.kind == "reset")


_MID_BODY_ACTIONS: dict[str, Callable[[Fault, Callable[[], object]], object]] = {
    "cut": _cut,
    "reset": _cut,
    "stall": lambda fault, _: time.sleep(fault.number),
    "meanwhile": lambda _, act: act(),
}


def _error_page(status: int) -> Reply:
    phrase = "Service Temporarily Unavailable" if status == 503 else HTTPStatus(status).phrase
    title = f"{status} {phrase}"
    page = f"<html>\r\n<head><title>{title}</title></head>\r\n<body>openresty</body>\r\n</html>\r\n"
    return Reply(status, [page.encode()], "text/html", COMMON_HEADERS, True, False)


def _quota_error(fault: Fault) -> ApiError:
    error = quota_exceeded(10_000, fault.text, fault.unit, fault.retry_after)
    if not fault.text:
        del error.envelope["reset_time"]
    return error


def _decompressed(reply: Reply) -> Reply:
    """A reply without gzip, if it was compressed in advance."""
    if ("content-encoding", "gzip") not in reply.headers:
        return reply
    headers = tuple(header for header in reply.headers if header[0] != "content-encoding")
    body = zlib.decompress(b"".join(reply.body), 31)
    return replace(reply, body=[body], headers=headers, compressible=True)


def _error_document(reply: Reply) -> bytes:
    """The error document of the API that gave this reply."""
    if reply.content_type == XML_TYPE:
        return internal_error().report("1.1.0")
    return api_error(500, "InternalError", "An internal error occurred.").body()


def _with_appended(body: Iterable[Piece], last: bytes) -> Iterator[Piece]:
    yield from body
    yield last


def _with_wrong_counts(fault: Fault, reply: Reply) -> Iterator[Piece]:
    """Counts are in the first piece of a reply."""
    body = iter(reply.body)
    first = bytes(next(body, b""))

    def wrong_count(found: re.Match[bytes]) -> bytes:
        return found[1] + str(max(0, int(found[2]) + int(fault.number))).encode()

    yield COUNTS.sub(wrong_count, first)
    yield from body


def _in_charset(fault: Fault, reply: Reply) -> Iterator[Piece]:
    """Characters that the other charset does not have are question marks."""
    if reply.content_type == PARQUET:
        yield from reply.body
        return
    text = b"".join(reply.body).decode("utf-8-sig")
    if fault.flag:
        text = text.replace(XML_DECLARATION, XML_DECLARATION.replace("UTF-8", fault.text))
    yield text.encode(fault.text, "replace")


def _without_last_datasets(fault: Fault, reply: Reply) -> Iterator[Piece]:
    found = json.loads(b"".join(reply.body))
    missing = int(fault.number)
    if isinstance(found, dict):
        several = "results" if "results" in found else "datasets"
        found[several] = found[several][: len(found[several]) - missing]
        found["total_count"] -= missing if fault.flag else 0
    else:
        found = found[: max(0, len(found) - missing)]
    yield json.dumps(found).encode()


def _without_count(reply: Reply) -> Iterator[Piece]:
    found = json.loads(b"".join(reply.body))
    del found["total_count"]
    yield json.dumps(found).encode()


def _with_older_dates(fault: Fault, reply: Reply) -> Iterator[Piece]:
    found = json.loads(b"".join(reply.body))
    if isinstance(found, dict):
        listed = found["results"] if "results" in found else found["datasets"]
    else:
        listed = found
    for dataset in listed:
        default = dataset.get("dataset", dataset)["metas"]["default"]
        if default["data_processed"]:
            moment = datetime.fromisoformat(default["data_processed"])
            default["data_processed"] = (moment - timedelta(seconds=fault.number)).isoformat()
    yield json.dumps(found).encode()


_BODY_CHANGES: dict[str, Callable[[Fault, Reply], Iterable[Piece]]] = {
    "html": lambda _, reply: [LOGIN_PAGE],
    "appended_error": lambda _, reply: _with_appended(reply.body, _error_document(reply)),
    "appended_text": lambda fault, reply: _with_appended(reply.body, fault.text.encode()),
    "error_instead": lambda _, reply: [_error_document(reply)],
    "text_instead": lambda fault, _: [fault.text.encode()],
    "short_body": lambda fault, reply: (
        reply.body if fault.flag else split_at(reply.body, fault.after or 0)[0]
    ),
    "miscount": _with_wrong_counts,
    "charset": _in_charset,
    "fewer_datasets": _without_last_datasets,
    "uncounted": lambda _, reply: _without_count(reply),
    "behind": _with_older_dates,
}


def _with_damaged_gzip(pieces: Iterable[Piece], damage: str) -> Iterator[Piece]:
    body = bytearray(b"".join(pieces))
    if damage == "truncated":
        # The checksum and the length at its end, and a little more.
        del body[-10:]
    elif damage == "checksum":
        body[-8] ^= 1
    elif damage == "flipped":
        for position in range(len(body) // 2, len(body) // 2 + 4):
            body[position] ^= 0xFF
    yield bytes(body)


def _throttled(pieces: Iterable[Piece], rate: float) -> Iterator[Piece]:
    step = max(1, int(rate / 20))
    for piece in pieces:
        for start in range(0, len(piece), step):
            part = piece[start : start + step]
            time.sleep(len(part) / rate)
            yield part
