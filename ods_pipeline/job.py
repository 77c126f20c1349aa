"""The whole portal in one run, for those who prefer a clock to a sensor.

The same steps as the assets take, over everything that is out of date; each result is logged as
the assets' own, so that lineage and versions are the same whichever way a dataset came.
"""

import contextlib
from collections.abc import Mapping
from typing import Any

import dagster as dg
from pydantic import Field

from ods_pipeline.assets import catalog_metadata, landed_catalog
from ods_pipeline.bring import Brought, Mode, RunMode, bring, load_partition
from ods_pipeline.dataset import Dataset
from ods_pipeline.errors import DataError, DatasetNotFound, OdsPipelineError
from ods_pipeline.lane import Lane
from ods_pipeline.lane_assets import verdict_of
from ods_pipeline.outcome import shown
from ods_pipeline.partitions import moves
from ods_pipeline.progress import each, event, named, summed_up
from ods_pipeline.resources import (
    WAIT_FOR_THE_WAREHOUSE,
    explained,
    lake_of,
    portal_of,
    warehouse_of,
)
from ods_pipeline.sensor import stamp, version_events
from ods_pipeline.settings import Settings, loadable
from ods_pipeline.tables.lake import Lake, receipt
from ods_pipeline.warehouse.base import Warehouse
from ods_pipeline.warehouse.names import table_name


class SyncConfig(RunMode):
    """Run configuration: the mode, and the datasets to look at; all of them if none is named."""

    datasets: list[str] = Field(default=[])


def sync_job(settings: Settings) -> dg.JobDefinition:
    """A job that reads the catalog and brings everything up to date with it."""

    @dg.op(
        name=settings.named("fetch"),
        required_resource_keys={settings.resource("portal"), settings.resource("lake")},
        pool=settings.portal_pool,
        description="Lands what is out of date, in the lake; one dataset's failure stops no other.",
    )
    def fetch(context: dg.OpExecutionContext, config: SyncConfig) -> dict[str, Any]:
        with explained():
            return _fetch(context, settings, config)

    @dg.op(
        name=settings.named("load"),
        required_resource_keys={settings.resource(n) for n in ("portal", "lake", "warehouse")},
        pool=settings.warehouse_pool,
        retry_policy=WAIT_FOR_THE_WAREHOUSE,
        description="Loads what the warehouse lacks, and fails if any dataset did in either step.",
    )
    def load(context: dg.OpExecutionContext, fetched: dict[str, Any]) -> None:
        with explained():
            _load(context, settings, fetched)

    @dg.job(
        name=settings.named("sync"),
        executor_def=dg.in_process_executor,
        description=f"Everything of {settings.address.base} that is out of date, in one run.",
    )
    def sync() -> None:
        load(fetch())

    return sync


def sync_schedule(settings: Settings, job: dg.JobDefinition) -> dg.ScheduleDefinition:
    """The job by the clock; switched on in the UI, so that it and the sensor are not both on."""
    return dg.ScheduleDefinition(
        name=settings.named("schedule"), job=job, cron_schedule=settings.schedule
    )


def _fetch(
    context: dg.OpExecutionContext, settings: Settings, config: SyncConfig
) -> dict[str, Any]:
    portal, lake = portal_of(context, settings), lake_of(context, settings)
    datasets = portal.datasets()
    if config.mode is not Mode.verify:
        landed_catalog(portal, lake, datasets)
    catalog = settings.selected(datasets)
    _bring_partitions_up_to_date(context, settings, catalog)
    return {
        "loads": config.mode is not Mode.verify,
        "lanes": {
            lane.kind: _landed(context, settings, config, catalog, lane) for lane in settings.lanes
        },
    }


def _landed(
    context: dg.OpExecutionContext,
    settings: Settings,
    config: SyncConfig,
    catalog: Mapping[str, Dataset],
    lane: Lane,
) -> dict[str, Any]:
    """What became of the datasets that come by a lane, as text that one step hands the next."""
    portal, lake = portal_of(context, settings), lake_of(context, settings)
    carried = settings.carried(lane, catalog)
    names = [name for name in carried if _wanted(carried[name], lake, config, lane)]
    if lane.kind == "records":
        # One that the settings leave out is a mistake to be told of.
        names += [name for name in config.datasets if name not in catalog]

    def step(name: str) -> Brought:
        return bring(portal, lake, _listed(catalog, name), config.mode, lane)

    done, failed = each(names, step)
    failed |= {name: item.difference() for name, item in done.items() if item.differs}
    right = {name: item for name, item in done.items() if name not in failed}
    _tell(context, settings, catalog, right, lane)
    for name, error in failed.items():
        context.log.error(named(name, error))
    return {
        "moved": [name for name, item in right.items() if item.moved],
        "unmoved": [name for name, item in right.items() if not item.moved],
        "failed": {name: named(name, error) for name, error in failed.items()},
    }


