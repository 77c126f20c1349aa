"""Who is told how much of a long read has come: a hook for what shows it to somebody.

Nothing is shown here. Only the package's front door hangs something on the hook, so that a run of
the command line or of Dagster, which tell their own progress, are not told twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

#: Given a label, shows something for as long as the block lasts; takes the size of each piece.
Watch = Callable[[str], AbstractContextManager[Callable[[int], object]]]

_hook: list[Watch] = []


def show_with(watch: Watch) -> None:
    """Let long reads be shown by this from now on."""
    _hook[:] = [watch]


@contextmanager
def watched(label: str, *, wanted: bool) -> Iterator[Callable[[int], object]]:
    """Let somebody watch a read, where it is wanted and something is there to show it.

    Yields:
        What takes the size of each piece that arrives.
    """
    if not wanted or not _hook:
        yield lambda size: None
        return
    with _hook[0](label) as received:
        yield received
