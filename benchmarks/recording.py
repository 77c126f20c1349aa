"""Records the replies of a portal on disk, with the bytes that are sent again later.

The portal gets each request once. A chunked body is stored in even chunks, so that a server only
has to copy a file into a socket; the server itself does not belong here.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from threading import Lock

_CHUNK = 1 << 16
# Kept in memory: opening a file for each of thousands of small replies costs time.
_SMALL = 1 << 16
# Headers of one connection, of the moment, or of a quota.
_DROPPED = re.compile(r"transfer-encoding|content-length|connection|date|x-ratelimit-.*", re.I)
_DATA = re.compile(r"/datasets/[^/]+/exports/\w|request=getfeature\b", re.I)


@dataclass(frozen=True)
class RecordedRequest:
    """A request, as far as the reply depends on it.

    Attributes:
        host: The client's name for the server, with which addresses in replies begin.
        accepts_gzip: Whether the client accepts gzip.
    """

    method: str
    target: str
    host: str
    accepts_gzip: bool
    content_type: str = ""
    body: bytes = b""

    @property
    def is_for_rows(self) -> bool:
        """Whether the rows of a dataset are requested."""
        query = f"{self.target} {self.body.decode(errors='replace')}"
        return bool(_DATA.search(query)) and "hits" not in query

    @property
    def name(self) -> str:
        """A file name, the same for the same request."""
        known = (
            f"{self.method} {self.target} {self.accepts_gzip} {self.content_type} ".encode()
            + self.body
        )
        return hashlib.sha256(known).hexdigest()


@dataclass(frozen=True)
class RecordedReply:
    """A reply.

    Attributes:
        head: Status line and headers, with the empty line that ends them.
        body: The framed body, where it is small.
        file: The file of the framed body, where it is not.
    """

    head: bytes
    body: bytes = b""
    file: Path | None = None


class Recorder:
    """Gives each reply from the folder; requests those from the portal that are not there yet."""

    def __init__(self, portal: str, folder: Path) -> None:
        """Begin with nothing.

        Args:
            portal: Host and port of the portal.
            folder: Where the replies are kept.
        """
        self._portal, self._folder = portal, folder
        self._replies: dict[str, RecordedReply] = {}
        self._busy: dict[str, Lock] = {}
        self._lock = Lock()
        self.recorded = 0

    def reply(self, request: RecordedRequest, *, cut: bool) -> RecordedReply:
        """The reply to a request, the same for all programs.

        Args:
            request: The request.
            cut: Whether the rows of datasets end half-way, and the reply as if they were whole.
        """
        cut = cut and request.is_for_rows
        name = f"{request.name}-cut" if cut else request.name
        with self._lock:
            busy = self._busy.setdefault(name, Lock())
        with busy:
            if name not in self._replies:
                self._replies[name] = self._record(request, self._folder / name, cut=cut)
            return self._replies[name]

    def forget(self) -> None:
        """Ask the portal for everything again."""
        with self._lock:
            self._replies.clear()

    def _record(self, request: RecordedRequest, file: Path, *, cut: bool) -> RecordedReply:
        with self._lock:
            self.recorded += 1
        connection = HTTPConnection(self._portal)
        headers = {"Host": request.host}
        headers |= {"Accept-Encoding": "gzip"} if request.accepts_gzip else {}
        headers |= {"Content-Type": request.content_type} if request.content_type else {}
        connection.putrequest(
            request.method, request.target, skip_host=True, skip_accept_encoding=True
        )
        for header, value in headers.items():
            connection.putheader(header, value)
        if request.body:
            connection.putheader("Content-Length", str(len(request.body)))
        connection.endheaders(request.body or None)
        with connection.getresponse() as response:
            reply = _stored(response, file, first_half if cut else None)
        connection.close()
        return reply


def _stored(
    response: HTTPResponse, file: Path, change: Callable[[bytes, Mapping[str, str]], bytes] | None
) -> RecordedReply:
    pieces: Iterator[bytes] = iter(lambda: response.read(_CHUNK), b"")
    if change:
        pieces = _split(change(b"".join(pieces), dict(response.headers.items())))
    size = 0
    with file.open("wb") as target:
        for piece in pieces:
            target.write(b"%x\r\n%b\r\n" % (len(piece), piece) if response.chunked else piece)
            size += len(piece)
        if response.chunked:
            target.write(b"0\r\n\r\n")
    lines = [f"HTTP/1.1 {response.status} {response.reason}"]
    lines += [f"{k}: {v}" for k, v in response.headers.items() if not _DROPPED.fullmatch(k)]
    lines += ["transfer-encoding: chunked" if response.chunked else f"content-length: {size}"]
    head = "\r\n".join([*lines, "", ""]).encode("latin-1")
    return (
        RecordedReply(head, file=file) if size > _SMALL else RecordedReply(head, file.read_bytes())
    )


def _split(body: bytes) -> Iterator[bytes]:
    return (body[at : at + _CHUNK] for at in range(0, len(body), _CHUNK))


def first_half(body: bytes, headers: Mapping[str, str]) -> bytes:
    """The first half of a body, with whole lines of CSV and valid gzip.

    As a client gets it behind a proxy that lost the portal and ended the reply properly.
    """
    compressed = headers.get("content-encoding") == "gzip"
    whole = gzip.decompress(body) if compressed else body
    half = len(whole) // 2
    if "csv" in headers.get("content-type", ""):
        half = whole.rindex(b"\n", 0, half) + 1
    return gzip.compress(whole[:half]) if compressed else whole[:half]