def _listed(catalog: Mapping[str, Dataset], name: str) -> Dataset:
    if name not in catalog:
        raise DatasetNotFound(
            "the portal has no such dataset, or the settings leave it out", dataset=name
        )
    return catalog[name]


def _wanted(dataset: Dataset, lake: Lake, config: SyncConfig, lane: Lane) -> bool:
    """Whether a dataset is looked at; without names those that have records, or are landed."""
    if config.datasets:
        return dataset.dataset_id in config.datasets
    if config.mode is Mode.verify:
        return loadable(dataset) and lake.partition(lane.kind, dataset.dataset_id).exists()
    return loadable(dataset)


def _bring_partitions_up_to_date(
    context: dg.OpExecutionContext, settings: Settings, catalog: Mapping[str, Dataset]
) -> None:
    instance = context.instance
    for partitions, moved in moves(instance, settings, catalog, own_run=context.run_id):
        name = partitions.name or ""
        if moved.arrived:
            instance.add_dynamic_partitions(name, list(moved.arrived))
        for key in moved.departed:
            instance.delete_dynamic_partition(name, key)


def _tell(
    context: dg.OpExecutionContext,
    settings: Settings,
    catalog: Mapping[str, Dataset],
    done: Mapping[str, Brought],
    lane: Lane,
) -> None:
    """Log what moved, and what Dagster has never heard of; the rest costs no event."""
    landed = settings.key(lane.kind)
    known = context.instance.get_materialized_partitions(landed)
    for name, item in done.items():
        if item.moved or name not in known:
            if lane.kind == "records":
                context.log_event(*version_events(settings, {name: stamp(catalog[name])}))
            context.log_event(event(landed, name, item))


def _load(context: dg.OpExecutionContext, settings: Settings, fetched: dict[str, Any]) -> None:
    failed: dict[str, OdsPipelineError] = {}
    done = 0
    with contextlib.ExitStack() as stack:
        warehouse = None
        if fetched["loads"]:
            warehouse = stack.enter_context(warehouse_of(context, settings))
            _load_catalog(context, settings, lake_of(context, settings), warehouse)
        for lane in settings.lanes:
            landed = fetched["lanes"][lane.kind]
            wrong: dict[str, OdsPipelineError] = {
                name: DataError(sentence, dataset=name)
                for name, sentence in landed["failed"].items()
            }
            if warehouse:
                wrong |= _load_tables(context, settings, warehouse, landed, lane)
            done += len({*landed["moved"], *landed["unmoved"]} - set(wrong))
            failed |= {shown(name, lane.kind): error for name, error in wrong.items()}
    if failed:
        raise summed_up(done, failed)


def _behind(
    warehouse: Warehouse, lake: Lake, settings: Settings, names: list[str], lane: Lane
) -> list[str]:
    """Datasets that did not move and that the warehouse lacks, or holds as they were before."""
    held = warehouse.held(settings.slug)
    versions = {table: item.version for table, item in held.items()}
    return [
        name
        for name in names
        if (landed := receipt(lake.partition(lane.kind, name)))
        and versions.get(table_name(name, lane.kind)) != landed.version
    ]


def _load_catalog(
    context: dg.OpExecutionContext, settings: Settings, lake: Lake, warehouse: Warehouse
) -> None:
    landed = receipt(lake.catalog)
    if landed:
        told = catalog_metadata(lake, landed, warehouse.load_catalog(lake.catalog))
        tags = {"dagster/data_version": landed.content_hash}
        key = settings.key("catalog")
        context.log_event(dg.AssetMaterialization(key, metadata=told, tags=tags))


def _load_tables(
    context: dg.OpExecutionContext,
    settings: Settings,
    warehouse: Warehouse,
    fetched: dict[str, Any],
    lane: Lane,
) -> dict[str, OdsPipelineError]:
    lake = lake_of(context, settings)
    landed, table = settings.keys(lane)
    names = [*fetched["moved"], *_behind(warehouse, lake, settings, fetched["unmoved"], lane)]
    loaded, failed = each(
        names,
        lambda name: load_partition(
            warehouse, lake, name, verdict_of(context.instance, landed, name), lane
        ),
    )
    for name, item in loaded.items():
        context.log_event(event(table, name, item))
    return failed
