"""The run configuration of assets and job: what a person chooses in the launchpad.

What the choices mean is decided in `sync`.
"""

import dagster as dg
from pydantic import Field

from ods_pipeline.sync.options import Mode


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
