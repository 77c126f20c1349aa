"""Turns among the threads of one process, before the process competes with others.

Stores exclude threads by themselves; with these they need not all poll for it.
"""

from __future__ import annotations

import os
from threading import Lock

_TURNS: dict[str, Lock] = {}
# A child has none of the threads that could give a turn back.
os.register_at_fork(after_in_child=_TURNS.clear)


def turn(place: str) -> Lock:
    """The lock that all threads of this process share for a place.

    Args:
        place: Any name, the same for the same login.
    """
    return _TURNS.setdefault(place, Lock())
