"""The assets of a portal: dataset and catalog, records and table, features and layer.

What is done to one dataset is done in `sync`. Here it is done for the partitions of a run, and
reported so that a failure loses nothing that is done.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any, TypeVar

import dagster as dg
import pyarrow.parquet as pq

from ods_pipeline.dagster import checks
from ods_pipeline.dagster.attributes import Acceptance, RunConfig
from ods_pipeline.dagster.automation import refresh_on_change, refresh_on_change_or_age
from ods_pipeline.dagster.events import (
    for_each_partition,
    interrupted,
    materialized,
    summary_failure,
)
from ods_pipeline.dagster.markdown import bullets
from ods_pipeline.dagster.metadata import of_load, of_partition, of_whole_asset
from ods_pipeline.dagster.partitions import register
from ods_pipeline.dagster.resources import (
    WAIT_FOR_THE_WAREHOUSE,
    errors_as_failures,
    lake_of,
    portal_of,
    warehouse_of,
)
from ods_pipeline.dagster.results import Loaded, Updated
from ods_pipeline.dagster.settings import Settings
from ods_pipeline.errors import OdsPipelineError
from ods_pipeline.lake.holds import read_holds, update_holds
from ods_pipeline.lake.lake import Lake, receipt
from ods_pipeline.lake.receipt import Receipt
from ods_pipeline.sync.extractor import Extractor
from ods_pipeline.sync.holds import (
    forgotten,
    holds_after_landing,
    holds_after_loading,
    holds_by_catalog,
    write_holds,
)
from ods_pipeline.sync.loading import landed_steps, load_dataset
from ods_pipeline.sync.options import Mode, Options, RunContext
from ods_pipeline.sync.outcome import display_name
from ods_pipeline.sync.plan import Planned
from ods_pipeline.sync.planner import plan_partitions, prepare
from ods_pipeline.sync.side_by_side import SideBySide
from ods_pipeline.warehouse.protocol import Load, Warehouse

_Found = TypeVar("_Found")
_LANDED = {
    "records": "Bulk exports, typed by the portal's declarations and proven complete.",
    "features": "WFS features with all their geometries, typed and proven like the records.",
}
_LOADED = {
    "records": "The records as a table, swapped in whole; it follows the publisher's fields.",
    "features": "The features as a table, swapped in whole; every geometry with its CRS.",
}


def dataset_spec(settings: Settings) -> dg.AssetSpec:
    """The datasets on the portal; the sensor reports their versions."""
    return dg.AssetSpec(
        settings.key("dataset"),
        partitions_def=settings.partitions,
        group_name=settings.group,
        kinds={"opendatasoft"},
        description=f"The datasets of {settings.address.base}, by the version of what it declares.",
    )


def catalog_asset(settings: Settings) -> dg.AssetsDefinition:
    """One row per dataset, in the lake and as the table `_catalog`."""

    @dg.asset(
        key=settings.key("catalog"),
        deps=[settings.key("dataset")],
        group_name=settings.group,
        kinds={"parquet", settings.warehouse_kind},
        required_resource_keys={settings.resource(n) for n in ("portal", "lake", "warehouse")},
        io_manager_key=settings.resource("io_manager"),
        pool=settings.warehouse_pool,
        retry_policy=WAIT_FOR_THE_WAREHOUSE,
        automation_condition=refresh_on_change_or_age(settings.attributes.catalog_hours),
        freshness_policy=dg.FreshnessPolicy.time_window(
            fail_window=timedelta(hours=settings.attributes.catalog_hours)
        ),
        description=f"What {settings.address.base} has to offer: one request, one row per dataset.",
    )
    def catalog(context: dg.AssetExecutionContext, config: Acceptance) -> Any:
        with errors_as_failures():
            work = context_of(context, settings, accept=config.accept)
            plan = prepare(work)
            listed = [step for step in plan.steps if not step.missing]
            kinds = {extractor.kind for extractor in settings.extractors}
            changes = holds_by_catalog(listed) | forgotten(read_holds(work.lake), plan.steps, kinds)
            with warehouse_of(context, settings) as warehouse:
                write_holds(work.lake, changes, warehouse)
                landed = receipt(work.lake.catalog)
                if plan.missing or landed is None:
                    # It is known to be incomplete, and was not landed.
                    raise summary_failure(len(plan.datasets), plan.missing)
                chosen = settings.selected(plan.datasets, settings.passing(work.portal))
                register(context.instance, settings, chosen, plan.missing, context.run.run_id)
                load = warehouse.load_catalog(work.lake.catalog)
            return dg.MaterializeResult(
                metadata=catalog_metadata(settings, work.lake, landed, load),
                data_version=dg.DataVersion(landed.content_hash),
            )

    return catalog


def context_of(
    context: Any, settings: Settings, mode: Mode = Mode.incremental, *, accept: bool = False
) -> RunContext:
    """What a run works with, made of its resources and its configuration."""
    portal, lake = portal_of(context, settings), lake_of(context, settings)
    return RunContext(portal, lake, settings.options(mode, accept=accept))


def catalog_metadata(settings: Settings, lake: Lake, landed: Receipt, load: Load) -> dict[str, Any]:
    """What the UI shows of the catalog."""
    metadata = of_whole_asset({**of_partition(lake.catalog, landed, ""), **of_load(load)})
    names = pq.read_table(lake.catalog, columns=["dataset_id"]).column(0).to_pylist()
    if unfit := settings.unfit(names):
        metadata["no_partition"] = bullets(dict.fromkeys(unfit, "Dagster has no such key"))
    held = read_holds(lake)
    if held:
        sentences = {
            display_name(hold.dataset_id, hold.kind): f"{hold.verdict}: {hold.reason}"
            for hold in held.values()
        }
        metadata |= {"held": len(held), "held_datasets": bullets(sentences)}
    return metadata


def landed_asset(settings: Settings, extractor: Extractor) -> dg.AssetsDefinition:
    """The rows of each dataset, landed in the lake."""

    @dg.asset(
        key=settings.key(extractor.kind),
        # Layers are partitions of their own set, with the datasets' keys.
        deps=[
            dg.AssetDep(settings.key("dataset"), partition_mapping=dg.IdentityPartitionMapping())
        ],
        check_specs=checks.specs(settings.key(extractor.kind)),
        partitions_def=settings.partitions_of(extractor),
        backfill_policy=dg.BackfillPolicy.multi_run(settings.attributes.datasets_per_run),
        group_name=settings.group,
        kinds={"parquet"},
        required_resource_keys={settings.resource("portal"), settings.resource("lake")},
        io_manager_key=settings.resource("io_manager"),
        pool=settings.portal_pool,
        code_version="1",
        automation_condition=refresh_on_change(),
        description=_LANDED[extractor.kind],
    )
    def landed(context: dg.AssetExecutionContext, config: RunConfig) -> Any:
        with errors_as_failures():
            work = context_of(context, settings, config.mode, accept=config.accept)
            steps = plan_partitions(work, extractor, context.partition_keys)
            updated, failed = update_all(work, steps)
        others = checks.standing(work.lake, extractor.kind, context.partition_keys)
        results = list(checks.results([*updated.values()], failed, others))
        if failed:
            yield from checks.evaluations(context.asset_key, results)
            raise interrupted(context, updated, failed)
        yield from materialized(context, updated, results)

    return landed


def update_all(
    work: RunContext,
    steps: Iterable[Planned],
    then: Callable[[str, Updated], None] = lambda _name, _item: None,
) -> tuple[dict[str, Updated], dict[str, OdsPipelineError]]:
    """Bring partitions up to date side by side, and write down which are held.

    Args:
        work: What the run works with.
        steps: The most urgent first: a quota may leave the last ones undone.
        then: Called with each partition as soon as it is as the portal has it.

    Returns:
        The partitions that are as the portal has them, and the errors of the others.
    """
    base, planned = work.portal.client.address.base, list(steps)
    by_name = {step.dataset_id: step for step in planned}
    updated, failed = dict[str, Updated](), dict[str, OdsPipelineError]()
    for ended in SideBySide(work).all(planned):
        name, result = ended.step.dataset_id, ended.result
        if isinstance(result, OdsPipelineError):
            failed[name] = result
        elif different := result.difference_error:
            failed[name] = different
        else:
            updated[name] = Updated.of(ended.step, result, base)
            then(name, updated[name])
    updated, failed = _in_order(by_name, updated), _in_order(by_name, failed)
    if not work.options.verifies:
        results = {name: item.result for name, item in updated.items()}
        update_holds(work.lake, holds_after_landing(by_name, results, failed))
    return updated, failed


def _in_order(names: Iterable[str], found: Mapping[str, _Found]) -> dict[str, _Found]:
    return {name: found[name] for name in names if name in found}


def loaded_asset(settings: Settings, extractor: Extractor) -> dg.AssetsDefinition:
    """The landed rows of each dataset, as a table in the warehouse."""

    @dg.asset(
        key=settings.loaded(extractor),
        deps=[settings.key(extractor.kind)],
        partitions_def=settings.partitions_of(extractor),
        backfill_policy=dg.BackfillPolicy.multi_run(settings.attributes.datasets_per_run),
        group_name=settings.group,
        kinds={settings.warehouse_kind},
        required_resource_keys={settings.resource("lake"), settings.resource("warehouse")},
        io_manager_key=settings.resource("table_io_manager"),
        pool=settings.warehouse_pool,
        code_version="1",
        retry_policy=WAIT_FOR_THE_WAREHOUSE,
        automation_condition=refresh_on_change(),
        description=_LOADED[extractor.kind],
    )
    def loaded(context: dg.AssetExecutionContext, config: Acceptance) -> Any:
        with errors_as_failures():
            options = settings.options(accept=config.accept)
            verdicts = {
                name: verdict_of(context.instance, settings.key(extractor.kind), name)
                for name in context.partition_keys
            }
            lake = lake_of(context, settings)
            with warehouse_of(context, settings) as warehouse:
                done, failed = load_all(warehouse, lake, options, extractor, verdicts)
        if failed:
            raise interrupted(context, done, failed)
        yield from materialized(context, done)

    return loaded


def load_all(
    warehouse: Warehouse,
    lake: Lake,
    options: Options,
    extractor: Extractor,
    verdicts: Mapping[str, str],
) -> tuple[dict[str, Loaded], dict[str, OdsPipelineError]]:
    """Load landed partitions one after the other, and write down which tables are held.

    Returns:
        The tables that were loaded, and the errors of the others.
    """
    steps = landed_steps(lake, extractor, verdicts)

    def load(name: str) -> Loaded:
        done = load_dataset(warehouse, lake, options, steps[name], verdicts[name])
        return Loaded(done, lake.partition(extractor.kind, name), extractor.kind)

    loaded, failed = for_each_partition(verdicts, load)
    write_holds(lake, holds_after_loading(steps, loaded, failed), warehouse)
    return loaded, failed


def verdict_of(instance: dg.DagsterInstance, landed: dg.AssetKey, name: str) -> str:
    """Why a dataset's partition was landed, as Dagster remembers it; empty where it does not."""
    wanted = dg.AssetRecordsFilter(asset_key=landed, asset_partitions=[name])
    for record in instance.fetch_materializations(wanted, limit=1).records:
        event = record.asset_materialization
        text = event.metadata.get("verdict") if event else None
        return str(text.value) if text else ""
    return ""
