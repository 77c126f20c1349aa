"""Rows of different lengths in flat arrays: what each kind has, repeated for rows of many kinds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Integers = np.ndarray[Any, np.dtype[np.int64]]


def sizes(codes: Integers, parts: Sequence[Sequence[int]]) -> Integers:
    """How many numbers each row has.

    Args:
        codes: The kind of each row; -1 for a row that has none.
        parts: The numbers of each kind.
    """
    return np.array([*map(len, parts), 0], np.int64)[codes]


def spread(codes: Integers, parts: Sequence[Sequence[int]]) -> Integers:
    """The numbers of all rows, one after the other; arguments as for `sizes`."""
    if len(parts) == 1 and (codes == 0).all():
        return np.tile(np.array(parts[0], np.int64), len(codes))
    own = sizes(codes, parts)
    begun = np.cumsum([0, *map(len, parts)])[codes]
    flat = np.array([number for part in parts for number in part], np.int64)
    within = np.arange(own.sum()) - np.repeat(np.cumsum(own) - own, own)
    found: Integers = flat[within + np.repeat(begun, own)]
    return found
