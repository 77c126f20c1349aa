"""The whole portal in one run, for those who prefer a clock to a sensor.

The same steps as the assets take, over everything that is out of date; each result is logged as
the assets' own, so that lineage and versions are the same whichever way a dataset came.
"""

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import dagster as dg
from pydantic import Field

from ods_pipeline.dagster.assets import catalog_metadata, landed_catalog
from ods_pipeline.dagster.config import RunMode
from ods_pipeline.dagster.events import each, event, named, summed_up
from ods_pipeline.dagster.lane_assets import verdict_of, work_of
from ods_pipeline.dagster.partitions import moves
from ods_pipeline.dagster.resources import (
    WAIT_FOR_THE_WAREHOUSE,
    explained,
    lake_of,
    warehouse_of,
)
from ods_pipeline.dagster.results import Loading
from ods_pipeline.dagster.sensor import version_events, version_of
from ods_pipeline.dagster.settings import Settings
from ods_pipeline.dataset import Dataset
from ods_pipeline.errors import DataError, OdsPipelineError, QuotaExhausted
from ods_pipeline.lake.holds import read_holds, update_holds
from ods_pipeline.lake.lake import Lake, receipt
from ods_pipeline.sync.catalog import missing
from ods_pipeline.sync.extractor import Lane
from ods_pipeline.sync.holds import after_landing, after_loading, by_the_catalog, write_down
from ods_pipeline.sync.outcome import forgotten, shown
from ods_pipeline.sync.plan import Planned
from ods_pipeline.sync.planner import Work, catalog_of, of_portal
from ods_pipeline.sync.update import Brought, bring
from ods_pipeline.sync.verdict import ALARMING, Kind, Verdict
from ods_pipeline.warehouse.names import table_name
from ods_pipeline.warehouse.protocol import Warehouse

_LEFT_OUT = Verdict(Kind.UNKNOWN, "the settings leave it out")


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
    work = work_of(context, settings, config)
    datasets = catalog_of(work)
    plans = {lane.kind: of_portal(work, lane, datasets, config.datasets) for lane in settings.lanes}
    steps = [step for plan in plans.values() for step in plan]
    doubtful = missing(work.portal, steps)
    if not (work.verifies or doubtful):
        landed_catalog(work, datasets)
    catalog = settings.selected(datasets)
    _bring_partitions_up_to_date(context, settings, catalog, kept=doubtful)
    landed = {
        lane.kind: _landed(context, settings, work, catalog, lane, plans[lane.kind], doubtful)
        for lane in settings.lanes
    }
    if not (work.verifies or config.datasets):
        update_holds(work.lake, forgotten(read_holds(work.lake), steps, list(plans)))
    return {"loads": not work.verifies, "accept": work.accept, "lanes": landed}


def _landed(
    context: dg.OpExecutionContext,
    settings: Settings,
    work: Work,
    catalog: Mapping[str, Dataset],
    lane: Lane,
    plan: Sequence[Planned],
    doubtful: Mapping[str, OdsPipelineError],
) -> dict[str, Any]:
    """What became of the datasets that come by a lane, as text that one step hands the next."""
    steps = {step.dataset_id: step for step in _wanted(settings, work, catalog, lane, plan)}
    done, failed = each(steps, lambda name: bring(work, steps[name]))
    failed |= {name: item.difference() for name, item in done.items() if item.differs}
    right = {name: item for name, item in done.items() if name not in failed}
    if not work.verifies:
        passed_over = [step for step in plan if step.dataset_id not in steps]
        believed = [step for step in passed_over if step.dataset_id not in doubtful]
        update_holds(work.lake, by_the_catalog(believed) | after_landing(steps, done, failed))
        names = {step.dataset_id for step in passed_over}
        failed |= {name: error for name, error in doubtful.items() if name in names}
    _tell(context, settings, catalog, right, lane)
    for name, error in failed.items():
        context.log.error(named(name, error))
    put_off = [name for name, error in failed.items() if isinstance(error, QuotaExhausted)]
    return {
        "moved": [name for name, item in right.items() if item.moved],
        "unmoved": [name for name, item in right.items() if not item.moved],
        "failed": {name: named(name, error) for name, error in failed.items()},
        "deferred": put_off,
    }


def _wanted(
    settings: Settings,
    work: Work,
    catalog: Mapping[str, Dataset],
    lane: Lane,
    plan: Sequence[Planned],
) -> Iterator[Planned]:
    """The steps to take; without names those that have records, or that a person has to look at."""
    carried = settings.carried(lane, catalog)
    for step in plan:
        kind = step.verdict.kind
        if step.dataset_id not in carried:
            # One that is named and left out is a mistake to be told of.
            if step.named and lane.kind == "records":
                yield step if step.verdict.skips else replace(step, verdict=_LEFT_OUT)
        elif work.verifies and step.landed is None and not step.named:
            continue
        elif step.named or not step.verdict.skips or kind in ALARMING or kind is Kind.REFUSED:
            yield step


def _bring_partitions_up_to_date(
    context: dg.OpExecutionContext,
    settings: Settings,
    catalog: Mapping[str, Dataset],
    kept: Collection[str],
) -> None:
    instance = context.instance
    for partitions, moved in moves(instance, settings, catalog, own_run=context.run_id):
        name = partitions.name or ""
        if moved.arrived:
            instance.add_dynamic_partitions(name, list(moved.arrived))
        for key in set(moved.departed) - set(kept):
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
                version = version_of(catalog[name], settings.rules, datetime.now(UTC))
                context.log_event(*version_events(settings, {name: version}))
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
                name: QuotaExhausted(sentence)
                if name in landed["deferred"]
                else DataError(sentence, dataset=name)
                for name, sentence in landed["failed"].items()
            }
            if warehouse:
                loading = Loading(
                    warehouse, lake_of(context, settings), settings.rules, fetched["accept"]
                )
                wrong |= _load_tables(context, settings, loading, landed, lane)
            done += len({*landed["moved"], *landed["unmoved"]} - set(wrong))
            failed |= {shown(name, lane.kind): error for name, error in wrong.items()}
    if failed:
        raise summed_up(done, failed)


def _behind(
    warehouse: Warehouse, lake: Lake, settings: Settings, names: list[str], lane: Lane
) -> list[str]:
    """Datasets that did not move and that the warehouse lacks, or holds as they were before."""
    held = warehouse.loaded(settings.slug)
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
    loading: Loading,
    fetched: dict[str, Any],
    lane: Lane,
) -> dict[str, OdsPipelineError]:
    lake, warehouse = loading.lake, loading.warehouse
    landed, table = settings.keys(lane)
    names = [*fetched["moved"], *_behind(warehouse, lake, settings, fetched["unmoved"], lane)]
    loaded, failed = each(
        names, lambda name: loading.load(lane, name, verdict_of(context.instance, landed, name))
    )
    for name, item in loaded.items():
        context.log_event(event(table, name, item))
    write_down(lake, after_loading(loading.steps(lane, names), loaded, failed), warehouse)
    return failed
