"""The interface of a quota's account: one state, which all who share the quota change in turn.

A file and a row of PostgreSQL implement it. What the entries mean is not known here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from ods_pipeline.portal.quota.state import Holder, Lease, State

_T = TypeVar("_T")
#: Gives the next state, and what to tell the caller, from the present one and the time.
Change = Callable[[State, float], tuple[State, _T]]


class Account(Protocol):
    """The account of a portal and one owner of a quota."""

    @property
    def holder(self) -> Holder:
        """This process, among all that share the account."""

    def now(self) -> float:
        """The time that the account goes by, in seconds since 1970."""

    def is_alive(self, lease: Lease) -> bool:
        """Whether the holder of a lease may still run; to be called in a change."""

    def update(self, change: Change[_T]) -> _T:
        """Change the state, and return what the change tells; nobody else does meanwhile.

        Raises:
            StateError: The database of the account cannot be reached.
        """
