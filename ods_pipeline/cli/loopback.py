"""A small server on this machine that the browser comes back to after a consent.

Whether its answer is the expected one is decided in `portal`.
"""

from __future__ import annotations

import errno
import html
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from ods_pipeline.errors import ConfigurationError
from ods_pipeline.portal.http.address import LOOPBACK

_PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>{title}</title>
<style>body {{ font: 1.1em/1.5 sans-serif; max-width: 34em; margin: 15vh auto }}</style>
<h1>{title}</h1>
<p id="told">{text}</p>
"""
_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    # The address of the page holds the code.
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
}


class Page(NamedTuple):
    """What the browser shows."""

    status: int
    title: str
    text: str


@dataclass(frozen=True)
class ListenAddress:
    """Where on this machine the browser comes back to."""

    host: str
    port: int
    path: str


def listen_address(redirect_uri: str) -> ListenAddress | None:
    """Where to listen for a redirection; None if it leads to another machine.

    Raises:
        ConfigurationError: It is not a URL that a portal can redirect a browser to.
    """
    try:
        parts = urlsplit(redirect_uri)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise _no_url(redirect_uri) from None
    if parts.scheme not in {"http", "https"} or not host or port == 0:
        raise _no_url(redirect_uri)
    if "@" in parts.netloc or "#" in redirect_uri:
        raise _no_url(redirect_uri)
    if parts.scheme != "http" or host not in LOOPBACK:
        return None
    return ListenAddress(host, port or 80, parts.path or "/")


def _no_url(given: str) -> ConfigurationError:
    # There may be a password before the @.
    name = "an address with a user in it" if "@" in given else repr(given)
    return ConfigurationError(
        f"{name} is no redirection URL that a portal can lead a browser to; give the one, without "
        "#, that the application is registered with, such as http://127.0.0.1:8766/callback"
    )


@contextmanager
def listening(
    at: ListenAddress, answer: Callable[[str], Page], answered: Callable[[], None]
) -> Iterator[None]:
    """Listen until the end of the block.

    `answer` makes the page for a request's path and query; `answered` is called when it was sent.

    Raises:
        ConfigurationError: The port is in use.
    """
    handler = partial(_Visitor, at.path, answer, answered)
    kind = _Server6 if ":" in at.host else _Server
    try:
        server = kind(("127.0.0.1" if at.host == "localhost" else at.host, at.port), handler)
    except OSError as error:
        raise ConfigurationError(_occupied(at, error)) from error
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


def _occupied(at: ListenAddress, error: OSError) -> str:
    another = (
        "register a redirection URL with another port for the application and give it as "
        "--redirect-uri"
    )
    if error.errno == errno.EADDRINUSE:
        who = "another `ods-pipeline login` that still waits, or another program"
        return f"port {at.port} of {at.host} is in use by {who}; end that, or {another}"
    return f"port {at.port} of {at.host} cannot be used ({error.strerror}); {another}"


class _Server(socketserver.ThreadingTCPServer):
    """A thread for each connection: browsers open some that they do not use."""

    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Print nothing: browsers may close connections at any time."""


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Visitor(BaseHTTPRequestHandler):
    timeout = 10

    def __init__(
        self, path: str, answer: Callable[[str], Page], answered: Callable[[], None], *rest: object
    ) -> None:
        self._path, self._answer, self._answered = path, answer, answered
        super().__init__(*rest)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        """Show the result of the answer; any other address is not found."""
        # Browsers and portals may percent-encode any part of the path.
        if unquote(self.path.partition("?")[0]) != unquote(self._path):
            self._show(Page(404, "Not here", "This page is for the portal's answer alone."))
            return
        page = self._answer(self.path)
        try:
            self._show(page)
        finally:
            self._answered()

    def _show(self, page: Page) -> None:
        body = _PAGE.format(title=html.escape(page.title), text=html.escape(page.text)).encode()
        self.send_response(page.status)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing: the address contains the code."""
