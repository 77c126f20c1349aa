"""What lies before a run in Dagster: the steps of its datasets, those that need it most first.

The plan is the command line's, see `planning`; what it is made of is gathered here. Taking a step
is `bring`'s work.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from ods_pipeline.dagster.config import Mode
from ods_pipeline.dataset import Dataset
from ods_pipeline.errors import DatasetNotFound
from ods_pipeline.lake.holds import read_holds
from ods_pipeline.lake.lake import Lake, receipt
from ods_pipeline.lake.receipt import Receipt
from ods_pipeline.portal.portal import Portal
from ods_pipeline.sync.catalog import require_most
from ods_pipeline.sync.extractor import Lane
from ods_pipeline.sync.plan import Landed, Planned, plan
from ods_pipeline.sync.rules import DEFAULT, Rules


@dataclass(frozen=True)
class Work:
    """What a run works with.

    Attributes:
        portal: Where the datasets are.
        lake: Where they land.
        rules: How the portal is trusted.
        mode: How what is landed is treated.
        accept: Whether a person takes what is held back.
    """

    portal: Portal
    lake: Lake
    rules: Rules = DEFAULT
    mode: Mode = Mode.incremental
    accept: bool = False

    @property
    def verifies(self) -> bool:
        """Whether the run compares alone, and lands nothing."""
        return self.mode is Mode.verify


def catalog_of(work: Work) -> list[Dataset]:
    """The portal's catalog as it is now, in one request.

    Raises:
        Unproven: It lists hardly any of the datasets that it listed when it was landed last.
        PortalError: The portal does not give it.
    """
    datasets = work.portal.datasets()
    before = receipt(work.lake.catalog)
    if before and not work.accept:
        require_most(work.portal.slug, before.rows, len(datasets))
    return datasets


def of_portal(
    work: Work, lane: Lane, datasets: Iterable[Dataset], names: Sequence[str] = ()
) -> list[Planned]:
    """The steps of a run over a portal.

    Args:
        work: What it works with.
        lane: The way by which rows come.
        datasets: The catalog.
        names: Datasets to look at; all of them without it.
    """
    return _planned(work, lane, datasets, work.lake.receipts(lane.kind), names)


def of_partitions(work: Work, lane: Lane, names: Collection[str]) -> list[Planned]:
    """The steps of a run over some partitions; one request, however many they are.

    Raises:
        OdsPipelineError: The portal does not say what it has.
    """
    paths = {name: work.lake.partition(lane.kind, name) for name in names}
    receipts = {name: found for name, path in paths.items() if (found := receipt(path))}
    datasets = _described(work, [*names], receipts)
    if set(names) - set(receipts) or set(names) - {item.dataset_id for item in datasets}:
        # It may have another name on disk, or a new one on the portal.
        receipts = work.lake.receipts(lane.kind)
    return _planned(work, lane, datasets, receipts, [*names])


def _described(work: Work, names: list[str], receipts: Mapping[str, Receipt]) -> list[Dataset]:
    if len(names) == 1 and receipts:
        try:
            return [work.portal.dataset(names[0])]
        except DatasetNotFound:
            pass  # The catalog says whether it was withdrawn or renamed.
    return catalog_of(work)


def _planned(
    work: Work,
    lane: Lane,
    datasets: Iterable[Dataset],
    receipts: Mapping[str, Receipt],
    names: Sequence[str],
) -> list[Planned]:
    steps = plan(
        datasets,
        Landed(receipts, read_holds(work.lake), partial(work.lake.columns, lane.kind)),
        names,
        lane=lane,
        full=work.mode is Mode.full,
        accept=work.accept,
        rules=work.rules,
    )
    # Those that move away free their names for others.
    return sorted(steps, key=lambda step: (not step.formerly, step.need))
