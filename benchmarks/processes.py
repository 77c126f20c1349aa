"""What the processes cost that a process has started, and theirs: CPU time and peak memory.

Read from the kernel while they run, since a part of a program ends before its processes do. What a
whole program costs is measured elsewhere.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

_CLOCK = os.sysconf("SC_CLK_TCK")


def cpu_s() -> float:
    """CPU seconds of this process so far, with all of its descendants."""
    found = _stats()
    mine = os.getpid()
    return sum(found[one][1] for one in (mine, *descendants(mine, found)) if one in found)


def peak_mb(process: int) -> float:
    """The most memory that a process has held so far, in MB; 0 for one that has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(x.split()[1]) * 1024 / 1e6 for x in lines if x.startswith("VmHWM:")), 0)


def descendants(process: int, found: Mapping[int, tuple[int, float]] | None = None) -> list[int]:
    """The processes that a process has started, and those that they have, parents first."""
    known = _stats() if found is None else found
    children = [one for one, (parent, _) in known.items() if parent == process]
    return [*children, *(more for one in children for more in descendants(one, known))]


def _stats() -> dict[int, tuple[int, float]]:
    """The parent of each process, and its CPU seconds with those of children that have ended."""
    return dict(_read())


def _read() -> Iterator[tuple[int, tuple[int, float]]]:
    for process in Path("/proc").glob("[0-9]*"):
        try:
            fields = (process / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue  # It has ended meanwhile.
        yield int(process.name), (int(fields[1]), sum(map(int, fields[11:15])) / _CLOCK)
