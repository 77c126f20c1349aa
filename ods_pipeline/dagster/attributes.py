"""The blocks within a portal's block of YAML: which datasets, how they are trusted and watched.

Plain values with their descriptions; what they mean together is `component`'s knowledge.
"""

from typing import Annotated, Literal

import dagster as dg
from pydantic import Field

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
    """How the portal is trusted: how long, how far, and with which changes of fields."""

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
        """The same as the command line has it.

        Raises:
            ConfigurationError: One of them cannot be used.
        """
        contracts = (("*", self.schema_contract), *self.schema_exceptions.items())
        return Rules(self.max_trust_days, self.max_shrink, self.drift, contracts)


class Watching(dg.Model, dg.Resolvable):
    """How the portal is watched."""

    minimum_interval_seconds: Annotated[
        int,
        Field(
            ge=0,
            description="Seconds between two looks at the catalog; each is one request. "
            "Without it 1800, or 30 for the sample portal, which costs nobody anything.",
        ),
    ] = 0
    running: Annotated[
        bool, Field(description="Whether the sensors start switched on, without a click.")
    ] = False
