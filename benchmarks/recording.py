"""Replies of a portal, kept on disk as they go over the wire; nothing here listens.

A reply is asked of the portal once. Its body is framed in even chunks where the portal's was
chunked, so that a server has no more to do than to copy a file into a socket.
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
# Kept in memory: to open a file for each of thousands of small replies is work as well.
_SMALL = 1 << 16
# Of one connection, or of the moment, or of a quota that is not to slow anybody down.
_DROPPED = re.compile(r"transfer-encoding|content-length|connection|date|x-ratelimit-.*", re.I)
_DATA = re.compile(r"/datasets/[^/]+/exports/\w|request=getfeature\b", re.I)


@dataclass(frozen=True)
class Asked:
    """A request, as far as the reply depends on it.

    Attributes:
        host: What the client calls the server; portals answer with addresses that begin with it.
        zipped: Whether the client reads gzip.
    """

    method: str
    target: str
    host: str
    zipped: bool
    kind: str = ""
    body: bytes = b""

    @property
    def data(self) -> bool:
        """Whether the rows of a dataset are asked for."""
        query = f"{self.target} {self.body.decode(errors='replace')}"
        return bool(_DATA.search(query)) and "hits" not in query

    @property
    def name(self) -> str:
        """The same for the same request, fit for a file."""
        known = f"{self.method} {self.target} {self.zipped} {self.kind} ".encode() + self.body
        return hashlib.sha256(known).hexdigest()


@dataclass(frozen=True)
class Kept:
    """A reply.

    Attributes:
        head: Status line and headers, with the empty line that ends them.
        body: The framed body, where it is small.
        file: Where the framed body lies, where it is not.
    """

    head: bytes
    body: bytes = b""
    file: Path | None = None


class Recorder:
    """Gives each reply from the folder, and asks the portal for those that are not there yet."""

    def __init__(self, portal: str, folder: Path) -> None:
        """Begin with nothing.

        Args:
            portal: Host and port of the portal.
            folder: Where the replies are kept.
        """
        self._portal, self._folder = portal, folder
        self._kept: dict[str, Kept] = {}
        self._busy: dict[str, Lock] = {}
        self._lock = Lock()
        self.recorded = 0

    def reply(self, asked: Asked, *, cut: bool) -> Kept:
        """The reply to a request, the same for everybody.

        Args:
            asked: The request.
            cut: Whether the rows of datasets end half-way, and the reply as if they were whole.
        """
        cut = cut and asked.data
        name = f"{asked.name}-cut" if cut else asked.name
        with self._lock:
            busy = self._busy.setdefault(name, Lock())
        with busy:
            if name not in self._kept:
                self._kept[name] = self._recorded(asked, self._folder / name, cut=cut)
            return self._kept[name]

    def _recorded(self, asked: Asked, file: Path, *, cut: bool) -> Kept:
        with self._lock:
            self.recorded += 1
        connection = HTTPConnection(self._portal)
        headers = {"Host": asked.host}
        headers |= {"Accept-Encoding": "gzip"} if asked.zipped else {}
        headers |= {"Content-Type": asked.kind} if asked.kind else {}
        connection.putrequest(asked.method, asked.target, skip_host=True, skip_accept_encoding=True)
        for header, value in headers.items():
            connection.putheader(header, value)
        if asked.body:
            connection.putheader("Content-Length", str(len(asked.body)))
        connection.endheaders(asked.body or None)
        with connection.getresponse() as response:
            kept = _written(response, file, halved if cut else None)
        connection.close()
        return kept


def _written(
    response: HTTPResponse, file: Path, spoilt: Callable[[bytes, Mapping[str, str]], bytes] | None
) -> Kept:
    pieces: Iterator[bytes] = iter(lambda: response.read(_CHUNK), b"")
    if spoilt:
        pieces = _split(spoilt(b"".join(pieces), dict(response.headers.items())))
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
    return Kept(head, file=file) if size > _SMALL else Kept(head, file.read_bytes())


def _split(body: bytes) -> Iterator[bytes]:
    return (body[at : at + _CHUNK] for at in range(0, len(body), _CHUNK))


def halved(body: bytes, headers: Mapping[str, str]) -> bytes:
    """The first half of a body; lines stay whole in CSV, and gzip in every case.

    This is what a client sees behind a proxy that lost the portal and ended the reply in order.
    """
    packed = headers.get("content-encoding") == "gzip"
    whole = gzip.decompress(body) if packed else body
    half = len(whole) // 2
    if "csv" in headers.get("content-type", ""):
        half = whole.rindex(b"\n", 0, half) + 1
    return gzip.compress(whole[:half]) if packed else whole[:half]
