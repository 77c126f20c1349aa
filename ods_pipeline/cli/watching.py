"""What somebody who reads a portal in Python sees of a long read: a bar, or a line in a notebook.

Runs of the command line have a bar of their own, in `progress`.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import TextIO

from rich.console import Console

from ods_pipeline.cli.layout import size_of

# Shorter reads than this are over before anybody wonders.
_PATIENCE = 1.0
# Seconds between two lines, so that a notebook is not sent thousands.
_PAUSE = 0.25


@contextlib.contextmanager
def watched(label: str, patience: float = _PATIENCE) -> Iterator[Callable[[int], object]]:
    """Show how much has come, once a read takes long, where stderr is a terminal or a notebook's.

    Args:
        label: What is read.
        patience: Seconds before anything is shown.

    Yields:
        What takes the size of each piece.
    """
    # A notebook knows neither a terminal's movements nor, as a rule, rich's own widget.
    notebook = bool(sys.stderr) and Console(stderr=True).is_jupyter
    if not notebook and not (sys.stderr and sys.stderr.isatty()):
        yield lambda size: None
        return
    began, waiting = time.monotonic(), 0
    show: Callable[[int], object] | None = None
    with contextlib.ExitStack() as stack:

        def received(size: int) -> None:
            nonlocal waiting, show
            waiting += size
            if show is None and time.monotonic() - began >= patience:
                show = stack.enter_context(_line(label, sys.stderr) if notebook else _bar(label))
            if show:
                show(waiting)
                waiting = 0

        yield received


def _bar(label: str) -> contextlib.AbstractContextManager[Callable[[int], object]]:
    # Imported where there is one: it knows the engine, which a read does not need.
    from ods_pipeline.cli.progress import bytes_bar

    return bytes_bar(label, quiet=False)


@contextlib.contextmanager
def _line(label: str, stream: TextIO, pause: float = _PAUSE) -> Iterator[Callable[[int], object]]:
    """One line that is written over, and is empty at the end."""
    total, last, widest = 0, float("-inf"), 0

    def received(size: int) -> None:
        nonlocal total, last, widest
        total += size
        if time.monotonic() - last >= pause:
            last = time.monotonic()
            line = f"{label}: {size_of(total)}"
            widest = max(widest, len(line))
            stream.write(f"\r{line.ljust(widest)}")
            stream.flush()

    try:
        yield received
    finally:
        stream.write(f"\r{' ' * widest}\r")
        stream.flush()
