"""The portal of the benchmarks: the emulator, behind a server that replays its replies.

Both are processes of their own, controlled over pipes, whose memory and CPU are in no result. Which
requests a program sends is up to `ours` and `peers`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

DATASET = "big"
API = "/api/explore/v2.1/catalog"
# The parameters of our client, so that all programs get the same recording.
EXPORTS = {
    "parquet": f"{API}/datasets/{{}}/exports/parquet?lang=en&timezone=UTC"
    "&parquet_compression=snappy",
    "csv": f"{API}/datasets/{{}}/exports/csv?lang=en&timezone=UTC"
    "&delimiter=%3B&list_separator=%1F&quote_all=false&with_bom=false&use_labels=false",
}
FEATURES = f"/api/wfs?service=WFS&version=1.1.0&request=GetFeature&typeName=ods%3A{DATASET}"
# Geometries of a row, by the kind of portal.
GEOMETRIES = {"points": 1, "polygons": 2, "big": 1}
_VERTICES = 20
#: Rows of a dataset of a portal of many, and the dataset that `Portal.change` gives one more.
ROWS, CHANGING = 10, "made-up-00000"
# No program is to be slowed down by a spent quota.
_QUOTA = 100_000_000


@dataclass(frozen=True)
class RequestCounts:
    """How many requests came, and how many replies had to be recorded for them."""

    requests: int
    recorded: int


class Portal:
    """A running portal on loopback."""

    def __init__(
        self, upstream: subprocess.Popen[str], replay: subprocess.Popen[str], url: str
    ) -> None:
        self._upstream, self._replay = upstream, replay
        self.url = url

    def change(self) -> None:
        """Give the first of many datasets a row more, and forget what was said of it before."""
        _asked(self._upstream, "change")
        self.configure(forget=True)

    def configure(self, **settings: object) -> RequestCounts:
        """Change how it serves, see `Replay.configure`; count the requests since the last call."""
        return RequestCounts(**json.loads(_asked(self._replay, json.dumps(settings))))


def _asked(process: subprocess.Popen[str], line: str) -> str:
    """What a process answers to a line."""
    assert process.stdin
    assert process.stdout
    process.stdin.write(line + "\n")
    process.stdin.flush()
    return process.stdout.readline()


@contextmanager
def opened(kind: str, size: int, folder: Path) -> Iterator[Portal]:
    """Start a portal.

    Args:
        kind: `big` and `points` for one dataset of many rows with points, `polygons` for one with
            polygons as well, `many` for many datasets of ten rows.
        size: Number of rows, or of datasets.
        folder: Where the replies are kept.

    Yields:
        The portal, ready to answer.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (
        _serving("benchmarks.portal", kind, str(size)) as (upstream, address),
        _serving("benchmarks.replay", address.removeprefix("http://"), str(folder)) as (
            replay,
            url,
        ),
    ):
        yield Portal(upstream, replay, url)


@contextmanager
def _serving(module: str, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-m", module, *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdin
        assert process.stdout
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.stdin.close()


def main() -> None:
    """Emulate a portal until the pipe is closed; with each line on it a dataset changes."""
    from ods_pipeline.emulator import Emulator
    from ods_pipeline.emulator.datasets.generated import small_dataset

    kind, size = sys.argv[1], int(sys.argv[2])
    with Emulator(sample=False, quota=_QUOTA) as portal:
        if kind == "many":
            portal.make_up(size, ROWS)
        else:
            vertices = _VERTICES if kind == "polygons" else 0
            portal.make_big(DATASET, rows=size, vertices=vertices)
        print(portal.url, flush=True)
        for more, _ in enumerate(sys.stdin, start=1):
            portal.state.put(small_dataset(0, ROWS + more, portal.state.clock.tick()))
            print("changed", flush=True)


if __name__ == "__main__":
    main()
