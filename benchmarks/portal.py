"""The portal that is measured against: the emulator in a process of its own, driven over pipes.

Its memory and CPU are nobody's result. What is asked of it is for `ours` and `peers`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import urlopen

DATASET = "big"
DOCUMENT = f"{DATASET}.gml"
# What the document holds, beside the geometries of each kind of portal that has one.
PROPERTIES = ("id", "code", "amount", "day", "seen_at")
LAYERS = {"points": ("location",), "polygons": ("location", "shape")}
_VERTICES = 20
# Nobody is to be slowed down by a spent quota.
_QUOTA = 100_000_000


class Portal:
    """A portal on loopback, for as long as the block lasts.

    Attributes:
        document: The dataset's features, where they are read from a file and not from the portal.
    """

    def __init__(self, process: subprocess.Popen[str], url: str, document: Path | None) -> None:
        self._process = process
        self.url = url
        self.document = document

    def requests(self) -> int:
        """Requests since this was last asked."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


@contextmanager
def opened(kind: str, size: int, folder: Path) -> Iterator[Portal]:
    """Start a portal.

    Args:
        kind: `big` for one dataset of many rows, `many` for many of ten rows, `points` and
            `polygons` for one whose features also lie in a document.
        size: Number of rows, or of datasets.
        folder: Where the document is written.

    Yields:
        The portal, answering.
    """
    document = folder / f"{kind}.gml" if kind in LAYERS else None
    command = [sys.executable, "-m", "benchmarks.portal", kind, str(size), str(document)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        yield Portal(process, process.stdout.readline().strip(), document)
        process.stdin.close()


def main() -> None:
    """Serve until the other end of the pipe is closed, telling the requests at each line."""
    from ods_pipeline.emulator import Emulator

    kind, size = sys.argv[1], int(sys.argv[2])
    with Emulator(sample=False, quota=_QUOTA) as portal:
        if kind == "many":
            portal.make_up(size)
        else:
            vertices = _VERTICES if kind == "polygons" else 0
            portal.make_big(DATASET, rows=size, vertices=vertices)
        if kind in LAYERS:
            _save(portal.url, kind, Path(sys.argv[3]))
            portal.requests.clear()
        print(portal.url, flush=True)
        for _ in sys.stdin:
            print(len(portal.requests), flush=True)
            portal.requests.clear()


def _save(url: str, kind: str, document: Path) -> None:
    asked = {
        "service": "WFS",
        "version": "1.1.0",
        "request": "GetFeature",
        "typeName": f"ods:{DATASET}",
        "propertyName": ",".join((*PROPERTIES, *LAYERS[kind])),
    }
    with urlopen(f"{url}/api/wfs?{urlencode(asked)}") as body, document.open("wb") as file:
        shutil.copyfileobj(body, file)


if __name__ == "__main__":
    main()
