"""A cell of the fault matrix: what goes wrong where, for once or for ever, and how that is to end.

`RIGHT` is data of the portal at a moment of the run; `SAID` a failure that is told, with the old
data left as they were; `EITHER` one of the two, where both are fair. The faults are listed in
`faulty_rows` and `faulty_answers`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ods_pipeline.emulator import Fault
from tests.matrix.desk import LANES, Desk, Lane

RIGHT, SAID, EITHER = "right", "said", "either"
ALL = ("parquet", "csv", "wfs1")
WFS = ("wfs1", "wfs2")
#: Seconds of silence: twice as long as the client of the matrix waits.
STALLED = 1.2


@dataclass(frozen=True)
class Cell:
    """One way of going wrong, in one lane.

    Attributes:
        fault: What goes wrong with the requests that match; nothing where the catalog lies.
        match: Which these are.
        times: How often; for ever without it.
        end: How it is to end.
        before: What the publisher does when the second version is out.
        publish: Whether there is a second version.
        truths: What else the publisher publishes during the run.
        words: Options of the command.
    """

    name: str
    lane: Lane
    fault: Fault | None
    match: str
    times: int | None
    end: str
    before: Callable[[Desk], object]
    publish: bool = True
    truths: tuple[int, ...] = ()
    words: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """How a test is called."""
        lasts = "lasting" if self.times is None else "passing"
        return f"{self.lane.name}-{self.name.replace(' ', '_')}-{lasts}"


def nothing(_: Desk) -> None:
    """No more than to publish."""


def cells(
    name: str,
    fault: Fault | None,
    lanes: Sequence[str] = ALL,
    *,
    once: str = RIGHT,
    ever: str = SAID,
    match: str = "",
    before: Callable[[Desk], object] = nothing,
    publish: bool = True,
    truths: tuple[int, ...] = (),
    words: tuple[str, ...] = (),
) -> Iterator[Cell]:
    """A fault in some lanes, for once and for ever; without a fault there is no difference."""
    for lane in (LANES[key] for key in lanes):
        where = match or lane.match
        cell = Cell(name, lane, fault, where, None, ever, before, publish, truths, words)
        yield cell
        if fault:
            yield replace(cell, times=1, end=once)


def step(verb: str, **arguments: Any) -> dict[str, Any]:
    """A verb about the towns."""
    return {"verb": verb, "dataset_id": "towns", **arguments}
