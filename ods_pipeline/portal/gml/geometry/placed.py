"""Geometries of many features as they stand in the document: plans and texts, not yet read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ods_pipeline.portal.gml.geometry.plans import Plan
from ods_pipeline.portal.gml.geometry.ragged import Integers


@dataclass(frozen=True)
class Placed:
    """One geometry property of some features.

    Attributes:
        codes: The number of each feature's plan; -1 where there is no geometry.
        plans: The plans.
        texts: The texts of all of them, one after the other.
    """

    codes: Integers
    plans: tuple[Plan, ...]
    texts: pa.Array

    def counts(self) -> Integers:
        """How many texts each feature has."""
        return np.array([*(plan.texts for plan in self.plans), 0], np.int64)[self.codes]

    def cut(self, rows: int) -> tuple[Placed, Placed]:
        """The first features, and the others."""
        end = int(self.counts()[:rows].sum())
        return (
            Placed(self.codes[:rows], self.plans, self.texts[:end]),
            Placed(self.codes[rows:], self.plans, self.texts[end:]),
        )


def listed(plans: Sequence[Plan | None], texts: Sequence[str]) -> Placed:
    """Geometries that were met one by one."""
    known: dict[Plan, int] = {}
    codes = [-1 if plan is None else known.setdefault(plan, len(known)) for plan in plans]
    return Placed(np.array(codes, np.int64), tuple(known), pa.array(texts, pa.string()))


def joined(parts: Sequence[Placed]) -> Placed:
    """All of some features, with each plan once."""
    if len(parts) == 1:
        return parts[0]
    known: dict[Plan, int] = {}
    codes = [
        np.array([*(known.setdefault(plan, len(known)) for plan in part.plans), -1])[part.codes]
        for part in parts
    ]
    texts = pa.concat_arrays([part.texts for part in parts])
    return Placed(np.concatenate(codes), tuple(known), texts)
