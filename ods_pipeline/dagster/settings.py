"""One portal's settings as Dagster needs them: what things are called, and which datasets to keep.

Nothing here connects to anything. The environment is read for the portal's address, which decides
what the assets are called, for the credentials that belong to it, and for the warehouse's engine,
which the assets show.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

import dagster as dg

from ods_pipeline.dagster.attributes import PortalAttributes
from ods_pipeline.dagster.credentials import OAuth2Resource, application, from_environment
from ods_pipeline.dagster.env import FromEnv, env_ref, given_or_set
from ods_pipeline.dagster.metadata import dataset_page
from ods_pipeline.dagster.one_place import Places
from ods_pipeline.dataset import Dataset
from ods_pipeline.errors import ConfigurationError
from ods_pipeline.portal.http.address import Address
from ods_pipeline.portal.portal import Portal
from ods_pipeline.sync.configuration import name_problem
from ods_pipeline.sync.extractor import Extractor
from ods_pipeline.sync.options import Mode, Options
from ods_pipeline.sync.rules import Rules
from ods_pipeline.sync.verdict import verdict
from ods_pipeline.warehouse.names import TableNames, schema_name, table_name
from ods_pipeline.warehouse.opening import engine_of, names_in, needs_one_writer, public_url

#: Where `ods-pipeline emulator` and `make dev` serve the sample portal, and its name in Dagster.
EMULATOR = "http://127.0.0.1:8765"
EMULATOR_NAME = "sample_portal"

#: Seconds between two looks at a catalog: a real portal allows 100 to 15,000 requests a day.
SECONDS, EMULATOR_SECONDS = 1800, 30

_UNFIT_FOR_A_KEY = re.compile(r"[\x00-\x1f]|\.\.\.|^$")


@dataclass(frozen=True)
class Settings:
    """A portal in one code location.

    Attributes:
        address: Where the portal is.
        name: Prefix of everything it has in Dagster; letters, digits and `_`.
        attributes: The attributes as the user gave them.
        sensor_seconds: Seconds between two looks at the catalog at least.
        run_options: How a run is made, incrementally and without accepting anything.
        api_key: The variable that holds an API key.
        oauth2: The application that a person has given access to, without its secret.
    """

    address: Address
    name: str
    attributes: PortalAttributes
    sensor_seconds: int
    run_options: Options
    api_key: FromEnv | None = None
    oauth2: OAuth2Resource | None = None

    @property
    def slug(self) -> str:
        """The portal's name on disk."""
        return self.address.slug

    def key(self, asset: str) -> dg.AssetKey:
        """The key of one of the portal's assets."""
        return dg.AssetKey([self.name, asset])

    def own_key(self, dataset_id: str, extractor: Extractor) -> dg.AssetKey:
        """The key of a dataset under `tables`: dagster-dbt makes the same of a dbt source."""
        chosen = self.attributes.tables[dataset_id].asset.key
        if chosen and extractor.kind == "records":
            return dg.AssetKey.from_user_string(chosen)
        return dg.AssetKey([self.name, table_name(dataset_id, extractor.kind)])

    def source_key(self, dataset_id: str) -> dg.AssetKey:
        """The key of what a dataset under `tables` is on the portal."""
        return dg.AssetKey([self.name, "dataset", dataset_id])

    def page(self, dataset_id: str) -> str:
        """A dataset's page on the portal."""
        return dataset_page(self.address.base, dataset_id)

    def named(self, thing: str) -> str:
        """A name that no other portal of the code location has."""
        return f"{self.name}_{thing}"

    def resource(self, kind: str) -> str:
        """The key of one of the portal's resources; an identifier, so no digit comes first."""
        return f"{kind}_{self.name}"

    @property
    def partitions(self) -> dg.DynamicPartitionsDefinition:
        """One partition per dataset."""
        return dg.DynamicPartitionsDefinition(name=f"{self.name}/datasets")

    @property
    def layer_partitions(self) -> dg.DynamicPartitionsDefinition:
        """One partition per dataset that is read through WFS."""
        return dg.DynamicPartitionsDefinition(name=f"{self.name}/layers")

    @property
    def group(self) -> str:
        """Group of the assets."""
        return self.attributes.group_name or self.name

    def options(self, mode: Mode = Mode.incremental, *, accept: bool = False) -> Options:
        """How a run is made."""
        return replace(self.run_options, mode=mode, accept=accept)

    @property
    def rules(self) -> Rules:
        """How the portal is trusted."""
        return self.run_options.rules

    @property
    def extractors(self) -> tuple[Extractor, ...]:
        """How rows are fetched: by exports, and through WFS where layers are chosen."""
        return self.run_options.extractors

    @property
    def sensor_status(self) -> dg.DefaultSensorStatus:
        """Whether the sensors start switched on."""
        on, off = dg.DefaultSensorStatus.RUNNING, dg.DefaultSensorStatus.STOPPED
        return on if self.attributes.sensor.running else off

    def partitions_of(self, extractor: Extractor) -> dg.DynamicPartitionsDefinition:
        """The partitions of what an extractor fetches."""
        return self.partitions if extractor.kind == "records" else self.layer_partitions

    def keys(self, extractor: Extractor) -> tuple[dg.AssetKey, dg.AssetKey]:
        """The two assets of an extractor: what is landed, and what is loaded."""
        return self.key(extractor.kind), self.loaded(extractor)

    def loaded(self, extractor: Extractor) -> dg.AssetKey:
        """The asset that an extractor's partitions are loaded as."""
        return self.key("table" if extractor.kind == "records" else "layer")

    @property
    def portal_pool(self) -> str:
        """Limits what talks to the portal at once."""
        return f"portal/{self.slug}"

    @property
    def warehouse_url(self) -> str:
        """The warehouse's URL; empty for the file in the data folder."""
        return given_or_set(self.attributes.warehouse, "ODS_WAREHOUSE")

    @property
    def places(self) -> Places:
        """Where data are, and what runs share."""
        given = self.attributes
        return Places(
            given_or_set(given.data_dir, "ODS_DATA_DIR"),
            self.warehouse_url,
            given_or_set(given.state, "ODS_STATE"),
            given.shared_files,
        )

    @property
    def warehouse_kind(self) -> str:
        """The warehouse's engine, as Dagster draws it."""
        return engine_of(self.warehouse_url)

    @property
    def warehouse_pool(self) -> str | None:
        """Limits what writes to the warehouse; all portals with the default one share it.

        None where several processes may load at once.
        """
        if not needs_one_writer(self.warehouse_url):
            return None
        url = self.attributes.warehouse
        return f"warehouse/{schema_name(url) if url else 'default'}"

    @property
    def table_names(self) -> TableNames:
        """What schema and tables are called in the warehouse."""
        return names_in(self.warehouse_url, self.run_options.names)

    def selects(self, dataset_id: str) -> bool:
        """Whether a dataset is one to keep."""
        return self.attributes.selection.has(dataset_id)

    def selected(
        self, datasets: Iterable[Dataset], passing: Collection[str] | None = None
    ) -> dict[str, Dataset]:
        """The datasets to keep, by identifier, except those that cannot be a partition's key.

        Args:
            datasets: The catalog.
            passing: The datasets that pass the filter of the catalog; None without one.
        """
        listed = {item.dataset_id: item for item in datasets}
        names = self.attributes.selection.names(listed, passing)
        return {
            name: item
            for name, item in listed.items()
            if name in names and not _UNFIT_FOR_A_KEY.search(name)
        }

    def passing(self, portal: Portal) -> set[str] | None:
        """The datasets that pass the filter of the catalog, by one request; None without a filter.

        Raises:
            ConfigurationError: None does: a word that was renamed must not empty the portal.
            PortalError: The portal refuses the filter, or does not answer.
        """
        selection = self.attributes.selection
        if not selection.where:
            return None
        passing = {item.dataset_id for item in portal.datasets(selection.where)}
        if not passing:
            raise ConfigurationError(
                f"no dataset of {self.slug} passes the filter {selection.where!r}: correct `where` "
                "under `datasets`"
            )
        return passing

    def unfit(self, names: Iterable[str]) -> list[str]:
        """The datasets to keep that cannot be a partition: Dagster takes `...` for a range."""
        return sorted(
            name for name in names if self.selects(name) and _UNFIT_FOR_A_KEY.search(name)
        )

    def chosen_for(
        self, extractor: Extractor, catalog: Mapping[str, Dataset]
    ) -> dict[str, Dataset]:
        """The datasets, among those to keep, that are partitions of what an extractor fetches."""
        taken = self.taken_for(extractor, catalog)
        return {name: item for name, item in taken.items() if name not in self.attributes.tables}

    def taken_for(self, extractor: Extractor, catalog: Mapping[str, Dataset]) -> dict[str, Dataset]:
        """The same with those that are assets of their own."""
        if extractor.kind == "records":
            return dict(catalog)
        return {
            name: item
            for name, item in catalog.items()
            if extractor.applies_to(item) and self.attributes.layers.has(name)
        }


