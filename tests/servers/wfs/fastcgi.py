"""FastCGI as a web server speaks it: a program is started once and asked many times.

Knows nothing of maps. HTTP is for the module beside it.
"""

from __future__ import annotations

import socket
import struct
import subprocess
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

_HEADER = struct.Struct(">BBHHBx")  # version, type, request, length of content, padding
_BEGIN, _END, _PARAMS, _STDIN, _STDOUT = 1, 3, 4, 5, 6
_RESPONDER = struct.pack(">HB5x", 1, 0)
_MOST = 0xFFFF

Address = tuple[str, int]


@contextmanager
def served(program: str, folder: Path, environment: Mapping[str, str]) -> Iterator[Address]:
    """Run a FastCGI program, and end it in the end.

    Args:
        program: The executable.
        folder: Its working directory; what it prints is there.
        environment: All that it gets to see.

    Yields:
        Where it answers.
    """
    with socket.socket() as listening, (folder / "printed.txt").open("wb") as printed:
        listening.bind(("127.0.0.1", 0))
        listening.listen(16)
        at = listening.getsockname()
        # By the book, the program finds the listening socket in the place of its input.
        running = subprocess.Popen(
            [program],
            cwd=folder,
            env=dict(environment),
            stdin=listening.fileno(),
            stdout=printed,
            stderr=subprocess.STDOUT,
        )
    try:
        yield at
    finally:
        # It has nothing to lose, and MapServer waits for one more request before it obeys a TERM.
        running.kill()
        running.wait()


def asked(
    at: Address, parameters: Mapping[str, str], body: bytes = b""
) -> Generator[bytes, None, None]:
    """Send one request and give what the program prints, headers first, as it comes."""
    with socket.create_connection(at) as connection:
        connection.sendall(
            _record(_BEGIN, _RESPONDER)
            + _stream(_PARAMS, b"".join(map(_pair, parameters.items())))
            + _stream(_STDIN, body)
        )
        with connection.makefile("rb") as reply:
            while header := reply.read(_HEADER.size):
                _, kind, _, length, padding = _HEADER.unpack(header)
                content = reply.read(length + padding)[:length]
                if kind == _STDOUT and content:
                    yield content
                if kind == _END:
                    return


def _record(kind: int, content: bytes) -> bytes:
    return _HEADER.pack(1, kind, 1, len(content), 0) + content


def _stream(kind: int, content: bytes) -> bytes:
    parts = (content[start : start + _MOST] for start in range(0, len(content), _MOST))
    return b"".join(_record(kind, part) for part in parts) + _record(kind, b"")


def _pair(item: tuple[str, str]) -> bytes:
    name, text = (part.encode() for part in item)
    return struct.pack(">II", len(name) | 1 << 31, len(text) | 1 << 31) + name + text
