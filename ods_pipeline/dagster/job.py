"""The whole portal in one run, for those who prefer a schedule to a sensor.

The same engine as under the assets, for everything that is out of date. Each result is logged as
the assets' own, so that lineage and versions are the same however a dataset was updated.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from ods_pipeline.dagster import checks
from ods_pipeline.dagster.assets import (
    catalog_metadata,
    context_of,
    load_all,
    update_all,
    verdict_of,
)
from ods_pipeline.dagster.attributes import SyncConfig
from ods_pipeline.dagster.events import error_sentence, event, summary_failure
from ods_pipeline.dagster.partitions import register
from ods_pipeline.dagster.resources import (
    WAIT_FOR_THE_WAREHOUSE,
    errors_as_failures,
    lake_of,
    warehouse_of,
)
from ods_pipeline.dagster.results import Own, Updated
from ods_pipeline.dagster.sensor import version_events, version_of
from ods_pipeline.dagster.settings import Settings
from ods_pipeline.dataset import Dataset
from ods_pipeline.errors import OdsPipelineError
from ods_pipeline.lake.holds import read_holds, update_holds
from ods_pipeline.lake.lake import Lake, receipt
from ods_pipeline.sync.extractor import Extractor
from ods_pipeline.sync.holds import forgotten, holds_by_catalog
from ods_pipeline.sync.loading import is_loaded, landed_steps
from ods_pipeline.sync.options import RunContext
from ods_pipeline.sync.outcome import display_name
from ods_pipeline.sync.plan import Planned
from ods_pipeline.sync.planner import PortalPlan, by_priority, prepare
from ods_pipeline.sync.selection import Selection
from ods_pipeline.sync.verdict import ALARMING, Kind, Verdict
from ods_pipeline.warehouse.protocol import Warehouse

_LEFT_OUT = Verdict(Kind.UNKNOWN, "the settings leave it out")


@dataclass(frozen=True)
class Fetched:
    """What the first step of the job hands to the second, of records or of features.

    Attributes:
        moved: Datasets that have to be loaded.
        unmoved: Datasets that are as they were.
        verdicts: Why the moved ones were fetched.
        failed: The errors of the others.
    """

    moved: list[str] = field(default_factory=list)
    unmoved: list[str] = field(default_factory=list)
    verdicts: dict[str, str] = field(default_factory=dict)
    failed: dict[str, OdsPipelineError] = field(default_factory=dict)


#: The keys of the datasets that are assets of their own, by identifier and kind.
OwnKeys = Mapping[tuple[str, str], dg.AssetKey]


def sync_job(settings: Settings, own: OwnKeys) -> dg.JobDefinition:
    """A job that reads the catalog and brings everything up to date with it.

    Args:
        settings: The portal's.
        own: The datasets that are no partitions but assets of their own.
    """

    @dg.op(
        name=settings.named("fetch"),
        required_resource_keys={settings.resource("portal"), settings.resource("lake")},
        pool=settings.portal_pool,
        description="Lands what is out of date, in the lake; one dataset's failure stops no other.",
    )
    def fetch(context: dg.OpExecutionContext, config: SyncConfig) -> dict[str, Any]:
        with errors_as_failures():
            return _fetch(context, settings, own, config)

    @dg.op(
        name=settings.named("load"),
        required_resource_keys={settings.resource(n) for n in ("portal", "lake", "warehouse")},
        pool=settings.warehouse_pool,
        retry_policy=WAIT_FOR_THE_WAREHOUSE,
        description="Loads what the warehouse lacks, and fails if any dataset did in either step.",
    )
    def load(context: dg.OpExecutionContext, fetched: dict[str, Any]) -> None:
        with errors_as_failures():
            _load(context, settings, own, **fetched)

    @dg.job(
        name=settings.named("sync"),
        executor_def=dg.in_process_executor,
        description=f"Everything of {settings.address.base} that is out of date, in one run.",
    )
    def sync() -> None:
        load(fetch())

    return sync


def sync_schedule(settings: Settings, job: dg.JobDefinition) -> dg.ScheduleDefinition:
    """The schedule of the job; switched on in the UI, so that it and the sensor are not both on."""
    return dg.ScheduleDefinition(
        name=settings.named("schedule"), job=job, cron_schedule=settings.attributes.schedule
    )


def _fetch(
    context: dg.OpExecutionContext, settings: Settings, own: OwnKeys, config: SyncConfig
) -> dict[str, Any]:
    work = context_of(context, settings, config.mode, accept=config.accept)
    plan = prepare(work, Selection(tuple(config.datasets), typed=bool(config.datasets)))
    catalog = settings.selected(plan.datasets, settings.passing(work.portal))
    register(context.instance, settings, catalog, plan.missing, context.run_id)
    fetched = {
        extractor.kind: _update(context, settings, own, work, plan, catalog, extractor)
        for extractor in settings.extractors
    }
    if not (work.options.verifies or config.datasets):
        update_holds(work.lake, forgotten(read_holds(work.lake), plan.steps, list(fetched)))
    return {"fetched": fetched, "loads": not work.options.verifies, "accept": config.accept}


def _update(
    context: dg.OpExecutionContext,
    settings: Settings,
    own: OwnKeys,
    work: RunContext,
    plan: PortalPlan,
    catalog: Mapping[str, Dataset],
    extractor: Extractor,
) -> Fetched:
    planned = [step for step in plan.steps if step.extractor.kind == extractor.kind]
    steps = {step.dataset_id: step for step in _chosen(settings, work, catalog, planned)}
    # While others are on their way: an event costs as much as landing a small dataset.
    log = _logging(context, settings, catalog, extractor)
    done, failed = update_all(work, by_priority(steps.values()), log)
    if not work.options.verifies:
        left_out = [step for step in planned if step.dataset_id not in steps]
        listed = [step for step in left_out if not step.missing]
        update_holds(work.lake, holds_by_catalog(listed))
        failed |= {step.dataset_id: step.missing for step in left_out if step.missing}
    _check(context, own, done, failed, extractor)
    for name, error in failed.items():
        context.log.error(error_sentence(name, error))
    return Fetched(
        [name for name, item in done.items() if item.moved],
        [name for name, item in done.items() if not item.moved],
        {name: str(item.planned.verdict.kind) for name, item in done.items() if item.moved},
        failed,
    )


def _chosen(
    settings: Settings,
    work: RunContext,
    catalog: Mapping[str, Dataset],
    steps: Iterable[Planned],
) -> Iterator[Planned]:
    """The steps to carry out: of datasets with records, of those named, and of those to look at."""
    for step in steps:
        kind = step.verdict.kind
        if step.dataset_id not in settings.taken_for(step.extractor, catalog):
            # To name a dataset that the settings leave out is a mistake, and is reported.
            if step.named and step.extractor.kind == "records":
                yield step if step.verdict.skips else replace(step, verdict=_LEFT_OUT)
        elif work.options.verifies and step.landed is None and not step.named:
            continue
        elif step.named or not step.verdict.skips or kind in ALARMING or kind is Kind.REFUSED:
            yield step


def _logging(
    context: dg.OpExecutionContext,
    settings: Settings,
    catalog: Mapping[str, Dataset],
    extractor: Extractor,
) -> Callable[[str, Updated], None]:
    """What logs a dataset that moved, or that Dagster has no event of; the rest costs no event."""
    landed, own = settings.key(extractor.kind), settings.attributes.tables
    logged = context.instance.get_materialized_partitions(landed)

    def log(name: str, item: Updated) -> None:
        if item.moved or name not in logged:
            if extractor.kind == "records":
                version = version_of(catalog[name], settings.rules, datetime.now(UTC))
                context.log_event(*version_events(settings, {name: version}))
            if name not in own:  # These are logged once they are loaded.
                context.log_event(event(landed, name, item))

    return log


def _check(
    context: dg.OpExecutionContext,
    own: OwnKeys,
    done: Mapping[str, Updated],
    failed: Mapping[str, OdsPipelineError],
    extractor: Extractor,
) -> None:
    """Log the checks of the datasets that are assets of their own and were looked at."""
    for (name, kind), key in own.items():
        moved = name in done and done[name].moved
        if kind == extractor.kind and (moved or name in failed):
            about = {name: failed[name]} if name in failed else {}
            found = list(checks.results([done[name]] if name in done else [], about))
            for evaluation in checks.evaluations(key, found):
                # Taken, though the annotation does not say so.
                context.log_event(evaluation)  # type: ignore[arg-type]


def _load(
    context: dg.OpExecutionContext,
    settings: Settings,
    own: OwnKeys,
    fetched: Mapping[str, Fetched],
    loads: bool,
    accept: bool,
) -> None:
    failed: dict[str, OdsPipelineError] = {}
    done = 0
    with contextlib.ExitStack() as stack:
        warehouse = None
        if loads:
            warehouse = stack.enter_context(warehouse_of(context, settings))
            _load_catalog(context, settings, lake_of(context, settings), warehouse)
        for extractor in settings.extractors:
            landed = fetched[extractor.kind]
            wrong = dict(landed.failed)
            if warehouse:
                wrong |= _load_tables(context, settings, own, warehouse, landed, extractor, accept)
            done += len({*landed.moved, *landed.unmoved} - set(wrong))
            failed |= {display_name(name, extractor.kind): error for name, error in wrong.items()}
    if failed:
        raise summary_failure(done, failed)


def _load_catalog(
    context: dg.OpExecutionContext, settings: Settings, lake: Lake, warehouse: Warehouse
) -> None:
    landed = receipt(lake.catalog)
    if landed:
        metadata = catalog_metadata(settings, lake, landed, warehouse.load_catalog(lake.catalog))
        tags = {"dagster/data_version": landed.content_hash}
        key = settings.key("catalog")
        context.log_event(dg.AssetMaterialization(key, metadata=metadata, tags=tags))


def _load_tables(
    context: dg.OpExecutionContext,
    settings: Settings,
    own: OwnKeys,
    warehouse: Warehouse,
    fetched: Fetched,
    extractor: Extractor,
    accept: bool,
) -> dict[str, OdsPipelineError]:
    """Load what moved, and what the warehouse lacks or has as it was before."""
    lake, tables = lake_of(context, settings), warehouse.loaded(settings.slug)
    unmoved, names = landed_steps(lake, extractor, fetched.unmoved), settings.run_options.names
    behind = [name for name, step in unmoved.items() if not is_loaded(tables, names, step)]
    landed, table = settings.keys(extractor)
    unlogged = [
        name
        for name in unmoved
        if (key := own.get((name, extractor.kind)))
        and context.instance.get_latest_materialization_event(key) is None
    ]
    due = dict.fromkeys([*fetched.moved, *behind, *unlogged])
    verdicts = {
        name: fetched.verdicts.get(name) or verdict_of(context.instance, landed, name)
        for name in due
    }
    options = settings.options(accept=accept)
    loaded, failed = load_all(warehouse, lake, options, extractor, verdicts)
    for name, item in loaded.items():
        key = own.get((name, extractor.kind))
        known = receipt(item.path) if key else None
        if key and known:
            did = {"verdict": verdicts[name]} if verdicts[name] else {}
            made = Own(item.path, known, settings.page(name), did, item.load)
            context.log_event(event(key, None, made))
        else:
            context.log_event(event(table, name, item))
    return failed
