"""What a Dagster user configures: a portal's attributes in YAML, and a run in the launchpad.

Plain values with their descriptions. What follows from them is decided in `settings` and in `sync`.
"""

from collections.abc import Mapping
from glob import escape
from typing import Literal

import dagster as dg
from pydantic import Field

from ods_pipeline.dagster.credentials import ApiKeyAttribute, OAuth2Attribute
from ods_pipeline.sync.options import Mode
from ods_pipeline.sync.rules import DEFAULT, BadValues, Rules, TableRules
from ods_pipeline.warehouse.protocol import Contract


class Selection(dg.Model, dg.Resolvable):
    """Which datasets to keep: identifiers, or patterns with `*` and `?`."""

    include: list[str] = Field(default=["*"], description="Datasets to keep.")
    exclude: list[str] = Field(default=[], description="Datasets to leave out all the same.")


class Layers(dg.Model, dg.Resolvable):
    """Which geographic datasets to read through WFS as well: identifiers, or patterns."""

    include: list[str] = Field(default=[], description="Geographic datasets to read; none without.")
    exclude: list[str] = Field(default=[], description="Datasets to leave out all the same.")
    version: Literal["1.1.0", "2.0.0"] = Field(
        default="1.1.0",
        description="Version of WFS; 2.0.0 can split a layer that comes in part.",
    )
    axis_order: Literal["auto", "latlon", "lonlat"] = Field(
        default="auto",
        description="Order of coordinates where the srsName leaves it open; auto decides.",
    )


class TableAttributes(dg.Model, dg.Resolvable):
    """What is decided for one dataset."""

    bad_values: BadValues = Field(
        default="refuse",
        description="Values that are not of their field's type: refuse refuses the dataset, null "
        "lands the others and keeps these in a file beside the partition.",
    )
    types: dict[str, str] = Field(
        default={},
        description="Types to read fields as instead of the declared ones: name of the field to "
        "text, int, double, date, datetime, boolean, geo_point_2d, geo_shape, file or json_blob.",
    )
    drift: float | None = Field(
        default=None,
        ge=0,
        le=100,
        description="As `trust: drift`, for this dataset.",
    )
    schema_contract: Contract | None = Field(
        default=None, description="As `trust: schema_contract`, for this dataset."
    )

    def rules(self) -> TableRules:
        """The same as the engine has it.

        Raises:
            ConfigurationError: There is no such type.
        """
        return TableRules(self.bad_values, self.types, self.drift)


class Trust(dg.Model, dg.Resolvable):
    """How long and how far the portal is trusted, and which changes of fields are followed."""

    max_trust_days: int = Field(
        default=DEFAULT.trust_days,
        ge=0,
        description="Days after which a dataset whose date never moves is compared by its content; "
        "0 compares every day.",
    )
    max_shrink: float = Field(
        default=DEFAULT.shrink,
        ge=0,
        le=100,
        description="Percent of its rows that a dataset may lose at once; beyond that the old rows "
        "stay until a person accepts the new ones.",
    )
    drift: float = Field(
        default=DEFAULT.drift,
        ge=0,
        le=100,
        description="Percent by which a dataset that is republished while it is read may differ "
        "from the portal's count; 0 accepts none.",
    )
    schema_contract: Contract = Field(
        default="evolve",
        description="When fields are added, removed or retyped: evolve lets the table follow, "
        "freeze fetches nothing, quarantine lands the data and leaves the table.",
    )
    schema_exceptions: dict[str, Contract] = Field(
        default={},
        description="The same for some datasets: identifier, or pattern with `*` and `?`, to "
        "contract; the last that matches counts.",
    )

    def rules(self, tables: Mapping[str, TableAttributes]) -> Rules:
        """The same as the engine has it.

        Args:
            tables: What is decided for single datasets.

        Raises:
            ConfigurationError: One of them is out of its range.
        """
        own = {name: item.schema_contract for name, item in tables.items()}
        contracts = (
            ("*", self.schema_contract),
            *self.schema_exceptions.items(),
            *((escape(name), contract) for name, contract in own.items() if contract),
        )
        decided = {name: item.rules() for name, item in tables.items()}
        return Rules(self.max_trust_days, self.max_shrink, self.drift, contracts, decided)


class Watching(dg.Model, dg.Resolvable):
    """How often the portal is looked at."""

    minimum_interval_seconds: int = Field(
        default=0,
        ge=0,
        description="Seconds between two looks at the catalog; each is one request. "
        "Without it 1800, or 30 for the sample portal.",
    )
    running: bool = Field(
        default=False, description="Whether the sensors start switched on, without a click."
    )


class PortalAttributes(dg.Model, dg.Resolvable):
    """The attributes of a portal, in YAML or in Python."""

    portal: str = Field(
        default="", description="Domain or URL; without it ODS_PORTAL's, else the emulator's."
    )
    name: str = Field(
        default="", description="Prefix in Dagster; without it the portal's host, with `_`."
    )
    datasets: Selection = Field(default=Selection(), description="Which datasets to keep.")
    features: Layers = Field(
        default=Layers(), description="Which geographic datasets to read through WFS as well."
    )
    format: Literal["parquet", "csv"] = Field(
        default="parquet", description="Export to read first."
    )
    datasets_per_run: int = Field(
        default=25, gt=0, description="Datasets that share a run; raise it for big portals."
    )
    data_dir: str = Field(
        default="", description="Root of the lake; without it ODS_DATA_DIR, else `data`."
    )
    warehouse: str = Field(
        default="",
        description="`duckdb:///PATH`; without it ODS_WAREHOUSE, else in the data root.",
    )
    group_name: str = Field(default="", description="Group of the assets; without it the name.")
    catalog_hours: int = Field(
        default=24, gt=0, description="Age in hours at which the catalog counts as out of date."
    )
    schedule: str = Field(
        default="", description="Cron of the job, for those who prefer a clock to the sensor."
    )
    sensor: Watching = Field(default=Watching(), description="How the portal is watched.")
    trust: Trust = Field(
        default=Trust(), description="How far the portal is trusted without asking a person."
    )
    tables: dict[str, TableAttributes] = Field(
        default={}, description="What is decided for single datasets, by identifier."
    )
    api_key: ApiKeyAttribute = None
    api_key_in_query: bool = Field(
        default=False, description="Send the key in the URL, for proxies that lose its header."
    )
    oauth2: OAuth2Attribute = None


class Acceptance(dg.Config):
    """Run configuration: whether a person accepts what is held."""

    accept: bool = Field(
        default=False,
        description="Accept what is held, such as a table that shrank or changed its fields: "
        "you have looked at it.",
    )


class RunConfig(Acceptance):
    """Run configuration: fetch what changed, fetch everything, or only compare."""

    mode: Mode = Field(
        default=Mode.incremental,
        description="Fetch what changed, fetch everything, or fetch and compare and land nothing.",
    )


class SyncConfig(RunConfig):
    """Run configuration of the job: the mode, and the datasets to look at; all without names."""

    datasets: list[str] = Field(default=[])
