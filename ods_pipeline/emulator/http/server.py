"""The HTTP server of a portal: records requests, applies faults, and calls login, APIs or verbs.

How bytes get onto the socket, and what an endpoint answers, are elsewhere.
"""

from __future__ import annotations

import contextlib
import json
import selectors
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from http.server import ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

from ods_pipeline.emulator.access.authentication import Authenticator, RefusedWithPage
from ods_pipeline.emulator.access.oauth2_endpoints import LoginRoutes, is_login_path
from ods_pipeline.emulator.explore.catalog import VisibleCatalogs
from ods_pipeline.emulator.faults.fault import NO_FAULT, Fault, PendingFaults
from ods_pipeline.emulator.faults.reply_faults import (
    ConnectionCut,
    apply_before_reply,
    apply_to_reply,
    substitute_reply,
)
from ods_pipeline.emulator.http.errors import ApiError, api_error
from ods_pipeline.emulator.http.reply import Reply, error_reply, json_reply
from ods_pipeline.emulator.http.request import Request
from ods_pipeline.emulator.http.routes import answer
from ods_pipeline.emulator.http.transport import ReplyHandler
from ods_pipeline.emulator.wfs.xml import WFS_PATH

CONTROL = "/_emulator"
HOME_PAGE = (
    b"<!DOCTYPE html><html><body><h1>Emulated portal</h1><p>"
    b"<a href='/api/explore/v2.1/catalog/datasets'>Catalog</a> - "
    b"<a href='/api/wfs?service=WFS&amp;request=GetCapabilities'>WFS</a> - "
    b"<a href='/_emulator'>Verbs</a> - <a href='/login/'>Log in</a></p></body></html>\n"
)


@dataclass(frozen=True)
class ReceivedRequest:
    """A request as it was received."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    pairs: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)


@dataclass
class ServerContext:
    """What the handlers of one server share."""

    authenticator: Authenticator
    login_routes: LoginRoutes
    catalogs: VisibleCatalogs
    faults: PendingFaults
    control: Callable[[str, str, dict[str, Any]], Any]
    requests: list[ReceivedRequest] = field(default_factory=list)


class Handler(ReplyHandler):
    """Handles the requests of one connection."""

    server: Server

    def do_GET(self) -> None:  # noqa: N802 - the name that http.server calls
        """Answer from login or the APIs, or list the verbs."""
        body = self._body()
        path, _, query = self.path.partition("?")
        if path == CONTROL:
            self.send(json_reply(self.server.context.control("", "", {})))
        elif path == "/":
            self.send(Reply(200, [HOME_PAGE], "text/html; charset=utf-8"))
        else:
            self._api(path, query, body)

    def do_HEAD(self) -> None:  # noqa: N802 - the name that http.server calls
        """Refuse without a body: the API only has GET."""
        self.send(Reply(405, [], "application/json", whole=True, compressible=False))

    def do_POST(self) -> None:  # noqa: N802 - the name that http.server calls
        """Do a verb, log in, or query the WFS; the Explore API only has GET."""
        body = self._body()
        path, _, query = self.path.partition("?")
        if path == WFS_PATH or is_login_path(path):
            self._api(path, query, body)
            return
        if not path.startswith(CONTROL + "/"):
            self.send(error_reply(api_error(405, "MethodNotAllowed", "Method not allowed.")))
            return
        verb, _, dataset_id = path[len(CONTROL) + 1 :].partition("/")
        try:
            result = self.server.context.control(verb, dataset_id, json.loads(body or b"{}"))
            self.send(json_reply(result))
        except ApiError as error:
            self.send(error_reply(error))
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            self.send(error_reply(api_error(400, "BadVerb", str(error))))

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("content-length") or 0))

    def _api(self, path: str, query: str, body: bytes) -> None:
        context = self.server.context
        pairs = tuple(parse_qsl(query, keep_blank_values=True))
        headers = {name.lower(): value for name, value in self.headers.items()}
        context.requests.append(
            ReceivedRequest(self.command, path, dict(pairs), headers, pairs, body)
        )
        # The parameters of a POST are in its body: faults are matched against it as well.
        fault = context.faults.take(f"{self.path} {body.decode(errors='replace')}") or NO_FAULT
        request = Request(
            path, pairs, self._base(headers), headers, fault, "", self.command, body, query
        )
        try:
            apply_before_reply(fault)
            if fault.kind == "torn":
                request = replace(request, rows_before=self._rows_before(fault))
                self._do_verbs(fault)
            reply = substitute_reply(fault) or apply_to_reply(fault, self._reply_to(request))
        except ConnectionCut as cut:
            self.hang_up(reset=cut.reset)
            return
        self.send(reply, fault, lambda: self._do_verbs(fault))

    def _do_verbs(self, fault: Fault) -> None:
        """Do the verbs of a fault; a dataset that is withdrawn already is no error."""
        for step in fault.verbs:
            arguments = {k: v for k, v in step.items() if k not in {"verb", "dataset_id"}}
            with contextlib.suppress(ApiError):
                self.server.context.control(step["verb"], step.get("dataset_id", ""), arguments)

    def _rows_before(self, fault: Fault) -> str:
        """The relation with the rows of the dataset that a fault is about to change."""
        changed = [step["dataset_id"] for step in fault.verbs if "dataset_id" in step]
        state = self.server.context.catalogs.visible_to(("*",)).state
        found = state.find(changed[0]) if changed else None
        return found.relation if found else ""

    def _reply_to(self, request: Request) -> Reply:
        context = self.server.context
        try:
            if is_login_path(request.path):
                return context.login_routes.reply(request)
            caller = context.authenticator.caller(request)
            limits = caller.quota.spend()
            reply = answer(request, context.catalogs.visible_to(caller.datasets))
        except RefusedWithPage as refused:
            return refused.reply
        except ApiError as error:
            return error_reply(error)
        return replace(reply, headers=(*limits, *reply.headers))

    def _base(self, headers: dict[str, str]) -> str:
        return f"http://{headers.get('host') or self.server.address}"


class Server(ThreadingHTTPServer):
    """Listens on loopback; a thread per connection."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128
    # For handle_request: it is called when a connection waits, and must not block for another.
    timeout = 0

    def __init__(self, host: str, port: int, context: ServerContext):
        """Bind at once: the port is known when this returns."""
        self.context = context
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._thread: threading.Thread | None = None
        super().__init__((host, port), Handler)
        self.address = f"{host}:{self.server_address[1]}"

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Remember the connection for as long as it lasts."""
        self._connections[request] = threading.current_thread()
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._connections.pop(request, None)

    def server_close(self) -> None:
        """Stop listening and close all connections: idle clients would keep the engine alive."""
        super().server_close()
        for connection, thread in list(self._connections.items()):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            thread.join(timeout=1)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report errors, except those of clients that have gone away."""
        error = sys.exc_info()[1]
        if not isinstance(error, (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)

    def start(self) -> None:
        """Serve in the background until ``stop``."""
        self._stop_signal, stopped = socket.socketpair()
        self._thread = threading.Thread(target=self._serve_until, args=(stopped,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop serving in the background at once, without the wait of a polling loop."""
        if self._thread:
            self._stop_signal.close()
            self._thread.join()
            self._thread = None

    def _serve_until(self, stopped: socket.socket) -> None:
        """Accept connections until the other end of a socket pair is closed."""
        with stopped, selectors.DefaultSelector() as selector:
            selector.register(self, selectors.EVENT_READ)
            selector.register(stopped, selectors.EVENT_READ)
            while all(key.fileobj is self for key, _ in selector.select()):
                self.handle_request()
