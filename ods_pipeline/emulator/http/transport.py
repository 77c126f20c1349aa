"""Sends replies over a socket: headers, chunks, gzip, and connections that break.

What is in a reply does not belong here.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler

from ods_pipeline.emulator.faults.fault import NO_FAULT, Fault
from ods_pipeline.emulator.faults.reply_faults import (
    ConnectionCut,
    apply_to_encoded_body,
    apply_while_sending,
)
from ods_pipeline.emulator.http.reply import Piece, Reply, gzip_stream


def _do_nothing() -> None:
    """Do nothing between two pieces of a body."""


class ReplyHandler(BaseHTTPRequestHandler):
    """Sends replies byte by byte itself, so that it can also send broken ones."""

    protocol_version = "HTTP/1.1"
    server_version = "openresty"
    sys_version = ""
    # A reply is few packets; without this, each waits for the one before.
    disable_nagle_algorithm = True

    def version_string(self) -> str:
        """The name of the web server, as every recorded portal sends it."""
        return self.server_version

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: the emulator keeps its own list of requests."""

    def send(
        self, reply: Reply, fault: Fault = NO_FAULT, mid_body: Callable[[], object] = _do_nothing
    ) -> None:
        """Send a reply, with a fault or without; ``mid_body`` is called within its body."""
        try:
            self._send(reply, fault, mid_body)
        except ConnectionCut as cut:
            self.hang_up(reset=cut.reset)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _send(self, reply: Reply, fault: Fault, mid_body: Callable[[], object]) -> None:
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
        self._send_body(apply_while_sending(fault, pieces, mid_body), chunked)
        if fault.kind == "content_length":
            self.hang_up(reset=False)

    def _encoded(self, reply: Reply, fault: Fault) -> tuple[Iterable[Piece], list[tuple[str, str]]]:
        """The body as it is sent, and the headers that say how."""
        gzip_header = ("content-encoding", "gzip")
        pieces: Iterable[Piece] = reply.body
        compress = reply.compressible and "gzip" in self.headers.get("accept-encoding", "")
        damage = fault.text if fault.kind == "bad_gzip" else ""
        if damage and gzip_header not in reply.headers:
            # A proxy compresses every reply.
            compress = True
        if compress and damage != "none":
            pieces = gzip_stream(pieces)
        headers = [gzip_header] if compress and damage != "untold" else []
        return apply_to_encoded_body(fault, pieces), headers

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
        """Close the connection in the middle of a reply."""
        self.close_connection = True
        connection: socket.socket = self.connection
        with contextlib.suppress(OSError):
            if reset:
                # With a linger time of zero the kernel sends a reset.
                lingering = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, lingering)
                connection.close()
            else:
                connection.shutdown(socket.SHUT_RDWR)
