"""A project as `make dev` runs it, in a folder of its own: what is under test is started here."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.ports import free_port

ROOT = Path(__file__).parents[2]
NAME = "city"
# Dagster waits 5 seconds for the last of its processes, and a run may be under way.
PATIENCE = 120

DEFS = """\
type: ods_pipeline.OpendatasoftPortal

attributes:
  portal: {url}
  name: {name}
  features:
    include: [public-trees, velib-emplacement-des-stations, world-administrative-boundaries]
  sensor:
    minimum_interval_seconds: 5
    running: true
"""


class Project:
    """A running Dagster with one portal.

    Attributes:
        url: Where its UI is.
        folder: The project's folder.
        log: What it printed.
    """

    def __init__(self, folder: Path, portal: str, defs: str = DEFS):
        """Copy the project and point it at a portal.

        Args:
            folder: Where it goes.
            portal: The portal's URL.
            defs: Its block of YAML, with `{url}` and `{name}` to be filled in.
        """
        self.folder, self.log = folder, folder / "printed.txt"
        for name in ("pyproject.toml", "definitions.py", "dagster.yaml"):
            shutil.copy(ROOT / name, folder / name)
        no_caches = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "ods_pipeline", folder / "ods_pipeline", ignore=no_caches)
        block = folder / "ods_pipeline" / "defs" / "demo" / "defs.yaml"
        block.write_text(defs.format(url=portal, name=NAME))
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self) -> subprocess.Popen[bytes]:
        """Start `dg dev`, as the leader of a process group like that of a terminal's command."""
        bin = Path(sys.executable).parent
        ours = {name: text for name, text in os.environ.items() if not name.startswith("ODS_")}
        with self.log.open("wb") as printed:
            return subprocess.Popen(
                # Ctrl-C is ignored by what a shell starts in the background, and by its children.
                ["env", "--default-signal=INT", bin / "dg", "dev", "--port", str(self.port)],
                cwd=self.folder,
                env={
                    **ours,
                    "DAGSTER_HOME": str(self.folder),
                    "VIRTUAL_ENV": str(bin.parent),
                    "PATH": f"{bin}{os.pathsep}{os.environ['PATH']}",
                },
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def landed(self, dataset_id: str) -> pa.Table:
        """What the lake holds of a dataset."""
        (path,) = self.folder.glob(f"data/lake/*/records/{dataset_id}.parquet")
        return pq.read_table(path)


@contextmanager
def running(folder: Path, portal: str, defs: str = DEFS) -> Iterator[Project]:
    """A project under way; in the end it gets a Ctrl-C, which must leave nothing running."""
    project = Project(folder, portal, defs)
    process = project.start()
    try:
        yield project
        os.killpg(process.pid, signal.SIGINT)
        process.wait(PATIENCE)
        assert not left(process.pid, PATIENCE), "Ctrl-C left processes of Dagster running"
    finally:
        if group(process.pid):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def left(leader: int, seconds: float) -> list[int]:
    """The processes of a group that do not end by themselves in time."""
    end = time.monotonic() + seconds
    while (living := group(leader)) and time.monotonic() < end:
        time.sleep(0.2)
    return living


def group(leader: int) -> list[int]:
    """The living processes of a group."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, its_group = status.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(its_group) == leader and state != "Z":
            found.append(int(status.parent.name))
    return found
