"""What got slower since the kept measurement, as ratios to peers of the same run.

A ratio stays where it is when the machine is another or busy, unlike seconds. Processor time is
compared, since others' work delays the clock. How anything is measured does not belong here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.figures import Measured

#: Worse than this many times the kept ratio is no noise.
FACTOR = 1.5
#: Peers that are installed with the project, so that there is always one.
PEERS = ("pyarrow, streaming", "DuckDB COPY", "DuckDB INSERT", "pyogrio read_arrow")
KEPT = Path(__file__).parent / "results" / "ratios.json"

#: Our processor time divided by a peer's, by task with size and by peer.
Ratios = Mapping[str, Mapping[str, float]]


def ratios(done: Sequence[Measured]) -> Ratios:
    """The ratios of what was measured."""
    return {
        f"{measured.task.name} {measured.task.size}": {
            peer: round(1 / found, 3) for peer in PEERS if (found := measured.ratio(peer, "cpu_s"))
        }
        for measured in done
    }


def kept(path: Path = KEPT) -> Ratios:
    """The ratios that are kept."""
    found: Ratios = json.loads(path.read_text())
    return found


def report(before: Ratios, now: Ratios) -> Iterator[str]:
    """A line for each kept ratio that was measured again."""
    for task, peers in before.items():
        for peer, ratio in peers.items():
            if found := now.get(task, {}).get(peer):
                yield f"{task}: {found:.2f} × the CPU of {peer}, kept {ratio:.2f}"


def slower(before: Ratios, now: Ratios) -> Iterator[str]:
    """What is slower than it may be, or cannot be told.

    Args:
        before: What is kept.
        now: What was measured, of the same tasks at the same sizes.
    """
    for task, peers in before.items():
        for peer, ratio in peers.items():
            found = now.get(task, {}).get(peer)
            if not found:
                yield f"{task} was not measured beside {peer}"
            elif found > FACTOR * ratio:
                yield (
                    f"{task} takes {found:.2f} times the CPU of {peer}, and took {ratio:.2f}: "
                    f"more than {FACTOR} times as much"
                )
