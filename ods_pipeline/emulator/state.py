"""What one portal holds at a moment: datasets by identifier, the engine and the clock."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from ods_pipeline.emulator.clock import Clock
from ods_pipeline.emulator.errors import unknown_dataset
from ods_pipeline.emulator.model import Dataset
from ods_pipeline.emulator.store import Store
from ods_pipeline.emulator.wfs.quirks import WfsQuirks
from ods_pipeline.emulator.wfs.shapes import nesting


@dataclass(frozen=True)
class Quirks:
    """Where real portals differ, or are not known: how this one behaves.

    ``multivalued``: ``joined`` strings or ``list`` in Parquet. ``files``: ``url`` or ``struct``
    in Parquet. ``short_dates``: ``date`` or ``string`` for years and months in Parquet.
    ``empty_row_group``: Parquet begins with a row group without rows. ``wfs``: those of the WFS.
    """

    multivalued: str = "joined"
    files: str = "url"
    short_dates: str = "date"
    empty_row_group: bool = True
    wfs: WfsQuirks = field(default_factory=WfsQuirks)


class State:
    """The datasets of a portal; every change gives a new version."""

    def __init__(self, quirks: Quirks):
        """An empty portal."""
        self.quirks = quirks
        self.store = Store()
        self.clock = Clock()
        self.lock = threading.RLock()
        self.version = 0
        self._datasets: dict[str, Dataset] = {}
        self._nested: dict[str, int] = {}

    def dataset(self, dataset_id: str) -> Dataset:
        """The dataset, or the portal's 404."""
        try:
            return self._datasets[dataset_id]
        except KeyError:
            raise unknown_dataset(dataset_id) from None

    def find(self, dataset_id: str) -> Dataset | None:
        """The dataset, if there is one."""
        return self._datasets.get(dataset_id)

    def nested(self, dataset: Dataset) -> int:
        """How deep geometry collections are in each other; looked up once for each relation."""
        shapes = [c.sql for c in dataset.columns() if c.type == "geo_shape"]
        if shapes and dataset.relation not in self._nested:
            deepest = ", ".join(["0", *map(nesting, shapes)])
            sql = f"SELECT greatest({deepest}) FROM {dataset.relation} AS r"
            self._nested[dataset.relation] = self.store.number(sql)
        return self._nested.get(dataset.relation, 0)

    def without_collections(self, relation: str) -> None:
        """Spare the look into rows that are known to hold none."""
        self._nested[relation] = 0

    def datasets(self) -> list[Dataset]:
        """All datasets in the order of their first publication."""
        with self.lock:
            return list(self._datasets.values())

    def put(self, dataset: Dataset) -> None:
        """Add or replace."""
        with self.lock:
            self._datasets[dataset.dataset_id] = dataset
            self.version += 1

    def remove(self, dataset_id: str) -> Dataset:
        """Take away."""
        with self.lock:
            removed = self.dataset(dataset_id)
            del self._datasets[dataset_id]
            self.version += 1
            return removed
