"""Replays a portal at no cost: `python -m benchmarks.replay HOST:PORT FOLDER`.

The portal gets each request once; its replies are then sent from disk, the same bytes to every
program. So no wall time includes the rendering of an export, and the server takes little CPU from
those who are measured.

With the profile `portal` it is as slow as real ones: 0.2 s before the first byte of a reply, then
5 MB/s for each connection. Portals limit each connection, not all together: a program that opens
eight gets eight times as much. Recording replies does not belong here.
"""

from __future__ import annotations

import json
import socket
import sys
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from threading import Thread
from typing import Any

from benchmarks.recording import RecordedReply, RecordedRequest, Recorder


@dataclass(frozen=True)
class Profile:
    """How slow the server is.

    Attributes:
        latency: Seconds before the first byte of a reply.
        rate: Bytes per second of one connection; 0 for no limit.
    """

    latency: float = 0
    rate: int = 0


PROFILES = {"loopback": Profile(), "portal": Profile(0.2, 5_000_000)}
# Fifty pieces a second at the rate of a portal: even, and cheap.
_PIECE = 100_000


class Replay(ThreadingHTTPServer):
    """Serves a portal's replies; a thread for each connection.

    Attributes:
        profile: How slow it is from now on.
        cut: Whether the rows of datasets end half-way from now on.
        requests: How many requests came.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, portal: str, folder: Path) -> None:
        """Bind a free port; see `Recorder`."""
        super().__init__(("127.0.0.1", 0), _Handler)
        self.recorder = Recorder(portal, folder)
        self.profile, self.cut = PROFILES["loopback"], False
        # `next` of a count is atomic.
        self.requests = count()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_port}"

    def start(self) -> Replay:
        """Serve in the background."""
        Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def configure(
        self, profile: str = "", cut: bool | None = None, *, forget: bool = False
    ) -> dict[str, int]:
        """Change how it serves, or forget all replies, since the portal gives others.

        Returns:
            How many requests came and replies were recorded since the last call.
        """
        if forget:
            self.recorder.forget()
        self.profile = PROFILES[profile] if profile else self.profile
        self.cut = self.cut if cut is None else cut
        counts = {"requests": next(self.requests), "recorded": self.recorder.recorded}
        self.requests, self.recorder.recorded = count(), 0
        return counts

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report errors, except those of clients that have gone away."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Replay

    def _serve(self) -> None:
        next(self.server.requests)
        length = int(self.headers.get("content-length") or 0)
        request = RecordedRequest(
            method=self.command,
            target=self.path,
            host=self.headers["host"],
            accepts_gzip="gzip" in self.headers.get("accept-encoding", ""),
            content_type=self.headers.get("content-type", ""),
            body=self.rfile.read(length),
        )
        profile = self.server.profile
        reply = self.server.recorder.reply(request, cut=self.server.cut)
        time.sleep(profile.latency)
        _send(self.connection, reply, profile.rate)

    do_GET = do_HEAD = do_POST = _serve  # noqa: N815 - the names that http.server calls

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


def _send(connection: socket.socket, reply: RecordedReply, rate: int) -> None:
    connection.sendall(reply.head + reply.body)
    if not reply.file:
        return
    started, sent = time.monotonic(), 0
    with reply.file.open("rb") as file:
        while piece := connection.sendfile(file, sent, _PIECE if rate else None):
            sent += piece
            if not rate:
                return
            time.sleep(max(0, started + sent / rate - time.monotonic()))


def main() -> None:
    """Serve until the pipe is closed; each line of JSON on it has settings for `configure`."""
    portal, folder = sys.argv[1:]
    server = Replay(portal, Path(folder)).start()
    print(server.url, flush=True)
    for line in sys.stdin:
        print(json.dumps(server.configure(**json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
