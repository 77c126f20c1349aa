"""A portal that costs nothing: `python -m benchmarks.replay HOST:PORT FOLDER` serves what it gave.

Each reply is asked of the portal once and replayed from disk, the same bytes for everybody. So
nobody's wall time has the rendering of an export in it, and the server takes next to no CPU from
those who are measured.

As `portal` it is as slow as real ones are: 0.2 s before the first byte of each reply, then 5 MB/s
for each connection. Portals limit each connection, not all together: whoever opens eight gets
eight times as much.
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

from benchmarks.recording import Asked, Kept, Recorder


@dataclass(frozen=True)
class Profile:
    """How slow the server is.

    Attributes:
        latency: Seconds before the first byte of a reply.
        rate: Bytes per second of one connection; 0 for as many as go through.
    """

    latency: float = 0
    rate: int = 0


PROFILES = {"loopback": Profile(), "portal": Profile(0.2, 5_000_000)}
# Fifty pieces a second at the rate of a portal: even enough, and no work.
_PIECE = 100_000


class Replay(ThreadingHTTPServer):
    """Serves a portal's replies; a thread for each connection.

    Attributes:
        profile: How slow it is from now on.
        cut: Whether the rows of datasets end half-way from now on.
        requests: How many came.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, portal: str, folder: Path) -> None:
        """Bind a free port; see `Recorder`."""
        super().__init__(("127.0.0.1", 0), _Handler)
        self.recorder = Recorder(portal, folder)
        self.profile, self.cut = PROFILES["loopback"], False
        # The next of a count is one step, which no other thread comes between.
        self.requests = count()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_port}"

    def start(self) -> Replay:
        """Serve in the background."""
        Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def order(self, profile: str = "", cut: bool | None = None) -> dict[str, int]:
        """Change how it serves; tells the requests, and those recorded, since the last order."""
        self.profile = PROFILES[profile] if profile else self.profile
        self.cut = self.cut if cut is None else cut
        told = {"requests": next(self.requests), "recorded": self.recorder.recorded}
        self.requests, self.recorder.recorded = count(), 0
        return told

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are no news; anything else is."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Replay

    def _serve(self) -> None:
        next(self.server.requests)
        length = int(self.headers.get("content-length") or 0)
        asked = Asked(
            method=self.command,
            target=self.path,
            host=self.headers["host"],
            zipped="gzip" in self.headers.get("accept-encoding", ""),
            kind=self.headers.get("content-type", ""),
            body=self.rfile.read(length),
        )
        profile = self.server.profile
        kept = self.server.recorder.reply(asked, cut=self.server.cut)
        time.sleep(profile.latency)
        _send(self.connection, kept, profile.rate)

    do_GET = do_HEAD = do_POST = _serve  # noqa: N815 - the names that http.server calls

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def _send(connection: socket.socket, kept: Kept, rate: int) -> None:
    connection.sendall(kept.head + kept.body)
    if not kept.file:
        return
    started, sent = time.monotonic(), 0
    with kept.file.open("rb") as file:
        while piece := connection.sendfile(file, sent, _PIECE if rate else None):
            sent += piece
            if not rate:
                return
            time.sleep(max(0, started + sent / rate - time.monotonic()))


def main() -> None:
    """Serve until the other end of the pipe is closed; each line of JSON there is an order."""
    portal, folder = sys.argv[1:]
    server = Replay(portal, Path(folder)).start()
    print(server.url, flush=True)
    for line in sys.stdin:
        print(json.dumps(server.order(**json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
