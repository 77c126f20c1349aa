"""A map server behind HTTP on loopback, at the path where a portal has its WFS.

What the server is told to serve is for the modules beside it.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from email.parser import BytesHeaderParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import cast

from tests.servers.wfs.fastcgi import Address, asked

PATH = "/api/wfs"
# Each layer has as many rows, one of them without a geometry.
ROWS, PLACED = 6, 5
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")


@contextmanager
def bridged(program: Address, parameters: Mapping[str, str]) -> Iterator[str]:
    """Put a FastCGI program behind HTTP.

    Args:
        program: Where it answers.
        parameters: What it is told with each request, besides the request.

    Yields:
        The address of the host that it is served from.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(b"")

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers["Content-Length"])))

        def _answer(self, body: bytes) -> None:
            path, _, query = self.path.partition("?")
            if path.endswith("/records"):
                return self._count(query)
            if path != PATH:
                return self.send_error(404)
            host, port = cast(Address, self.server.server_address)
            told = {
                **parameters,
                "GATEWAY_INTERFACE": "CGI/1.1",
                "SERVER_PROTOCOL": "HTTP/1.1",
                "SERVER_NAME": host,
                "SERVER_PORT": str(port),
                "HTTP_HOST": f"{host}:{port}",
                "SCRIPT_NAME": PATH,
                "REQUEST_URI": self.path,
                "REQUEST_METHOD": self.command,
                "QUERY_STRING": query,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(body)) if body else "",
            }
            with closing(asked(program, told, body)) as printed:
                self._pass_on(printed)
            return None

        def _count(self, query: str) -> None:
            """A portal counts the records of a layer, all of them or those that have a place."""
            counted = json.dumps({"total_count": PLACED if "not+null" in query else ROWS}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(counted)))
            self.end_headers()
            self.wfile.write(counted)

        def _pass_on(self, printed: Iterator[bytes]) -> None:
            head = b""
            while not (blank := _BLANK_LINE.search(head)):
                head += next(printed)
            headers = BytesHeaderParser().parsebytes(head[: blank.start()])
            first = head[blank.end() :]
            self.send_response(int(headers.get("Status", "200").split()[0]))
            self.send_header("Content-Type", headers["Content-Type"])
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for part in (first, *printed) if first else printed:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))
            self.wfile.write(b"0\r\n\r\n")

        def log_message(self, format: str, *args: object) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
