"""The assets of a lane: records and table for exports, features and layer for WFS.

What a step does to one dataset is `bring`'s and the warehouse's knowledge. Here it is put to
work over the partitions of a run, and told to Dagster so that a failure loses nothing done.
"""

from typing import Any

import dagster as dg

from ods_pipeline.dagster import checks
from ods_pipeline.dagster.automation import refresh_on_change
from ods_pipeline.dagster.config import Acceptance, RunMode
from ods_pipeline.dagster.events import each, interrupted, materialized
from ods_pipeline.dagster.resources import (
    WAIT_FOR_THE_WAREHOUSE,
    explained,
    lake_of,
    portal_of,
    warehouse_of,
)
from ods_pipeline.dagster.results import Loading
from ods_pipeline.dagster.settings import Settings
from ods_pipeline.lake.holds import update_holds
from ods_pipeline.sync import holds, planner
from ods_pipeline.sync.extractor import Lane
from ods_pipeline.sync.planner import Work
from ods_pipeline.sync.update import bring

_LANDED = {
    "records": "Bulk exports, typed by the portal's declarations and proven complete.",
    "features": "WFS features with all their geometries, typed and proven like the records.",
}
_LOADED = {
    "records": "The records as a table, swapped in whole; it follows the publisher's fields.",
    "features": "The features as a table, swapped in whole; every geometry with its CRS.",
}


def landed_asset(settings: Settings, lane: Lane) -> dg.AssetsDefinition:
    """The rows of each dataset that come by a lane, landed in the lake."""

    @dg.asset(
        key=settings.key(lane.kind),
        # Layers are partitions of their own set, with the datasets' keys.
        deps=[
            dg.AssetDep(settings.key("dataset"), partition_mapping=dg.IdentityPartitionMapping())
        ],
        check_specs=checks.specs(settings.key(lane.kind)),
        partitions_def=settings.partitions_of(lane),
        backfill_policy=dg.BackfillPolicy.multi_run(settings.datasets_per_run),
        group_name=settings.group,
        kinds={"parquet"},
        required_resource_keys={settings.resource("portal"), settings.resource("lake")},
        io_manager_key=settings.resource("io_manager"),
        pool=settings.portal_pool,
        code_version="1",
        automation_condition=refresh_on_change(),
        description=_LANDED[lane.kind],
    )
    def landed(context: dg.AssetExecutionContext, config: RunMode) -> Any:
        with explained():
            work = work_of(context, settings, config)
            steps = {
                step.dataset_id: step
                for step in planner.of_partitions(work, lane, context.partition_keys)
            }
            done, failed = each(steps, lambda name: bring(work, steps[name]))
            if not work.verifies:
                update_holds(work.lake, holds.after_landing(steps, done, failed))
        results = list(checks.results([*done.values()], failed))
        failed |= {name: item.difference() for name, item in done.items() if item.differs}
        if failed:
            yield from checks.evaluations(context.asset_key, results)
            right = {name: item for name, item in done.items() if name not in failed}
            raise interrupted(context, right, failed)
        yield from materialized(context, done, results)

    return landed


def work_of(context: Any, settings: Settings, config: RunMode) -> Work:
    """What a run works with, among its resources and in its configuration."""
    portal, lake = portal_of(context, settings), lake_of(context, settings)
    return Work(portal, lake, settings.rules, config.mode, config.accept)


def loaded_asset(settings: Settings, lane: Lane) -> dg.AssetsDefinition:
    """What a lane has landed of each dataset, as a table in the warehouse."""

    @dg.asset(
        key=settings.loaded(lane),
        deps=[settings.key(lane.kind)],
        partitions_def=settings.partitions_of(lane),
        backfill_policy=dg.BackfillPolicy.multi_run(settings.datasets_per_run),
        group_name=settings.group,
        kinds={"duckdb"},
        required_resource_keys={settings.resource("lake"), settings.resource("warehouse")},
        pool=settings.warehouse_pool,
        code_version="1",
        retry_policy=WAIT_FOR_THE_WAREHOUSE,
        automation_condition=refresh_on_change(),
        description=_LOADED[lane.kind],
    )
    def loaded(context: dg.AssetExecutionContext, config: Acceptance) -> Any:
        landed, instance = settings.key(lane.kind), context.instance
        names = context.partition_keys
        with explained():
            lake = lake_of(context, settings)
            with warehouse_of(context, settings) as warehouse:
                loading = Loading(warehouse, lake, settings.rules, config.accept)
                done, failed = each(
                    names, lambda name: loading.load(lane, name, verdict_of(instance, landed, name))
                )
                changes = holds.after_loading(loading.steps(lane, names), done, failed)
                holds.write_down(lake, changes, warehouse)
        if failed:
            raise interrupted(context, done, failed)
        yield from materialized(context, done)

    return loaded


def verdict_of(instance: dg.DagsterInstance, landed: dg.AssetKey, name: str) -> str:
    """Why a dataset's partition was landed, as Dagster remembers it; empty where it does not."""
    wanted = dg.AssetRecordsFilter(asset_key=landed, asset_partitions=[name])
    for found in instance.fetch_materializations(wanted, limit=1).records:
        event = found.asset_materialization
        text = event.metadata.get("verdict") if event else None
        return str(text.value) if text else ""
    return ""
