"""The run configuration of assets and job: what a person chooses in the launchpad."""

from enum import StrEnum

import dagster as dg
from pydantic import Field


class Mode(StrEnum):
    """How a run treats what is landed."""

    incremental = "incremental"
    full = "full"
    verify = "verify"


class Acceptance(dg.Config):
    """Run configuration: whether a person takes what is held back."""

    accept: bool = Field(
        default=False,
        description="Take what is held back, such as a table that shrank or changed its fields: "
        "you have looked at it.",
    )


class RunMode(Acceptance):
    """Run configuration: fetch what changed, fetch everything, or fetch and compare alone."""

    mode: Mode = Field(
        default=Mode.incremental,
        description="Fetch what changed, fetch everything, or fetch and compare and land nothing.",
    )
