"""A reply: status, the headers that real portals send, and a body in one piece or in many.

How it gets onto the socket does not belong here.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from ods_pipeline.emulator.http.errors import ApiError

Piece = bytes | memoryview
JSON = "application/json; charset=utf-8"
EXPOSED_HEADERS = (
    "ODS-Explore-API-Deprecation, Link, X-RateLimit-Remaining, X-RateLimit-Limit,"
    " X-RateLimit-Reset, X-RateLimit-dataset-Remaining, X-RateLimit-dataset-Limit,"
    " X-RateLimit-dataset-Reset"
)
ALLOWED_HEADERS = (
    "Authorization, X-Requested-With, Origin, ODS-API-Analytics-App,"
    " ODS-API-Analytics-Embed-Type, ODS-API-Analytics-Embed-Referrer, ODS-Widgets-Version, Accept"
)
COMMON_HEADERS = (
    ("cache-control", "no-cache, no-store, max-age=0, must-revalidate"),
    ("vary", "Accept-Language, Cookie, Host"),
    ("content-language", "en-us"),
    ("access-control-allow-origin", "*"),
    ("access-control-allow-methods", "POST, GET, OPTIONS"),
    ("access-control-max-age", "1000"),
    ("access-control-allow-headers", ALLOWED_HEADERS),
    ("access-control-expose-headers", EXPOSED_HEADERS),
    ("strict-transport-security", "max-age=31536000;includeSubdomains"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "strict-origin-when-cross-origin"),
    ("x-ua-compatible", "IE=edge"),
    (
        "permissions-policy",
        "midi=(),microphone=(),camera=(),magnetometer=(),gyroscope=(),fullscreen=(self),payment=()",
    ),
)


@dataclass(frozen=True)
class Reply:
    """A reply; ``whole`` bodies carry their length, the others are chunked."""

    status: int
    body: Iterable[Piece]
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = field(default=COMMON_HEADERS)
    whole: bool = False
    compressible: bool = True


def as_json(document: Any) -> bytes:
    """JSON on one line, ASCII only, as portals send it."""
    return json.dumps(document).encode()


def json_reply(document: Any) -> Reply:
    """A JSON document."""
    return Reply(200, [as_json(document)])


def error_reply(error: ApiError) -> Reply:
    """An error: without a charset, with its length, never compressed."""
    headers: tuple[tuple[str, str], ...] = COMMON_HEADERS
    if error.status == 400:
        # As recorded: the error of a query has no header about caching.
        headers = tuple(header for header in COMMON_HEADERS if header[0] != "cache-control")
    if error.retry_after is not None:
        headers = (*COMMON_HEADERS, ("retry-after", str(error.retry_after)))
    if error.challenge:
        headers = (*headers, ("www-authenticate", error.challenge))
    return Reply(error.status, [error.body()], "application/json", headers, True, False)


def file_reply(
    name: str, content_type: str, body: Iterable[Piece], *, compressible: bool = True
) -> Reply:
    """A download."""
    filename = f'filename="{name}"' if name.isascii() else f"filename*=UTF-8''{quote(name)}"
    disposition = ("content-disposition", f"attachment; {filename}")
    return Reply(200, body, content_type, (disposition, *COMMON_HEADERS), compressible=compressible)


def gzip_stream(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """The same bytes under Content-Encoding gzip, streamed."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    for piece in pieces:
        compressed = packer.compress(piece)
        if compressed:
            yield compressed
    yield packer.flush()
