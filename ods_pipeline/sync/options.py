"""How a run is made: which datasets' rows are fetched, by which extractors, under which rules.

Values alone. Reading them from options or YAML belongs to `cli` and `dagster`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from ods_pipeline.lake.lake import Lake, PartitionKind
from ods_pipeline.sync.extractor import Extractor
from ods_pipeline.sync.rules import DEFAULT as DEFAULT_RULES
from ods_pipeline.sync.rules import Rules
from ods_pipeline.sync.selection import EVERYTHING, Selection
from ods_pipeline.warehouse.names import AS_IS, TableNames

if TYPE_CHECKING:
    from ods_pipeline.portal.exports.export import Format
    from ods_pipeline.portal.gml import AxisOrder
    from ods_pipeline.portal.portal import Portal
    from ods_pipeline.portal.wfs import Version


class Mode(StrEnum):
    """How a run treats what is landed."""

    incremental = "incremental"
    full = "full"
    verify = "verify"


@dataclass(frozen=True)
class Options:
    """How to run.

    Attributes:
        mode: Fetch what changed, fetch everything, or fetch and compare and land nothing.
        format: Export to read first.
        features: Read the geographic datasets through WFS as well.
        wfs_version: Version of WFS to ask for.
        axis_order: Order of features' coordinates where their reference system leaves it open.
        accept: A person has looked at what is held, and takes it.
        rules: How the portal is trusted.
        layers: The geographic datasets to read through WFS, of those that the run is about.
        names: What the portal's schema and tables are called in the warehouse.
        workers: Datasets that are worked on at once. The portal's pace decides how many of them
            are downloaded at once; the others are proven and published meanwhile.
    """

    mode: Mode = Mode.incremental
    format: Format = "parquet"
    features: bool = False
    wfs_version: Version = "1.1.0"
    axis_order: AxisOrder = "auto"
    accept: bool = False
    rules: Rules = DEFAULT_RULES
    layers: Selection = EVERYTHING
    names: TableNames = AS_IS
    workers: int = 24

    @property
    def extractors(self) -> tuple[Extractor, ...]:
        """How rows are fetched in this run: records first, then features where wanted."""
        records = Extractor("records", format=self.format)
        features = Extractor("features", version=self.wfs_version, axis_order=self.axis_order)
        return (records, features) if self.features else (records,)

    @property
    def verifies(self) -> bool:
        """Whether the run only compares, and lands nothing."""
        return self.mode is Mode.verify


DEFAULT = Options()


@dataclass(frozen=True)
class RunContext:
    """What a run works with.

    Attributes:
        portal: Where the datasets are.
        lake: Where they land.
        options: How to run.
        on_bytes: Called with kind, dataset and size of each piece that arrives.
    """

    portal: Portal
    lake: Lake
    options: Options = DEFAULT
    on_bytes: Callable[[PartitionKind, str, int], object] = lambda *_: None
