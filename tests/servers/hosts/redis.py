"""A real Redis on a free port, in a folder of its own."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from tests.ports import free_port


@contextmanager
def running() -> Iterator[str]:
    """The address of an empty server, without the number of a database."""
    program = shutil.which("redis-server")
    assert program, "these tests need redis-server: `make test-servers` installs it"
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        server = subprocess.Popen(
            [
                *(program, "--port", str(port), "--bind", "127.0.0.1"),
                *("--dir", folder, "--appendonly", "yes", "--save", ""),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        try:
            yield f"redis://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(30)
