"""The plan of a run: what is to become of each dataset, and why.

Pure: it is made of a catalog, of what is landed and of the names that a user gave. Carrying it out
is `sync`'s work.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ods_pipeline.dataset import Dataset
from ods_pipeline.errors import DatasetNotFound
from ods_pipeline.lane import RECORDS, Lane
from ods_pipeline.tables.receipt import Receipt
from ods_pipeline.tables.verdict import Kind, Verdict, verdict


@dataclass(frozen=True)
class Planned:
    """One dataset and what is to become of its records or features.

    Attributes:
        lane: The way by which its rows come.
        dataset: As the catalog has it; None when it is withdrawn.
        landed: Receipt of what the lake holds.
        named: Whether the user asked for it by name.
    """

    lane: Lane
    dataset_id: str
    dataset: Dataset | None
    landed: Receipt | None
    verdict: Verdict
    named: bool = False

    @property
    def present(self) -> Dataset:
        """The dataset of a step that is not withdrawn."""
        if self.dataset is None:
            raise DatasetNotFound(self.verdict.reason, dataset=self.dataset_id)
        return self.dataset

    @property
    def title(self) -> str:
        """Title for people."""
        known = self.dataset or self.landed
        return known.title if known else self.dataset_id


def plan(
    datasets: Iterable[Dataset],
    receipts: Mapping[str, Receipt],
    names: Sequence[str] = (),
    *,
    lane: Lane = RECORDS,
    full: bool = False,
) -> list[Planned]:
    """What a run would do for each dataset, in the order of their identifiers.

    Args:
        datasets: The catalog.
        receipts: What is landed, by dataset.
        names: Datasets to look at; all of them without it.
        lane: The way by which their rows come; a dataset that neither comes nor came by it is
            left out, unless it was named.
        full: Whether what is landed is to be ignored.
    """
    catalog = {dataset.dataset_id: dataset for dataset in datasets}
    steps = []
    for name in sorted(set(names) or {*catalog, *receipts}):
        dataset, landed = catalog.get(name), receipts.get(name)
        carried = dataset is not None and lane.carries(dataset)
        if lane.kind == "features" and not carried and landed is None and not (dataset and names):
            continue
        decided = verdict(landed, dataset, full=full)
        if decided.kind is Kind.UNKNOWN:
            decided = Verdict(Kind.UNKNOWN, f"{decided.reason}{_hint(name, catalog)}")
        if dataset and not carried:
            decided = Verdict(Kind.NO_GEOMETRY, _flat(landed))
        steps.append(Planned(lane, name, dataset, landed, decided, named=bool(names)))
    return steps


def _flat(landed: Receipt | None) -> str:
    if landed:
        return "it is geographic no more; what is landed stays"
    return "it has no geographic field, so WFS has no layer of it"


def _hint(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, known, n=3)
    if close:
        return f"; did you mean {' or '.join(close)}?"
    return "; `ods-pipeline catalog` shows what there is"
