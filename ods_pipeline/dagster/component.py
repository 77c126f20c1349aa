"""A portal as one block of YAML, or as one call in Python.

Settings are read here and nothing else happens: the assets, sensors and jobs are made elsewhere.
"""

import os
import warnings
from typing import Annotated, Literal

import dagster as dg
from pydantic import Field

from ods_pipeline.dagster.assets import catalog_asset, dataset_spec
from ods_pipeline.dagster.attributes import Layers, Selection, Trust, Watching
from ods_pipeline.dagster.automation import automation_sensor
from ods_pipeline.dagster.credentials import (
    ApiKeyAttribute,
    OAuth2Attribute,
    application,
    from_environment,
)
from ods_pipeline.dagster.env import by_name
from ods_pipeline.dagster.io_manager import LakeIOManager
from ods_pipeline.dagster.job import sync_job, sync_schedule
from ods_pipeline.dagster.lane_assets import landed_asset, loaded_asset
from ods_pipeline.dagster.resources import LakeResource, PortalResource, WarehouseResource
from ods_pipeline.dagster.sensor import watching_sensor
from ods_pipeline.dagster.settings import Settings, dagster_name
from ods_pipeline.errors import ConfigurationError
from ods_pipeline.portal.http.address import Address
from ods_pipeline.warehouse.opening import public_url

#: Where `ods-pipeline emulator` and `make dev` serve the sample portal, and its name in Dagster.
EMULATOR = "http://127.0.0.1:8765"
EMULATOR_NAME = "sample_portal"

#: Seconds between two looks at a catalog: a real portal allows 100 to 15,000 requests a day.
SECONDS, EMULATOR_SECONDS = 1800, 30


class OpendatasoftPortal(dg.Component, dg.Model, dg.Resolvable):
    """Keeps a lake and a warehouse in step with an Opendatasoft portal.

    Makes the assets `dataset`, `catalog`, `records` and `table` under the portal's name, with
    `features` and `layer` where layers are chosen, a sensor that reports what changed, automation
    that runs it, and a job that does all of it at once.
    """

    portal: Annotated[
        str,
        Field(description="Domain or URL; without it ODS_PORTAL's, else the emulator's."),
    ] = ""
    name: Annotated[
        str,
        Field(description="Prefix in Dagster; without it the portal's host, with `_`."),
    ] = ""
    datasets: Annotated[Selection, Field(description="Which datasets to keep.")] = Selection()
    features: Annotated[
        Layers, Field(description="Which geographic datasets to read through WFS as well.")
    ] = Layers()
    format: Annotated[Literal["parquet", "csv"], Field(description="Export to read first.")] = (
        "parquet"
    )
    datasets_per_run: Annotated[
        int, Field(gt=0, description="Datasets that share a run; raise it for big portals.")
    ] = 25
    data_dir: Annotated[
        str, Field(description="Root of the lake; without it ODS_DATA_DIR, else `data`.")
    ] = ""
    warehouse: Annotated[
        str, Field(description="`duckdb:///PATH`; without it ODS_WAREHOUSE, else in the data root.")
    ] = ""
    group_name: Annotated[str, Field(description="Group of the assets; without it the name.")] = ""
    catalog_hours: Annotated[
        int, Field(gt=0, description="Age in hours at which the catalog counts as out of date.")
    ] = 24
    schedule: Annotated[
        str, Field(description="Cron of the job, for those who prefer a clock to the sensor.")
    ] = ""
    sensor: Annotated[Watching, Field(description="How the portal is watched.")] = Watching()
    trust: Annotated[
        Trust, Field(description="What is taken from the portal without a person's word.")
    ] = Trust()
    api_key: ApiKeyAttribute = None
    api_key_in_query: Annotated[
        bool, Field(description="Send the key in the URL, for proxies that lose its header.")
    ] = False
    oauth2: OAuth2Attribute = None

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The portal's definitions."""
        return build_defs(self.settings())

    def settings(self) -> Settings:
        """The block's values, checked.

        Raises:
            ConfigurationError: One of them cannot be used.
        """
        return portal_settings(
            self.portal,
            name=self.name,
            include=tuple(self.datasets.include),
            exclude=tuple(self.datasets.exclude),
            format=self.format,
            layers=tuple(self.features.include),
            not_layers=tuple(self.features.exclude),
            wfs_version=self.features.version,
            axis_order=self.features.axis_order,
            rules=self.trust.rules(),
            datasets_per_run=self.datasets_per_run,
            data_dir=self.data_dir,
            warehouse=self.warehouse,
            group=self.group_name,
            catalog_hours=self.catalog_hours,
            sensor_seconds=self.sensor.minimum_interval_seconds,
            running=self.sensor.running,
            schedule=self.schedule,
            api_key=self.api_key,
            api_key_in_query=self.api_key_in_query,
            oauth2=self.oauth2,
        )


