"""The HTTP front of a portal: requests are recorded, counted and passed on to the routes."""

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

from ods_pipeline.emulator.access.authentication import Gate, TurnedAway
from ods_pipeline.emulator.access.login_routes import Doors, leads_in
from ods_pipeline.emulator.access.visible_catalogs import Views
from ods_pipeline.emulator.faults.fault import SILENT, Fault, Faults
from ods_pipeline.emulator.faults.reply_faults import Cut, before, instead, spoiled
from ods_pipeline.emulator.http.errors import ApiError, coded
from ods_pipeline.emulator.http.reply import Reply, of_document, of_error
from ods_pipeline.emulator.http.request import Request
from ods_pipeline.emulator.http.routes import answer
from ods_pipeline.emulator.http.transport import WireHandler
from ods_pipeline.emulator.wfs.xml import PATH as WFS

CONTROL = "/_emulator"
HOME = (
    b"<!DOCTYPE html><html><body><h1>Emulated portal</h1><p>"
    b"<a href='/api/explore/v2.1/catalog/datasets'>Catalog</a> - "
    b"<a href='/api/wfs?service=WFS&amp;request=GetCapabilities'>WFS</a> - "
    b"<a href='/_emulator'>Verbs</a> - <a href='/login/'>Log in</a></p></body></html>\n"
)


@dataclass(frozen=True)
class Recorded:
    """One request as it came in."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    pairs: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)


@dataclass
class Front:
    """What the handlers of one server share."""

    gate: Gate
    doors: Doors
    views: Views
    faults: Faults
    control: Callable[[str, str, dict[str, Any]], Any]
    requests: list[Recorded] = field(default_factory=list)


class Handler(WireHandler):
    """One connection."""

    server: Server

    def do_GET(self) -> None:  # noqa: N802 - the name that http.server calls
        """Answer from the API, or tell the verbs."""
        body = self._body()
        path, _, query = self.path.partition("?")
        if path == CONTROL:
            self.send(of_document(self.server.front.control("", "", {})))
        elif path == "/":
            self.send(Reply(200, [HOME], "text/html; charset=utf-8"))
        else:
            self._api(path, query, body)

    def do_HEAD(self) -> None:  # noqa: N802 - the name that http.server calls
        """Refuse without a body: the API only knows GET."""
        self.send(Reply(405, [], "application/json", whole=True, zippable=False))

    def do_POST(self) -> None:  # noqa: N802 - the name that http.server calls
        """Make time pass, log in, or ask the WFS; the API itself only knows GET."""
        body = self._body()
        path, _, query = self.path.partition("?")
        if path == WFS or leads_in(path):
            self._api(path, query, body)
            return
        if not path.startswith(CONTROL + "/"):
            self.send(of_error(coded(405, "MethodNotAllowed", "Method not allowed.")))
            return
        verb, _, dataset_id = path[len(CONTROL) + 1 :].partition("/")
        try:
            made = self.server.front.control(verb, dataset_id, json.loads(body or b"{}"))
            self.send(of_document(made))
        except ApiError as error:
            self.send(of_error(error))
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            self.send(of_error(coded(400, "BadVerb", str(error))))

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("content-length") or 0))

    def _api(self, path: str, query: str, body: bytes) -> None:
        front = self.server.front
        pairs = tuple(parse_qsl(query, keep_blank_values=True))
        headers = {name.lower(): value for name, value in self.headers.items()}
        front.requests.append(Recorded(self.command, path, dict(pairs), headers, pairs, body))
        # What is asked by POST is in its body: a fault may wait for that as well.
        fault = front.faults.met(f"{self.path} {body.decode(errors='replace')}") or SILENT
        request = Request(
            path, pairs, self._base(headers), headers, fault, "", self.command, body, query
        )
        try:
            before(fault)
            if fault.kind == "torn":
                request = replace(request, former=self._former(fault))
                self._meanwhile(fault)
            reply = instead(fault) or spoiled(fault, self._answered(request))
        except Cut as cut:
            self.hang_up(reset=cut.reset)
            return
        self.send(reply, fault, lambda: self._meanwhile(fault))

    def _meanwhile(self, fault: Fault) -> None:
        """Do the verbs of a fault, as if somebody did them just now; once gone, gone for all."""
        for step in fault.verbs:
            arguments = {k: v for k, v in step.items() if k not in {"verb", "dataset_id"}}
            with contextlib.suppress(ApiError):
                self.server.front.control(step["verb"], step.get("dataset_id", ""), arguments)

    def _former(self, fault: Fault) -> str:
        """Where the rows are of the dataset that a fault is about to change."""
        changed = [step["dataset_id"] for step in fault.verbs if "dataset_id" in step]
        state = self.server.front.views.of(("*",)).state
        found = state.find(changed[0]) if changed else None
        return found.relation if found else ""

    def _answered(self, request: Request) -> Reply:
        front = self.server.front
        try:
            if leads_in(request.path):
                return front.doors.reply(request)
            caller = front.gate.caller(request)
            limits = caller.quota.spend()
            view = front.views.of(caller.datasets)
            reply = answer(request, view.state, view.catalog)
        except TurnedAway as turned:
            return turned.reply
        except ApiError as error:
            return of_error(error)
        return replace(reply, headers=(*limits, *reply.headers))

    def _base(self, headers: dict[str, str]) -> str:
        return f"http://{headers.get('host') or self.server.address}"


class Server(ThreadingHTTPServer):
    """Listens on loopback; a thread per connection."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128
    # For handle_request: it is called when a connection waits, and must not wait for another.
    timeout = 0

    def __init__(self, host: str, port: int, front: Front):
        """Bind at once: the port is known when this returns."""
        self.front = front
        self._open: dict[socket.socket, threading.Thread] = {}
        self._thread: threading.Thread | None = None
        super().__init__((host, port), Handler)
        self.address = f"{host}:{self.server_address[1]}"

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Remember the connection for as long as it lasts."""
        self._open[request] = threading.current_thread()
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._open.pop(request, None)

    def server_close(self) -> None:
        """Stop listening and hang up on everyone: idle clients would keep the engine alive."""
        super().server_close()
        for connection, thread in list(self._open.items()):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            thread.join(timeout=1)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are no news; anything else is."""
        error = sys.exc_info()[1]
        if not isinstance(error, (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)

    def start(self) -> None:
        """Serve in the background until ``stop``."""
        self._stopper, stopped = socket.socketpair()
        self._thread = threading.Thread(target=self._serve_until, args=(stopped,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop serving in the background at once, without the wait of a polling loop."""
        if self._thread:
            self._stopper.close()
            self._thread.join()
            self._thread = None

    def _serve_until(self, stopped: socket.socket) -> None:
        """Accept connections until the other end of a socket pair is closed."""
        with stopped, selectors.DefaultSelector() as selector:
            selector.register(self, selectors.EVENT_READ)
            selector.register(stopped, selectors.EVENT_READ)
            while all(key.fileobj is self for key, _ in selector.select()):
                self.handle_request()
