"""The portal that is measured against: the emulator in a process of its own, driven over pipes.

Its memory and CPU are nobody's result. What is asked of it is for `ours` and `peers`.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

DATASET = "big"
# Nobody is to be slowed down by a spent quota.
_QUOTA = 100_000_000


class Portal:
    """A portal on loopback, for as long as the block lasts."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self._process = process
        self.url = url

    def requests(self) -> int:
        """Requests since this was last asked."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


@contextmanager
def opened(kind: str, size: int) -> Iterator[Portal]:
    """Start a portal.

    Args:
        kind: `big` for one dataset of many rows, `many` for many of ten rows.
        size: Number of rows, or of datasets.

    Yields:
        The portal, answering.
    """
    command = [sys.executable, "-m", "benchmarks.portal", kind, str(size)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        yield Portal(process, process.stdout.readline().strip())
        process.stdin.close()


def main() -> None:
    """Serve until the other end of the pipe is closed, telling the requests at each line."""
    from ods_pipeline.emulator import Emulator

    kind, size = sys.argv[1], int(sys.argv[2])
    with Emulator(sample=False, quota=_QUOTA) as portal:
        if kind == "big":
            portal.make_big(DATASET, rows=size)
        else:
            portal.make_up(size)
        print(portal.url, flush=True)
        for _ in sys.stdin:
            print(len(portal.requests), flush=True)
            portal.requests.clear()


if __name__ == "__main__":
    main()
