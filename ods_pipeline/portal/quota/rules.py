"""The rules of a shared quota: what may be requested now. Pure functions of the state and the time.

Each takes a state and returns the next one. Nothing waits or raises here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ods_pipeline.portal.quota import pace
from ods_pipeline.portal.quota.headers import Refusal, StatedWindow, believed
from ods_pipeline.portal.quota.state import Block, Lease, State, Window

#: A quota that does not say when it is full again is believed for so many seconds.
_UNDATED = 3600
#: A reset as little past as this is the portal's clock being behind ours: its window is over.
_SKEW = 600
#: Datasets whose own quotas are remembered: those with the fewest requests left.
_REMEMBERED = 100
_SMALLEST, _LARGEST, _PART = 5, 100, 20

# The longest that a quota of a day, and one of a month, is believed to be spent.
_DAY, _MONTH = 86_400.0 + 3600, 32 * 86_400.0


@dataclass(frozen=True)
class Spent:
    """Why nothing may be asked.

    Attributes:
        reset: When that changes, where it is known.
        left: Requests left; of a quota that a 429 has closed, none.
        limit: Requests allowed.
        unit: Per `day` or `month`, where a 429 said so.
        margin: What is kept back.
        promised: What others have set aside.
        dataset: The dataset whose own quota it is; empty for the portal's.
    """

    reset: float | None
    left: int = 0
    limit: int | None = None
    unit: str = ""
    margin: int = 0
    promised: int = 0
    dataset: str = ""


class Full:
    """Enough is left, but as many datasets as the portal bears are under way."""


def margin(limit: int | None) -> int:
    """Requests kept back for people, and for proofs under way; none if the quota is unknown."""
    if limit is None:
        return 0
    return min(max(limit // _PART, _SMALLEST), _LARGEST, limit // 2)


def expire(state: State, now: float, lives: Callable[[Lease], bool]) -> State:
    """The state without what is over: windows, closures, and holds of those who are gone."""
    window = state.window if state.window and state.window.until > now else None
    datasets, closed, holds = state.datasets, state.closed, state.holds
    # An unchanged dictionary is not copied: this runs for each request.
    if any(known.until <= now for known in datasets.values()):
        datasets = {name: known for name, known in datasets.items() if known.until > now}
    if any(shut.until <= now for shut in closed.values()):
        closed = {name: shut for name, shut in closed.items() if shut.until > now}
    if not all(hold.until > now and lives(hold) for hold in holds.values()):
        holds = {name: hold for name, hold in holds.items() if hold.until > now and lives(hold)}
    return replace(state, window=window, datasets=datasets, closed=closed, holds=holds)


def admitted(
    state: State, name: str, hold: Lease, max_concurrent: int
) -> tuple[State, Spent | Full | None]:
    """Set requests aside for a dataset and take a place, where quota and portal allow it."""
    for dataset in ("", hold.dataset) if hold.dataset else ("",):
        reason = _closed(state, dataset) or _short(state, dataset, hold.left)
        if reason:
            return state, reason
    return placed(state, name, hold, max_concurrent)


def placed(state: State, name: str, hold: Lease, max_concurrent: int) -> tuple[State, Full | None]:
    """Take a place, where the portal allows it; `hold` is what the thread holds then."""
    taken = sum(other.place for other in state.holds.values())
    if taken >= max(min(state.pace.places, max_concurrent), 1):
        return state, Full()
    return replace(state, holds={**state.holds, name: hold}), None


def unplaced(state: State, name: str) -> State:
    """Give back a thread's place, and nothing that it has set aside."""
    hold = state.holds.get(name)
    if hold is None:
        return state
    if not hold.left:
        return released(state, name)
    return replace(state, holds={**state.holds, name: replace(hold, place=False)})


def _closed(state: State, dataset: str) -> Spent | None:
    shut = state.closed.get(dataset)
    return Spent(shut.until, 0, shut.limit, shut.unit, dataset=dataset) if shut else None


def _window(state: State, dataset: str) -> Window | None:
    return state.datasets.get(dataset) if dataset else state.window


def _short(state: State, dataset: str, wanted: int) -> Spent | None:
    known = _window(state, dataset)
    if known is None:
        return None
    kept = margin(known.limit)
    promised = sum(h.left for h in state.holds.values() if dataset in ("", h.dataset))
    # What needs more than a whole window may begin with one: it would never have its turn else.
    needed = wanted if known.limit is None else min(wanted, max(known.limit - kept - 1, 1))
    if known.remaining - kept - promised >= needed:
        return None
    return Spent(known.reset, known.remaining, known.limit, "", kept, promised, dataset)


