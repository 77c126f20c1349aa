"""One landed partition loaded and told about: the step that assets and job have in common.

How it is loaded is the warehouse's knowledge; here that becomes metadata and data version.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from ods_pipeline.dagster.metadata import column_schema, of_load, of_map
from ods_pipeline.errors import HeldBack
from ods_pipeline.lake.holds import read_holds
from ods_pipeline.lake.lake import Lake, receipt
from ods_pipeline.sync.extractor import Lane
from ods_pipeline.sync.plan import Planned
from ods_pipeline.sync.rules import Rules
from ods_pipeline.sync.verdict import Kind, Verdict
from ods_pipeline.warehouse.protocol import Load, Warehouse


@dataclass(frozen=True)
class Loaded:
    """What loading one partition came to.

    Attributes:
        load: The warehouse's own account.
        path: The partition.
        kind: `records` or `features`.
    """

    load: Load
    path: Path
    kind: str

    @property
    def version(self) -> str:
        """The data version of the table: the identity of its rows."""
        return self.load.content_hash

    def metadata(self) -> dict[str, Any]:
        """What the UI shows of it."""
        columns = column_schema(pq.read_schema(self.path))
        return {
            **of_map(self.path, self.kind),
            **of_load(self.load),
            "dagster/column_schema": columns,
        }


@dataclass(frozen=True)
class Loading:
    """What a run loads with.

    Attributes:
        warehouse: Where tables are.
        lake: Where partitions are.
        rules: With the contracts under which columns may change.
        accept: Whether a person takes columns that a contract would keep out.
    """

    warehouse: Warehouse
    lake: Lake
    rules: Rules
    accept: bool = False

    def load(self, lane: Lane, name: str, why: str) -> Loaded:
        """Load one landed dataset; one that is loaded already costs a look at its footer.

        Raises:
            HeldBack: Its columns differ and its contract is quarantine; the table stays.
            WarehouseError: The table stays as it was.
        """
        path = self.lake.partition(lane.kind, name)
        contract = "evolve" if self.accept else self.rules.contract(name)
        load = self.warehouse.load(path, verdict=why, contract=contract)
        if load.action == "quarantined":
            told = load.quarantine(
                "`accept: true` in the launchpad or `ods-pipeline sync --accept`"
            )
            raise HeldBack(str(Kind.QUARANTINED), told, dataset=name)
        return Loaded(load, path, lane.kind)

    def steps(self, lane: Lane, names: Iterable[str]) -> dict[str, Planned]:
        """The partitions to load, with what is held of them."""
        held = read_holds(self.lake)
        return {
            name: Planned(
                lane,
                name,
                None,
                receipt(self.lake.partition(lane.kind, name)),
                Verdict(Kind.UNCHANGED, "landed before"),
                hold=held.get((lane.kind, name)),
            )
            for name in names
        }
