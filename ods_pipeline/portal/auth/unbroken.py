"""Work that must not be broken off between two steps, though the program may be asked to end."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, wait
from threading import Thread
from typing import Any, TypeVar

_T = TypeVar("_T")
_UNDER_WAY: set[Future[Any]] = set()


def unbroken(work: Callable[[], _T]) -> _T:
    """Do something in a thread of its own, which goes on to its end whatever happens here.

    Args:
        work: What is to be done; it ends by itself.

    Raises:
        Exception: What the work raised.
        KeyboardInterrupt: After the work has ended, or at once when it comes twice.
    """
    outcome: Future[_T] = Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:
            outcome.set_exception(error)
        finally:
            _UNDER_WAY.discard(outcome)

    _UNDER_WAY.add(outcome)
    Thread(target=run, name="unbroken").start()
    try:
        wait([outcome])
    except BaseException:
        wait([outcome])
        raise
    return outcome.result()


def finish(seconds: float) -> None:
    """Wait for all such work of this process, before it is ended without a further word.

    Args:
        seconds: How long to wait at most.
    """
    wait(set(_UNDER_WAY), seconds)
