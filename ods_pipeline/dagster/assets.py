"""The assets of a portal as a whole: dataset, which is the portal's own, and catalog.

Those that are partitioned by dataset are `lane_assets`'.
"""

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any

import dagster as dg

from ods_pipeline.dagster.automation import refresh_on_change_or_age
from ods_pipeline.dagster.config import Acceptance
from ods_pipeline.dagster.events import summed_up
from ods_pipeline.dagster.metadata import of_load, of_partition
from ods_pipeline.dagster.resources import (
    WAIT_FOR_THE_WAREHOUSE,
    explained,
    lake_of,
    portal_of,
    warehouse_of,
)
from ods_pipeline.dagster.settings import Settings
from ods_pipeline.dataset import Dataset
from ods_pipeline.lake.holds import read_holds
from ods_pipeline.lake.lake import Lake
from ods_pipeline.lake.receipt import Receipt
from ods_pipeline.sync.catalog import missing, publish_catalog
from ods_pipeline.sync.holds import Changes, by_the_catalog, write_down
from ods_pipeline.sync.outcome import forgotten, shown
from ods_pipeline.sync.plan import Planned
from ods_pipeline.sync.planner import Work, catalog_of, of_portal
from ods_pipeline.warehouse.protocol import Load

_LISTED = 50


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
    def catalog(context: dg.AssetExecutionContext, config: Acceptance) -> Any:
        with explained():
            portal, lake = portal_of(context, settings), lake_of(context, settings)
            work = Work(portal, lake, settings.rules, accept=config.accept)
            datasets = catalog_of(work)
            steps = [step for lane in settings.lanes for step in of_portal(work, lane, datasets)]
            doubtful = missing(portal, steps)
            changes = held_by(work, settings, steps, doubtful)
            with warehouse_of(context, settings) as warehouse:
                write_down(lake, changes, warehouse)
                if doubtful:
                    # It is known to be incomplete, and the next one is compared with this.
                    raise summed_up(len(datasets), doubtful)
                landed = landed_catalog(work, datasets)
                load = warehouse.load_catalog(lake.catalog)
            return dg.MaterializeResult(
                metadata=catalog_metadata(lake, landed, load),
                data_version=dg.DataVersion(landed.content_hash),
            )

    return catalog


def landed_catalog(work: Work, datasets: Sequence[Dataset]) -> Receipt:
    """Bring the lake's catalog up to date with what the portal just said."""
    portal, url = work.portal, work.portal.client.url("/catalog/exports/json")
    return publish_catalog(work.lake, portal.slug, datasets, url)


def held_by(
    work: Work, settings: Settings, steps: Sequence[Planned], doubtful: Collection[str]
) -> Changes:
    """What the catalog alone says is held: what it lists no more, and what it shows no more.

    Dagster has no partition of a dataset that is withdrawn, so nobody else would say so.

    Args:
        work: What the run works with.
        settings: The portal's.
        steps: The plan of everything.
        doubtful: Datasets of which the catalog's word is not taken.
    """
    kinds = {lane.kind for lane in settings.lanes}
    believed = (step for step in steps if step.dataset_id not in doubtful)
    return by_the_catalog(believed) | forgotten(read_holds(work.lake), steps, kinds)


def catalog_metadata(lake: Lake, landed: Receipt, load: Load) -> dict[str, Any]:
    """What the UI shows of the catalog."""
    told = {**of_partition(lake.catalog, landed, ""), **of_load(load)}
    told["dagster/row_count"] = told.pop("dagster/partition_row_count")
    held = read_holds(lake)
    if held:
        lines = [
            f"- **{shown(h.dataset_id, h.kind)}** {h.verdict}: {h.reason}" for h in held.values()
        ]
        told |= {
            "held": len(held),
            "held_datasets": dg.MetadataValue.md("\n".join(lines[:_LISTED])),
        }
    return told
