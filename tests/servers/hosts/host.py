"""A host as the kernel can pretend one: its own name, processes and files; the network is shared.

Its units are started as systemd would start them, with their variables and nobody else's. Users,
rights and limits of systemd are not shown by this.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.celery_profile import FOLDER, Unit
from tests.containers import FOLDER as CONTAINERS

# Where the units have anything; each host has its own folders there.
_PLACES = ("srv", "var/lib", "var/cache")
_ENTER = """
hostname "$1" || exit
for place in srv var/lib var/cache; do mount --bind "$2/$place" "/$place" || exit; done
cd "$3" && shift 3 && exec "$@"
"""
_SYSTEM = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/var/lib/ods-pipeline",
    "TMPDIR": "/var/lib/tmp",
    "LANG": "C.UTF-8",
}


class Host:
    """One host.

    Attributes:
        name: Its name.
        root: What its disk holds.
    """

    def __init__(self, name: str, folder: Path) -> None:
        """Set it up as the page says; nothing runs yet.

        Args:
            name: Its name.
            folder: Where its disk is.
        """
        self.name, self.root = name, folder / name
        assert not any(Path(sys.prefix).is_relative_to(f"/{place}") for place in _PLACES)
        for place in (*_PLACES, "var/lib/ods-pipeline", "var/lib/tmp", "var/cache/ods-pipeline"):
            (self.root / place).mkdir(parents=True, exist_ok=True)
        ours, no_caches = self.root / "srv/ods-pipeline", shutil.ignore_patterns("__pycache__")
        shutil.copytree(CONTAINERS / "project", ours / "project", ignore=no_caches)
        shutil.copytree(FOLDER, ours / "dagster", ignore=no_caches)
        (ours / "venv").symlink_to(sys.prefix)
        self._started: list[subprocess.Popen[bytes]] = []

    def write(self, path: str, text: str) -> None:
        """Write a file of the host."""
        (self.root / path.lstrip("/")).write_text(text, encoding="utf-8")

    def start(self, unit: Unit, files: Mapping[str, Mapping[str, str]], port: int) -> None:
        """Start a unit.

        Args:
            unit: Which.
            files: What the files of variables hold.
            port: In place of the code server's.
        """
        words = [str(port) if word == "4000" else word for word in unit.command()]
        given: dict[str, str] = {}
        for name in unit.files():
            given |= files[name]
        (folder,) = unit.told("WorkingDirectory")
        with (self.root / f"{unit.name}.txt").open("ab") as printed:
            self._started.append(
                subprocess.Popen(
                    self._entered(words, {**given, **unit.variables()}, folder),
                    stdin=subprocess.DEVNULL,
                    stdout=printed,
                    stderr=subprocess.STDOUT,
                )
            )

    def typed(
        self, words: Sequence[str], variables: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        """What somebody gets who types a command there."""
        return subprocess.run(
            self._entered(words, variables, "/srv/ods-pipeline/project"),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def printed(self, unit: str) -> str:
        """What a unit has printed."""
        file = self.root / f"{unit}.txt"
        return file.read_text(errors="replace") if file.exists() else ""

    def kill(self) -> None:
        """Let it die with all its processes, at once."""
        for process in self._started:
            process.kill()
            process.wait(30)
        self._started.clear()

    def kept(self) -> list[str]:
        """Data on its disk, other than copies."""
        found = [
            path.relative_to(self.root)
            for kind in ("*.parquet", "*.duckdb", "lake", "quota")
            for path in self.root.rglob(kind)
        ]
        return [str(path) for path in found if not path.is_relative_to("var/cache/ods-pipeline")]

    def _entered(self, words: Sequence[str], variables: Mapping[str, str], at: str) -> list[str]:
        told = [f"{name}={text}" for name, text in {**_SYSTEM, **variables}.items()]
        # With the death of `unshare` the first process within dies, and with that all others.
        return [
            *("unshare", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"])),
            *("--mount", "--uts", "--ipc", "--pid", "--fork", "--mount-proc", "--kill-child"),
            *("sh", "-c", _ENTER, "enter", self.name, str(self.root), at, "env", "-i"),
            *(*told, *words),
        ]
