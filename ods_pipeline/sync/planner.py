"""Builds the plan of a run: reads the catalog and what is landed, and decides for each dataset.

The decisions are pure functions in `plan` and `verdict`. Carrying them out is done by `update`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from ods_pipeline.dataset import Dataset
from ods_pipeline.errors import ConfigurationError, DatasetNotFound, OdsPipelineError
from ods_pipeline.lake.holds import Hold, PartitionKey, read_holds
from ods_pipeline.lake.lake import PartitionKind, receipt
from ods_pipeline.lake.receipt import Receipt
from ods_pipeline.sync.catalog import catalog_of, publish_catalog, require_most, with_missing
from ods_pipeline.sync.extractor import Extractor
from ods_pipeline.sync.options import Mode, RunContext
from ods_pipeline.sync.plan import Landed, Planned, plan
from ods_pipeline.sync.renames import follow_all
from ods_pipeline.sync.selection import EVERYTHING, Selection, is_pattern
from ods_pipeline.warehouse.names import TableNames, folded

Receipts = Mapping[PartitionKind, dict[str, Receipt]]


@dataclass(frozen=True)
class PortalPlan:
    """The plan of a run over a portal.

    Attributes:
        datasets: The catalog.
        steps: What each dataset needs, records first, in the order of identifiers.
        formerly: Former identifiers of the partitions that were renamed just now.
    """

    datasets: Sequence[Dataset]
    steps: Sequence[Planned]
    formerly: Mapping[PartitionKey, str] = field(default_factory=dict)

    @property
    def missing(self) -> dict[str, OdsPipelineError]:
        """The datasets that the catalog leaves out by mistake; any of them makes it incomplete."""
        return {step.dataset_id: step.missing for step in self.steps if step.missing}


def preview(context: RunContext, selection: Selection = EVERYTHING) -> PortalPlan:
    """Plan a run over a portal, and touch nothing.

    Args:
        context: What the run works with.
        selection: Which datasets to look at.

    Raises:
        PortalError: The portal does not give its catalog.
    """
    datasets = catalog_of(context.portal, context.lake)
    receipts = _receipts(context)
    chosen = _chosen(context, selection, datasets, receipts)
    return PortalPlan(datasets, _steps(context, datasets, receipts, chosen))


def prepare(context: RunContext, selection: Selection = EVERYTHING) -> PortalPlan:
    """Plan a run over a portal, rename partitions as the portal has, and land the catalog.

    A run that only compares renames and lands nothing.

    Args:
        context: What the run works with.
        selection: Which datasets to look at.

    Raises:
        Unproven: The catalog lists hardly any of the datasets that it listed before.
        PortalError: The portal does not give its catalog.
        LakeError: The data folder cannot be written.
    """
    if context.options.verifies:
        return preview(context, selection)
    datasets = _trusted_catalog(context, selection)
    receipts = _receipts(context)
    chosen = _chosen(context, selection, datasets, receipts)
    formerly = follow_all(context.lake, datasets, receipts, [*(chosen.names or ())])
    followed = {name for _, name in formerly}
    steps = _steps(context, datasets, receipts, chosen.with_names(followed))
    steps = [
        replace(step, formerly=formerly.get(step.partition, "")) if formerly else step
        for step in steps
    ]
    if not _accepts_catalog(context, selection):
        steps = with_missing(context.portal, steps)
    plan = PortalPlan(datasets, steps, formerly)
    if not plan.missing:
        url = context.portal.client.url("/catalog/exports/json")
        publish_catalog(context.lake, context.portal.slug, datasets, url)
    return plan


def plan_partitions(
    context: RunContext, extractor: Extractor, names: Collection[str]
) -> list[Planned]:
    """Plan a run over some partitions, in the order to carry it out; one request for all of them.

    A dataset that is withdrawn is asked for by name as well, before that is believed.

    Raises:
        Unproven: The catalog lists hardly any of the datasets that it listed before.
        PortalError: The portal does not say what it has.
        LakeError: A renamed partition cannot be written.
    """
    lake, kind = context.lake, extractor.kind
    paths = {name: lake.partition(kind, name) for name in names}
    receipts = {name: landed for name, path in paths.items() if (landed := receipt(path))}
    datasets = _described(context, [*names], receipts)
    formerly: Mapping[PartitionKey, str] = {}
    if set(names) - set(receipts) or set(names) - {item.dataset_id for item in datasets}:
        # It may have another name in the lake, or a new one on the portal.
        receipts = lake.receipts(kind)
        if not context.options.verifies:
            formerly = follow_all(lake, datasets, {kind: receipts}, [*names])
    chosen = _Chosen(frozenset(names), frozenset(names))
    steps = [
        # Nobody typed these names: what cannot be landed is held or skipped, as among all datasets.
        replace(step, named=False, formerly=formerly.get(step.partition, step.formerly))
        for step in _plan(context, extractor, datasets, receipts, read_holds(lake), chosen)
    ]
    return by_priority(with_missing(context.portal, steps))


@dataclass(frozen=True)
class _Chosen:
    """The datasets of a selection.

    Attributes:
        names: Which they are; None for all.
        named: Those that are asked for by their full names.
    """

    names: frozenset[str] | None = None
    named: frozenset[str] = frozenset()

    def with_names(self, more: Collection[str]) -> _Chosen:
        """The same and the new names of those that were renamed."""
        if self.names is None:
            return self
        asked = self.named | frozenset(more) if self.named else self.named
        return _Chosen(self.names | frozenset(more), asked)


def _chosen(
    context: RunContext, selection: Selection, datasets: Sequence[Dataset], receipts: Receipts
) -> _Chosen:
    """The datasets that a selection stands for; a filter of the catalog costs one request.

    Raises:
        ConfigurationError: No dataset passes the filter.
    """
    if selection.whole:
        return _Chosen()
    listed = {dataset.dataset_id for dataset in datasets}
    there = listed.union(*receipts.values())
    matching: set[str] | None = None
    if selection.where:
        matching = {item.dataset_id for item in context.portal.datasets(selection.where)}
        if not matching and not selection.always:
            raise ConfigurationError(
                f"no dataset of {context.portal.slug} passes the filter {selection.where!r}; "
                f"`ods-pipeline catalog --where` shows what does"
            )
        # What the catalog no longer lists cannot pass, and is still to be looked after.
        matching |= there - listed
    names = selection.names(there, matching)
    exact = {name for name in selection.include if selection.typed and not is_pattern(name)}
    return _Chosen(frozenset(names), frozenset(exact & names | selection.unmatched(there)))


def by_priority(steps: Iterable[Planned]) -> list[Planned]:
    """The steps in the order to carry them out, since a quota may end a run before its end."""
    return sorted(steps, key=lambda step: step.priority)


def _trusted_catalog(context: RunContext, selection: Selection) -> list[Dataset]:
    datasets = catalog_of(context.portal, context.lake)
    before = context.lake.catalog_receipt()
    if before and not _accepts_catalog(context, selection):
        require_most(context.portal.slug, before.rows, len(datasets))
    return datasets


def _accepts_catalog(context: RunContext, selection: Selection) -> bool:
    """Whether a person accepts the catalog: who accepts a dataset by name has not looked at it."""
    return context.options.accept and not selection.typed


def _described(
    context: RunContext, names: list[str], receipts: Mapping[str, Receipt]
) -> list[Dataset]:
    if len(names) == 1 and receipts:
        try:
            return [context.portal.dataset(names[0])]
        except DatasetNotFound:
            pass  # The catalog says whether it was withdrawn or renamed.
    return _trusted_catalog(context, Selection(tuple(names), typed=True))


def _receipts(context: RunContext) -> dict[PartitionKind, dict[str, Receipt]]:
    kinds = [extractor.kind for extractor in context.options.extractors]
    return {kind: context.lake.receipts(kind) for kind in kinds}


def _steps(
    context: RunContext, datasets: Sequence[Dataset], receipts: Receipts, chosen: _Chosen
) -> list[Planned]:
    holds = read_holds(context.lake)
    datasets = _without_clashes(datasets, context.options.names, chosen)
    return [
        step
        for extractor in context.options.extractors
        for step in _plan(context, extractor, datasets, receipts[extractor.kind], holds, chosen)
        if extractor.kind == "records" or context.options.layers.has(step.dataset_id)
    ]


def _without_clashes(
    datasets: Sequence[Dataset], names: TableNames, chosen: _Chosen
) -> Sequence[Dataset]:
    """The datasets, those refused whose table would be another's by what the user calls tables.

    Said before anything is fetched. Who named a table has it, then who is called so, then the first
    by identifier: so it is the same dataset in every run. Identifiers that differ by case alone are
    left to the warehouse, since not each confuses them.
    """
    if names.style == "as_is" and not names.tables:
        return datasets
    taken = [d for d in datasets if chosen.names is None or d.dataset_id in chosen.names]
    tables = {d.dataset_id: names.table_of(d.dataset_id, "records") for d in taken}
    owners: dict[str, str] = {}
    for name in sorted(tables, key=lambda n: (n not in names.tables, tables[n] != n, n)):
        owners.setdefault(folded(tables[name]), name)

    def checked(dataset: Dataset) -> Dataset:
        name = dataset.dataset_id
        owner = owners.get(folded(tables[name])) if name in tables else None
        if owner is None or folded(owner) == folded(name):
            return dataset
        clash = (
            f"its table would be {tables[name]}, which is that of {owner}: give one of the two "
            "another `table`"
        )
        return replace(dataset, refused=dataset.refused or clash)

    return [checked(dataset) for dataset in datasets]


def _plan(
    context: RunContext,
    extractor: Extractor,
    datasets: Iterable[Dataset],
    receipts: Mapping[str, Receipt],
    holds: Mapping[PartitionKey, Hold],
    chosen: _Chosen,
) -> list[Planned]:
    lake, options = context.lake, context.options
    return plan(
        datasets,
        Landed(receipts, holds, partial(lake.columns, extractor.kind)),
        chosen.names,
        named=chosen.named,
        extractor=extractor,
        full=options.mode is Mode.full,
        accept=options.accept,
        rules=options.rules,
    )
