"""The body of a reply, piece by piece; reading ends with an error if it comes far too slowly.

What the body means is not known here.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator

import requests
from requests.exceptions import ChunkedEncodingError, ContentDecodingError
from urllib3.exceptions import DecodeError, ProtocolError, ReadTimeoutError, SSLError

from ods_pipeline.portal.http.trickle import Slowest, TooSlow, next_piece

#: Bytes handed over at once, unless fewer came in this time.
_PIECE = 1 << 18
_SECONDS = 0.5


def pieces(
    response: requests.Response, slowest: Slowest, tick: Callable[[], object]
) -> Iterator[bytes]:
    """The decoded body of a reply.

    Args:
        response: A reply that nothing was read of.
        slowest: How slow it may come.
        tick: Called whenever something came; whatever it raises ends the body.

    Raises:
        requests.RequestException: It breaks off, or ends in silence.
        TooSlow: It trickles.
    """
    held: list[bytes] = []
    size, waited, seen, first = 0, 0.0, 0, True
    # The first piece goes on at once: it tells what the reply is.
    begun = -math.inf
    while True:
        started = time.monotonic()
        piece = _read(response)
        now = time.monotonic()
        tick()
        # Only waiting counts: the code that takes the pieces may be slow as well. And a portal may
        # compute for as long as the read timeout allows, before the headers or after them.
        waited += 0 if first else now - started
        first = False
        if waited >= slowest.seconds:
            came = response.raw.tell() - seen
            if piece and came < slowest.rate * waited:
                raise TooSlow(f"{came} bytes in {waited:.0f} seconds")
            waited, seen = 0.0, seen + came
        held.append(piece)
        size += len(piece)
        if size and (size >= _PIECE or not piece or now - begun >= _SECONDS):
            yield b"".join(held)
            held, size, begun = [], 0, time.monotonic()
        if not piece:
            return


def _read(response: requests.Response) -> bytes:
    """What has come, as soon as anything has: a trickle would fill larger pieces for hours."""
    next_piece(response)
    try:
        return bytes(response.raw.read1(_PIECE, decode_content=True) or b"")
    except ProtocolError as error:
        raise ChunkedEncodingError(error) from error
    except DecodeError as error:
        raise ContentDecodingError(error) from error
    except ReadTimeoutError as error:
        raise requests.ConnectionError(error) from error
    except SSLError as error:
        raise requests.exceptions.SSLError(error) from error
