"""One file from a portal, or from where the portal sends for it: conditions, parts, lengths.

A portal's credentials go to the portal alone; any other host is asked as by a stranger. Where a
file is kept does not belong here.
"""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import urlsplit

from ods_pipeline.errors import ConfigurationError, NotAPortal, TooLarge, Unproven
from ods_pipeline.portal.http import replies
from ods_pipeline.portal.http.address import host_of
from ods_pipeline.portal.http.client import Client
from ods_pipeline.portal.http.sender import LeadsElsewhere
from ods_pipeline.redaction import shown

_WHOLE, _PART, _UNCHANGED, _PAST_THE_END = 200, 206, 304, 416
_MOST_HOSTS = 3
# What is no text of any kind, so that a web page in its place is told by its first bytes.
_NO_TEXT = re.compile(r"image/(?!svg)|audio/|video/|font/|application/(pdf|zip|vnd\.|msword|gzip)")
_RANGE = re.compile(r"bytes (?P<first>\d{1,18})-(?P<last>\d{1,18})/(?P<all>\d{1,18}|\*)")
_PAGE = re.compile(rb"\s*(<!doctype html|<html[\s>])", re.IGNORECASE)


@dataclass(frozen=True)
class Validators:
    """By what a server tells one version of a file from another; empty where it says nothing.

    Attributes:
        etag: Its ETag.
        modified: Its Last-Modified.
    """

    etag: str = ""
    modified: str = ""

    @property
    def strong(self) -> str:
        """The ETag, where equal ones promise equal bytes."""
        return "" if self.etag.startswith("W/") else self.etag

    def conditions(self) -> dict[str, str]:
        """Headers that ask for nothing where the file is still this version."""
        found = {"If-None-Match": self.etag, "If-Modified-Since": self.modified}
        return {name: value for name, value in found.items() if value}


NONE = Validators()


@dataclass(frozen=True)
class Download:
    """A reply about a file.

    Attributes:
        state: `whole`, `rest` (what follows the bytes that are there), or `unchanged`.
        validators: The file's version by this reply.
        length: Bytes of the whole file; None where the server does not say.
        media_type: Its media type by this reply.
        chunks: The body.
    """

    state: Literal["whole", "rest", "unchanged"]
    validators: Validators
    length: int | None
    media_type: str
    chunks: Iterator[bytes]


@contextlib.contextmanager
def download(
    client: Client,
    url: str,
    *,
    known: Validators = NONE,
    start: int = 0,
    of: Validators = NONE,
    most: int,
    media_type: str = "",
) -> Iterator[Download]:
    """Ask for a file, or for the rest of one.

    Args:
        client: The client of the portal.
        url: Where the portal says that it is.
        known: The version that is there already, which is not sent again.
        start: Bytes of it that are there; the rest alone is asked for, where that is safe.
        of: The version that these bytes are of.
        most: Bytes that it may have.
        media_type: What the portal's metadata say that it is; empty where they do not.

    Yields:
        The reply. Its body raises `Unproven` where it ends before its length, and `WebPage` where
        it is a web page in place of an image and the like.

    Raises:
        TooLarge: The server says that it has more bytes, or sends more.
        NotAPortal: A web page came in its place.
        PortalError: It is not given.
    """
    headers = {"Accept-Encoding": "identity", **known.conditions()}
    asked_for = _Asked(bool(known.conditions()), start if start and of.strong else 0)
    if asked_for.start:
        headers |= {"Range": f"bytes={start}-", "If-Range": of.strong}
    with contextlib.ExitStack() as stack:
        for _ in range(_MOST_HOSTS):
            asked = client if client.address.contains(url) else _stranger(url)
            reply = _Reply()
            try:
                body = stack.enter_context(asked.exchange(url, reply.opening, headers=headers))
                break
            except LeadsElsewhere as elsewhere:
                url = elsewhere.target.open()
        else:
            raise NotAPortal(f"{host_of(url)} passes requests on and on", portal=client.slug)
        sent = reply.download(body, asked_for, most)
        if sent.state == "whole" and _NO_TEXT.match((media_type or sent.media_type).lower()):
            where = {"portal": client.slug, "url": url}
            sent = replace(sent, chunks=_no_page(sent.chunks, where))
        yield sent


