"""The assets of a portal: dataset (the portal's own), catalog, records and table.

What a step does to one dataset is `bring`'s and the warehouse's knowledge. Here it is put to
work over the partitions of a run, and told to Dagster so that a failure loses nothing done.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import dagster as dg

from ods_pipeline import checks
from ods_pipeline.automation import refresh_on_change, refresh_on_change_or_age
from ods_pipeline.bring import RunMode, bring, load_partition
from ods_pipeline.dataset import Dataset
from ods_pipeline.errors import DatasetNotFound
from ods_pipeline.metadata import of_load, of_partition
from ods_pipeline.portal.portal import Portal
from ods_pipeline.progress import each, interrupted, materialized
from ods_pipeline.resources import explained
from ods_pipeline.settings import Settings
from ods_pipeline.sync import publish_catalog
from ods_pipeline.tables.lake import Lake
from ods_pipeline.tables.receipt import Receipt
from ods_pipeline.warehouse.base import Load, Warehouse

#: The command line holds the warehouse for as long as it runs: waited for, some 20 minutes at most.
WAIT_FOR_THE_WAREHOUSE = dg.RetryPolicy(max_retries=8, delay=5, backoff=dg.Backoff.EXPONENTIAL)


def dataset_spec(settings: Settings) -> dg.AssetSpec:
    """The datasets as they are on the portal; the sensor reports their versions."""
    return dg.AssetSpec(
        settings.key("dataset"),
        partitions_def=settings.partitions,
        group_name=settings.group,
        kinds={"opendatasoft"},
        description=f"The datasets of {settings.address.base}, by the version of what it declares.",
    )


def portal_of(context: Any, settings: Settings) -> Portal:
    """The portal's client among a run's resources."""
    portal: Portal = getattr(context.resources, settings.resource("portal")).portal
    return portal


def lake_of(context: Any, settings: Settings) -> Lake:
    """The portal's lake among a run's resources."""
    lake: Lake = getattr(context.resources, settings.resource("lake")).lake
    return lake


def warehouse_of(context: Any, settings: Settings) -> Warehouse:
    """The warehouse among a run's resources, opened."""
    warehouse: Warehouse = getattr(context.resources, settings.resource("warehouse")).open()
    return warehouse


def catalog_asset(settings: Settings) -> dg.AssetsDefinition:
    """One row per dataset, in the lake and as the table `_catalog`."""

    @dg.asset(
        key=settings.key("catalog"),
        deps=[settings.key("dataset")],
        group_name=settings.group,
        kinds={"parquet", "duckdb"},
        required_resource_keys={settings.resource(n) for n in ("portal", "lake", "warehouse")},
        io_manager_key=settings.resource("io_manager"),
        pool=settings.warehouse_pool,
        retry_policy=WAIT_FOR_THE_WAREHOUSE,
        automation_condition=refresh_on_change_or_age(settings.catalog_hours),
        freshness_policy=dg.FreshnessPolicy.time_window(
            fail_window=timedelta(hours=settings.catalog_hours)
        ),
        description=f"What {settings.address.base} has to offer: one request, one row per dataset.",
    )
    def catalog(context: dg.AssetExecutionContext) -> Any:
        with explained():
            portal, lake = portal_of(context, settings), lake_of(context, settings)
            landed = landed_catalog(portal, lake, portal.datasets())
            with warehouse_of(context, settings) as warehouse:
                load = warehouse.load_catalog(lake.catalog)
            return dg.MaterializeResult(
                metadata=catalog_metadata(lake, landed, load),
                data_version=dg.DataVersion(landed.content_hash),
            )

    return catalog


def landed_catalog(portal: Portal, lake: Lake, datasets: Sequence[Dataset]) -> Receipt:
    """Bring the lake's catalog up to date with what the portal just said."""
    return publish_catalog(lake, portal.slug, datasets, portal.client.url("/catalog/exports/json"))


