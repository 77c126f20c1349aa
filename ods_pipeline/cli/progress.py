"""What is told on stderr while a run goes on: a bar for people, or lines for a log.

What a run came to is printed by `report`.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING

from rich.markup import escape

from ods_pipeline.cli import log
from ods_pipeline.cli.layout import LISTED, number_of, shortened, size_of, stderr
from ods_pipeline.lake.lake import PartitionKind
from ods_pipeline.sync.outcome import Outcome, display_name, needs_attention
from ods_pipeline.sync.plan import Planned
from ods_pipeline.sync.run import Watcher

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


@contextlib.contextmanager
def progress(portal: str, *, quiet: bool) -> Iterator[Watcher]:
    """What is told while a run goes on: lines of a log, or a bar where stderr is a terminal.

    Args:
        portal: Base URL, for the lines.
        quiet: Whether there is to be no bar.
    """
    if log.written():
        yield _Lines(portal)
    elif quiet or not sys.stderr.isatty():
        yield Watcher()
    else:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[done]}"),
            TextColumn("{task.fields[size]}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
        )
        with Progress(*columns, console=stderr(), transient=True, expand=True) as bar:
            yield _Bar(bar)


@contextlib.contextmanager
def bytes_bar(label: str, *, quiet: bool) -> Iterator[Callable[[int], object]]:
    """A bar on stderr while files come, where stderr is a terminal.

    Yields:
        What takes the size of each piece.
    """
    if quiet or log.written() or not sys.stderr.isatty():
        yield lambda size: None
        return
    from rich.progress import (
        DownloadColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TransferSpeedColumn,
    )

    # Exports carry no length, so there is no end to show the way to.
    columns = (
        TextColumn("{task.description}"),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=stderr(), transient=True) as bar:
        task = bar.add_task(escape(label), total=None)
        yield lambda size: bar.advance(task, size)


class _Lines(Watcher):
    """A line for what a run is about to do, and one for each dataset that it is done with."""

    def __init__(self, portal: str) -> None:
        self._portal = portal

    def planned(self, steps: Sequence[Planned]) -> None:
        log.info(f"{self._portal}: {_about_to_fetch(steps)}", portal=self._portal)

    def ended(self, outcome: Outcome) -> None:
        write = log.warning if needs_attention(outcome) else log.info
        size = f"{number_of(outcome.rows, 'row')}, {size_of(outcome.bytes)}"
        told = (outcome.reason, outcome.note)
        write(
            f"{self._portal}: {outcome.name}: {outcome.action}, {size} in {outcome.seconds:.1f} s"
            f"{''.join(f'; {text}' for text in told if text)}",
            portal=self._portal,
            **asdict(outcome),
        )


#: The part of all records that must be there before the time that is left is told.
_TELLING = 0.1


def _about_to_fetch(steps: Sequence[Planned]) -> str:
    records = number_of(sum(step.records_to_come or 0 for step in steps), "record")
    cost = number_of(sum(step.cost for step in steps), "request")
    return f"fetching {number_of(len(steps), 'dataset')} with {records} in about {cost}"


class _Bar(Watcher):
    """Datasets done, bytes and their rate, which dataset they belong to, and the time that is left.

    Exports carry no length; what is left is estimated by the records that the catalog counts.
    """

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._task: TaskID = bar.add_task(
            "reading the catalog", total=None, size="", done="", left=""
        )
        self._size = self._ended = 0
        self._records: dict[str, int] = {}
        self._began = time.monotonic()

    def planned(self, steps: Sequence[Planned]) -> None:
        self._records = {
            display_name(step.dataset_id, step.extractor.kind): (step.records_to_come or 0) + 1
            for step in steps
        }
        if not steps:
            self._bar.update(self._task, visible=False)
            return
        if len(steps) > LISTED:  # So many are worth a word before they are fetched.
            self._bar.console.print(
                f"{_about_to_fetch(steps)}; Ctrl-C keeps what is landed by then", soft_wrap=True
            )
        self._began = time.monotonic()
        total = sum(self._records.values())
        self._bar.update(self._task, total=total, description="fetching", done=self._done())

    def received(self, kind: PartitionKind, dataset_id: str, size: int) -> None:
        self._size += size
        rate = self._size / max(time.monotonic() - self._began, 0.1)
        name = shortened(display_name(dataset_id, kind), 24)
        told = f"{size_of(self._size)}, {size_of(int(rate))}/s  {escape(name)}"
        self._bar.update(self._task, size=told)

    def ended(self, outcome: Outcome) -> None:
        if outcome.name in self._records:
            self._ended += 1
            self._bar.update(
                self._task,
                advance=self._records[outcome.name],
                done=self._done(),
                left=self._left(self._records[outcome.name]),
            )

    def _left(self, more: int) -> str:
        (task,) = self._bar.tasks
        came = task.completed + more
        if came < _TELLING * (task.total or came):  # A small dataset tells nothing of a large one.
            return ""
        seconds = (time.monotonic() - self._began) * ((task.total or came) / came - 1)
        return f"about {timedelta(seconds=round(seconds))} left" if seconds >= 1 else ""

    def _done(self) -> str:
        return f"{self._ended}/{number_of(len(self._records), 'dataset')}"
