"""A real PostgreSQL on a free port, in a folder of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.ports import free_port

USER, PASSWORD = "owner", "a-pass/word?with:signs"
QUOTED = "a-pass%2Fword%3Fwith%3Asigns"
_ADMIN = "admin"
# Debian puts the programs of each version apart, and on no PATH.
_HOME = Path("/usr") / "lib" / "postgresql"
# A crash of the server loses what it has not written, not what the disk has not: fsync costs only
# time. What is not written by the commit itself is not written soon, so that tests see it missing.
_SETTINGS = "-c listen_addresses=127.0.0.1 -c fsync=off -c wal_writer_delay=10s"


class Server:
    """A server whose databases belong to one user without any privilege.

    Attributes:
        port: Where it listens on 127.0.0.1; its sockets are in `folder`.
        folder: Its folder.
    """

    def __init__(self, folder: Path):
        """Make the cluster; it is not started yet."""
        self.folder, self.port = folder, free_port()
        self._data, self._has_template = folder / "data", False
        (folder / "password").write_text("only-for-tests\n")
        self._run(
            *("initdb", "--pgdata", self._data, "--username", _ADMIN, "--encoding", "UTF8"),
            *("--locale", "C", "--auth-local", "trust", "--auth-host", "scram-sha-256"),
            *("--pwfile", folder / "password", "--no-sync"),
        )

    def start(self) -> None:
        options = f"-p {self.port} -k {self.folder} {_SETTINGS}"
        log = self.folder / "log"
        self._run("pg_ctl", "-D", self._data, "-l", log, "-w", "-o", options, "start")

    def stop(self, mode: str = "fast") -> None:
        """End it; `immediate` is as if it had crashed."""
        self._run("pg_ctl", "-D", self._data, "-w", "-m", mode, "stop")

    @contextmanager
    def full_disk(self, size: int) -> Iterator[None]:
        """Let no file of the server grow beyond a size, for those who connect from now on."""
        process = (self._data / "postmaster.pid").read_text().split()[0]
        # Not at the end of a block: what is written of it makes the server say that it is full.
        self._run("prlimit", f"--fsize={size + 100}:", "--pid", process)
        try:
            yield
        finally:
            self._run("prlimit", "--fsize=unlimited:", "--pid", process)

    def database(self, name: str) -> str:
        """The URL of a new database, in which the user owns the one schema."""
        self.ask(f'create database "{name}"')
        self.ask(f"drop schema public; create schema kept authorization {USER}", name)
        self.ask(f'alter role {USER} in database "{name}" set search_path = kept')
        return f"postgresql://{USER}:{QUOTED}@127.0.0.1:{self.port}/{name}"

    def warehouse(self, name: str, *, postgis: bool = True) -> str:
        """The URL of a new database that the user may make schemas in, with PostGIS out of the way.

        PostGIS is in a schema of its own, that is on nobody's path.
        """
        template = "with_postgis" if postgis else "template1"
        if postgis and not self._has_template:
            self._has_template = True
            self.ask("create database with_postgis")
            sql = "create schema gis; create extension postgis schema gis"
            self.ask(f"{sql}; grant usage on schema gis to public", "with_postgis")
        self.ask(f'create database "{name}" template {template}')
        self.ask(f'grant create on database "{name}" to {USER}')
        return f"postgresql://{USER}:{QUOTED}@127.0.0.1:{self.port}/{name}"

    def ask(self, sql: str, database: str = "postgres") -> str:
        """What the administrator is answered."""
        return self._run(
            *("psql", "-h", self.folder, "-p", self.port, "-U", _ADMIN, "-d", database),
            *("-v", "ON_ERROR_STOP=1", "-qAtc", sql),
        ).strip()

    def _run(self, program: str, *arguments: object) -> str:
        done = subprocess.run(
            [_found(program), *map(str, arguments)],
            cwd=self.folder,
            # What the user's environment says is about another server.
            env={name: text for name, text in os.environ.items() if not name.startswith("PG")},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            **_someone_else(),
        )
        assert not done.returncode, f"{program}: {done.stderr}"
        return done.stdout


@contextmanager
def running() -> Iterator[Server]:
    """A server under way."""
    # Not in pytest's folder: the server's user could not reach it there where tests run as root.
    with tempfile.TemporaryDirectory(prefix="postgres-") as name:
        folder = Path(name)
        if owner := _someone_else().get("user"):
            shutil.chown(folder, owner)
        server = Server(folder)
        server.start()
        try:
            server.ask(f"create role {USER} login password '{PASSWORD}'")
            yield server
        finally:
            server.stop("immediate")


def _someone_else() -> dict[str, Any]:
    """PostgreSQL refuses to run as root."""
    if os.geteuid():
        return {}
    return {"user": "postgres", "group": "postgres", "extra_groups": []}


def _found(program: str) -> str:
    homes = sorted(_HOME.glob("*/bin"), key=lambda home: int(re.sub(r"\D", "", home.parent.name)))
    path = shutil.which(program, path=os.pathsep.join(map(str, reversed(homes))))
    path = path or shutil.which(program)
    assert path, f"these tests need {program}: `make test-servers` installs it"
    return path