def loadable(dataset: Dataset) -> bool:
    """Whether a dataset has records that the portal shows, though there may be none at present."""
    return not verdict(None, dataset).skips


def settings_of(attributes: PortalAttributes) -> Settings:
    """Check a portal's attributes, and complete them.

    The portal's address decides what the assets are called, so unlike all other settings it is
    needed when definitions load: ODS_PORTAL is read here. A portal that is named in the attributes
    is given no credentials but those named with it.

    Raises:
        ConfigurationError: One of them cannot be used.
    """
    given = attributes.portal or os.environ.get("ODS_PORTAL")
    address = Address.parse(given or EMULATOR)
    # Such as `data_economie_gouv_fr`.
    default_name = schema_name(address.slug).strip("_") if given else EMULATOR_NAME
    api_key = env_ref("api_key", attributes.api_key)
    oauth2 = application(attributes.oauth2)
    if given and not (attributes.portal or api_key or oauth2):
        api_key, oauth2 = from_environment()
    name = attributes.name or default_name
    if problem := name_problem(name):
        raise ConfigurationError(problem)
    seconds = attributes.sensor.minimum_interval_seconds
    if seconds < 0:
        raise ConfigurationError(f"minimum_interval_seconds is {seconds}: give 0 or more")
    for key, url in (("warehouse", attributes.warehouse), ("state", attributes.state)):
        if (public := public_url(url)) != url:
            raise ConfigurationError(
                f"the {key} {public} has a password in it, which Dagster would show to everybody: "
                f"leave the attribute out and set ODS_{key.upper()}"
            )
    return Settings(
        address,
        name,
        attributes,
        seconds or (SECONDS if given else EMULATOR_SECONDS),
        attributes.options(),
        api_key,
        oauth2,
    )
