"""One portal's settings as Dagster needs them: what things are called, which datasets, how often.

Pure values: nothing here connects to anything or reads the environment.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import dagster as dg

from ods_pipeline.dataset import Dataset
from ods_pipeline.portal.exports.export import Format
from ods_pipeline.portal.http.address import Address
from ods_pipeline.portal.wfs import Version
from ods_pipeline.sync.extractor import Lane
from ods_pipeline.sync.rules import DEFAULT, Rules
from ods_pipeline.sync.verdict import verdict
from ods_pipeline.warehouse.names import schema_name

if TYPE_CHECKING:
    from ods_pipeline.dagster.credentials import OAuth2Resource
    from ods_pipeline.dagster.env import FromEnv
    from ods_pipeline.portal.gml import AxisOrder

_UNFIT_FOR_A_KEY = re.compile(r"[\x00-\x1f]|\.\.\.|^$")


@dataclass(frozen=True)
class Settings:
    """A portal in one code location.

    Attributes:
        address: Where the portal is.
        name: Prefix of everything it has in Dagster; letters, digits and `_`.
        include: Identifiers or globs of the datasets to keep.
        exclude: Identifiers or globs of those to leave out, whatever `include` says.
        format: Export to read first.
        layers: Identifiers or globs of the geographic datasets to read through WFS as well.
        not_layers: Identifiers or globs of those to leave out, whatever `layers` says.
        wfs_version: Version of WFS to ask for.
        axis_order: Order of features' coordinates where their reference system leaves it open.
        rules: How the portal is trusted.
        datasets_per_run: Datasets that share a run where several are asked for at once.
        data_dir: Root of the lake; empty where the resource is to resolve it.
        warehouse: URL of the warehouse; empty where the resource is to resolve it.
        group: Group of the assets.
        catalog_hours: Age at which the catalog counts as out of date.
        sensor_seconds: Seconds between two looks at the catalog at least.
        running: Whether sensors start switched on.
        schedule: Cron of the job, for those who prefer a clock; empty for none.
        api_key: The variable that holds an API key.
        api_key_in_query: Whether the key is sent in the URL.
        oauth2: The application that a person has given access to, without its secret.
    """

    address: Address
    name: str
    include: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()
    format: Format = "parquet"
    layers: tuple[str, ...] = ()
    not_layers: tuple[str, ...] = ()
    wfs_version: Version = "1.1.0"
    axis_order: AxisOrder = "auto"
    rules: Rules = DEFAULT
    datasets_per_run: int = 25
    data_dir: str = ""
    warehouse: str = ""
    group: str = ""
    catalog_hours: int = 24
    sensor_seconds: int = 1800
    running: bool = False
    schedule: str = ""
    api_key: FromEnv | None = None
    api_key_in_query: bool = False
    oauth2: OAuth2Resource | None = None

    @property
    def slug(self) -> str:
        """The portal's name on disk."""
        return self.address.slug

    def key(self, asset: str) -> dg.AssetKey:
        """The key of one of the portal's assets."""
        return dg.AssetKey([self.name, asset])

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
    def lanes(self) -> tuple[Lane, ...]:
        """The ways by which rows come: exports, and WFS where layers are chosen."""
        records = Lane("records", format=self.format)
        features = Lane("features", version=self.wfs_version, axis_order=self.axis_order)
        return (records, features) if self.layers else (records,)

    def partitions_of(self, lane: Lane) -> dg.DynamicPartitionsDefinition:
        """The partitions of what comes by a lane."""
        return self.partitions if lane.kind == "records" else self.layer_partitions

    def keys(self, lane: Lane) -> tuple[dg.AssetKey, dg.AssetKey]:
        """The two assets of a lane: what is landed, and what is loaded."""
        return self.key(lane.kind), self.loaded(lane)

    def loaded(self, lane: Lane) -> dg.AssetKey:
        """The asset that a lane's partitions are loaded as."""
        return self.key("table" if lane.kind == "records" else "layer")

    @property
    def portal_pool(self) -> str:
        """Holds what talks to the portal, whoever does."""
        return f"portal/{self.slug}"

    @property
    def warehouse_pool(self) -> str:
        """Holds what writes to the warehouse; all portals with the default one share it."""
        return f"warehouse/{schema_name(self.warehouse) if self.warehouse else 'default'}"

    def selects(self, dataset_id: str) -> bool:
        """Whether a dataset is one to keep."""
        return _matches(dataset_id, self.include) and not _matches(dataset_id, self.exclude)

    def selected(self, datasets: Iterable[Dataset]) -> dict[str, Dataset]:
        """The datasets to keep, by identifier; one that cannot be a partition's key is none."""
        return {
            item.dataset_id: item
            for item in datasets
            if self.selects(item.dataset_id) and not _UNFIT_FOR_A_KEY.search(item.dataset_id)
        }

    def carried(self, lane: Lane, catalog: Mapping[str, Dataset]) -> dict[str, Dataset]:
        """The datasets among those to keep that come by a lane."""
        if lane.kind == "records":
            return dict(catalog)
        return {
            name: item
            for name, item in catalog.items()
            if lane.carries(item)
            and _matches(name, self.layers)
            and not _matches(name, self.not_layers)
        }


def _matches(dataset_id: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(dataset_id, pattern) for pattern in patterns)


def loadable(dataset: Dataset, *, known: bool = False) -> bool:
    """Whether a dataset has records that the portal shows.

    Args:
        dataset: As the catalog has it.
        known: Whether it had some before: then a count of 0 is news, and no reason to look away.
    """
    return (known or dataset.records_count != 0) and not verdict(None, dataset).skips


def dagster_name(address: Address) -> str:
    """The portal's name in Dagster's characters: `data_economie_gouv_fr`."""
    return schema_name(address.slug).strip("_")
