"""Builds the Dagster definitions of one portal from its settings.

What each definition does is in the file named for it.
"""

import warnings

import dagster as dg

from ods_pipeline.dagster.assets import catalog_asset, dataset_spec, landed_asset, loaded_asset
from ods_pipeline.dagster.automation import automation_sensor
from ods_pipeline.dagster.io_manager import LakeIOManager
from ods_pipeline.dagster.job import sync_job, sync_schedule
from ods_pipeline.dagster.resources import LakeResource, PortalResource, WarehouseResource
from ods_pipeline.dagster.sensor import watching_sensor
from ods_pipeline.dagster.settings import Settings


def build_defs(settings: Settings) -> dg.Definitions:
    """All definitions of one portal.

    Example:
        >>> defs = build_defs(OpendatasoftPortal(portal="data.test").settings())  # doctest: +SKIP
    """
    job = sync_job(settings)
    return dg.Definitions(
        assets=assets(settings),
        jobs=[job],
        schedules=[sync_schedule(settings, job)] if settings.attributes.schedule else [],
        sensors=[watching_sensor(settings), automation_sensor(settings)],
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
        ]


def resources(settings: Settings) -> dict[str, object]:
    """The portal's resources, under keys that no other portal has."""
    lake = LakeResource(portal=settings.slug, data_dir=settings.attributes.data_dir)
    return {
        settings.resource("portal"): PortalResource(
            address=settings.address.base,
            api_key=settings.api_key,
            api_key_in_query=settings.attributes.api_key_in_query,
            oauth2=settings.oauth2,
            data_dir=settings.attributes.data_dir,
        ),
        settings.resource("lake"): lake,
        settings.resource("warehouse"): WarehouseResource(
            url=settings.attributes.warehouse, data_dir=settings.attributes.data_dir
        ),
        settings.resource("io_manager"): LakeIOManager(lake=lake),
    }
