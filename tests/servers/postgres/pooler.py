"""A real PgBouncer in front of a server."""

from __future__ import annotations

import os
import subprocess
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.ports import free_port
from tests.servers.postgres.server import PASSWORD, USER, Server


@contextmanager
def pooler(server: Server, folder: Path, mode: str) -> Iterator[int]:
    """A pooler under way in `folder`; its port."""
    port = free_port()
    (folder / "users").write_text(f'"{USER}" "{PASSWORD}"\n')
    (folder / "ini").write_text(
        textwrap.dedent(f"""
        [databases]
        * = host=127.0.0.1 port={server.port}
        [pgbouncer]
        listen_addr = 127.0.0.1
        listen_port = {port}
        unix_socket_dir =
        auth_type = plain
        auth_file = {folder / "users"}
        pool_mode = {mode}
        ignore_startup_parameters = extra_float_digits
        """)
    )
    folder.chmod(0o755)
    as_nobody = {"user": "postgres"} if os.geteuid() == 0 else {}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            ["pgbouncer", folder / "ini"], stdout=log, stderr=log, **as_nobody
        )
    try:
        end = time.monotonic() + 60
        while "process up" not in (folder / "log").read_text() and time.monotonic() < end:
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait()
