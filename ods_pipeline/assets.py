"""The assets of a portal as a whole: dataset, which is the portal's own, and catalog.

Those that are partitioned by dataset are `lane_assets`'.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import dagster as dg

from ods_pipeline.automation import refresh_on_change_or_age
from ods_pipeline.dataset import Dataset
from ods_pipeline.metadata import of_load, of_partition
from ods_pipeline.portal.portal import Portal
from ods_pipeline.resources import (
    WAIT_FOR_THE_WAREHOUSE,
    explained,
    lake_of,
    portal_of,
    warehouse_of,
)
from ods_pipeline.settings import Settings
from ods_pipeline.sync import publish_catalog
from ods_pipeline.tables.lake import Lake
from ods_pipeline.tables.receipt import Receipt
from ods_pipeline.warehouse.base import Load


def dataset_spec(settings: Settings) -> dg.AssetSpec:
    """The datasets as they are on the portal; the sensor reports their versions."""
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
