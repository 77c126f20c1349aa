"""Bytes on the socket: headers, chunks, gzip and broken connections; no API here."""

from __future__ import annotations

import contextlib
import socket
import struct
import zlib
from collections.abc import Iterable, Iterator
from http.server import BaseHTTPRequestHandler

from ods_pipeline.emulator.faults import Cut, Fault
from ods_pipeline.emulator.reply import Piece, Reply

SILENT = Fault("none")


class WireHandler(BaseHTTPRequestHandler):
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

    def send(self, reply: Reply, fault: Fault = SILENT) -> None:
        """Send a reply, spoiled by a fault or not."""
        try:
            self._send(reply, fault)
        except Cut as cut:
            self.hang_up(reset=cut.reset)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _send(self, reply: Reply, fault: Fault) -> None:
        pieces: Iterable[Piece] = reply.body
        accepted = self.headers.get("accept-encoding", "")
        zipped = reply.zippable and "gzip" in accepted
        if zipped:
            pieces = gzipped(pieces)
        if reply.whole:
            pieces = [b"".join(pieces)]
        chunked = not reply.whole and self.request_version != "HTTP/1.0"
        self.send_response(reply.status)
        self.send_header("content-type", reply.content_type)
        for name, value in reply.headers:
            self.send_header(name, value)
        if zipped:
            self.send_header("content-encoding", "gzip")
        self._send_framing(reply, chunked, pieces)
        self.end_headers()
        self._send_body(fault.on_the_wire(pieces), chunked)

    def _send_framing(self, reply: Reply, chunked: bool, pieces: Iterable[Piece]) -> None:
        if reply.whole:
            self.send_header("content-length", str(sum(map(len, pieces))))
        elif chunked:
            self.send_header("transfer-encoding", "chunked")
        else:
            self.send_header("connection", "close")

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


def gzipped(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """The same bytes under Content-Encoding gzip, streamed."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    for piece in pieces:
        packed = packer.compress(piece)
        if packed:
            yield packed
    yield packer.flush()
