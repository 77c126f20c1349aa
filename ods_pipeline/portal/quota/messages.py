"""Messages for users when a quota is spent: how much is left, until when, and what to do.

When a quota is spent is decided in `rules`.
"""

from __future__ import annotations

from ods_pipeline.errors import QuotaExhausted
from ods_pipeline.portal.quota.headers import Refusal, shown
from ods_pipeline.portal.quota.rules import Spent

# Users get words; the numbers are for the budget.
_REFUSAL = "_refusal"
_ADVICE = "run again then, or use an API key with a larger quota"


def refused(refusal: Refusal, now: float, portal: str, url: str) -> QuotaExhausted:
    """The error of a 429, for users; the budget finds the refusal in it again."""
    stated = now + refusal.wait if refusal.wait is not None else refusal.reset
    reset = stated if stated is not None and stated > now else None
    allowance = (
        f" of {refusal.limit} requests a {refusal.unit}" if refusal.limit and refusal.unit else ""
    )
    error = QuotaExhausted(
        f"the request quota{allowance} of {portal} is spent and {_again(reset)}; "
        "run again then, or use an API key with a larger one",
        reset=shown(reset) if reset else None,
        portal=portal,
        url=url,
    )
    vars(error)[_REFUSAL] = refusal
    error.of_dataset = refusal.of_dataset
    return error


def refusal_of(error: QuotaExhausted) -> Refusal | None:
    """What the portal said where it was the portal that refused; None where nothing was asked."""
    found = vars(error).get(_REFUSAL)
    return found if isinstance(found, Refusal) else None


def _again(reset: float | None) -> str:
    if reset is None:
        return "does not say when it starts anew"
    return f"starts anew at {shown(reset):%Y-%m-%d %H:%M} UTC"


def exhausted(spent: Spent, portal: str, wanted: int, dataset: str, url: str) -> QuotaExhausted:
    """The error of a request, or of a whole dataset, that was not begun."""
    again = _again(spent.reset)
    whose = f"{spent.dataset} at {portal}" if spent.dataset else portal
    unit = f" a {spent.unit}" if spent.unit else ""
    if spent.left:
        of = f" of {spent.limit}" if spent.limit is not None else ""
        kept = f", of which {spent.margin} are kept back" if spent.margin else ""
        promised = f" and {spent.promised} are promised to others" if spent.promised else ""
        message = (
            f"{spent.left}{of} requests to {whose} are left{kept}{promised}, but {wanted} are "
            f"wanted; the request quota {again}"
        )
    else:
        of = f" of {spent.limit} requests{unit}" if spent.limit is not None else ""
        message = f"the request quota{of} of {whose} is spent and {again}"
    error = QuotaExhausted(
        f"{message}; nothing was asked: {_ADVICE}",
        reset=shown(spent.reset) if spent.reset else None,
        portal=portal,
        url=url,
    )
    error.dataset = dataset
    error.of_dataset = bool(spent.dataset)
    return error
