"""Geometries of many features as plans and texts, before their coordinates are parsed.

Nothing here knows what a plan says or what a text means.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ods_pipeline.portal.gml.geometry.coordinates import Integers
from ods_pipeline.portal.gml.geometry.plans import Plan


@dataclass(frozen=True)
class UnparsedGeometries:
    """One geometry property of some features.

    Attributes:
        codes: Number of each feature's plan; -1 without a geometry.
        plans: The plans.
        texts: The texts of all features, in order.
    """

    codes: Integers
    plans: tuple[Plan, ...]
    texts: pa.Array

    def counts(self) -> Integers:
        """Number of texts of each feature."""
        return np.array([*(plan.texts for plan in self.plans), 0], np.int64)[self.codes]

    def cut(self, rows: int) -> tuple[UnparsedGeometries, UnparsedGeometries]:
        """The first features, and the others."""
        end = int(self.counts()[:rows].sum())
        return (
            UnparsedGeometries(self.codes[:rows], self.plans, self.texts[:end]),
            UnparsedGeometries(self.codes[rows:], self.plans, self.texts[end:]),
        )


def from_list(plans: Sequence[Plan | None], texts: Sequence[str]) -> UnparsedGeometries:
    """Geometries that were read one by one."""
    known: dict[Plan, int] = {}
    codes = [-1 if plan is None else known.setdefault(plan, len(known)) for plan in plans]
    return UnparsedGeometries(np.array(codes, np.int64), tuple(known), pa.array(texts, pa.string()))


def concatenated(parts: Sequence[UnparsedGeometries]) -> UnparsedGeometries:
    """All of some features, with each plan once."""
    if len(parts) == 1:
        return parts[0]
    known: dict[Plan, int] = {}
    codes = [
        np.array([*(known.setdefault(plan, len(known)) for plan in part.plans), -1])[part.codes]
        for part in parts
    ]
    texts = pa.concat_arrays([part.texts for part in parts])
    return UnparsedGeometries(np.concatenate(codes), tuple(known), texts)


def sizes(codes: Integers, parts: Sequence[Sequence[int]]) -> Integers:
    """How many numbers each row has.

    Args:
        codes: The kind of each row; -1 for a row without numbers.
        parts: The numbers of each kind.
    """
    return np.array([*map(len, parts), 0], np.int64)[codes]


def spread(codes: Integers, parts: Sequence[Sequence[int]]) -> Integers:
    """The numbers of all rows in one array; arguments as for `sizes`."""
    if len(parts) == 1 and (codes == 0).all():
        return np.tile(np.array(parts[0], np.int64), len(codes))
    lengths = sizes(codes, parts)
    offsets = np.cumsum([0, *map(len, parts)])[codes]
    flat = np.array([number for part in parts for number in part], np.int64)
    within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    found: Integers = flat[within + np.repeat(offsets, lengths)]
    return found
