"""A portal of a few lines that shares nothing with the emulator: fixed answers to fixed paths."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

API = "/api/explore/v2.1"
Query = Mapping[str, str]
Answer = tuple[int, bytes]


def document(value: object, status: int = 200) -> Answer:
    return status, json.dumps(value).encode()


@dataclass
class Served:
    """Where the portal is, what it was asked, and what was shown to it."""

    url: str = ""
    asked: list[str] = field(default_factory=list)
    shown: list[str | None] = field(default_factory=list)


@contextmanager
def portal_of(answer: Callable[[str, Query], Answer]) -> Iterator[Served]:
    """Serve a function of path (below the API's root) and query, HTTP/1.0 and without length."""
    served = Served()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            path = parts.path.removeprefix(API)
            served.asked.append(path)
            served.shown.append(self.headers.get("Authorization"))
            query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
            status, body = answer(path, query)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        served.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield served
        server.shutdown()


@contextmanager
def answering(status: int, body: bytes, **headers: str) -> Iterator[tuple[str, list[str]]]:
    """A server of one answer; gives its address and the Authorization headers that it gets."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers.get("Authorization", ""))
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", seen
        server.shutdown()
