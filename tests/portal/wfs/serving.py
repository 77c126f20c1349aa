"""A WFS of a few lines that shares nothing with the emulator: a function from request to reply."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

RECORDED = Path(__file__).parent / "recorded"
XML = "text/xml; charset=utf-8"


@dataclass(frozen=True)
class Request:
    """One request as it came in."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True)
class Reply:
    """One reply."""

    body: bytes
    status: int = 200
    type: str = XML
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Served:
    """The address of the service, and the requests that it got."""

    url: str = ""
    requests: list[Request] = field(default_factory=list)


@contextmanager
def service(answer: Callable[[Request], Reply]) -> Iterator[Served]:
    """Serve a function of the request."""
    served = Served()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = dict(parse_qsl(parts.query, keep_blank_values=True))
            length = int(self.headers.get("Content-Length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, parts.path, query, headers, self.rfile.read(length))
            served.requests.append(request)
            reply = answer(request)
            self.send_response(reply.status)
            length = str(len(reply.body))
            given = {"Content-Type": reply.type, "Content-Length": length, **reply.headers}
            for name, value in given.items():
                if value:
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body)

        do_POST = do_GET  # noqa: N815 - the name that http.server calls

        def log_message(self, format: str, *args: object) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        served.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield served
        server.shutdown()


def recorded(name: str) -> bytes:
    """A recorded document."""
    return (RECORDED / name).read_bytes()
