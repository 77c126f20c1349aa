"""Which features came already, by their identifiers. What follows from it is `gather`'s to say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

Marks = np.ndarray[Any, np.dtype[np.int64]]
News = np.ndarray[Any, np.dtype[np.bool_]]


class Seen:
    """The identifiers of millions of features, in eight bytes each; sixteen while sorting.

    Kept are their hashes; two that share one look like a feature that came twice, which ends in a
    refusal and never in a feature too many.

    Attributes:
        nameless: Whether a feature had no identifier.
    """

    def __init__(self) -> None:
        self.nameless = False
        self._sorted: Marks = np.empty(0, np.int64)
        self._waiting: list[Marks] = []

    def add(self, identifiers: pa.Array) -> None:
        """Take in the features of a batch."""
        self._waiting.append(self._marks(identifiers))

    def count(self) -> int:
        """How many different features there are."""
        marks = self._all()
        return len(marks) and 1 + int(np.count_nonzero(marks[1:] != marks[:-1]))

    def take(self, identifiers: pa.Array) -> News:
        """Take in a batch, and tell which of its features had not come before."""
        known, marks = self._all(), self._marks(identifiers)
        values, first = np.unique(marks, return_index=True)
        places = np.searchsorted(known, values)
        near = known[np.minimum(places, len(known) - 1)] if len(known) else ~values
        fresh = near != values
        self._sorted = np.insert(known, places[fresh], values[fresh])
        news: News = np.zeros(len(marks), np.bool_)
        news[first[fresh]] = True
        return news

    def _marks(self, identifiers: pa.Array) -> Marks:
        self.nameless = self.nameless or identifiers.null_count > 0
        return np.fromiter(map(hash, identifiers.to_pylist()), np.int64, len(identifiers))

    def _all(self) -> Marks:
        if self._waiting:
            self._sorted = np.concatenate([self._sorted, *self._waiting])
            self._waiting.clear()
            self._sorted.sort()
        return self._sorted
