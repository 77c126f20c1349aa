"""The attributes of a portal in YAML: which datasets, how they are trusted and watched.

Plain values with their descriptions. What follows from them together is in `settings`.
"""

from typing import Annotated, Literal

import dagster as dg
from pydantic import Field

from ods_pipeline.dagster.credentials import ApiKeyAttribute, OAuth2Attribute
from ods_pipeline.sync.rules import DEFAULT, Rules
from ods_pipeline.warehouse.protocol import Contract


class Selection(dg.Model, dg.Resolvable):
    """Which datasets to keep: identifiers, or patterns with `*` and `?`."""

    include: list[str] = Field(default=["*"], description="Datasets to keep.")
    exclude: list[str] = Field(default=[], description="Datasets to leave out all the same.")


class Layers(dg.Model, dg.Resolvable):
    """Which geographic datasets to read through WFS as well: identifiers, or patterns."""

    include: list[str] = Field(default=[], description="Geographic datasets to read; none without.")
    exclude: list[str] = Field(default=[], description="Datasets to leave out all the same.")
    version: Annotated[
        Literal["1.1.0", "2.0.0"],
        Field(description="Version of WFS; 2.0.0 can split a layer that comes in part."),
    ] = "1.1.0"
    axis_order: Annotated[
        Literal["auto", "latlon", "lonlat"],
        Field(description="Order of coordinates where the srsName leaves it open; auto decides."),
    ] = "auto"


class Trust(dg.Model, dg.Resolvable):
    """How long and how far the portal is trusted, and which changes of fields are followed."""

    max_trust_days: Annotated[
        int,
        Field(
            ge=0,
            description="Days after which a dataset whose date never moves is compared by its "
            "content; 0 compares every day.",
        ),
    ] = DEFAULT.trust_days
    max_shrink: Annotated[
        float,
        Field(
            ge=0,
            le=100,
            description="Percent of its rows that a dataset may lose at once; beyond that the rows "
            "of before stay until a person accepts the new ones.",
        ),
    ] = DEFAULT.shrink
    drift: Annotated[
        float,
        Field(
            ge=0,
            le=100,
            description="Percent by which a dataset that is republished while it is read may "
            "differ from the portal's count; 0 accepts none.",
        ),
    ] = DEFAULT.drift
    schema_contract: Annotated[
        Contract,
        Field(
            description="When fields are added, removed or retyped: evolve lets the table follow, "
            "freeze fetches nothing, quarantine lands the data and leaves the table.",
        ),
    ] = "evolve"
    schema_exceptions: dict[str, Contract] = Field(
        default={},
        description="The same for some datasets: identifier, or pattern with `*` and `?`, to "
        "contract; the last that matches counts.",
    )

    def rules(self) -> Rules:
        """The same as the engine has it.

        Raises:
            ConfigurationError: One of them is out of its range.
        """
        contracts = (("*", self.schema_contract), *self.schema_exceptions.items())
        return Rules(self.max_trust_days, self.max_shrink, self.drift, contracts)


class Watching(dg.Model, dg.Resolvable):
    """How often the portal is looked at."""

    minimum_interval_seconds: Annotated[
        int,
        Field(
            ge=0,
            description="Seconds between two looks at the catalog; each is one request. "
            "Without it 1800, or 30 for the sample portal.",
        ),
    ] = 0
    running: Annotated[
        bool, Field(description="Whether the sensors start switched on, without a click.")
    ] = False


class PortalAttributes(dg.Model, dg.Resolvable):
    """The attributes of a portal, in YAML or in Python."""

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
        Trust, Field(description="How far the portal is trusted without asking a person.")
    ] = Trust()
    api_key: ApiKeyAttribute = None
    api_key_in_query: Annotated[
        bool, Field(description="Send the key in the URL, for proxies that lose its header.")
    ] = False
    oauth2: OAuth2Attribute = None
