"""How a run of the command line is made: which exports, which lanes, under which rules.

Values alone. Reading them from the command line is `commands`' and `rule_options`' work, acting on
them `sync`'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ods_pipeline.portal.exports.export import Format
from ods_pipeline.sync import rules as trust
from ods_pipeline.sync.extractor import Lane

if TYPE_CHECKING:
    from ods_pipeline.portal.gml import AxisOrder
    from ods_pipeline.portal.wfs import Version


@dataclass(frozen=True)
class Options:
    """How to run.

    Attributes:
        full: Ignore what is landed.
        verify: Fetch and compare what is landed, land nothing.
        format: Export to read first.
        features: Read the geographic datasets through WFS as well.
        wfs_version: Version of WFS to ask for.
        axis_order: Order of features' coordinates where their reference system leaves it open.
        accept: Take what is held back: a person has looked at it.
        rules: How the portal is trusted.
        workers: Datasets that are worked at once; how many of them are downloaded is the pace's
            to say, and the others are proven and published meanwhile.
    """

    full: bool = False
    verify: bool = False
    format: Format = "parquet"
    features: bool = False
    wfs_version: Version = "1.1.0"
    axis_order: AxisOrder = "auto"
    accept: bool = False
    rules: trust.Rules = trust.DEFAULT
    workers: int = 24

    @property
    def lanes(self) -> tuple[Lane, ...]:
        """The ways by which rows come in this run, records first."""
        records = Lane("records", format=self.format)
        features = Lane("features", version=self.wfs_version, axis_order=self.axis_order)
        return (records, features) if self.features else (records,)


DEFAULT = Options()
