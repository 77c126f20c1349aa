"""The state of a quota that all processes share, and its JSON form.

Requests and replies belong to `portal/http`.
"""

from __future__ import annotations

import json
import math
import threading
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from ods_pipeline.portal.quota.pace import Pace

#: Seconds after which a lease without a heartbeat counts as lost.
LEASE_SECONDS = 900
_FORM = 1
_MOST = 2**63
_T = TypeVar("_T")


class Holder(NamedTuple):
    """A process among those that share a quota: its host, and its number there."""

    host: str
    process: int


@dataclass(frozen=True)
class Window:
    """A window of the quota, as the newest reply stated it.

    Attributes:
        remaining: Requests left, those sent meanwhile taken off.
        number: Number of the request whose reply stated it.
        limit: Requests allowed.
        reset: When it is full again, if that was stated and is plausible.
        until: When this is forgotten.
    """

    remaining: int
    number: int
    until: float
    limit: int | None = None
    reset: float | None = None


@dataclass(frozen=True)
class Block:
    """A quota that a 429 has declared spent until a time."""

    until: float
    limit: int | None = None
    unit: str = ""


@dataclass(frozen=True)
class Lease:
    """What one thread has set aside for a dataset, or has just asked.

    Attributes:
        left: Requests set aside and not yet sent.
        flying: Number of the request that is not yet answered; 0 without.
        place: Whether it takes one of the places of the portal.
        until: When it counts as lost, unless it is heard of.
    """

    host: str
    process: int
    until: float
    dataset: str = ""
    left: int = 0
    flying: int = 0
    place: bool = False


@dataclass(frozen=True)
class State:
    """All of it.

    Attributes:
        sent: Requests sent by anybody.
        window: The portal's quota.
        datasets: Quotas of datasets that have their own.
        closed: What a 429 has closed: datasets, or all of the portal under the empty name.
        holds: What threads hold, by their names.
        pace: How many datasets at once.
    """

    sent: int = 0
    window: Window | None = None
    datasets: dict[str, Window] = field(default_factory=dict)
    closed: dict[str, Block] = field(default_factory=dict)
    holds: dict[str, Lease] = field(default_factory=dict)
    pace: Pace = field(default_factory=Pace)


def dump(state: State) -> bytes:
    """The state in writing."""
    return json.dumps({"form": _FORM, **vars(state)}, default=vars).encode()


def parse(text: bytes | str) -> State:
    """The state that was written; an empty one where it is damaged, or of another form."""
    try:
        raw = json.loads(text)
        if raw.pop("form") != _FORM:
            return State()
        return State(
            _whole(raw["sent"]),
            _made(Window, raw["window"]) if raw["window"] is not None else None,
            _all(Window, raw["datasets"]),
            _all(Block, raw["closed"]),
            _all(Lease, raw["holds"]),
            _made(Pace, raw["pace"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return State()


_NUMBERS = (int, float)
_KINDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("remaining", "number", "process", "left", "flying"), (int,)),
    **dict.fromkeys(("places", "good", "since"), (int,)),
    **dict.fromkeys(("until", "usual"), _NUMBERS),
    **dict.fromkeys(("host", "dataset", "unit"), (str,)),
    "limit": (int, type(None)),
    "reset": (*_NUMBERS, type(None)),
    "place": (bool,),
}


def _whole(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError
    return value


def _all(kind: type[_T], raw: dict[str, dict[str, Any]]) -> dict[str, _T]:
    return {name: _made(kind, value) for name, value in raw.items()}


def _made(kind: type[_T], raw: dict[str, Any]) -> _T:
    for name, value in raw.items():
        if type(value) not in _KINDS[name]:
            raise ValueError
        if isinstance(value, int | float) and not (math.isfinite(value) and abs(value) <= _MOST):
            raise ValueError
    return kind(**raw)


def thread_name(holder: Holder) -> str:
    """Name of the calling thread of a process, unique among all that share a quota."""
    return f"{holder.host}:{holder.process}:{threading.get_ident()}"


def new_lease(
    holder: Holder, now: float, left: int = 0, dataset: str = "", *, place: bool = False
) -> Lease:
    """A lease of a process, from now on; see `Lease`."""
    return Lease(*holder, now + LEASE_SECONDS, dataset, left, place=place)
