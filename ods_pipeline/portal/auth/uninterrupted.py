"""Work that must not be interrupted between two steps, even if the program is asked to end.

What the work is is not known here.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, wait
from threading import Event, Thread
from typing import Any, TypeVar

_T = TypeVar("_T")
_UNDER_WAY: set[Future[Any]] = set()
_ENDING = Event()
#: How often the program must be asked to end before it does so amid such work.
_INSISTENCE = 3


def unbroken(work: Callable[[], _T]) -> _T:
    """Do what ends by itself in a thread of its own, which goes on whatever happens here.

    Raises:
        Exception: What the work raised.
        KeyboardInterrupt: After the work has ended, unless it comes three times.
    """
    outcome: Future[_T] = Future()
    _UNDER_WAY.add(outcome)
    thread = Thread(target=_do, args=[work, outcome], name="unbroken")
    stops: list[BaseException] = []
    try:
        if _ENDING.is_set():
            raise KeyboardInterrupt
        thread.start()
    except KeyboardInterrupt as stop:
        stops.append(stop)
    except RuntimeError:
        _UNDER_WAY.discard(outcome)
        raise
    while not outcome.done() and thread.is_alive() and len(stops) < _INSISTENCE:
        try:
            wait([outcome], 1)
        except KeyboardInterrupt as stop:
            stops.append(stop)
    if stops:
        if not thread.is_alive():
            _UNDER_WAY.discard(outcome)
        raise stops[0]
    return outcome.result()


def _do(work: Callable[[], _T], outcome: Future[_T]) -> None:
    try:
        outcome.set_result(work())
    except BaseException as error:  # Whatever it is, it is raised where the work is waited for.
        outcome.set_exception(error)
    finally:
        _UNDER_WAY.discard(outcome)


def finish(seconds: float) -> None:
    """Begin no more such work in this process, and wait so long for what is under way."""
    _ENDING.set()
    wait(set(_UNDER_WAY), seconds)