def portal_settings(portal: str = "", **values: object) -> Settings:
    """Settings for `build_defs`.

    The portal's address decides what the assets are called, so unlike all other settings it is
    needed when definitions load; this is where ODS_PORTAL is read. A portal that is named here is
    shown no credentials but those named with it.

    Args:
        portal: Domain or URL; without it ODS_PORTAL's, with the credentials that the environment
            holds, else the emulator's.
        **values: Any other attribute of `Settings`.

    Raises:
        ConfigurationError: One of them cannot be used.
    """
    given = portal or os.environ.get("ODS_PORTAL")
    address = Address.parse(given or EMULATOR)
    name = str(values.pop("name", "")) or (dagster_name(address) if given else EMULATOR_NAME)
    values["group"] = values.get("group") or name
    if not values.get("sensor_seconds"):
        values["sensor_seconds"] = SECONDS if given else EMULATOR_SECONDS
    values["api_key"] = by_name("api_key", values.get("api_key"))
    values["oauth2"] = application(values.get("oauth2"))
    if given and not portal and not (values["api_key"] or values["oauth2"]):
        values |= from_environment()
    settings = Settings(address, name, **values)  # type: ignore[arg-type]
    if not name.isascii() or not name.replace("_", "a").isalnum():
        raise ConfigurationError(f"the name {name!r} has other characters than letters, digits, _")
    if public_url(settings.warehouse) != settings.warehouse:
        raise ConfigurationError(
            f"the warehouse {public_url(settings.warehouse)} has a password in it, which Dagster "
            "would show to everybody: leave the attribute out and set ODS_WAREHOUSE"
        )
    return settings


def build_defs(settings: Settings) -> dg.Definitions:
    """Everything that one portal has in Dagster.

    Example:
        >>> defs = build_defs(portal_settings("data.economie.gouv.fr"))  # doctest: +SKIP
    """
    job = sync_job(settings)
    return dg.Definitions(
        assets=assets(settings),
        jobs=[job],
        schedules=[sync_schedule(settings, job)] if settings.schedule else [],
        sensors=[watching_sensor(settings), automation_sensor(settings)],
        resources=resources(settings),
        # One to three steps a run: a process for each would triple its cost.
        executor=dg.in_process_executor,
    )


_OF_A_LANE = (landed_asset, loaded_asset)


def assets(settings: Settings) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """The portal's assets."""
    with warnings.catch_warnings():
        # Used knowingly: a version of dagster that changes it is kept out by pyproject.toml.
        warnings.filterwarnings("ignore", "Parameter `backfill_policy`", dg.BetaWarning)
        return [
            dataset_spec(settings),
            catalog_asset(settings),
            *(asset(settings, lane) for lane in settings.lanes for asset in _OF_A_LANE),
        ]


def resources(settings: Settings) -> dict[str, object]:
    """The portal's resources, under keys that no other portal has."""
    lake = LakeResource(portal=settings.slug, data_dir=settings.data_dir)
    return {
        settings.resource("portal"): PortalResource(
            address=settings.address.base,
            api_key=settings.api_key,
            api_key_in_query=settings.api_key_in_query,
            oauth2=settings.oauth2,
            data_dir=settings.data_dir,
        ),
        settings.resource("lake"): lake,
        settings.resource("warehouse"): WarehouseResource(
            url=settings.warehouse, data_dir=settings.data_dir
        ),
        settings.resource("io_manager"): LakeIOManager(lake=lake),
    }
