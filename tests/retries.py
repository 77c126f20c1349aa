"""Lets tests repeat a failed request at once; what a reply says of when to ask again still holds.

Users' programs leave a portal half a second, then one, then two. An emulator needs no rest, and a
test of a lasting fault would sleep through most of its time. That there are pauses is shown by the
tests of the client.
"""

from collections.abc import Callable
from typing import Any

from ods_pipeline.portal.http.client import Client
from ods_pipeline.portal.portal import Portal


def _defaults(function: Callable[..., object]) -> dict[str, Any]:
    found: dict[str, Any] = function.__kwdefaults__  # type: ignore[attr-defined]
    return found


#: The pause of users, for a test that is about it.
USUAL: float = _defaults(Client.__init__)["pause"]
_SHORT = 0.01


def shorten() -> None:
    """Make short pauses the default of this process."""
    for begin in (Client.__init__, Portal.__init__):
        _defaults(begin)["pause"] = _SHORT
