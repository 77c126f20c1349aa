"""Bytes on the socket: headers, chunks, gzip and broken connections; no API here."""

from __future__ import annotations

import contextlib
import socket
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from http.server import BaseHTTPRequestHandler

from ods_pipeline.emulator.faults.fault import NO_FAULT, Fault
from ods_pipeline.emulator.faults.reply_faults import (
    ConnectionCut,
    apply_to_encoded_body,
    apply_while_sending,
)
from ods_pipeline.emulator.http.reply import Piece, Reply


def _do_nothing() -> None:
    """What most replies do meanwhile."""


class ReplyHandler(BaseHTTPRequestHandler):
    """Sends replies by hand, so that it can also send broken ones."""

    protocol_version = "HTTP/1.1"
    server_version = "openresty"
    sys_version = ""
    # The reply leaves in few packets; without this, each waits for the one before.
    disable_nagle_algorithm = True

    def version_string(self) -> str:
        """What the front of every recorded portal calls itself."""
        return self.server_version

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the emulator keeps its own list of requests."""

    def send(
        self, reply: Reply, fault: Fault = NO_FAULT, meanwhile: Callable[[], object] = _do_nothing
    ) -> None:
        """Send a reply, spoiled by a fault or not."""
        try:
            self._send(reply, fault, meanwhile)
        except ConnectionCut as cut:
            self.hang_up(reset=cut.reset)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _send(self, reply: Reply, fault: Fault, meanwhile: Callable[[], object]) -> None:
        pieces, headers = self._encoded(reply, fault)
        if reply.whole or fault.kind == "content_length":
            pieces = [b"".join(pieces)]
            length = len(pieces[0]) + int(fault.number if fault.kind == "content_length" else 0)
            headers.append(("content-length", str(length)))
        elif self.request_version != "HTTP/1.0":
            headers.append(("transfer-encoding", "chunked"))
        else:
            headers.append(("connection", "close"))
        self.send_response(reply.status)
        for name, value in (("content-type", reply.content_type), *reply.headers, *headers):
            self.send_header(name, value)
        self.end_headers()
        chunked = ("transfer-encoding", "chunked") in headers
        self._send_body(apply_while_sending(fault, pieces, meanwhile), chunked)
        if fault.kind == "content_length":
            self.hang_up(reset=False)

    def _encoded(self, reply: Reply, fault: Fault) -> tuple[Iterable[Piece], list[tuple[str, str]]]:
        """The body as it is sent, and the headers that say how."""
        packed = ("content-encoding", "gzip")
        pieces: Iterable[Piece] = reply.body
        zipped = reply.compressible and "gzip" in self.headers.get("accept-encoding", "")
        damage = fault.text if fault.kind == "bad_gzip" else ""
        if damage and packed not in reply.headers:
            # A proxy packs whatever passes through it.
            zipped = True
        if zipped and damage != "none":
            pieces = compressed(pieces)
        told = [packed] if zipped and damage != "untold" else []
        return apply_to_encoded_body(fault, pieces), told

    def _send_body(self, pieces: Iterable[Piece], chunked: bool) -> None:
        write = self.wfile.write
        for piece in pieces:
            if not len(piece):
                continue
            if chunked:
                write(b"%x\r\n" % len(piece))
                write(piece)
                write(b"\r\n")
            else:
                write(piece)
        if chunked:
            write(b"0\r\n\r\n")

    def hang_up(self, *, reset: bool) -> None:
        """Close the connection in the middle of whatever was going on."""
        self.close_connection = True
        connection: socket.socket = self.connection
        with contextlib.suppress(OSError):
            if reset:
                # Lingering for no time at all makes the kernel send a reset.
                lingering = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, lingering)
                connection.close()
            else:
                connection.shutdown(socket.SHUT_RDWR)


def compressed(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """The same bytes under Content-Encoding gzip, streamed."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    for piece in pieces:
        packed = packer.compress(piece)
        if packed:
            yield packed
    yield packer.flush()