def _stranger(url: str) -> Client:
    """A client without credentials for a host that a portal names."""
    try:
        scheme = urlsplit(url).scheme
    except ValueError:
        raise ConfigurationError(f"{shown(url)} is no address") from None
    if scheme not in {"http", "https"}:
        raise ConfigurationError(f"{scheme or 'it'} is no way to a file: http and https are")
    return _client_of(host_of(url))


@functools.lru_cache(maxsize=32)
def _client_of(host: str) -> Client:
    """One conversation with a host: a thousand photographs may lie there."""
    return Client(host)


@dataclass(frozen=True)
class _Asked:
    """What a request left out: a version that is there, and the bytes of a file before a place."""

    known: bool
    start: int


class _Reply:
    """What the head of a reply says of a file."""

    status = 0
    headers: Mapping[str, str] = {}

    def opening(
        self,
        status: int,
        headers: Mapping[str, str],
        chunks: Iterator[bytes],
        where: dict[str, str],
    ) -> bytes:
        """Distinguish a file from errors; see `replies.opening`."""
        self.status, self.headers = status, headers
        if status in {_UNCHANGED, _PART, _PAST_THE_END}:
            return b""
        if status != _WHOLE:
            return replies.opening(status, headers, chunks, where)
        # A file may be a web page; a login page in its place has no name and no validators.
        attached = "attachment" in headers.get("Content-Disposition", "")
        if replies.is_page(headers) and not (attached or headers.get("ETag")):
            raise replies.page(**where)
        return b""

    def download(self, body: Iterator[bytes], asked: _Asked, most: int) -> Download:
        """The reply with its body bounded and counted.

        Raises:
            Unproven: It is no reply to what was asked.
            TooLarge: The file has too many bytes.
        """
        validators = Validators(self.headers.get("ETag", ""), self.headers.get("Last-Modified", ""))
        media_type = self.headers.get("Content-Type", "").partition(";")[0].strip()
        start = asked.start
        if self.status == _UNCHANGED:
            if not asked.known:
                raise Unproven("the server says that it has not changed, and none of it is there")
            return Download("unchanged", validators, None, media_type, iter(()))
        if self.status == _PAST_THE_END:
            if not start or self.headers.get("Content-Range") != f"bytes */{start}":
                raise Unproven(f"{start:,} bytes are there, and the server has no rest of them")
            return Download("rest", validators, start, media_type, iter(()))
        part = self.status == _PART
        length = self._part(start) if part else self._length()
        if length is not None and length > most:
            raise TooLarge(f"it has {length:,} bytes, and {most:,} are the most that are kept")
        chunks = _whole(body, start if part else 0, length, most)
        return Download("rest" if part else "whole", validators, length, media_type, chunks)

    def _part(self, start: int) -> int | None:
        """Bytes of the whole file by the reply of a part, which must be the one asked for."""
        told = self.headers.get("Content-Range", "")
        found = _RANGE.fullmatch(told)
        if not start or not found or int(found["first"]) != start:
            raise Unproven(f"bytes from {start:,} on were asked for, and {shown(told)} came")
        if found["all"] == "*":
            length = self._length()
            return None if length is None else start + length
        if int(found["last"]) + 1 != int(found["all"]):
            raise Unproven(f"the rest of it was asked for, and {shown(told)} came")
        return int(found["all"])

    def _length(self) -> int | None:
        """Bytes of the body; None where the reply does not say, or where it is packed."""
        if self.headers.get("Content-Encoding", "identity") != "identity":
            return None
        try:
            return int(self.headers["Content-Length"])
        except (KeyError, ValueError):
            return None


def _whole(body: Iterator[bytes], already: int, length: int | None, most: int) -> Iterator[bytes]:
    """The pieces of a body that must reach its length and no further than the most allowed."""
    came = already
    for chunk in body:
        came += len(chunk)
        if came > most:
            raise TooLarge(f"it has more than the {most:,} bytes that are kept at most")
        yield chunk
    if length is not None and came != length:
        raise Unproven(f"{came:,} of its {length:,} bytes came: it was cut off")


def _no_page(chunks: Iterator[bytes], where: dict[str, str]) -> Iterator[bytes]:
    """The same pieces, unless a web page begins with the first: some come as `image/jpeg`."""
    for number, chunk in enumerate(chunks):
        if number == 0 and _PAGE.match(chunk):
            raise replies.page(**where)
        yield chunk