def catalog_metadata(lake: Lake, landed: Receipt, load: Load) -> dict[str, Any]:
    """What the UI shows of the catalog."""
    told = {**of_partition(lake.catalog, landed, ""), **of_load(load)}
    told["dagster/row_count"] = told.pop("dagster/partition_row_count")
    return told


def records_asset(settings: Settings) -> dg.AssetsDefinition:
    """The records of each dataset, landed in the lake."""

    @dg.asset(
        key=settings.key("records"),
        deps=[settings.key("dataset")],
        check_specs=checks.specs(settings.key("records")),
        partitions_def=settings.partitions,
        backfill_policy=dg.BackfillPolicy.multi_run(settings.datasets_per_run),
        group_name=settings.group,
        kinds={"parquet"},
        required_resource_keys={settings.resource("portal"), settings.resource("lake")},
        io_manager_key=settings.resource("io_manager"),
        pool=settings.portal_pool,
        code_version="1",
        automation_condition=refresh_on_change(),
        description="Bulk exports, typed by the portal's declarations and proven complete.",
    )
    def records(context: dg.AssetExecutionContext, config: RunMode) -> Any:
        with explained():
            portal, lake = portal_of(context, settings), lake_of(context, settings)
            wanted = described(portal, context.partition_keys)
            done, failed = each(
                context.partition_keys,
                lambda name: bring(
                    portal, lake, existing(wanted, name), config.mode, settings.format
                ),
            )
        results = list(checks.results([*done.values()], failed))
        failed |= {name: item.difference() for name, item in done.items() if item.differs}
        if failed:
            yield from checks.evaluations(context.asset_key, results)
            right = {name: item for name, item in done.items() if name not in failed}
            raise interrupted(context, right, failed)
        yield from materialized(context, done, results)

    return records


def described(portal: Portal, names: Sequence[str]) -> Mapping[str, Dataset]:
    """The datasets of a run as the portal describes them now, in one request however many."""
    if len(names) == 1:
        return {names[0]: portal.dataset(names[0])}
    return {dataset.dataset_id: dataset for dataset in portal.datasets()}


def existing(datasets: Mapping[str, Dataset], name: str) -> Dataset:
    """A dataset of the catalog.

    Raises:
        DatasetNotFound: It was withdrawn or renamed.
    """
    if name not in datasets:
        raise DatasetNotFound(
            "the catalog lists it no more; what is landed of it stays", dataset=name
        )
    return datasets[name]


def table_asset(settings: Settings) -> dg.AssetsDefinition:
    """Each dataset's table in the warehouse."""

    @dg.asset(
        key=settings.key("table"),
        deps=[settings.key("records")],
        partitions_def=settings.partitions,
        backfill_policy=dg.BackfillPolicy.multi_run(settings.datasets_per_run),
        group_name=settings.group,
        kinds={"duckdb"},
        required_resource_keys={settings.resource("lake"), settings.resource("warehouse")},
        pool=settings.warehouse_pool,
        code_version="1",
        retry_policy=WAIT_FOR_THE_WAREHOUSE,
        automation_condition=refresh_on_change(),
        description="The records as a table, swapped in whole; it follows the publisher's fields.",
    )
    def table(context: dg.AssetExecutionContext) -> Any:
        records = settings.key("records")
        with explained():
            lake = lake_of(context, settings)
            with warehouse_of(context, settings) as warehouse:
                done, failed = each(
                    context.partition_keys,
                    lambda name: load_partition(
                        warehouse, lake, name, verdict_of(context.instance, records, name)
                    ),
                )
        if failed:
            raise interrupted(context, done, failed)
        yield from materialized(context, done)

    return table


def verdict_of(instance: dg.DagsterInstance, records: dg.AssetKey, name: str) -> str:
    """Why a dataset's records were landed, as Dagster remembers it; empty where it does not."""
    wanted = dg.AssetRecordsFilter(asset_key=records, asset_partitions=[name])
    for found in instance.fetch_materializations(wanted, limit=1).records:
        event = found.asset_materialization
        text = event.metadata.get("verdict") if event else None
        return str(text.value) if text else ""
    return ""
