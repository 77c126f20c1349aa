"""Ports for the servers of tests, which nobody else is given in between."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket

_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_PORTS = itertools.chain.from_iterable(
    itertools.repeat(range(20_000 + 500 * _WORKER, 20_500 + 500 * _WORKER))
)


def free_port() -> int:
    """A port that nobody listens on, and that nobody is given before it is used.

    Systems give ports from 32768 or 49152 upwards to those who ask for any; each worker of xdist
    takes from a range of its own below that.
    """
    for port in _PORTS:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")