def sending(
    state: State, name: str, hold: Lease, dataset: str
) -> tuple[State, tuple[int, str] | Spent]:
    """Count a request about to be sent; nothing is sent where nothing at all is left.

    Args:
        state: The state, without what is over.
        name: The thread.
        hold: What it holds where it has set nothing aside.
        dataset: The dataset that the request is for, where its address says so.

    Returns:
        The number of the request and the dataset that it is for, or why it must not be sent.
    """
    held = state.holds.get(name, hold)
    dataset = dataset or held.dataset
    for one in ("", dataset) if dataset else ("",):
        reason = _closed(state, one) or _empty(state, one)
        if reason:
            return state, reason
    number = state.sent + 1
    held = replace(
        held, dataset=dataset, left=max(held.left - 1, 0), flying=number, until=hold.until
    )
    known, datasets = state.window, state.datasets
    if dataset in datasets:
        datasets = {**datasets, dataset: _less(datasets[dataset])}
    return replace(
        state,
        sent=number,
        window=_less(known) if known else None,
        datasets=datasets,
        holds={**state.holds, name: held},
    ), (number, dataset)


def _less(known: Window) -> Window:
    return replace(known, remaining=max(known.remaining - 1, 0))


def _empty(state: State, dataset: str) -> Spent | None:
    known = _window(state, dataset)
    # Without a date of its return, only asking can tell whether there is something again.
    if known is None or known.reset is None or known.remaining > 0:
        return None
    return Spent(known.reset, 0, known.limit, dataset=dataset)


def released(state: State, name: str) -> State:
    """Give back what a thread has set aside, and its place."""
    return replace(state, holds={k: hold for k, hold in state.holds.items() if k != name})


def landed(state: State, name: str) -> State:
    """A request is answered, or never will be."""
    hold = state.holds.get(name)
    if hold is None:
        return state
    holds = {**state.holds, name: replace(hold, flying=0)}
    if not (hold.place or hold.left):
        del holds[name]
    return replace(state, holds=holds)


def on_response(
    state: State,
    number: int,
    dataset: str,
    stated: tuple[StatedWindow | None, StatedWindow | None],
    now: float,
) -> State:
    """Take in what the reply to a request states of the portal's quota and of the dataset's."""
    ours, its = stated
    if ours:
        # Of those before it, whatever is still under way may be counted after it.
        behind = sum(0 < hold.flying < number for hold in state.holds.values())
        uncounted = state.sent - number + behind
        window = _newer(state.window, _believable(ours, uncounted, number, now))
        state = replace(state, window=window)
    if its and dataset:
        known = state.datasets.get(dataset)
        beside = sum(h.flying > 0 and h.dataset == dataset for h in state.holds.values())
        known = _newer(known, _believable(its, beside, number, now))
        state = replace(state, datasets=_remembered(state.datasets, dataset, known))
    return state


def _believable(stated: StatedWindow, uncounted: int, number: int, now: float) -> Window | None:
    reset = believed(stated.reset, now)
    if reset is None and stated.reset is not None and now - _SKEW < stated.reset <= now:
        return None
    remaining = max(stated.remaining - uncounted, 0)
    until = reset if reset is not None else now + _UNDATED
    return Window(remaining, number, until, stated.limit, reset)


def _newer(known: Window | None, new: Window | None) -> Window | None:
    """Which of two counts: replies overtake each other, and windows end meanwhile."""
    if known is None or new is None:
        return new or known
    if known.reset is not None and new.reset is not None and known.reset != new.reset:
        return max(known, new, key=lambda one: one.reset or 0)
    # Not the lesser: portals do not count every request, and what is believed has to follow them.
    return new if new.number > known.number else known


def _remembered(
    datasets: dict[str, Window], dataset: str, known: Window | None
) -> dict[str, Window]:
    if known is None:
        return datasets
    datasets = {**datasets, dataset: known}
    if len(datasets) > _REMEMBERED:
        del datasets[max(datasets, key=lambda name: datasets[name].remaining)]
    return datasets


def refused(state: State, refusal: Refusal, dataset: str, now: float) -> State:
    """Take in a 429: no process asks again before the time that it states, if that is plausible."""
    until = refusal.until(now)
    its = state.datasets.get(dataset)
    of_dataset = refusal.of_dataset or (not refusal.of_portal and its and not its.remaining)
    if until is None or (of_dataset and not dataset):
        return state
    # A proxy may state a year, and then no request could show that it no longer holds.
    farthest = _MONTH if refusal.unit == "month" else _DAY
    closed = Block(min(until, now + farthest), refusal.limit, refusal.unit)
    return replace(state, closed={**state.closed, dataset if of_dataset else "": closed})


def paced(state: State, number: int, max_concurrent: int, *, status: int, seconds: float) -> State:
    """Take in how fast and how well a reply came."""
    new = pace.after(state.pace, number, state.sent, max_concurrent, status=status, seconds=seconds)
    return replace(state, pace=new)
