"""Dagster's partitions of a portal, one per dataset: which to add and which to remove.

The sensor requests the changes from Dagster; runs that read the catalog make them at once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import dagster as dg

from ods_pipeline.dagster.file_partitions import (
    file_keys,
    file_kinds,
    has_any,
    has_some,
    kept_of,
    kept_of_any,
    partitions_of_kind,
    partitions_of_source,
)
from ods_pipeline.dagster.settings import Settings, loadable
from ods_pipeline.dataset import Dataset

_RECENT = 50
_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


@dataclass(frozen=True)
class Moves:
    """How a set of partitions differs from the catalog.

    Attributes:
        arrived: Datasets to make partitions of.
        departed: Partitions that the catalog lists no more, and that no run is at work on.
    """

    arrived: tuple[str, ...] = ()
    departed: tuple[str, ...] = ()


def existing(instance: dg.DagsterInstance, partitions: dg.DynamicPartitionsDefinition) -> set[str]:
    """The keys of a set of partitions."""
    return set(instance.get_dynamic_partitions(partitions.name or ""))


def moves(
    instance: dg.DagsterInstance,
    settings: Settings,
    catalog: Mapping[str, Dataset],
    own_run: str = "",
) -> Iterator[tuple[dg.DynamicPartitionsDefinition, Moves]]:
    """How each set of partitions differs from the catalog; `own_run` may work on any."""
    busy: list[str | None] | None = None
    for partitions, chosen, arrives in _sets(settings, catalog):
        moved = difference(chosen, existing(instance, partitions), arrives)
        if moved.departed:
            busy = busy_partitions(instance, settings, own_run) if busy is None else busy
            moved = Moves(moved.arrived, removable(moved.departed, busy))
        yield partitions, moved


def _sets(
    settings: Settings, catalog: Mapping[str, Dataset]
) -> Iterator[
    tuple[dg.DynamicPartitionsDefinition, Mapping[str, Dataset], Callable[[Dataset], bool]]
]:
    """Each set of partitions, the datasets that may be in it, and which of these come into it."""
    for extractor in settings.extractors:
        chosen = settings.chosen_for(extractor, catalog)
        yield settings.partitions_of(extractor), chosen, loadable
    kinds = file_kinds(settings)
    if kinds:
        any_kind = partial(has_any, settings)
        yield partitions_of_source(settings), kept_of_any(settings, catalog), any_kind
    for kind in kinds:
        chosen = kept_of(settings, kind, catalog)
        yield partitions_of_kind(settings, kind), chosen, partial(has_some, kind)


def register(
    instance: dg.DagsterInstance,
    settings: Settings,
    catalog: Mapping[str, Dataset],
    kept: Collection[str],
    own_run: str,
) -> None:
    """Make the partitions those of the catalog at once, as a run does that has just read it.

    Args:
        instance: Where they are registered.
        settings: The portal's.
        catalog: The datasets to keep.
        kept: Partitions that stay although the catalog lacks them: by mistake, as the portal says.
        own_run: The run that asks, which may be at work on any.
    """
    for partitions, moved in moves(instance, settings, catalog, own_run):
        name = partitions.name or ""
        if moved.arrived:
            instance.add_dynamic_partitions(name, list(moved.arrived))
        for key in set(moved.departed) - set(kept):
            instance.delete_dynamic_partition(name, key)


def difference(
    catalog: Mapping[str, Dataset],
    partitions: Collection[str],
    arrives: Callable[[Dataset], bool] = loadable,
) -> Moves:
    """Compare the catalog with the partitions there are.

    A dataset that is listed but shows no records for the time being neither arrives nor departs.
    """
    keys = set(partitions)
    return Moves(
        arrived=tuple(
            name for name in sorted(catalog) if name not in keys and arrives(catalog[name])
        ),
        departed=tuple(name for name in sorted(keys) if name not in catalog),
    )


def removable(departed: Iterable[str], running: Iterable[str | None]) -> tuple[str, ...]:
    """The departed partitions that no run is at work on.

    If a run's partition is deleted, the run does its work and then fails to store it.

    Args:
        departed: Partitions that the catalog lists no more.
        running: Partitions of the unfinished runs; None for a run over a range or all of them.
    """
    busy = set(running)
    return () if None in busy else tuple(name for name in departed if name not in busy)


def busy_partitions(
    instance: dg.DagsterInstance, settings: Settings, own_run: str = ""
) -> list[str | None]:
    """The partitions of unfinished runs but one; None for one over many or an unknown set."""
    ours = {key for extractor in settings.extractors for key in settings.keys(extractor)}
    ours |= set(file_keys(settings))
    runs = instance.get_runs(dg.RunsFilter(statuses=_UNFINISHED))
    # A backfill has runs yet to come, which nothing but the backfill itself knows of.
    if any(
        item.status.name in {"REQUESTED", "CANCELING"} and ours & set(item.asset_selection or ours)
        for item in instance.get_backfills(limit=_RECENT)
    ):
        return [None]
    return [
        run.tags.get("dagster/partition")
        for run in runs
        if run.run_id != own_run and ours & set(run.asset_selection or ours)
    ]
