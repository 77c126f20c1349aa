"""K15: answers that are neither data nor an error of the API, each in its own sentence."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ods_pipeline.errors import PortalFailure, PortalUnreachable
from ods_pipeline.portal.portal import Portal
from tests.portal.answers import answering


@contextmanager
def saying(first: bytes) -> Iterator[str]:
    """Something that answers every connection with these bytes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65_536)
                    connection.sendall(first)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("status", [203, 206, 304, 202, 300])
def test_k15_a_status_that_no_portal_gives_points_at_what_is_on_the_way(status: int) -> None:
    with (
        answering(status, b"[]") as (url, _),
        pytest.raises(PortalFailure, match=f"answered with status {status} where 200 was expected"),
    ):
        Portal(url, attempts=1).datasets()


@pytest.mark.parametrize(
    "junk", [b"SSH-2.0-OpenSSH_9.2\r\n", b"\x16\x03\x01\x02\x00", b"HTTP/x y\r\n\r\n"]
)
def test_k15_what_does_not_speak_http_is_said_to_do_so(junk: bytes) -> None:
    with saying(junk) as url, pytest.raises(PortalUnreachable, match="does not speak HTTP"):
        Portal(url, attempts=1).datasets()


def test_k15_a_server_that_hangs_up_is_not_called_another_service() -> None:
    with saying(b"") as url, pytest.raises(PortalUnreachable, match="cannot be reached"):
        Portal(url, attempts=1).datasets()
