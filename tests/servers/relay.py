"""Stands between a client and the store: writes down requests, and spoils what it is told to."""

from __future__ import annotations

import contextlib
import http.client
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread

_OURS = {"connection", "transfer-encoding", "content-length"}


@dataclass(frozen=True)
class Asked:
    """A request.

    Attributes:
        method: The HTTP method.
        path: Path and query.
        range: Which bytes are asked for; empty for all.
        generation: Which version Google's store shall replace; empty for any.
    """

    method: str
    path: str
    range: str = ""
    generation: str = ""

    @property
    def is_listing(self) -> bool:
        return self.method == "GET" and ("list-type=2" in self.path or "comp=list" in self.path)

    @property
    def is_part(self) -> bool:
        """Whether it sends a part of a large file."""
        return self.method == "PUT" and ("partNumber=" in self.path or "comp=block&" in self.path)


@dataclass(frozen=True)
class Told:
    """A reply; `cut` breaks the connection amid its body."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    cut: bool = False


class Relay:
    """A running relay.

    Attributes:
        url: Its address, instead of the store's.
        asked: All requests so far.
        instead: Gives the reply to a request in the store's place, or None.
        after: Changes a reply of the store's.
    """

    def __init__(self, port: int) -> None:
        self.asked: list[Asked] = []
        self.instead: Callable[[Asked], Told | None] = lambda asked: None
        self.after: Callable[[Asked, Told], Told] = lambda asked, told: told
        self._port, self._lock = port, Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        relay = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length) if length else b""
                asked = Asked(
                    *(self.command, self.path, self.headers.get("Range") or ""),
                    self.headers.get("x-goog-if-generation-match") or "",
                )
                with relay._lock:
                    relay.asked.append(asked)
                told = relay.instead(asked) or relay.after(asked, self._passed_on(body))
                self.send_response(told.status)
                for name, value in told.headers:
                    self.send_header(name, value)
                if not any(name.lower() == "content-length" for name, _ in told.headers):
                    self.send_header("Content-Length", str(len(told.body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(told.body[: len(told.body) // 2] if told.cut else told.body)
                if told.cut:
                    self.close_connection = True

            do_PUT = do_POST = do_DELETE = do_HEAD = do_GET  # noqa: N815 - the server asks for these

            def _passed_on(self, body: bytes) -> Told:
                connection = http.client.HTTPConnection("127.0.0.1", relay._port, timeout=60)
                with contextlib.closing(connection):
                    # With the host that the client has signed.
                    connection.request(self.command, self.path, body, dict(self.headers))
                    reply = connection.getresponse()
                    content = reply.read()
                headers = [(n, v) for n, v in reply.getheaders() if n.lower() not in _OURS]
                if self.command == "HEAD" and reply.getheader("Content-Length"):
                    headers.append(("Content-Length", str(reply.getheader("Content-Length"))))
                return Told(reply.status, content, tuple(headers))

            def log_message(self, *about: object) -> None:
                pass

        return Handler

    def since(self, count: int) -> list[Asked]:
        """The requests after the first ones."""
        return self.asked[count:]


@contextlib.contextmanager
def relayed(port: int) -> Iterator[Relay]:
    """A relay to the store at a port."""
    relay = Relay(port)
    thread = Thread(target=relay._server.serve_forever, daemon=True)
    thread.start()
    try:
        yield relay
    finally:
        relay._server.shutdown()
        relay._server.server_close()
        thread.join()
