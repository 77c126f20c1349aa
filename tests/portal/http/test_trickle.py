"""A reply that trickles ends, wherever in it: status, headers, framing, or the body's encoding."""

import gzip
import json
import os
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from ods_pipeline.errors import PortalFailure
from ods_pipeline.portal.auth import endpoint
from ods_pipeline.portal.http.address import Address
from ods_pipeline.portal.http.client import Client
from ods_pipeline.portal.http.trickle import Slowest

DATASETS = "/catalog/datasets"
BODY = b'{"total_count": 0, "results": []}'
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNK = b"%x\r\n%s\r\n" % (len(BODY), BODY)
SLOWEST = Slowest(rate=200, seconds=0.4)
#: What comes at once, and what comes again and again, a byte every 20 ms.
TRICKLES = {
    "status": (b"HTTP/1.1 200 ", b"O"),
    "status from its first byte": (b"", b"HTTP/1.1 200 " + b"O" * 999),
    "header": (b"HTTP/1.1 200 OK\r\nX-A: ", b"a"),
    "headers": (b"HTTP/1.1 200 OK\r\n", b"A: b\r\n"),
    "interim replies": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "chunk's size": (HEAD, b"0"),
    "chunk extension": (HEAD + b"5;", b"a"),
    "second chunk's extension": (HEAD + CHUNK + b"5;", b"a"),
    "trailer": (HEAD + CHUNK + b"0\r\nX-A: ", b"a"),
    "trailers": (HEAD + CHUNK + b"0\r\n", b"A: b\r\n"),
    "chunks of a byte": (HEAD, b"1\r\n \r\n"),
    "body": (b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n", b" "),
    "body without length": (b"HTTP/1.1 200 OK\r\n\r\n", b" "),
    "gzip's header": (
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b\x08\x08" + bytes(6),
        b"a",
    ),
}
Talk = Callable[[socket.socket], None]


def heard(connection: socket.socket) -> bytes:
    """One request."""
    request = b""
    while b"\r\n\r\n" not in request:
        piece = connection.recv(65_536)
        if not piece:
            break
        request += piece
    return request


@contextmanager
def speaking(talk: Talk, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """A server that talks once to each that connects; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection, suppress(OSError):
                    if tls is None:
                        talk(connection)
                    else:
                        with tls.wrap_socket(connection, server_side=True) as inner:
                            talk(inner)

        server = threading.Thread(target=serve, daemon=True)
        server.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    server.join(60)


def trickle(kind: str, before: bytes = b"") -> Talk:
    at_once, forever = TRICKLES[kind]

    def talk(connection: socket.socket) -> None:
        heard(connection)
        if before:
            connection.sendall(before)
            heard(connection)
        connection.sendall(at_once)
        end = time.monotonic() + 20
        while time.monotonic() < end:
            for byte in forever:
                connection.sendall(bytes([byte]))
                time.sleep(0.02)

    return talk


def client_of(port: int, scheme: str = "http", **options: float) -> Client:
    return Client(
        f"{scheme}://127.0.0.1:{port}",
        **{"attempts": 1, "read_timeout": 5, "slowest": SLOWEST, **options},  # type: ignore[arg-type]
    )


@contextmanager
def given_up_soon() -> Iterator[None]:
    started = time.monotonic()
    with pytest.raises(PortalFailure, match=r"too slowly, \d+ bytes in \d+ seconds; try later"):
        yield
    assert time.monotonic() - started < 5


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", "/CN=portal.test", "-addext", "subjectAltName=IP:127.0.0.1,DNS:portal.test",
         "-keyout", path, "-out", path.with_suffix(".crt")],
        check=True,
        capture_output=True,
    )  # fmt: skip
    path.write_bytes(path.read_bytes() + path.with_suffix(".crt").read_bytes())
    return path


@pytest.fixture
def tls(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", os.fspath(certificate.with_suffix(".crt")))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.mark.parametrize("kind", TRICKLES)
def test_k10_a_reply_that_trickles_is_given_up_wherever_it_does(kind: str) -> None:
    with speaking(trickle(kind)) as port, given_up_soon():
        client_of(port).json(DATASETS)


@pytest.mark.parametrize("kind", TRICKLES)
def test_k10_it_is_given_up_on_a_kept_connection_too(kind: str) -> None:
    with speaking(trickle(kind, before=WHOLE)) as port:
        client = client_of(port)
        assert client.json(DATASETS) == json.loads(BODY)
        with given_up_soon():
            client.json(DATASETS)


@pytest.mark.parametrize("kind", ["header", "chunk extension", "trailers", "body"])
def test_k10_it_is_given_up_through_tls_too(kind: str, tls: ssl.SSLContext) -> None:
    with speaking(trickle(kind), tls) as port, given_up_soon():
        client_of(port, "https").json(DATASETS)


@pytest.mark.parametrize("kind", ["header", "chunk extension", "trailers", "body"])
def test_k10_it_is_given_up_through_a_proxy_too(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with speaking(trickle(kind)) as port:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
        client = Client("http://portal.test", attempts=1, read_timeout=5, slowest=SLOWEST)
        with given_up_soon():
            client.json(DATASETS)


@pytest.mark.parametrize("kind", ["status", "header", "headers"])
def test_k10_a_proxy_that_trickles_before_there_is_a_tunnel_is_given_up(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with speaking(trickle(kind)) as port:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
        client = Client("https://portal.test", attempts=1, read_timeout=5, slowest=SLOWEST)
        with given_up_soon():
            client.json(DATASETS)


@pytest.mark.parametrize("kind", ["header", "chunk extension", None])
def test_k10_the_rule_holds_within_a_tunnel_and_an_honest_reply_passes_it(
    kind: str | None, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    def talk(connection: socket.socket) -> None:
        assert heard(connection).startswith(b"CONNECT portal.test:443 ")
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with tls.wrap_socket(connection, server_side=True) as inner:
            if kind:
                trickle(kind)(inner)
            heard(inner)
            inner.sendall(WHOLE)

    with speaking(talk) as port:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
        client = Client("https://portal.test", attempts=1, read_timeout=5, slowest=SLOWEST)
        if kind:
            with given_up_soon():
                client.json(DATASETS)
        else:
            assert client.json(DATASETS) == json.loads(BODY)


@pytest.mark.parametrize(
    "parts",
    [
        (b"", WHOLE),
        (WHOLE[:40], WHOLE[40:]),
        (HEAD, CHUNK + b"0\r\n\r\n"),
        (HEAD + b"%x\r\n" % len(BODY), BODY + b"\r\n0\r\n\r\n"),
        (HEAD + CHUNK, b"0\r\n\r\n"),
    ],
    ids=["first byte", "within the headers", "body", "chunk", "end"],
)
def test_k10_a_portal_may_be_silent_for_as_long_as_the_read_timeout_allows(
    parts: tuple[bytes, bytes],
) -> None:
    def talk(connection: socket.socket) -> None:
        heard(connection)
        connection.sendall(parts[0])
        # Twice as long as a trickle may last; within headers and frames it may not be as long.
        quick = parts[0].startswith(WHOLE[:40]) or parts[0] == HEAD + b"%x\r\n" % len(BODY)
        time.sleep(0.2 if quick else 0.8)
        connection.sendall(parts[1])

    with speaking(talk) as port:
        assert client_of(port).json(DATASETS) == json.loads(BODY)


@pytest.mark.parametrize("packed", [False, True])
def test_k10_an_export_of_many_chunks_at_the_speed_of_real_portals_is_read_whole(
    packed: bool,
) -> None:
    data = os.urandom(2_000) * 50
    sent = gzip.compress(data, 0) if packed else data

    def talk(connection: socket.socket) -> None:
        heard(connection)
        head = b"Content-Encoding: gzip\r\nTransfer" if packed else b"Transfer"
        connection.sendall(HEAD.replace(b"Transfer", head))
        for start in range(0, len(sent), 1000):
            piece = sent[start : start + 1000]
            connection.sendall(b"%x;x=y\r\n%s\r\n" % (len(piece), piece))
            time.sleep(0.015)
        connection.sendall(b"0\r\nX-Done: yes\r\n\r\n")

    with speaking(talk) as port, client_of(port).stream(DATASETS) as chunks:
        assert b"".join(chunks) == data


def test_k10_a_request_that_was_given_up_is_repeated_as_others_are() -> None:
    turns = iter([trickle("header")])

    def talk(connection: socket.socket) -> None:
        for slow in turns:
            slow(connection)
        heard(connection)
        connection.sendall(WHOLE)

    with speaking(talk) as port:
        client = client_of(port, attempts=2, pause=0.01)
        assert client.json(DATASETS) == json.loads(BODY)
        assert client.requests_made == 2


@pytest.mark.parametrize("kind", TRICKLES)
def test_k10_an_answer_about_a_login_that_trickles_is_lost_and_not_waited_for(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "_LONGEST", 0.4)
    # What is whole by then is read, and here it has no tokens in it.
    end = "gave no tokens" if CHUNK in TRICKLES[kind][0] else "was lost"
    started = time.monotonic()
    with speaking(trickle(kind)) as port:
        address = Address.parse(f"http://127.0.0.1:{port}")
        with pytest.raises(PortalFailure, match=end):
            endpoint.refresh(address, endpoint.Application("an application"), "spent")
    assert time.monotonic() - started < 10
