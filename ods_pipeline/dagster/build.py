"""Builds the Dagster definitions of one portal from its settings.

What each definition does is in the file named for it.
"""

import warnings

import dagster as dg

from ods_pipeline.dagster.assets import catalog_asset, dataset_spec, landed_asset, loaded_asset
from ods_pipeline.dagster.automation import automation_sensor
from ods_pipeline.dagster.dataset_assets import (
    DatasetTable,
    GetSpec,
    dataset_asset,
    dataset_tables,
    on_time_checks,
    require_different_keys,
    source_specs,
)
from ods_pipeline.dagster.file_assets import file_assets
from ods_pipeline.dagster.file_partitions import SOURCE, file_keys
from ods_pipeline.dagster.io_manager import LakeIOManager, WarehouseIOManager
from ods_pipeline.dagster.job import sync_job, sync_schedule
from ods_pipeline.dagster.one_place import configured_launcher, require_one_place
from ods_pipeline.dagster.resources import LakeResource, PortalResource, WarehouseResource
from ods_pipeline.dagster.sensor import watching_sensor
from ods_pipeline.dagster.settings import Settings


def _as_it_is(table: DatasetTable) -> dg.AssetSpec:
    return table.spec


def build_defs(settings: Settings, spec_of: GetSpec = _as_it_is) -> dg.Definitions:
    """All definitions of one portal.

    Args:
        settings: The portal's.
        spec_of: How a dataset that is an asset of its own is shown.

    Examples:
        >>> defs = build_defs(OpendatasoftPortal(portal="data.test").settings())  # doctest: +SKIP

    Raises:
        ConfigurationError: Runs may be on several hosts, which would not share their data.
    """
    require_one_place(settings.places, configured_launcher())
    own = [(how, table, spec_of(table)) for how, table in dataset_tables(settings)]
    keys = {(table.dataset_id, table.kind): spec.key for _, table, spec in own}
    others = {
        settings.key(name)
        for name in ("dataset", "catalog", "records", "table", "features", "layer")
    }
    files = file_keys(settings)
    others |= {settings.key(SOURCE), *files} if files else set()
    sources = [settings.source_key(name) for name in settings.attributes.tables]
    require_different_keys(keys.values(), {*others, *sources})
    job = sync_job(settings, keys)
    return dg.Definitions(
        assets=[
            *assets(settings),
            *source_specs(settings),
            *(dataset_asset(settings, *definition) for definition in own),
        ],
        asset_checks=on_time_checks(settings, keys),
        jobs=[job],
        schedules=[sync_schedule(settings, job)] if settings.attributes.schedule else [],
        sensors=[
            watching_sensor(settings),
            automation_sensor(settings, list(keys.values()), files),
        ],
        resources=resources(settings),
        # One to three steps a run: a process for each would triple its cost.
        executor=dg.in_process_executor,
    )


def assets(settings: Settings) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """The portal's assets."""
    with warnings.catch_warnings():
        # Used knowingly: a version of dagster that changes it is kept out by pyproject.toml.
        warnings.filterwarnings("ignore", "Parameter `backfill_policy`", dg.BetaWarning)
        return [
            dataset_spec(settings),
            catalog_asset(settings),
            *(landed_asset(settings, extractor) for extractor in settings.extractors),
            *(loaded_asset(settings, extractor) for extractor in settings.extractors),
            *file_assets(settings),
        ]


def resources(settings: Settings) -> dict[str, object]:
    """The portal's resources, under keys that no other portal has."""
    names = settings.run_options.names
    lake = LakeResource(
        portal=settings.slug,
        data_dir=settings.attributes.data_dir,
        state=settings.attributes.state,
    )
    warehouse = WarehouseResource(
        url=settings.attributes.warehouse, data_dir=settings.attributes.data_dir
    )
    return {
        settings.resource("portal"): PortalResource(
            address=settings.address.base,
            api_key=settings.api_key,
            api_key_in_query=settings.attributes.api_key_in_query,
            oauth2=settings.oauth2,
            data_dir=settings.attributes.data_dir,
            state=settings.attributes.state,
        ),
        settings.resource("lake"): lake,
        settings.resource("warehouse"): warehouse,
        settings.resource("io_manager"): LakeIOManager(lake=lake),
        settings.resource("table_io_manager"): WarehouseIOManager(
            warehouse=warehouse,
            tables_in=names.schema_of(settings.slug),
            table_names=names.style,
            names=dict(names.tables),
        ),
    }
