"""What somebody who reads a portal in Python sees of a long read: a bar, or a line in a notebook.

Runs of the command line have a bar of their own, in `progress`.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from importlib import import_module

from rich.console import Console

from ods_pipeline.cli.layout import size_of

# Shorter reads than this are over before anybody wonders.
_PATIENCE = 1.0
# Seconds between two lines, so that a notebook is not sent thousands.
_PAUSE = 0.25


@contextlib.contextmanager
def watched(label: str, patience: float = _PATIENCE) -> Iterator[Callable[[int], object]]:
    """Show how much has come, once a read takes long, where somebody is to see it.

    Args:
        label: What is read.
        patience: Seconds before anything is shown.

    Yields:
        What takes the size of each piece.
    """
    notebook = bool(sys.stderr) and Console(stderr=True).is_jupyter
    if not (_sits_there() if notebook else sys.stderr and sys.stderr.isatty()):
        yield lambda size: None
        return
    began, waiting = time.monotonic(), 0
    show: Callable[[int], object] | None = None
    with contextlib.ExitStack() as stack:

        def received(size: int) -> None:
            nonlocal waiting, show
            waiting += size
            if show is None and time.monotonic() - began >= patience:
                show = stack.enter_context(_line(label, _place()) if notebook else _bar(label))
            if show:
                show(waiting)
                waiting = 0

        yield received


def _bar(label: str) -> contextlib.AbstractContextManager[Callable[[int], object]]:
    # Imported where there is one: it knows the engine, which a read does not need.
    from ods_pipeline.cli.progress import bytes_bar

    return bytes_bar(label, quiet=False)


def _sits_there() -> bool:
    # Programs that run a notebook, such as nbconvert and papermill, keep all that it ever showed.
    # They are told from people by what the kernel knows of them: they answer no `input()`.
    kernel = getattr(import_module("IPython").get_ipython(), "kernel", None)
    return bool(getattr(kernel, "_allow_stdin", True))


def _place() -> Callable[[str], object]:
    """Make a place below a notebook's cell for a text that can be replaced."""
    # What is written to stderr stays there on red, and rich's own bar needs a widget.
    display = import_module("IPython.display").display
    handle = display({"text/plain": ""}, raw=True, display_id=True)
    return lambda text: handle.update({"text/plain": text}, raw=True)


@contextlib.contextmanager
def _line(
    label: str, place: Callable[[str], object], pause: float = _PAUSE
) -> Iterator[Callable[[int], object]]:
    """One line that is replaced, and is empty at the end."""
    total, last = 0, float("-inf")

    def received(size: int) -> None:
        nonlocal total, last
        total += size
        if time.monotonic() - last >= pause:
            last = time.monotonic()
            place(f"{label}: {size_of(total)}")

    try:
        yield received
    finally:
        place("")
